//! Types: when a field says the same as its column, what widens a type, and the service's enums.

use postgres_schema::{Kind, Schema};

use super::change::{EntityChange, EntityDifference};
use crate::entities::kind;

/// Types of texts, under their names without a schema.
const TEXTS: [&str; 5] = ["text", "character varying", "character", "citext", "name"];

/// Whether the type of a field, as it is described, is no other than that of its column. A field without a limit says none,
/// and a field without a type of its own is `varchar` or `json`.
pub(super) fn is_same(described: &str, made: &str) -> bool {
    if let (Some(described), Some(made)) = (described.strip_suffix("[]"), made.strip_suffix("[]")) {
        return is_same(described, made);
    }
    let ((described, limit), (made, made_limit)) = (parts(described), parts(made));
    let is_text = |type_: &str| TEXTS.contains(&unqualified(type_));
    match (described.as_str(), limit) {
        (_, limit) if described == made => limit.is_none() || limit == made_limit,
        ("character varying", None) => is_text(&made),
        ("text", None) => is_text(&made) && made_limit.is_none(),
        ("json", None) => made == "jsonb",
        _ => false,
    }
}

/// Whether every value of a type is one of the other, and is kept and read in the same way.
pub(super) fn is_widened(from: &str, to: &str) -> bool {
    if kind(from) != kind(to) {
        return false;
    }
    let ((from, had), (to, has)) = (parts(from), parts(to));
    match (from.as_str(), to.as_str()) {
        ("character varying", "text") => true,
        ("text", "character varying") => has.is_none(),
        (from, to) if from != to || from == "character" => false,
        ("numeric", _) => match (digits(had), digits(has)) {
            (_, None) => true,
            (Some((precision, scale)), Some((wider, same))) => scale == same && precision <= wider,
            (None, Some(_)) => false,
        },
        _ => match (had.and_then(number), has.and_then(number)) {
            (_, None) => true,
            (Some(had), Some(has)) => had <= has,
            (None, Some(_)) => false,
        },
    }
}

/// A type without its limit, and the limit.
fn parts(type_: &str) -> (String, Option<&str>) {
    match (type_.find('('), type_.find(')')) {
        (Some(from), Some(to)) if from < to => {
            (format!("{}{}", &type_[..from], &type_[to + 1..]), Some(&type_[from + 1..to]))
        }
        _ => (type_.to_owned(), None),
    }
}

fn unqualified(type_: &str) -> &str {
    type_.rsplit_once('.').map_or(type_, |(_, name)| name)
}

fn number(limit: &str) -> Option<u32> {
    limit.parse().ok()
}

/// Precision and scale.
fn digits(limit: Option<&str>) -> Option<(u32, i32)> {
    let (precision, scale) = limit?.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// Enum types that are missing, and values that they lack.
pub(super) fn differences(made: &Schema, described: &Schema) -> Vec<EntityDifference> {
    let mut differences = Vec::new();
    for (object, properties) in described.objects().filter(|(object, _)| object.kind == Kind::Type) {
        let values = labels(properties.get("labels").map_or("", String::as_str));
        let Some(there) = made.get(object) else {
            let change = EntityChange::NewEnum { labels: values };
            differences.push(EntityDifference { object: object.clone(), change });
            continue;
        };
        let there = labels(there.get("labels").map_or("", String::as_str));
        let missing = values.into_iter().filter(|label| !there.contains(label));
        differences.extend(missing.map(|label| EntityDifference {
            object: object.clone(),
            change: EntityChange::NewLabel { label },
        }));
    }
    differences
}

/// The values of a list of quoted ones.
fn labels(list: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = list;
    while let Some(open) = rest.find('\'') {
        let (mut label, mut inside) = (String::new(), &rest[open + 1..]);
        loop {
            let end = inside.find('\'').unwrap_or(inside.len());
            label += &inside[..end];
            inside = inside.get(end + 1..).unwrap_or_default();
            match inside.strip_prefix('\'') {
                Some(more) => {
                    label.push('\'');
                    inside = more;
                }
                None => break,
            }
        }
        labels.push(label);
        rest = inside;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::{is_same, is_widened, labels};

    #[test]
    fn a_field_says_no_more_than_it_does() {
        for (described, made) in [
            ("character varying", "character varying(20)"),
            ("character varying", "text"),
            ("character varying[]", "character varying(9)[]"),
            ("character varying[]", "text[]"),
            ("character varying", "public.citext"),
            ("text", "character varying"),
            ("numeric", "numeric(5,2)"),
            ("timestamp without time zone", "timestamp(3) without time zone"),
            ("json", "jsonb"),
        ] {
            assert!(is_same(described, made), "{described} {made}");
        }
        for (described, made) in [
            ("text", "character varying(20)"),
            ("character varying(20)", "text"),
            ("character varying(20)", "character varying(10)"),
            ("bigint", "integer"),
            ("jsonb", "json"),
            ("text", "text[]"),
            ("character varying", "integer"),
        ] {
            assert!(!is_same(described, made), "{described} {made}");
        }
    }

    #[test]
    fn what_is_widened_is_read_as_before() {
        for (from, to) in [
            ("character varying(20)", "character varying(21)"),
            ("character varying(20)", "character varying"),
            ("character varying(20)", "text"),
            ("numeric(5,2)", "numeric(6,2)"),
            ("numeric(5,2)", "numeric"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
        ] {
            assert!(is_widened(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("character varying(20)", "character varying(19)"),
            ("text", "character varying(20)"),
            ("character(3)", "character(4)"),
            ("character(3)", "text"),
            ("numeric(5,2)", "numeric(6,3)"),
            ("numeric", "numeric(6,3)"),
            ("integer", "bigint"),
            ("json", "jsonb"),
        ] {
            assert!(!is_widened(from, to), "{from} {to}");
        }
    }

    #[test]
    fn values_are_without_their_quotes() {
        assert_eq!(labels("'a', 'it''s, ''b''', ''"), ["a", "it's, 'b'", ""]);
        assert!(labels("").is_empty());
    }
}
