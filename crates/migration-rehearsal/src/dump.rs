//! A schema as text that is the same whenever the schema is: `pg_dump`'s, without what varies and what is noise.

use migration_kit::quote_identifier;
use postgres_sandbox::{Database, SandboxError};

/// Tables of the coordinator and the kit, which are no part of a service's schema.
const BOOKKEEPING: [&str; 4] =
    ["seaql_migrations_*", "migration_journal_*", "migration_backfill_*", "migration_reject_*"];

/// One schema of a database as `pg_dump` writes it, without settings, comments, the version table and the other tables of
/// the coordinator.
///
/// # Errors
/// [`SandboxError`] if `pg_dump` fails.
pub fn dump_schema(database: &Database, schema: &str, version_table: &str) -> Result<String, SandboxError> {
    let schema = quote_identifier(schema);
    let mut args = vec!["--schema-only".to_owned(), "--no-owner".to_owned(), "--no-privileges".to_owned()];
    args.push(format!("--schema={schema}"));
    args.extend(BOOKKEEPING.map(|tables| format!("--exclude-table={schema}.{tables}")));
    args.push(format!("--exclude-table={schema}.{}", quote_identifier(version_table)));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(normalise(&database.pg_dump(&args)?))
}

/// Drops settings, comments and blank lines, but for those in the bodies of functions.
fn normalise(dump: &str) -> String {
    let mut body: Option<&str> = None;
    let mut normal = String::new();
    for line in dump.lines() {
        let is_noise = line.is_empty()
            || ["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"]
                .iter()
                .any(|noise| line.starts_with(noise));
        if body.is_some() || !is_noise {
            normal.push_str(line);
            normal.push('\n');
        }
        body = body_after(body, line);
    }
    normal
}

/// The dollar quote that is open after a line, given the one that was open before it.
fn body_after<'d>(mut open: Option<&'d str>, line: &'d str) -> Option<&'d str> {
    let mut rest = line;
    loop {
        match open {
            Some(quote) => {
                let Some((_, after)) = rest.split_once(quote) else { return open };
                (open, rest) = (None, after);
            }
            None => {
                let start = rest.find('$')?;
                let length = rest[start + 1..].find('$')?;
                let end = start + length + 2;
                (open, rest) = (Some(&rest[start..end]), &rest[end..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_goes_and_bodies_stay() {
        let dump = "--\n-- Name: f\n--\n\nSET x = 1;\n\\restrict abc\nCREATE FUNCTION f() RETURNS trigger\n    AS $_$\n\
                    -- why\n\nSET y = 2;\n$_$;\n\n-- end\nCREATE TABLE t (\n    a text DEFAULT 'b'::text\n);\n";
        let normal = "CREATE FUNCTION f() RETURNS trigger\n    AS $_$\n-- why\n\nSET y = 2;\n$_$;\n\
                      CREATE TABLE t (\n    a text DEFAULT 'b'::text\n);\n";
        assert_eq!(normalise(dump), normal);
    }

    #[test]
    fn a_body_on_one_line_is_closed() {
        assert_eq!(body_after(None, "    AS $$SELECT 1$$;"), None);
        assert_eq!(body_after(None, "    AS $$"), Some("$$"));
        assert_eq!(body_after(Some("$$"), "END; $$;"), None);
    }
}
