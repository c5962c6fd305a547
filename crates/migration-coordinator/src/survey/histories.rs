//! The second question of a survey: what version tables and journals say.
//!
//! Rows are put together on the server, one row of lists for each table: ten thousand applied migrations are a few rows.
//! The lists are texts and not arrays, and which line of a journal is the last of its migration is found here: the server
//! would take several times as long for either.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use migration_kit::{BOOKKEEPING, MigrationName, ServiceName};
use migration_plan::{AppliedMigration, Direction, MigrationList};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::facts::Found;
use super::{Journal, JournalFacts, SurveyError};
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
        let (schema, name) = self.relation(sites);
        (sites[self.ordinal()].name().clone(), format!("{schema}.{name}"))
    }

    /// Schema and table.
    pub(super) fn relation<'s>(self, sites: &[&'s Site]) -> (&'s str, String) {
        let site = sites[self.ordinal()];
        let name = match self {
            Self::VersionTable(_) => site.version_table.clone(),
            Self::Journal(_) => site.journal_name(),
        };
        (&site.schema, name)
    }
}

/// What parts the names in a list; a name has no control character.
const SEPARATOR: char = '\u{1}';

/// The contents of these tables; at least one.
pub(super) fn query(sites: &[&Site], parts: &[Part]) -> String {
    const VERSIONS: &str = "true AS version, count(*) AS n_rows, string_agg(name, E'\\x01') AS names, \
        string_agg(coalesce(applied_at::text, ''), ' ') AS times, NULL::text AS ids, NULL::text AS directions, \
        NULL::text AS outcomes, NULL::text AS checksums, NULL::bool AS first_install";
    const JOURNALS: &str = "false AS version, count(*) AS n_rows, string_agg(name, E'\\x01') AS names, \
        NULL::text AS times, string_agg(id::text, ' ') AS ids, \
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

/// Puts a row of the answer to [`query`] where it belongs. What cannot be understood is noted as unread.
pub(super) fn fill(sites: &[&Site], found: &mut [Found], row: &PgRow) -> Result<(), sqlx::Error> {
    let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
    let (Some(found), Some(site)) = (found.get_mut(ordinal), sites.get(ordinal)) else { return Ok(()) };
    let (part, answer) = if row.try_get("version")? {
        let part = Part::VersionTable(ordinal);
        let answer = VersionRows::read(row)?.applied(&site.list);
        let doubled = answer.as_ref().ok().and_then(|applied| doubled(applied)).cloned();
        let answer = answer.map(|applied| found.facts.applied = applied);
        if let Some(name) = doubled {
            let (service, table) = part.names(sites);
            found.fail(part, SurveyError::Doubled { service, table, name });
        }
        (part, answer)
    } else {
        found.facts.first_install = row.try_get::<Option<bool>, _>("first_install")?.unwrap_or(false);
        let rows = JournalRows::read(row)?;
        found.n_lines = rows.n_rows;
        let answer = rows.facts(&site.list).map(|journal| found.facts.journal = journal);
        (Part::Journal(ordinal), answer)
    };
    if let Err(what) = answer {
        let (service, table) = part.names(sites);
        found.fail(part, SurveyError::Malformed { service, table, what });
    }
    Ok(())
}

/// A column of a table as a list; nothing where all is null.
type List<'r> = Option<&'r str>;

/// The rows of a version table.
struct VersionRows<'r> {
    n_rows: i64,
    names: List<'r>,
    /// Nothing in place of the time of a row that has none.
    times: List<'r>,
}

impl<'r> VersionRows<'r> {
    fn read(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            n_rows: row.try_get("n_rows")?,
            names: row.try_get("names")?,
            times: row.try_get("times")?,
        })
    }

    /// By time, then name; or what is wrong with one.
    fn applied(&self, list: &MigrationList) -> Result<Vec<AppliedMigration>, String> {
        let names = names(self.names, self.n_rows)?;
        let times = column(self.times, self.n_rows)?;
        let mut next = 0;
        let applied = names.zip(times).map(|(name, time)| {
            let applied_at = time.parse().map_err(|_| format!("the row of `{name}` has no `applied_at`"))?;
            let name = match list.place_expected(next, name) {
                // Shared with the list, since there may be many.
                Some(place) => {
                    next = place + 1;
                    list.names()[place].clone()
                }
                None => parse(name)?,
            };
            Ok(AppliedMigration { name, applied_at })
        });
        let mut applied = applied.collect::<Result<Vec<_>, String>>()?;
        applied.sort_by(|a, b| (a.applied_at, &a.name).cmp(&(b.applied_at, &b.name)));
        Ok(applied)
    }
}

