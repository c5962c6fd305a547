//! What was done to a service since something began: by that itself, and by others. Who takes back what it did asks under the
//! migration lock, so that it takes back nothing that others did meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use migration_kit::{BOOKKEEPING, ServiceName, literal};
use migration_plan::{Direction, few_words};
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, Row};
use serde::{Deserialize, Serialize};

use super::RunError;
use crate::bookkeeping::Outcome;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::session;

/// The word of a line that a restore wrote: a copy of another one, which says that what is there came from a backup.
const RESTORED: &str = "restored";

/// How many migrations of each run are named.
const NAMED: usize = 3;

/// Work that may be taken back: the name that its lines in the journals have, and where the services were before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRun {
    /// The run, in every line of it.
    pub run: String,
    /// The services, each as it was before.
    pub before: BTreeMap<String, Mark>,
}

/// Where a service was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its applied migrations, in the order in which they were applied.
    pub applied: Vec<String>,
    /// Number and run of the last line of its journal.
    line: Option<(i64, String)>,
}

/// What was done to a service since a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoneSince {
    /// Whether the work itself changed anything.
    pub own: bool,
    /// What others did, in words; nothing if they did nothing.
    pub others: Vec<String>,
}

/// A line of a journal, as far as it matters here.
struct Line {
    run: String,
    migration: String,
    direction: Direction,
    outcome: Outcome,
    is_restored: bool,
}

impl OwnRun {
    /// Work that has not begun, under a name of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { run: new_run(), before: BTreeMap::new() }
    }

    /// Notes where these services are now, of those of which it is not noted yet.
    ///
    /// # Errors
    /// [`RunError`] if one cannot be read.
    pub async fn note(&mut self, deployment: &Deployment, services: &[ServiceName]) -> Result<(), RunError> {
        let new: Vec<&ServiceName> =
            services.iter().filter(|service| !self.before.contains_key(service.as_str())).collect();
        let mut marks = Vec::new();
        read_each(deployment, &new, async |connection, placed| {
            marks.push((placed.name().to_string(), mark(connection, placed).await?));
            Ok(())
        })
        .await?;
        self.before.extend(marks);
        Ok(())
    }

    /// What was done since to each service. Reads only, without the migration lock.
    ///
    /// # Errors
    /// [`RunError`] if one cannot be read.
    pub async fn done_since(
        &self,
        deployment: &Deployment,
    ) -> Result<BTreeMap<ServiceName, DoneSince>, RunError> {
        let services = deployment.services().map(|(service, ..)| service.name());
        let services: Vec<&ServiceName> =
            services.filter(|service| self.before.contains_key(service.as_str())).collect();
        let mut done = BTreeMap::new();
        read_each(deployment, &services, async |connection, placed| {
            let of_service = self.since(connection, placed).await?;
            done.insert(placed.name().clone(), of_service);
            Ok(())
        })
        .await?;
        Ok(done)
    }

    /// Refuses to take a service back that others have changed since: asked on a session that holds its migration lock. One that
    /// is not part of the work is none of its business.
    ///
    /// # Errors
    /// [`RunError::DoneByOthers`].
    pub async fn is_alone(
        &self,
        connection: &mut PgConnection,
        deployment: &Deployment,
        service: &ServiceName,
    ) -> Result<(), RunError> {
        let Some(placed) = deployment.placed(service).filter(|_| self.before.contains_key(service.as_str()))
        else {
            return Ok(());
        };
        let since = self.since(connection, placed).await;
        let failed = |source| RunError::unread(&deployment.databases()[placed.site.database], source);
        since.map_err(failed)?.refused(service)
    }

    async fn since(&self, connection: &mut PgConnection, placed: &Placed) -> Result<DoneSince, sqlx::Error> {
        let Some(mark) = self.before.get(placed.name().as_str()) else { return Ok(DoneSince::default()) };
        let (lines, follows) = lines(connection, placed, mark).await?;
        Ok(judge(&self.run, mark, &lines, follows, &applied(connection, placed).await?))
    }
}

impl Default for OwnRun {
    fn default() -> Self {
        Self::new()
    }
}

impl DoneSince {
    /// Refuses if others did anything.
    ///
    /// # Errors
    /// [`RunError::DoneByOthers`].
    pub fn refused(self, service: &ServiceName) -> Result<(), RunError> {
        if self.others.is_empty() {
            return Ok(());
        }
        Err(RunError::DoneByOthers { service: service.clone(), what: self.others })
    }
}

