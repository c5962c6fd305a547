//! Moments as text.

use migration_plan::Utc;

/// Seconds since 1970 as `2026-11-20T18:34:00Z`.
#[must_use]
pub fn timestamp(seconds: i64) -> String {
    Utc(seconds).rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_286_096, "2026-11-21T18:34:56Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
