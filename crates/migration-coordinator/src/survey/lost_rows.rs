//! Rows that are missing from a version table: of migrations that the journal says are applied, and of which all is there that they left.
//!
//! A tool that writes no journal may have reverted a migration. Then what it made is gone, and it is pending. One that promises nothing
//! of which one could see that counts as reverted, unless another one is applied that ended what it promised.

use std::collections::HashSet;
use std::sync::Arc;

use migration_kit::{BOOKKEEPING, Check, CheckKind, MigrationName};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::histories::Part::VersionTable;
use super::{Access, JournalFacts, ServiceFacts, SurveyError};
use crate::connect_error::{is_locked, is_undefined};
use crate::deployment::Placed;

/// The migrations of a service that may have lost their rows, in the order of its list.
pub(super) fn suspects(placed: &Placed, facts: &ServiceFacts) -> Vec<MigrationName> {
    if facts.access != Access::Read || facts.unread.is_some() {
        return Vec::new();
    }
    let n_journalled = facts.journal.facts().filter(|journal| journal.is_applied()).count();
    let mut next = 0;
    let is_journalled = |name: &MigrationName| {
        facts.journal.get_expected(&mut next, name).is_some_and(JournalFacts::is_applied)
    };
    let n_covered =
        facts.applied.iter().map(|row| &row.name).map(is_journalled).filter(|is_it| *is_it).count();
    let is_known = |name: &MigrationName| placed.service.migration(name).is_some();
    // Under a name that is not known here, a migration has its row: it was renamed, or replaced.
    if n_journalled <= n_covered || !facts.applied.iter().all(|row| is_known(&row.name)) {
        return Vec::new();
    }
    let applied: HashSet<&MigrationName> = facts.applied.iter().map(|row| &row.name).collect();
    let journalled = facts.journal.iter().filter(|(_, journal)| journal.is_applied()).map(|(name, _)| name);
    let missing = journalled.filter(|name| !applied.contains(name));
    missing.filter(|name| is_known(name)).cloned().collect()
}

/// The question whether a migration is as it left the schema; `None` if nothing tells. A check that no row breaks something tells
/// nothing: it may have held before.
pub(super) fn question(
    placed: &Placed,
    facts: &ServiceFacts,
    suspects: &[MigrationName],
    suspect: &MigrationName,
) -> Option<String> {
    let applied: HashSet<&MigrationName> =
        facts.applied.iter().map(|row| &row.name).chain(suspects).collect();
    let one = HashSet::from([suspect]);
    let is_kept = |(_, check): (_, &Check)| match (check.differences(), check.kind) {
        (Some(differences), _) => Some(format!("NOT EXISTS ({differences})")),
        (None, CheckKind::Holds) => {
            let question = check.question();
            let sql = question.trim().trim_end_matches(';');
            Some(format!(
                "(SELECT coalesce(bool_and(coalesce(answer, false)), false) FROM ({sql}\n) AS asked(answer))"
            ))
        }
        (None, CheckKind::None | CheckKind::Report) => None,
    };
    let mut asked: Vec<String> = placed.checks_of(&one, &applied).filter_map(is_kept).collect();
    // What ended one of its promises stands on it, and is reverted before it.
    let has_ended = |check: &Check| {
        check.until.as_ref().is_some_and(|until| facts.applied.iter().any(|row| row.name == *until))
    };
    let listed = placed.service.migration(suspect)?;
    if asked.is_empty() && listed.details().checks.iter().any(has_ended) {
        asked.push("true".to_owned());
    }
    // The path is set without a row among those of the answer.
    (!asked.is_empty()).then(|| {
        format!(
            "{BOOKKEEPING}SELECT FROM pg_catalog.set_config('search_path', {}, true) AS said WHERE said IS NULL; SELECT {}",
            placed.site.search_path(),
            asked.join(" AND ")
        )
    })
}

/// What the answer to [`question`] says. What it asks about may be gone.
pub(super) fn answer(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<bool, sqlx::Error> {
    match rows {
        Ok(rows) => rows.first().map_or(Ok(false), |row| row.try_get(0)),
        Err(error) if is_undefined(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Notes that these have lost their rows, or that it could not be asked.
pub(super) fn note(placed: &Placed, facts: &mut ServiceFacts, lost: Result<Vec<MigrationName>, sqlx::Error>) {
    let (service, table) = VersionTable(0).names(&[&placed.site]);
    match lost {
        Ok(names) if names.is_empty() => {}
        Ok(names) => {
            facts.access = Access::Lost;
            facts.unread = Some(Arc::new(SurveyError::RowsLost { service, table, names }));
        }
        Err(error) => {
            let is_locked = is_locked(&error);
            let says = format!("whether its version table has lost rows could not be asked: {error}");
            facts.access = Access::Unreadable;
            facts.unread = Some(Arc::new(SurveyError::Unanswered { service, says, is_locked }));
        }
    }
}
