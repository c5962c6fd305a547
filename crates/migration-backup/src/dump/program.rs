//! `pg_dump` at work: into a file, into a directory, or into a command.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use migration_coordinator::Moment;
use migration_kit::settings::{limits_at_start, timeout_ms};
use migration_kit::{ServiceName, quote_identifier};
use postgres_sandbox::Clients;
use sqlx::Row;

use super::{BackupOptions, Dump, Extent, Progress};
use crate::BackupError;
use crate::archive::{self, Temporary};
use crate::error::read;
use crate::owned::Owned;
use crate::program::{Running, guarded};
use crate::stream::Pipe;

impl Dump<'_> {
    /// `pg_dump` of it at this moment.
    async fn program(
        &self,
        moment: &mut Moment<'_>,
        database: usize,
        owned: &Owned,
    ) -> Result<Command, BackupError> {
        // Whatever its role or database sets for clients: we read it as UTF-8, and every encoding goes into that.
        let asked = moment.rows("SELECT pg_catalog.getdatabaseencoding()::text").await;
        let asked = asked.map_err(read(self.service))?;
        let is_unknown = asked.first().is_some_and(|row| row.get::<String, _>(0) == "SQL_ASCII");
        let encoding = if is_unknown { "SQL_ASCII" } else { "UTF8" };
        let mut command = pg_dump(self.clients, moment.snapshot(), owned, encoding, self.options);
        command.args((self.extent == Extent::Definitions).then_some("--schema-only"));
        let url = &self.deployment.databases()[database];
        // It lifts them itself, but not with its first statements.
        let limits: Vec<(&str, &str)> = limits_at_start().collect();
        url.libpq_environment(&format!("migrate backup {}", self.service), &limits).apply(&mut command);
        Ok(command)
    }

    /// Writes the archive, under a name that is not yet its own.
    pub(super) async fn write(
        &self,
        moment: &mut Moment<'_>,
        database: usize,
        owned: &Owned,
        stem: &str,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<Temporary, BackupError> {
        let path = self.options.directory.join(format!(".{stem}.dump.part"));
        let make = if self.options.jobs.is_some() { Temporary::make_directory } else { Temporary::make };
        let temporary = make(path.clone()).map_err(BackupError::writing(&path))?;
        let mut command = self.program(moment, database, owned).await?;
        let running = start(self.service, command.arg("--file").arg(&path))?;
        let look = || progress(Progress::Written(self.service, archive::size(&path)));
        run(self.service, running, moment, look).await?;
        Ok(temporary)
    }

    /// Has a command keep the archive. Gives its size and SHA-256.
    pub(super) async fn stream(
        &self,
        moment: &mut Moment<'_>,
        database: usize,
        owned: &Owned,
        (pipe, stem): (&Pipe, &str),
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<(u64, String), BackupError> {
        let mut keeping = pipe.keep(&format!("{stem}.dump"))?;
        let written = keeping.written();
        let mut command = self.program(moment, database, owned).await?;
        let mut running = start(self.service, command.stdout(Stdio::piped()))?;
        let passing = keeping.take(running.stdout());
        let look = || progress(Progress::Written(self.service, written.load(Ordering::SeqCst)));
        let printed = run(self.service, running, moment, look).await;
        keeping.finish(passing, printed, async || drop(moment.rows("SELECT 1").await)).await
    }
}

/// How long `pg_dump` has for locking its tables at least: it is the time of the whole statement, which takes some where nothing is
/// in its way, and more where each of several nodes takes the locks, too.
const LOCKING: Duration = Duration::from_secs(2);

/// `pg_dump` of what a service owns.
fn pg_dump(
    clients: &Clients,
    snapshot: &str,
    owned: &Owned,
    encoding: &str,
    options: &BackupOptions,
) -> Command {
    let mut command = guarded(&clients.pg_dump());
    match options.jobs {
        Some(jobs) => command.args(["--format=directory".to_owned(), format!("--jobs={jobs}")]),
        None => command.arg("--format=custom"),
    };
    command
        .arg("--no-password")
        .arg(format!("--encoding={encoding}"))
        .arg(format!("--snapshot={snapshot}"))
        .arg(format!("--lock-wait-timeout={}", timeout_ms(options.wait.max(LOCKING))));
    command.args(owned.schemas.iter().map(|schema| format!("--schema={}", quote_identifier(schema))));
    let others = owned.relations.iter().filter(|relation| !relation.is_owned);
    command.args(others.map(|relation| format!("--exclude-table={}", relation.qualified())));
    command
}

/// Waits for the end of `pg_dump`. The moment is asked meanwhile, so that its transaction is never idle for long.
async fn run(
    service: &ServiceName,
    running: Running,
    moment: &mut Moment<'_>,
    look: impl Fn(),
) -> Result<(), BackupError> {
    let mut lost = false;
    let ended = running.end(async || {
        look();
        lost |= moment.rows("SELECT 1").await.is_err();
    });
    match ended.await {
        Ok(()) => Ok(()),
        Err(_) if lost || moment.rows("SELECT 1").await.is_err() => {
            Err(BackupError::Lost { service: service.clone() })
        }
        // It waits for nothing else than the locks of the tables.
        Err(says)
            if says.contains("LOCK TABLE") && says.contains("timeout")
                || says.contains("could not obtain lock on relation") =>
        {
            Err(BackupError::Locked { service: service.clone(), says })
        }
        Err(says) if says.contains("permission denied") => {
            Err(BackupError::Forbidden { service: service.clone(), says })
        }
        Err(says) => Err(match silent_node(&says) {
            Some((node, says)) => BackupError::Node { service: service.clone(), node, says },
            None => failed(service, says),
        }),
    }
}

/// The node of Citus that `pg_dump` was told of, and why there was no connection to it.
fn silent_node(says: &str) -> Option<(String, String)> {
    let (_, rest) = says.split_once("connection to the remote node ")?;
    let (node, why) = rest.split_once(" failed with the following error: ")?;
    let address = node.rsplit_once('@').map_or(node, |(_, address)| address);
    Some((address.to_owned(), why.split(';').next().unwrap_or_default().to_owned()))
}

fn start(service: &ServiceName, command: &mut Command) -> Result<Running, BackupError> {
    Running::guarded(command).map_err(|error| failed(service, error.to_string()))
}

fn failed(service: &ServiceName, says: String) -> BackupError {
    BackupError::Program { service: service.clone(), program: "pg_dump", says }
}

#[cfg(test)]
mod tests {
    use super::silent_node;

    #[test]
    fn a_node_that_does_not_answer_is_known_by_its_address() {
        let says = "query failed: ERROR:  connection to the remote node postgres@10.0.0.3:5432 failed with the following error: \
            Connection refused; \tIs the server running on that host and accepting TCP/IP connections?; detail: Query was: LOCK TABLE";
        assert_eq!(silent_node(says), Some(("10.0.0.3:5432".to_owned(), "Connection refused".to_owned())));
        assert_eq!(silent_node("query failed: ERROR:  out of memory"), None);
    }
}