/// The first migration that has several rows.
fn doubled(applied: &[AppliedMigration]) -> Option<&MigrationName> {
    // As good as always: names begin with a date, and there may be many.
    if applied.is_sorted_by(|one, next| one.name < next.name) {
        return None;
    }
    let mut seen = HashSet::with_capacity(applied.len());
    applied.iter().map(|row| &row.name).find(|name| !seen.insert(*name))
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
    fn facts(&self, list: &MigrationList) -> Result<Journal, String> {
        let names = names(self.names, self.n_rows)?;
        let [ids, directions, outcomes, checksums] =
            [self.ids, self.directions, self.outcomes, self.checksums].map(|list| column(list, self.n_rows));
        let columns = ids?.zip(directions?).zip(outcomes?).zip(checksums?);
        let mut known: Vec<Option<Lines<'_>>> = vec![None; list.names().len()];
        let mut others: BTreeMap<&str, Option<Lines<'_>>> = BTreeMap::new();
        let mut next = 0;
        for (name, (((id, direction), outcome), checksum)) in names.zip(columns) {
            let id = id.parse().map_err(|_| format!("a line of `{name}` has no number"))?;
            let direction = match direction {
                "apply" => Direction::Apply,
                "revert" => Direction::Revert,
                _ => return Err(format!("a line of `{name}` has no direction")),
            };
            let lines = match list.place_expected(next, name) {
                Some(place) => {
                    next = place + 1;
                    &mut known[place]
                }
                None => others.entry(name).or_default(),
            };
            lines
                .get_or_insert_with(|| Lines::beginning(id, direction))
                .take(id, direction, outcome, checksum);
        }
        let mut journal = Journal::of(list.clone());
        for (place, lines) in known.iter().enumerate() {
            if let Some(lines) = lines {
                *journal.place(place) = Some(lines.facts());
            }
        }
        for (name, lines) in others {
            if let Some(lines) = lines {
                journal.insert(parse(name)?, lines.facts());
            }
        }
        Ok(journal)
    }
}

/// The lines of one migration, in whatever order they come: the last one, and the last one of some kinds, by number.
#[derive(Clone, Copy)]
struct Lines<'r> {
    last: i64,
    direction: Direction,
    running: Option<(i64, Direction)>,
    /// After which nothing is left of what was begun.
    ended: Option<i64>,
    succeeded: Option<(i64, Direction)>,
    /// That of an apply, with its checksum.
    applied: Option<(i64, &'r str)>,
}

impl<'r> Lines<'r> {
    /// Before the first one is taken.
    fn beginning(id: i64, direction: Direction) -> Self {
        Self { last: id, direction, running: None, ended: None, succeeded: None, applied: None }
    }

    fn take(&mut self, id: i64, direction: Direction, outcome: &str, checksum: &'r str) {
        if id > self.last {
            (self.last, self.direction) = (id, direction);
        }
        if outcome == Outcome::Running.as_str() {
            latest(&mut self.running, id, direction);
        } else if outcome == Outcome::Unchanged.as_str() {
            self.ended = self.ended.max(Some(id));
        } else if outcome == Outcome::Succeeded.as_str() {
            self.ended = self.ended.max(Some(id));
            latest(&mut self.succeeded, id, direction);
            if direction == Direction::Apply {
                self.applied = self.applied.max(Some((id, checksum)));
            }
        }
    }

    fn facts(&self) -> JournalFacts {
        let checksum = self.applied.map(|(_, checksum)| checksum).filter(|checksum| !checksum.is_empty());
        let begun = self.running.filter(|(id, _)| Some(*id) > self.ended);
        JournalFacts {
            // What was refused, or taken back, has changed nothing.
            direction: begun.or(self.succeeded).map_or(self.direction, |(_, direction)| direction),
            checksum: checksum.map(str::to_owned),
            begun: begun.is_some(),
            succeeded: self.succeeded.is_some(),
        }
    }
}

/// Keeps the later one.
fn latest(line: &mut Option<(i64, Direction)>, id: i64, direction: Direction) {
    if line.is_none_or(|(before, _)| before < id) {
        *line = Some((id, direction));
    }
}

/// The names in a list, one for each row.
fn names(list: List<'_>, n_rows: i64) -> Result<impl Iterator<Item = &str>, String> {
    match count(list, SEPARATOR).cmp(&n_rows) {
        Ordering::Equal => Ok(list.into_iter().flat_map(|list| list.split(SEPARATOR))),
        Ordering::Less => Err("a row has no name".to_owned()),
        Ordering::Greater => Err("a name has a control character".to_owned()),
    }
}

