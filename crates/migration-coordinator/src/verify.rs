//! Verifying: asking a server whether what a migration promised still holds.
//!
//! Checks are data (`migration_kit::Check`); here they are asked, inside a migration's transaction before it commits,
//! or any time later in a `READ ONLY` one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use migration_kit::{
    BOOKKEEPING, Check, CheckKind, MigrationName, POLICY_HINT, ServiceName, is_cut_by_policy,
};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::bookkeeping::Outcome;
use crate::check_result::CheckResult;
use crate::connect_error::{is_locked, is_undefined};
use crate::deployment::{Deployment, Placed};
use crate::edited::edited;
use crate::holder::Holder;
use crate::reading::Reading;
use crate::site::Site;
use crate::survey::{Survey, SurveyError};

/// How many violating rows are shown; a check selects no more of a row than its reader may see.
const SHOWN: usize = 3;

/// What verifying one service found.
#[derive(Debug)]
pub struct ServiceVerification {
    /// The service.
    pub service: ServiceName,
    /// Applied migrations that are known here: what was looked at.
    pub n_migrations: usize,
    /// Applied migrations that are not known here: what they promised could not be asked.
    pub unknown: Vec<MigrationName>,
    /// Applied migrations that are not what was applied: they are asked for what they promise now.
    pub edited: Vec<MigrationName>,
    /// Migrations that were begun and not finished: what others promised may not hold until they are.
    pub begun: Vec<MigrationName>,
    /// The session that holds the service's migration lock: what it changes may not hold until it is done.
    pub holder: Option<Holder>,
    /// Why it is not known what was begun or edited, where the journal has lost lines.
    pub lost_journal: Option<Arc<SurveyError>>,
    /// One entry per check of an applied migration, or why the service could not be asked.
    pub results: Result<Vec<CheckResult>, Arc<SurveyError>>,
}

/// What is not as a check of the catalogs says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `table`, `table.column`, `table.constraint`, or the name of an index or a type.
    pub object: String,
    /// What is wrong with it: `is missing, should be …`.
    pub difference: String,
    /// Who accepted it, and on which day, if it was accepted.
    pub accepted: Option<Acceptor>,
}

/// Who accepted a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptor {
    /// Role of the database.
    pub role: String,
    /// Day, in UTC.
    pub day: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.object, self.difference)
    }
}

impl Difference {
    /// Whether a table or a column is not there at all.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.difference == "is missing" || self.difference.starts_with("is missing, ")
    }

    /// Whether it is a whole table that is not there.
    pub(crate) fn is_lost_table(&self) -> bool {
        self.difference == "is missing" && !self.object.contains('.')
    }

    /// Reads a row of [`differing`].
    pub(crate) fn read(object: String, difference: String, by: (Option<String>, Option<String>)) -> Self {
        let accepted = by.0.zip(by.1).map(|(role, day)| Acceptor { role, day });
        Self { object, difference, accepted }
    }
}

/// The query for what is not as these checks of the catalogs say, each with who has accepted it, if a journal says so. What
/// was there when it was accepted, and is gone now, is not accepted.
pub(crate) fn differing<'c>(
    checks: impl Iterator<Item = &'c Check>,
    journal: Option<&str>,
) -> Option<String> {
    let asked: Vec<String> = checks.filter_map(Check::differences).collect();
    if asked.is_empty() {
        return None;
    }
    let acceptances = journal.map_or_else(
        || "(SELECT NULL::text AS role, NULL::text AS day)".to_owned(),
        |journal| {
            format!(
                "(SELECT role, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day FROM {journal} \
                  WHERE outcome = '{}' AND consent = object \
                    AND (difference NOT LIKE 'is missing%' OR error LIKE 'is missing%') \
                  ORDER BY id DESC LIMIT 1)",
                Outcome::Accepted.as_str()
            )
        },
    );
    Some(format!(
        "{BOOKKEEPING}SELECT object, difference, role, day FROM (({})) AS found \
         LEFT JOIN LATERAL {acceptances} AS accepted ON true ORDER BY object, difference",
        asked.join(") UNION (")
    ))
}

