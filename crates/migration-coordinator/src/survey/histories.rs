//! The second question of a survey: what version tables and journals say.
//!
//! Rows are put together on the server, one row of arrays for each table: ten thousand applied migrations are a few rows.

use migration_kit::{MigrationName, ServiceName};
use migration_plan::AppliedMigration;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::facts::Found;
use super::{JournalFacts, SurveyError};
use crate::deployment::Placed;

/// A table to be read: whose it is, by its place among the services that are asked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    VersionTable(usize),
    Journal(usize),
}

impl Part {
    pub(super) fn ordinal(self) -> usize {
        match self {
            Self::VersionTable(ordinal) | Self::Journal(ordinal) => ordinal,
        }
    }

    /// Service and table, for messages.
    pub(super) fn names(self, placed: &[&Placed]) -> (ServiceName, String) {
        let placed = placed[self.ordinal()];
        let name = match self {
            Self::VersionTable(_) => placed.service.version_table().to_owned(),
            Self::Journal(_) => placed.journal_name(),
        };
        (placed.name().clone(), format!("{}.{name}", placed.schema))
    }
}

/// The contents of these tables; at least one.
pub(super) fn query(placed: &[&Placed], parts: &[Part]) -> String {
    let (mut versions, mut journals) = (Vec::new(), Vec::new());
    for part in parts {
        match *part {
            Part::VersionTable(ordinal) => versions.push(format!(
                "SELECT {ordinal} AS ordinal, version::text AS name, applied_at::int8 AS applied_at FROM {}",
                placed[ordinal].version_table()
            )),
            Part::Journal(ordinal) => journals.push(format!(
                "SELECT {ordinal} AS ordinal, migration::text AS name, id, direction::text, outcome::text, \
                 checksum::text, first_install FROM {}",
                placed[ordinal].journal()
            )),
        }
    }
    let mut asked = Vec::new();
    // One aggregate over all tables of a kind: planning one for each would take longer than running it.
    if !versions.is_empty() {
        asked.push(format!(
            "SELECT ordinal, true AS version, array_agg(name) AS names, array_agg(applied_at) AS times, \
             NULL::text[] AS directions, NULL::text[] AS outcomes, NULL::text[] AS checksums, NULL::bool[] AS begun, \
             NULL::bool[] AS succeeded, NULL::bool AS first_install FROM ({}) AS version GROUP BY ordinal",
            versions.join(" UNION ALL ")
        ));
    }
    if !journals.is_empty() {
        // The largest of texts that begin with the id is that of the last line: no sorting, as `array_agg` with an order
        // would need.
        asked.push(format!(
            "SELECT ordinal, false AS version, array_agg(name) AS names, NULL::int8[] AS times, \
             array_agg(split_part(last, ' ', 2)) AS directions, array_agg(split_part(last, ' ', 3)) AS outcomes, \
             array_agg(nullif(split_part(applied, ' ', 2), '')) AS checksums, \
             array_agg(coalesce(running, 0) > coalesce(succeeded, 0)) AS begun, \
             array_agg(succeeded IS NOT NULL) AS succeeded, \
             split_part(max(last), ' ', 4) = 'true' AS first_install \
             FROM (SELECT ordinal, name, max((to_char(id, 'FM0000000000000000000') || ' ' || direction || ' ' || outcome \
                     || ' ' || first_install) COLLATE \"C\") AS last, \
                   max((to_char(id, 'FM0000000000000000000') || ' ' || coalesce(checksum, '')) COLLATE \"C\") \
                     FILTER (WHERE outcome = 'succeeded' AND direction = 'apply') AS applied, \
                   max(id) FILTER (WHERE outcome = 'running') AS running, \
                   max(id) FILTER (WHERE outcome = 'succeeded') AS succeeded \
                   FROM ({}) AS line GROUP BY ordinal, name) AS journal GROUP BY ordinal",
            journals.join(" UNION ALL ")
        ));
    }
    format!("/* migrate */ {}", asked.join(" UNION ALL "))
}

/// Puts answers of [`query`] where they belong. What cannot be understood is noted as unread.
pub(super) fn fill(placed: &[&Placed], found: &mut [Found], rows: &[PgRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
        let Some(found) = found.get_mut(ordinal) else { continue };
        let (part, answer) = if row.try_get("version")? {
            let answer = version_table(row)?.map(|applied| found.facts.applied = applied);
            (Part::VersionTable(ordinal), answer)
        } else {
            found.facts.first_install = row.try_get("first_install")?;
            let answer = journal(row)?.map(|journal| found.facts.journal = journal.into_iter().collect());
            (Part::Journal(ordinal), answer)
        };
        if let Err(what) = answer {
            let (service, table) = part.names(placed);
            found.fail(part, SurveyError::Malformed { service, table, what });
        }
    }
    Ok(())
}

/// Rows of a version table by time, then name; or what is wrong with one.
fn version_table(row: &PgRow) -> Result<Result<Vec<AppliedMigration>, String>, sqlx::Error> {
    let times: Vec<Option<i64>> = row.try_get("times")?;
    let applied = names(row)?.into_iter().zip(times).map(|(name, applied_at)| {
        let name = name?;
        let applied_at = applied_at.ok_or_else(|| format!("the row of `{name}` has no `applied_at`"))?;
        Ok(AppliedMigration { name, applied_at })
    });
    Ok(applied.collect::<Result<Vec<_>, String>>().map(|mut applied| {
        applied.sort_by(|a, b| (a.applied_at, &a.name).cmp(&(b.applied_at, &b.name)));
        applied
    }))
}

fn journal(row: &PgRow) -> Result<Result<Vec<(MigrationName, JournalFacts)>, String>, sqlx::Error> {
    let directions: Vec<Option<String>> = row.try_get("directions")?;
    let outcomes: Vec<Option<String>> = row.try_get("outcomes")?;
    let checksums: Vec<Option<String>> = row.try_get("checksums")?;
    let begun: Vec<bool> = row.try_get("begun")?;
    let succeeded: Vec<bool> = row.try_get("succeeded")?;
    let columns = directions.into_iter().zip(outcomes).zip(checksums).zip(begun).zip(succeeded);
    let lines = names(row)?.into_iter().zip(columns);
    let lines = lines.map(|(name, ((((direction, outcome), checksum), begun), succeeded))| {
        let name = name?;
        let (Some(direction), Some(outcome)) = (direction, outcome) else {
            return Err(format!("a line of `{name}` has no direction or no outcome"));
        };
        Ok((name, JournalFacts { direction, outcome, checksum, begun, succeeded }))
    });
    Ok(lines.collect())
}

/// The names in a row; those that are none are said to be so.
fn names(row: &PgRow) -> Result<Vec<Result<MigrationName, String>>, sqlx::Error> {
    let names: Vec<Option<String>> = row.try_get("names")?;
    let parse = |name: Option<String>| match name {
        Some(name) => name.parse().map_err(|_| format!("`{name}` is no name of a migration")),
        None => Err("a row has no name".to_owned()),
    };
    Ok(names.into_iter().map(parse).collect())
}