/// The values in a list that are no names, one for each row.
fn column(list: List<'_>, n_rows: i64) -> Result<impl Iterator<Item = &str>, String> {
    const SPACE: char = ' ';
    if count(list, SPACE) == n_rows {
        Ok(list.into_iter().flat_map(|list| list.split(SPACE)))
    } else {
        Err("a row has no value, or an impossible one, in one of its columns".to_owned())
    }
}

/// How many values a list has.
fn count(list: List<'_>, separator: char) -> i64 {
    let n_values =
        list.map_or(0, |list| list.bytes().filter(|&byte| char::from(byte) == separator).count() + 1);
    i64::try_from(n_values).unwrap_or(i64::MAX)
}

fn parse(name: &str) -> Result<MigrationName, String> {
    name.parse().map_err(|_| format!("`{name}` is no name of a migration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> MigrationList {
        MigrationList::new(names.iter().map(|name| name.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn rows_are_understood_in_whatever_order_they_come() {
        let known = list(&["b", "a", "c"]);
        let applied = |names: &str, times: &str| {
            let n_rows = i64::try_from(names.split(SEPARATOR).count()).unwrap();
            VersionRows { n_rows, names: Some(names), times: Some(times) }.applied(&known)
        };
        assert_eq!(applied("b\u{1}a", "1 ").unwrap_err(), "the row of `a` has no `applied_at`");
        for (names, times, expected) in [
            ("b\u{1}a\u{1}c", "1 2 3", "b1 a2 c3"),
            ("c\u{1}unknown\u{1}a", "3 2 1", "a1 unknown2 c3"),
            ("c\u{1}b\u{1}a\u{1}a", "1 1 1 0", "a0 a1 b1 c1"),
        ] {
            let found: Vec<String> = applied(names, times)
                .unwrap()
                .iter()
                .map(|row| format!("{}{}", row.name, row.applied_at))
                .collect();
            assert_eq!(found.join(" "), expected);
        }
    }

    #[test]
    fn a_journal_says_the_same_of_a_migration_whether_the_program_knows_it_or_not() {
        // Of `a` that it was reverted after all, of `b` that it stopped midway and what was refused since, of `c` that it was
        // edited and applied again, and that its revert was taken back.
        let lines = [
            (5, "a", "revert", "succeeded", ""),
            (1, "a", "apply", "succeeded", "one"),
            (2, "b", "apply", "running", ""),
            (9, "b", "revert", "failed", ""),
            (3, "c", "apply", "succeeded", "two"),
            (4, "c", "apply", "succeeded", "three"),
            (6, "c", "revert", "running", ""),
            (7, "c", "revert", "unchanged", ""),
            (8, "c", "revert", "failed", ""),
        ];
        let all = |of: fn(&(i32, &str, &str, &str, &str)) -> String, separator: &str| {
            lines.iter().map(of).collect::<Vec<_>>().join(separator)
        };
        let names = all(|line| line.1.to_owned(), "\u{1}");
        let [ids, directions, outcomes, checksums] = [
            all(|line| line.0.to_string(), " "),
            all(|line| line.2.to_owned(), " "),
            all(|line| line.3.to_owned(), " "),
            all(|line| line.4.to_owned(), " "),
        ];
        let rows = JournalRows {
            n_rows: 9,
            names: Some(&names),
            ids: Some(&ids),
            directions: Some(&directions),
            outcomes: Some(&outcomes),
            checksums: Some(&checksums),
        };
        for known in [&["a", "b", "c"][..], &["c", "a", "b"], &["b"], &["d"], &[]] {
            let journal = rows.facts(&list(known)).unwrap();
            let says = |name: &str| {
                let JournalFacts { direction, checksum, begun, succeeded } =
                    journal.get(&name.parse().unwrap()).unwrap();
                let checksum = checksum.as_deref().unwrap_or("-");
                format!("{} {checksum} begun={begun} succeeded={succeeded}", direction.as_str())
            };
            assert_eq!(says("a"), "revert one begun=false succeeded=true", "{known:?}");
            assert_eq!(says("b"), "apply - begun=true succeeded=false", "{known:?}");
            assert_eq!(says("c"), "apply three begun=false succeeded=true", "{known:?}");
            assert_eq!(journal.get(&"d".parse().unwrap()), None, "{known:?}");
            assert_eq!(journal.iter().count(), 3, "{known:?}");
        }
        let short = JournalRows { n_rows: 8, ..rows };
        assert_eq!(short.facts(&list(&[])).err().unwrap(), "a name has a control character");
    }
}