/// The query that answers a check with one row of two columns: whether it holds, and what was found. A check may end
/// in a comment, hence the line break after it.
pub(crate) fn question(check: &Check) -> String {
    let question = check.question();
    let sql = question.trim().trim_end_matches(';');
    match check.kind {
        CheckKind::None => format!(
            "{BOOKKEEPING}WITH violation AS MATERIALIZED ({sql}\n) SELECT count(*) = 0, CASE count(*) WHEN 0 THEN 'none' \
             ELSE count(*) || CASE count(*) WHEN 1 THEN ' row: ' ELSE ' rows: ' END || (SELECT string_agg(shown, ', ') \
             FROM (SELECT violation::text AS shown FROM violation LIMIT {SHOWN}) AS first) END FROM violation"
        ),
        CheckKind::Holds => format!(
            "{BOOKKEEPING}SELECT coalesce(bool_and(coalesce(answer, false)), false), \
             CASE WHEN bool_and(coalesce(answer, false)) THEN 'yes' ELSE 'no' END FROM ({sql}\n) AS asked(answer)"
        ),
        CheckKind::Report => format!(
            "{BOOKKEEPING}SELECT true, coalesce(string_agg(figure::text, ', '), '') FROM ({sql}\n) AS asked(figure)"
        ),
    }
}

/// Asks checks inside the migration's own transaction, whose `search_path` is the service's schema. The journal has to exist.
pub(crate) async fn ask<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    migration: &MigrationName,
    checks: &[Check],
) -> Result<Vec<CheckResult>, DbErr> {
    let mut results = Vec::with_capacity(checks.len());
    for check in checks {
        let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, question(check))).await?;
        let row = row.ok_or_else(|| DbErr::Custom(format!("the check `{}` returned no row", check.says)))?;
        let asked = result(migration, check, row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let sql = if asked.holds { None } else { differing([check].into_iter(), Some(&site.journal())) };
        results.push(match sql {
            None => asked,
            Some(sql) => {
                let rows = tx.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
                let read = |row: &QueryResult| {
                    let acceptor = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
                    Ok(Difference::read(row.try_get_by_index(0)?, row.try_get_by_index(1)?, acceptor))
                };
                asked.unless_accepted(&rows.iter().map(read).collect::<Result<Vec<_>, DbErr>>()?)
            }
        });
    }
    Ok(results)
}

/// Which checks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Everything,
    /// Those that ask the catalogs alone: whether tables, columns, constraints, indexes and triggers are there.
    Schema,
}

/// Asks the checks of every applied migration of these services (all, if none are named).
pub async fn verify(
    deployment: &Deployment,
    services: &[ServiceName],
    scope: Scope,
) -> Vec<ServiceVerification> {
    verify_surveyed(deployment, &Survey::take(deployment).await, services, scope).await
}

/// As [`verify`], of what a survey has found to be applied.
pub async fn verify_surveyed(
    deployment: &Deployment,
    survey: &Survey,
    services: &[ServiceName],
    scope: Scope,
) -> Vec<ServiceVerification> {
    // One connection per database: a role may have few.
    let mut readings = BTreeMap::new();
    let mut verifications = Vec::new();
    for (placed, facts) in deployment.placements().iter().zip(&survey.services) {
        if !services.is_empty() && !services.contains(placed.name()) {
            continue;
        }
        let is_known = |name: &&MigrationName| placed.service.migration(name).is_some();
        let names = facts.applied.iter().map(|applied| &applied.name);
        let (applied, unknown): (Vec<_>, Vec<_>) = names.partition(is_known);
        let applied = HashSet::from_iter(applied);
        let results = match &facts.unread {
            Some(error) if !facts.is_history_known() => Err(error.clone()),
            _ if applied.is_empty() => Ok(Vec::new()),
            _ => {
                let asked = Asked { placed, applied: &applied, scope, has_journal: facts.installed };
                verify_service(deployment, &mut readings, asked).await.map_err(Arc::new)
            }
        };
        verifications.push(ServiceVerification {
            service: placed.name().clone(),
            n_migrations: applied.len(),
            unknown: unknown.into_iter().cloned().collect(),
            edited: edited(placed, facts),
            begun: facts.begun().cloned().collect(),
            holder: facts.holder.clone(),
            lost_journal: facts.unread.clone().filter(|_| facts.has_lost_its_journal()),
            results,
        });
    }
    verifications
}

