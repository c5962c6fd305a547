//! Names that people choose, and the times that are put before them.

use migration_plan::Utc;

use crate::{AuthorError, reserved};

/// Longest name of a migration behind its time, in bytes: it is a file's name and printed in every table.
const LONGEST: usize = 80;

/// Longest name of a service, in bytes, as [`migration_plan::ServiceName`] has it.
const LONGEST_OF_SERVICE: usize = 40;

/// Whether a name can be part of a module's name and a file's: `add_invoice_due`.
pub(crate) fn check(name: &str) -> Result<(), AuthorError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST {
        "it is longer than 80 letters"
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        "it does not begin with a lower-case letter"
    } else if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        "it has something other than lower-case letters, digits and `_`"
    } else if name.ends_with('_') || name.contains("__") {
        "there is nothing beside a `_`"
    } else if syn::parse_str::<syn::Ident>(name).is_err() {
        "it is a keyword of Rust"
    } else {
        return Ok(());
    };
    Err(AuthorError::Name { name: name.to_owned(), why })
}

/// Whether a name can be that of a service: of its directory, its package, its schema and its variables.
pub(crate) fn check_service(name: &str) -> Result<(), AuthorError> {
    let is_kebab = name.contains('-');
    let why = if name.len() > LONGEST_OF_SERVICE {
        "it is longer than 40 letters"
    } else if is_kebab && name.contains('_') {
        "it has both `_` and `-`"
    } else if is_kebab && (name.ends_with('-') || name.contains("--")) {
        "there is nothing beside a `-`"
    } else if let Some(why) = reserved::why(name) {
        why
    } else {
        return check(&name.replace('-', "_")).map_err(|error| match error {
            AuthorError::Name { why, .. } => AuthorError::ServiceName { name: name.to_owned(), why },
            error => error,
        });
    };
    Err(AuthorError::ServiceName { name: name.to_owned(), why })
}

/// Date and time of a moment, as names have them: later than the last name of the list, whatever the clock says.
pub(crate) fn stamp<'n>(at: i64, names: impl Iterator<Item = &'n str>) -> String {
    let digits: String = Utc(at).rfc3339().chars().filter(char::is_ascii_digit).collect();
    let last = names.filter_map(number).max();
    let mut number = digits.parse().unwrap_or(0);
    if let Some(last) = last.filter(|last| *last >= number) {
        number = last + 1;
    }
    let digits = format!("{number:014}");
    format!("{}_{}", &digits[..8], &digits[8..])
}

/// `20251016000001` of `m20251016_000001_create_messages` and of `20251016000001_create_messages`.
fn number(name: &str) -> Option<u64> {
    let name = name.strip_prefix('m').unwrap_or(name);
    let (first, rest) = name.split_once('_')?;
    let digits = match first.len() {
        14 => first.to_owned(),
        8 => format!("{first}{}", rest.split('_').next().filter(|time| time.len() == 6)?),
        _ => return None,
    };
    digits.parse().ok()
}

/// Whether a file of this name, without its extension, is a migration.
pub(crate) fn is_of_migration(name: &str) -> bool {
    name.strip_prefix('m').unwrap_or(name).starts_with(|c: char| c.is_ascii_digit())
}

/// What of a name is behind its time: `create_messages`.
pub(crate) fn words(name: &str) -> &str {
    let rest = name.strip_prefix('m').unwrap_or(name);
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_part_of_the_name_of_a_module() {
        for good in ["add_tags", "a", "index_v2", "add_a1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(81);
        for (bad, why) in [
            ("", "it is empty"),
            (&long, "it is longer"),
            ("Add", "it does not begin"),
            ("1a", "it does not begin"),
            ("..", "it does not begin"),
            ("_a", "it does not begin"),
            ("aB", "it has something other"),
            ("a.b", "it has something other"),
            ("a/b", "it has something other"),
            ("a\\b", "it has something other"),
            ("a b", "it has something other"),
            ("a-b", "it has something other"),
            ("größe", "it has something other"),
            ("a\0", "it has something other"),
            ("a_", "there is nothing"),
            ("a__b", "there is nothing"),
            ("mod", "it is a keyword"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_name_of_a_service_means_nothing_else() {
        for good in ["a", "order_history", "order-history", "billing2", "usage", "head_count"] {
            assert!(check_service(good).is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for (bad, why) in [
            ("", "it is empty"),
            (&long, "it is longer than 40"),
            ("../a", "it does not begin"),
            ("a/b", "it has something other"),
            ("a.b", "it has something other"),
            ("Shop", "it does not begin"),
            ("größe", "it has something other"),
            ("-a", "it does not begin"),
            ("a-", "there is nothing beside a `-`"),
            ("a--b", "there is nothing beside a `-`"),
            ("a__b", "there is nothing beside a `_`"),
            ("a-b_c", "it has both"),
            ("mod", "it is a keyword of Rust"),
            ("user", "it is a reserved word of PostgreSQL"),
            ("current_date", "it is a reserved word of PostgreSQL"),
            ("pg_shop", "PostgreSQL has schemas"),
            ("public", "PostgreSQL has schemas"),
            ("stages", "another meaning"),
            ("head", "another meaning"),
        ] {
            let error = check_service(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_new_name_comes_after_all_others() {
        // 2025-11-20 18:49:00 UTC
        let at = 1_763_664_540;
        for (names, expected) in [
            (vec![], "20251120_184900"),
            (vec!["m20251120_184859_a", "0001_init", "m20x51120_184859_a"], "20251120_184900"),
            (vec!["m20251120_184900_a", "m20250101_000001_b"], "20251120_184901"),
            (vec!["m20261120_000002_check_messages"], "20261120_000003"),
            (vec!["20261120000009_check_messages", "0010_index_entries"], "20261120_000010"),
        ] {
            assert_eq!(stamp(at, names.iter().copied()), expected, "{names:?}");
        }
        assert_eq!(words("m20251016_000001_create_messages"), "create_messages");
        assert_eq!(words("0010_index_entries"), "index_entries");
    }
}