/// A name that no other run has.
pub(super) fn new_run() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Asks something of each service, in one transaction per database that only reads.
async fn read_each(
    deployment: &Deployment,
    services: &[&ServiceName],
    mut question: impl AsyncFnMut(&mut PgConnection, &Placed) -> Result<(), sqlx::Error>,
) -> Result<(), RunError> {
    let placed: Vec<&Placed> = services.iter().filter_map(|service| deployment.placed(service)).collect();
    for (index, url) in deployment.databases().iter().enumerate() {
        let here: Vec<&Placed> =
            placed.iter().copied().filter(|placed| placed.site.database == index).collect();
        if here.is_empty() {
            continue;
        }
        let mut reading = Reading::open(url).await?;
        let failed = |source| RunError::unread(url, source);
        reading.begin().await.map_err(failed)?;
        for placed in here {
            reading.ask(|connection| question(connection, placed)).await.map_err(failed)?;
        }
        reading.end().await;
        reading.close().await;
    }
    Ok(())
}

async fn mark(connection: &mut PgConnection, placed: &Placed) -> Result<Mark, sqlx::Error> {
    let applied = applied(connection, placed).await?;
    let journal = placed.site.journal();
    let last = match is_there(connection, &journal).await? {
        true => rows(connection, &format!("SELECT id, run FROM {journal} ORDER BY id DESC LIMIT 1")).await?,
        false => Vec::new(),
    };
    let line = last.first().map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?)));
    Ok(Mark { applied, line: line.transpose()? })
}

