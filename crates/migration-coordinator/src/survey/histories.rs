//! The second question of a survey: what version tables and journals say.
//!
//! Rows are put together on the server, one row of lists for each table: ten thousand applied migrations are a few rows.
//! The lists are texts and not arrays, and which line of a journal is the last of its migration is found here: the server
//! would take several times as long for either.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use migration_kit::{BOOKKEEPING, MigrationName, ServiceName};
use migration_plan::{AppliedMigration, Direction};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::facts::Found;
use super::{JournalFacts, SurveyError};
use crate::bookkeeping::Outcome;
use crate::site::Site;

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
    pub(super) fn names(self, sites: &[&Site]) -> (ServiceName, String) {
        let site = sites[self.ordinal()];
        let name = match self {
            Self::VersionTable(_) => site.version_table.clone(),
            Self::Journal(_) => site.journal_name(),
        };
        (site.name().clone(), format!("{}.{name}", site.schema))
    }
}

/// What parts the names in a list; a name has no control character.
const SEPARATOR: char = '\u{1}';

/// The contents of these tables; at least one.
pub(super) fn query(sites: &[&Site], parts: &[Part]) -> String {
    const VERSIONS: &str = "true AS version, count(*) AS n_rows, string_agg(name, E'\\x01') AS names, \
        string_agg(applied_at::text, ' ') AS times, min(name) FILTER (WHERE applied_at IS NULL) AS timeless, \
        NULL::text AS ids, NULL::text AS directions, NULL::text AS outcomes, NULL::text AS checksums, \
        NULL::bool AS first_install";
    const JOURNALS: &str = "false AS version, count(*) AS n_rows, string_agg(name, E'\\x01') AS names, \
        NULL::text AS times, NULL::text AS timeless, string_agg(id::text, ' ') AS ids, \
        string_agg(direction, ' ') AS directions, string_agg(outcome, ' ') AS outcomes, \
        string_agg(coalesce(checksum, ''), ' ') AS checksums, \
        max(id) = max(id) FILTER (WHERE first_install) AS first_install";
    let (mut versions, mut journals) = (Vec::new(), Vec::new());
    for part in parts {
        match *part {
            Part::VersionTable(ordinal) => versions.push(format!(
                "SELECT {ordinal} AS ordinal, version::text AS name, applied_at::int8 AS applied_at FROM {}",
                sites[ordinal].qualified_version_table()
            )),
            Part::Journal(ordinal) => journals.push(format!(
                "SELECT {ordinal} AS ordinal, migration::text AS name, id::int8 AS id, direction::text AS direction, \
                 outcome::text AS outcome, checksum::text AS checksum, first_install FROM {} WHERE outcome IS DISTINCT FROM '{}'",
                sites[ordinal].journal(),
                Outcome::Accepted.as_str()
            )),
        }
    }
    // One aggregate over all tables of a kind: planning one for each would take longer than running it.
    let aggregated =
        [(VERSIONS, versions), (JOURNALS, journals)].into_iter().filter(|(_, tables)| !tables.is_empty());
    let asked: Vec<String> = aggregated
        .map(|(aggregates, tables)| {
            format!(
                "SELECT ordinal, {aggregates} FROM ({}) AS source GROUP BY ordinal",
                tables.join(" UNION ALL ")
            )
        })
        .collect();
    format!("{BOOKKEEPING}{}", asked.join(" UNION ALL "))
}

/// Puts answers of [`query`] where they belong. What cannot be understood is noted as unread.
pub(super) fn fill(sites: &[&Site], found: &mut [Found], rows: &[PgRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
        let Some(found) = found.get_mut(ordinal) else { continue };
        let (part, answer) = if row.try_get("version")? {
            let answer = VersionRows::read(row)?.applied().map(|applied| found.facts.applied = applied);
            (Part::VersionTable(ordinal), answer)
        } else {
            found.facts.first_install = row.try_get::<Option<bool>, _>("first_install")?.unwrap_or(false);
            let answer = JournalRows::read(row)?.facts().map(|journal| found.facts.journal = journal);
            (Part::Journal(ordinal), answer)
        };
        if let Err(what) = answer {
            let (service, table) = part.names(sites);
            found.fail(part, SurveyError::Malformed { service, table, what });
        }
    }
    Ok(())
}

/// A column of a table as a list; nothing where all is null.
type List<'r> = Option<&'r str>;

/// The rows of a version table.
struct VersionRows<'r> {
    n_rows: i64,
    names: List<'r>,
    times: List<'r>,
    /// The name of a row without a time.
    timeless: Option<&'r str>,
}