/// What is not as the checks of the catalogs among these say, in the service's schema. One question for all.
pub(crate) async fn differences<'c>(
    reading: &mut Reading<'_>,
    placed: &Placed,
    checks: impl Iterator<Item = &'c Check>,
    has_journal: bool,
) -> Result<Vec<Difference>, sqlx::Error> {
    let journal = has_journal.then(|| placed.site.journal());
    let Some(sql) = differing(checks, journal.as_deref()) else { return Ok(Vec::new()) };
    begin(reading, placed).await?;
    let rows = reading.rows(&sql).await?;
    reading.end().await;
    let read = |row: &PgRow| {
        let acceptor = (row.try_get(2)?, row.try_get(3)?);
        Ok(Difference::read(row.try_get(0)?, row.try_get(1)?, acceptor))
    };
    rows.iter().map(read).collect()
}

/// Begins a transaction in which checks find the service's relations.
pub(crate) async fn begin(reading: &mut Reading<'_>, placed: &Placed) -> Result<(), sqlx::Error> {
    reading.begin().await?;
    let path = format!(
        "{BOOKKEEPING}SELECT pg_catalog.set_config('search_path', {}, true)",
        placed.site.search_path()
    );
    reading.rows(&path).await.map(drop)
}

/// What is asked of one service.
struct Asked<'a> {
    placed: &'a Placed,
    applied: &'a HashSet<&'a MigrationName>,
    scope: Scope,
    has_journal: bool,
}

async fn verify_service<'d>(
    deployment: &'d Deployment,
    readings: &mut BTreeMap<usize, Reading<'d>>,
    Asked { placed, applied, scope, has_journal }: Asked<'_>,
) -> Result<Vec<CheckResult>, SurveyError> {
    let reading = match readings.entry(placed.site.database) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(none) => {
            none.insert(Reading::open(&deployment.databases()[placed.site.database]).await?)
        }
    };
    let mut results = Vec::new();
    let checks = placed.checks_of(applied, applied);
    for (migration, check) in checks.filter(|(_, check)| scope == Scope::Everything || check.is_of_schema()) {
        let result = ask_alone(reading, placed, migration, check).await;
        let differ = if result.holds {
            Ok(Vec::new())
        } else {
            differences(reading, placed, [check].into_iter(), has_journal).await
        };
        // What cannot be asked was not accepted.
        results.push(result.unless_accepted(&differ.unwrap_or_default()));
    }
    Ok(results)
}

/// A transaction for each check, so that one that fails to run does not take the others with it.
pub(crate) async fn ask_alone(
    reading: &mut Reading<'_>,
    placed: &Placed,
    migration: &MigrationName,
    check: &Check,
) -> CheckResult {
    let answer = async {
        begin(reading, placed).await?;
        let rows = reading.rows(&question(check)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))
    }
    .await;
    reading.end().await;
    match answer {
        Ok((holds, found)) => result(migration, check, holds, found),
        Err(error) => {
            // What it asks about is gone: that is the answer.
            let (answered, locked) = (is_undefined(&error), is_locked(&error));
            CheckResult { answered, locked, ..result(migration, check, false, unanswered(&error)) }
        }
    }
}

/// Why a check was not answered: what the server says, without the driver's words.
fn unanswered(error: &sqlx::Error) -> String {
    if is_locked(error) {
        return "could not be asked: another transaction keeps a table locked".to_owned();
    }
    let said = error.as_database_error().map_or_else(|| error.to_string(), |says| says.message().to_owned());
    let more = if is_cut_by_policy(error) { format!("; {POLICY_HINT}") } else { String::new() };
    format!("could not be asked: {said}{more}")
}

pub(crate) fn result(migration: &MigrationName, check: &Check, holds: bool, found: String) -> CheckResult {
    CheckResult {
        migration: migration.to_string(),
        says: check.says.clone(),
        holds,
        answered: true,
        found,
        report: check.kind == CheckKind::Report,
        accepted: false,
        locked: false,
    }
}

impl CheckResult {
    /// The result of a check that does not hold, given what differs: it holds if all of that was accepted.
    pub(crate) fn unless_accepted(self, differences: &[Difference]) -> Self {
        let accepted = differences.iter().map(|difference| {
            let Acceptor { role, day } = difference.accepted.as_ref()?;
            Some(format!("{difference}, accepted by {role} on {day}"))
        });
        match accepted.collect::<Option<Vec<_>>>() {
            Some(accepted) if !accepted.is_empty() => {
                Self { holds: true, accepted: true, found: accepted.join("; "), ..self }
            }
            _ => self,
        }
    }
}
