//! The comment on a version table that says how many lines its journal has at least. By it, a journal that was dropped, emptied or
//! cut is distinguished from one that another tool never wrote.
//!
//! It outlives the journal, and plain sea-orm tools leave it alone. A run writes it when it begins to revert in steps, and when it has done
//! its work on a service, so that it may say less than there is, and never more: a journal only grows.

use migration_kit::{BOOKKEEPING, literal};

use crate::bookkeeping::Outcome;
use crate::session::Writer;
use crate::site::Site;

/// What is before the number.
const BEGIN: &str = "migrate: its journal has at least ";
/// What is after it.
const END: &str = " lines";

/// How many lines the journal has had, by the comment on its version table; `None` if that is about something else.
pub(crate) fn read(comment: &str) -> Option<i64> {
    comment.strip_prefix(BEGIN)?.strip_suffix(END)?.parse().ok()
}

/// Writes how many lines there are, if it may and nobody blocks it: it helps later, and is needed for nothing that runs now.
pub(crate) async fn write(writer: Writer<'_>, site: &Site) {
    const PASSED_OVER: &str = "EXCEPTION WHEN insufficient_privilege OR lock_not_available OR feature_not_supported \
                               OR undefined_table THEN NULL; ";
    let sql = format!(
        "{BOOKKEEPING}SELECT FROM pg_catalog.set_config('lock_timeout', '100', true); {}",
        block(site, "", PASSED_OVER)
    );
    drop(writer.execute(&sql).await);
}

/// The statement that writes how many lines there are, or fails.
pub(crate) fn statement(site: &Site) -> String {
    block(site, "", "")
}

/// The same for a transaction that has to succeed whoever owns the version table.
pub(crate) fn statement_of_owner(site: &Site) -> String {
    let owner = format!(
        " AND pg_catalog.pg_has_role((SELECT relowner FROM pg_catalog.pg_class WHERE oid = {}::pg_catalog.regclass), 'USAGE')",
        literal(&site.qualified_version_table())
    );
    block(site, &owner, "")
}

/// A comment that a person has written stays.
fn block(site: &Site, condition: &str, exception: &str) -> String {
    let table = site.qualified_version_table();
    let body = format!(
        "BEGIN IF coalesce(pg_catalog.obj_description({regclass}::pg_catalog.regclass, 'pg_class'), {begin}) LIKE {pattern}{condition} THEN \
         EXECUTE (WITH lines AS (SELECT count(*) AS n FROM {journal} WHERE outcome IS DISTINCT FROM '{accepted}') \
           SELECT pg_catalog.format('COMMENT ON TABLE %s IS %L', {regclass}::text, pg_catalog.concat({begin}::text, n, {end}::text)) \
           FROM lines); \
         END IF; {exception}END",
        regclass = literal(&table),
        begin = literal(BEGIN),
        pattern = literal(&format!("{BEGIN}%")),
        end = literal(END),
        journal = site.journal(),
        accepted = Outcome::Accepted.as_str(),
    );
    format!("DO {}", literal(&body))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn only_its_own_words_are_read() {
        assert_eq!(read("migrate: its journal has at least 12 lines"), Some(12));
        for other in ["migrate: its journal has at least many lines", "the history of chat", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
