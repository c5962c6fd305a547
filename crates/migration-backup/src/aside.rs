//! Schemas in which what a service had is set aside: how they are called, and the line by which they are known for it.
//!
//! The line is the first of the schema's comment. What a person has written there comes below it, and is all of it again when the
//! schema is back under its own name.

use std::time::{SystemTime, UNIX_EPOCH};

use migration_kit::{ServiceName, literal, quote_identifier};
use migration_plan::Utc;
use sqlx::{PgConnection, Row};

use crate::owned::rows;

/// Why a schema was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// The service was restored.
    BeforeRestore,
    /// The service was moved to here.
    BeforeMove,
    /// The service has moved.
    Moved,
    /// It is a copy of a move that has not ended.
    Arriving,
}

impl Aside {
    const ALL: [Self; 4] = [Self::BeforeRestore, Self::BeforeMove, Self::Moved, Self::Arriving];

    /// As a part of the schema's name.
    fn word(self) -> &'static str {
        match self {
            Self::BeforeRestore => "before_restore",
            Self::BeforeMove => "before_move",
            Self::Moved => "moved",
            Self::Arriving => "arriving",
        }
    }

    /// The line in the schema's comment.
    fn line(self, service: &ServiceName) -> String {
        match self {
            Self::BeforeRestore => format!("what {service} had before it was restored"),
            Self::BeforeMove => format!("what {service} had here before it was moved to here"),
            Self::Moved => format!("what {service} had before it was moved"),
            Self::Arriving => format!("a copy of {service} that is not in use"),
        }
    }

    /// The schemas for what is set aside now, one for each schema that there is; of another time in the same second, others.
    pub(crate) fn schemas(self, service: &ServiceName, n_schemas: usize) -> Vec<String> {
        self.schemas_at(service, &this_moment(), n_schemas)
    }

    /// Those of a known time, of which the digits count.
    pub(crate) fn schemas_at(self, service: &ServiceName, time: &str, n_schemas: usize) -> Vec<String> {
        /// `NAMEDATALEN` less one.
        const LONGEST: usize = 63;
        let time: String = time.chars().filter(char::is_ascii_digit).collect();
        let (service, word) = (service.as_str(), self.word());
        let names = (0..n_schemas).map(|place| {
            let rest =
                format!("_{word}_{time}{}", if place > 0 { format!("_{place}") } else { String::new() });
            let name = &service[..service.len().min(LONGEST - rest.len())];
            format!("{name}{rest}")
        });
        names.collect()
    }

    /// A condition on a schema `n`: that it was set aside for this service, for whatever reason.
    pub(crate) fn is_one(service: &ServiceName) -> String {
        let lines: Vec<String> = Self::ALL.iter().map(|aside| literal(&aside.line(service))).collect();
        let words: Vec<&str> = Self::ALL.iter().map(|aside| aside.word()).collect();
        format!(
            "pg_catalog.split_part(pg_catalog.obj_description(n.oid, 'pg_namespace'), E'\\n', 1) IN ({}) \
             AND n.nspname ~ '_({})_[0-9]+'",
            lines.join(", "),
            words.join("|")
        )
    }

    /// The statement that says so in the comment of a schema, with what `commented` says of it so far.
    pub(crate) fn comment(self, service: &ServiceName, schema: &str, commented: Option<&str>) -> String {
        let own = commented.map(|text| without_lines(service, text)).filter(|own| !own.is_empty());
        let line = self.line(service);
        let text = own.map_or_else(|| line.clone(), |own| format!("{line}\n{own}"));
        format!("COMMENT ON SCHEMA {} IS {}", quote_identifier(schema), literal(&text))
    }
}

/// The time to the millisecond, by which schemas are named that are set aside: a run that follows at once finds no name taken.
pub(crate) fn this_moment() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = Utc(i64::try_from(now.as_secs()).unwrap_or_default()).rfc3339();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), now.subsec_millis())
}

/// The statement that leaves of a schema's comment what is not ours.
pub(crate) fn own_comment(service: &ServiceName, schema: &str, commented: Option<&str>) -> String {
    let own = commented.map(|text| without_lines(service, text)).filter(|own| !own.is_empty());
    let text = own.map_or_else(|| "NULL".to_owned(), literal);
    format!("COMMENT ON SCHEMA {} IS {text}", quote_identifier(schema))
}

/// What a schema's comment says.
pub(crate) async fn commented(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Option<String>, sqlx::Error> {
    let sql = format!(
        "SELECT pg_catalog.obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace WHERE nspname = {}",
        literal(schema)
    );
    Ok(rows(connection, &sql).await?.first().and_then(|row| row.get(0)))
}

/// A comment without the lines at its begin that are ours.
fn without_lines<'t>(service: &ServiceName, text: &'t str) -> &'t str {
    let mut own = text;
    loop {
        let (first, rest) = own.split_once('\n').unwrap_or((own, ""));
        if !Aside::ALL.iter().any(|aside| aside.line(service) == first) {
            return own;
        }
        own = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::{Aside, own_comment};

    #[test]
    fn what_a_person_has_written_stays() {
        let chat = "chat".parse().unwrap();
        let ours = "COMMENT ON SCHEMA \"chat\" IS 'what chat had before it was moved";
        for commented in ["ada's\nown", "what chat had before it was restored\nada's\nown"] {
            let comment = Aside::Moved.comment(&chat, "chat", Some(commented));
            assert_eq!(comment, format!("{ours}\nada''s\nown'"));
            assert_eq!(
                own_comment(&chat, "chat", Some(commented)),
                "COMMENT ON SCHEMA \"chat\" IS 'ada''s\nown'"
            );
        }
        for commented in [None, Some("what chat had before it was moved")] {
            assert_eq!(Aside::Moved.comment(&chat, "chat", commented), format!("{ours}'"));
            assert_eq!(own_comment(&chat, "chat", commented), "COMMENT ON SCHEMA \"chat\" IS NULL");
        }
    }

    #[test]
    fn names_are_no_longer_than_the_server_keeps_them() {
        let long = format!("a{}", "b".repeat(39)).parse().unwrap();
        let names = Aside::Arriving.schemas_at(&long, "2026-11-29T12:00:00.123Z", 2);
        assert!(
            names[0].ends_with("_arriving_20261129120000123")
                && names[1].ends_with("_arriving_20261129120000123_1")
        );
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    }
}
