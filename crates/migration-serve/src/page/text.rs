//! Numbers, spans and moments as people read them.

use maud::{Markup, html};

/// A number with its thousands apart.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "−" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 service`, `3 services`.
pub(super) fn counted(n: usize, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {many}", number(i64::try_from(n).unwrap_or(i64::MAX))),
    }
}

/// A span of time, in two units at most.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, unit_of_small: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {unit_of_small}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => two(minutes, "min", seconds % 60, "s"),
        600..3600 => format!("{minutes} min"),
        3600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// How long something took, in milliseconds.
pub(super) fn took(milliseconds: i64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => span(milliseconds / 1000),
    }
}

/// A moment (`2026-11-29T03:45:10Z`), to the minute; where scripts run, how long ago that is.
pub(super) fn moment(timestamp: &str) -> Markup {
    let (date, time) = timestamp.split_once('T').unwrap_or((timestamp, ""));
    let minute: String = time.chars().take(5).collect();
    html! { time datetime=(timestamp) { (date) " " (minute) " UTC" } }
}

/// A sentence in which names are in backticks.
pub(super) fn said(sentence: &str) -> Markup {
    let pieces: Vec<&str> = sentence.split('`').collect();
    // An odd one out is no pair.
    let n_paired = if pieces.len() % 2 == 1 { pieces.len() } else { 0 };
    html! {
        @if n_paired == 0 { (sentence) }
        @for (n, piece) in pieces.iter().take(n_paired).enumerate() {
            @if n % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// A part of a whole in percent, rounded down, so that 100 is all of it.
pub(super) fn percent(part: i64, whole: i64) -> i64 {
    if whole <= 0 { 0 } else { (part.clamp(0, whole) * 100) / whole }
}

/// A bar of segments, each a class and its share in percent. What it says is beside it in words.
pub(super) fn bar(segments: &[(&str, i64)]) -> Markup {
    let mut at = 0;
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="4" {}
            @for (class, share) in segments {
                rect class=(class) x=(at) width=(share) height="4" {}
                @let () = at += share;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_numbers_and_spans() {
        let numbers = [0, 999, 1000, 1_234_567, -12_345].map(number);
        assert_eq!(numbers, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567", "−12\u{202f}345"]);
        let spans = [-3, 42, 60, 125, 600, 3599, 3600, 5400, 86_400, 100_000].map(span);
        let expected =
            ["0 s", "42 s", "1 min", "2 min 5 s", "10 min", "59 min", "1 h", "1 h 30 min", "1 d", "1 d 3 h"];
        assert_eq!(spans, expected);
        assert_eq!([7, 1234, 59_999, 61_000].map(took), ["7 ms", "1.2 s", "59.9 s", "1 min 1 s"]);
        assert_eq!([(1, 3), (3, 3), (9, 3), (5, 0)].map(|(part, of)| percent(part, of)), [33, 100, 100, 0]);
    }
}