/// What is applied, in its order.
async fn applied(connection: &mut PgConnection, placed: &Placed) -> Result<Vec<String>, sqlx::Error> {
    let table = placed.site.qualified_version_table();
    if !is_there(connection, &table).await? {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT version::text, applied_at::int8 FROM {table} WHERE applied_at >= 0");
    let found = rows(connection, &sql).await?;
    let row = |row: &PgRow| Ok::<(String, i64), sqlx::Error>((row.try_get(0)?, row.try_get(1)?));
    let mut applied = found.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let place = |name: &str| placed.service.migrations().position(|listed| listed.name().as_str() == name);
    applied.sort_by_cached_key(|(name, applied_at)| (*applied_at, place(name)));
    Ok(applied.into_iter().map(|(name, _)| name).collect())
}

/// The lines after a mark, and whether the journal is the one that was marked.
async fn lines(
    connection: &mut PgConnection,
    placed: &Placed,
    mark: &Mark,
) -> Result<(Vec<Line>, bool), sqlx::Error> {
    let journal = placed.site.journal();
    if !is_there(connection, &journal).await? {
        return Ok((Vec::new(), mark.line.is_none()));
    }
    let from = mark.line.as_ref().map_or(i64::MIN, |(id, _)| *id);
    let sql = format!(
        "SELECT id, run, migration::text, direction, outcome, consent IS NOT DISTINCT FROM {} FROM {journal} \
         WHERE id >= {from} ORDER BY id",
        literal(RESTORED)
    );
    let (mut lines, mut follows) = (Vec::new(), mark.line.is_none());
    for row in &rows(connection, &sql).await? {
        let unknown = |what: &str| sqlx::Error::Decode(format!("`{what}` is not known in a journal").into());
        let (id, run): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let (direction, outcome): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        if mark.line.as_ref().is_some_and(|(marked, by)| *marked == id && *by == run) {
            follows = true;
            continue;
        }
        lines.push(Line {
            run,
            migration: row.try_get(2)?,
            direction: Direction::parse(&direction).ok_or_else(|| unknown(&direction))?,
            outcome: Outcome::parse(&outcome).ok_or_else(|| unknown(&outcome))?,
            is_restored: row.try_get(5)?,
        });
    }
    Ok((lines, follows))
}

/// What was done, by these lines since a mark and by what is applied now.
fn judge(run: &str, mark: &Mark, lines: &[Line], follows: bool, applied: &[String]) -> DoneSince {
    // What failed in its transaction, or was only accepted, changed nothing.
    let did =
        |line: &&Line| line.is_restored || matches!(line.outcome, Outcome::Running | Outcome::Succeeded);
    let did: Vec<&Line> = lines.iter().filter(did).collect();
    let mut of_others: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in did.iter().filter(|line| line.run != run) {
        of_others.entry(&line.run).or_default().push(line);
    }
    let mut others: Vec<String> =
        of_others.iter().map(|(run, lines)| format!("run `{run}` {}", deeds(lines))).collect();
    if !follows {
        others.push("its journal is another one".to_owned());
    }
    if others.is_empty() {
        let mut expected: BTreeSet<&str> = mark.applied.iter().map(String::as_str).collect();
        for line in did.iter().filter(|line| !line.is_restored && line.outcome == Outcome::Succeeded) {
            match line.direction {
                Direction::Apply => expected.insert(&line.migration),
                Direction::Revert => expected.remove(line.migration.as_str()),
            };
        }
        let now: BTreeSet<&str> = applied.iter().map(String::as_str).collect();
        // What stopped midway may have given up its row, or not have one yet.
        let is_open = |name: &&str| {
            let last = did.iter().rfind(|line| line.migration == **name);
            last.is_some_and(|line| line.outcome == Outcome::Running)
        };
        let differ: Vec<&str> =
            expected.symmetric_difference(&now).copied().filter(|name| !is_open(name)).collect();
        if !differ.is_empty() {
            let names = few_words(differ.iter().map(|name| format!("`{name}`")), NAMED);
            others.push(format!("another tool applied or reverted {names}"));
        }
    }
    DoneSince { own: did.iter().any(|line| line.run == run), others }
}

/// What a run did, in words.
fn deeds(lines: &[&Line]) -> String {
    if lines.iter().any(|line| line.is_restored) {
        return "restored a backup".to_owned();
    }
    let of = |direction: Direction, did: &str| {
        let mut names: Vec<String> = Vec::new();
        for line in lines.iter().filter(|line| line.direction == direction) {
            let name = format!("`{}`", line.migration);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| format!("{did} {}", few_words(names, NAMED)))
    };
    let did = [of(Direction::Apply, "applied"), of(Direction::Revert, "reverted")];
    did.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

async fn is_there(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(table));
    Ok(rows(connection, &sql).await?.first().is_some_and(|row| row.get(0)))
}

async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    session::rows(connection, &format!("{BOOKKEEPING}{sql}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(run: &str, migration: &str, (direction, outcome): (Direction, Outcome)) -> Line {
        Line { run: run.to_owned(), migration: migration.to_owned(), direction, outcome, is_restored: false }
    }

    #[test]
    fn only_what_others_changed_counts_against_it() {
        use Direction::{Apply, Revert};
        use Outcome::{Accepted, Failed, Running, Succeeded, Unchanged};
        let mark = Mark { applied: vec!["a".to_owned()], line: Some((4, "before".to_owned())) };
        let restored = Line { is_restored: true, ..line("theirs", "b", (Apply, Succeeded)) };
        let mine = Line { is_restored: true, ..line("own", "a", (Apply, Succeeded)) };
        let own = || line("own", "b", (Apply, Succeeded));
        for (lines, applied, is_own, says) in [
            (vec![], "a", false, ""),
            (vec![own()], "ab", true, ""),
            (vec![own(), line("own", "b", (Revert, Succeeded))], "a", true, ""),
            (vec![line("own", "b", (Apply, Running))], "a", true, ""),
            (vec![line("own", "a", (Revert, Running))], "", true, ""),
            (vec![mine], "a", true, ""),
            (vec![line("own", "b", (Apply, Failed))], "a", false, ""),
            (vec![line("theirs", "b", (Apply, Failed))], "a", false, ""),
            (
                vec![line("theirs", "b", (Apply, Unchanged)), line("theirs", "a", (Apply, Accepted))],
                "a",
                false,
                "",
            ),
            (vec![line("theirs", "b", (Apply, Succeeded))], "ab", false, "run `theirs` applied `b`"),
            (vec![own(), line("theirs", "c", (Apply, Running))], "ab", true, "run `theirs` applied `c`"),
            (
                vec![
                    own(),
                    line("theirs", "b", (Revert, Succeeded)),
                    line("theirs", "b", (Apply, Succeeded)),
                ],
                "ab",
                true,
                "run `theirs` applied `b` and reverted `b`",
            ),
            (vec![restored], "ab", false, "run `theirs` restored a backup"),
            (
                vec![line("own", "b", (Apply, Running)), own()],
                "a",
                true,
                "another tool applied or reverted `b`",
            ),
            (vec![own()], "abc", true, "another tool applied or reverted `c`"),
            (vec![own()], "b", true, "another tool applied or reverted `a`"),
        ] {
            let applied: Vec<String> = applied.chars().map(String::from).collect();
            let found = judge("own", &mark, &lines, true, &applied);
            assert_eq!((found.own, found.others.join("; ").as_str()), (is_own, says));
        }
        let other = judge("own", &mark, &[own()], false, &["a".to_owned()]);
        assert_eq!((other.own, other.others.join("; ").as_str()), (true, "its journal is another one"));
    }
}