impl<'r> VersionRows<'r> {
    fn read(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            n_rows: row.try_get("n_rows")?,
            names: row.try_get("names")?,
            times: row.try_get("times")?,
            timeless: row.try_get("timeless")?,
        })
    }

    /// By time, then name; or what is wrong with one.
    fn applied(&self) -> Result<Vec<AppliedMigration>, String> {
        let names = names(self.names, self.n_rows)?;
        if let Some(name) = self.timeless {
            return Err(format!("the row of `{name}` has no `applied_at`"));
        }
        let times = column(self.times, self.n_rows)?;
        let applied = names.into_iter().zip(times).map(|(name, time)| {
            let applied_at = time.parse().map_err(|_| format!("the row of `{name}` has no `applied_at`"))?;
            Ok(AppliedMigration { name: parse(name)?, applied_at })
        });
        let mut applied = applied.collect::<Result<Vec<_>, String>>()?;
        applied.sort_by(|a, b| (a.applied_at, &a.name).cmp(&(b.applied_at, &b.name)));
        Ok(applied)
    }
}

/// The lines of a journal.
struct JournalRows<'r> {
    n_rows: i64,
    names: List<'r>,
    ids: List<'r>,
    directions: List<'r>,
    outcomes: List<'r>,
    checksums: List<'r>,
}

impl<'r> JournalRows<'r> {
    fn read(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            n_rows: row.try_get("n_rows")?,
            names: row.try_get("names")?,
            ids: row.try_get("ids")?,
            directions: row.try_get("directions")?,
            outcomes: row.try_get("outcomes")?,
            checksums: row.try_get("checksums")?,
        })
    }

    /// What it says of each migration; or what is wrong with a line.
    fn facts(&self) -> Result<HashMap<MigrationName, JournalFacts>, String> {
        let names = names(self.names, self.n_rows)?;
        let [ids, directions, outcomes, checksums] =
            [self.ids, self.directions, self.outcomes, self.checksums].map(|list| column(list, self.n_rows));
        let columns = ids?.into_iter().zip(directions?).zip(outcomes?).zip(checksums?);
        let mut lines: HashMap<&str, Lines<'_>> = HashMap::with_capacity(names.len());
        for (name, (((id, direction), outcome), checksum)) in names.into_iter().zip(columns) {
            let id = id.parse().map_err(|_| format!("a line of `{name}` has no number"))?;
            let direction = match direction {
                "apply" => Direction::Apply,
                "revert" => Direction::Revert,
                _ => return Err(format!("a line of `{name}` has no direction")),
            };
            match lines.entry(name) {
                Entry::Occupied(mut lines) => lines.get_mut().take(id, direction, outcome, checksum),
                Entry::Vacant(none) => {
                    let mut first = Lines {
                        last: id,
                        direction,
                        running: None,
                        ended: None,
                        succeeded: None,
                        applied: None,
                    };
                    first.take(id, direction, outcome, checksum);
                    none.insert(first);
                }
            }
        }
        lines.into_iter().map(|(name, lines)| Ok((parse(name)?, lines.facts()))).collect()
    }
}

/// The lines of one migration, in whatever order they come: the last one, and the last one of some kinds, by number.
struct Lines<'r> {
    last: i64,
    direction: Direction,
    running: Option<i64>,
    /// After which nothing is left of what was begun.
    ended: Option<i64>,
    succeeded: Option<i64>,
    /// That of an apply, with its checksum.
    applied: Option<(i64, &'r str)>,
}

impl<'r> Lines<'r> {
    fn take(&mut self, id: i64, direction: Direction, outcome: &str, checksum: &'r str) {
        if id > self.last {
            (self.last, self.direction) = (id, direction);
        }
        if outcome == Outcome::Running.as_str() {
            self.running = self.running.max(Some(id));
        } else if outcome == Outcome::Unchanged.as_str() {
            self.ended = self.ended.max(Some(id));
        } else if outcome == Outcome::Succeeded.as_str() {
            self.ended = self.ended.max(Some(id));
            self.succeeded = self.succeeded.max(Some(id));
            if direction == Direction::Apply {
                self.applied = self.applied.max(Some((id, checksum)));
            }
        }
    }

    fn facts(&self) -> JournalFacts {
        let checksum = self.applied.map(|(_, checksum)| checksum).filter(|checksum| !checksum.is_empty());
        JournalFacts {
            direction: self.direction,
            checksum: checksum.map(str::to_owned),
            begun: self.running > self.ended,
            succeeded: self.succeeded.is_some(),
        }
    }
}

/// The names in a list, one for each row.
fn names(list: List<'_>, n_rows: i64) -> Result<Vec<&str>, String> {
    let names: Vec<&str> = list.map_or_else(Vec::new, |list| list.split(SEPARATOR).collect());
    match i64::try_from(names.len()).unwrap_or(i64::MAX).cmp(&n_rows) {
        Ordering::Equal => Ok(names),
        Ordering::Less => Err("a row has no name".to_owned()),
        Ordering::Greater => Err("a name has a control character".to_owned()),
    }
}

/// The values in a list that are no names, one for each row.
fn column(list: List<'_>, n_rows: i64) -> Result<Vec<&str>, String> {
    let values: Vec<&str> = list.map_or_else(Vec::new, |list| list.split(' ').collect());
    if i64::try_from(values.len()) == Ok(n_rows) {
        Ok(values)
    } else {
        Err("a row has no value, or an impossible one, in one of its columns".to_owned())
    }
}

fn parse(name: &str) -> Result<MigrationName, String> {
    name.parse().map_err(|_| format!("`{name}` is no name of a migration"))
}
