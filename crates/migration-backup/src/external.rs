//! Backups that a command of the shell makes, such as physical ones of the whole server. Of each service there is a manifest here;
//! the files are the command's own, and nothing is known of them.
//!
//! Neither locks nor a snapshot are held meanwhile, for it may take hours. The history is read before and after instead.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Stdio;

use migration_coordinator::{Access, Deployment, Reading, RunError, ServiceFacts, Survey, no_collision};
use migration_kit::ServiceName;
use sqlx::{PgConnection, Row};

use crate::archive::Temporary;
use crate::dump::{Made, Progress, free_moment, now};
use crate::error::read;
use crate::manifest::{External, Manifest, Server, Verification};
use crate::owned::{Owned, rows, surroundings};
use crate::program::Running;
use crate::recorded::{Described, Recorded};
use crate::stream::Pipe;
use crate::{Backup, BackupError, BackupOptions, Verify};

/// The variable with the names of the services, parted by spaces.
const SERVICES: &str = "MIGRATE_BACKUP_SERVICES";

/// A service of which a manifest is begun.
struct Begun {
    service: ServiceName,
    recorded: Recorded,
    manifest: Manifest,
    /// Its place is taken before the command runs.
    temporary: Temporary,
}

/// Has the command make one backup, with a manifest for each service that has something.
pub(crate) async fn backup(
    deployment: &Deployment,
    services: &[ServiceName],
    (command, options): (&Pipe, &BackupOptions),
    progress: &dyn Fn(Progress<'_>),
    made: &mut Made,
) -> Result<(), BackupError> {
    let directory = &options.directory;
    fs::create_dir_all(directory).map_err(BackupError::writing(directory))?;
    let beginning = Box::pin(begin(deployment, services, options, made));
    let begun = options.cancellation.unless_cancelled(beginning).await.ok_or(RunError::Interrupted)??;
    let Some(name) = begun.first().and_then(|begun| begun.manifest.external.as_ref()) else {
        return Ok(());
    };
    let name = name.name.clone();
    progress(Progress::Commanded(&name));
    let names: Vec<&str> = begun.iter().map(|begun| begun.service.as_str()).collect();
    let failed = |says| BackupError::Command { does: "make", name: name.clone(), says };
    let mut shell = command.shell(&name);
    shell.env(SERVICES, names.join(" ")).stdin(Stdio::null()).stdout(Stdio::null());
    let running = Running::group(&mut shell).map_err(|error| failed(error.to_string()))?;
    let ended = options.cancellation.unless_cancelled(running.end(async || {})).await;
    ended.ok_or(RunError::Interrupted)?.map_err(failed)?;

    let survey = options.cancellation.unless_cancelled(Survey::take(deployment)).await;
    let survey = survey.ok_or(RunError::Interrupted)?;
    for Begun { service, recorded, .. } in &begun {
        if Recorded::of(deployment, &facts(&survey, service)?) != *recorded {
            return Err(BackupError::Moved { service: service.clone(), name });
        }
    }
    let kept: Result<Vec<Backup>, BackupError> = begun.into_iter().map(|begun| begun.keep(options)).collect();
    made.done = kept?;
    Ok(())
}

/// Reads what manifests say, and takes their places.
async fn begin(
    deployment: &Deployment,
    services: &[ServiceName],
    options: &BackupOptions,
    made: &mut Made,
) -> Result<Vec<Begun>, BackupError> {
    let survey = Survey::take(deployment).await;
    let taken_at = now();
    let moment = free_moment(&options.directory, services, taken_at);
    let mut begun = Vec::new();
    for (database, services) in deployment.by_database(services) {
        let failed = read(&services[0]);
        let mut reading = Reading::open_within(&deployment.databases()[database], options.wait).await?;
        reading.begin().await.map_err(&failed)?;
        let server = reading.ask(Server::read).await.map_err(&failed)?;
        let wal_position = reading.ask(wal_position).await.map_err(&failed)?;
        for service in &services {
            let facts = facts(&survey, service)?;
            let failed = read(service);
            // In a schema of its own they are its tables, whose history is gone.
            if deployment.shares_schema(service)
                && let Err(of_others) = no_collision(deployment, &facts)
            {
                made.of_others.push(of_others);
                made.empty.push(service.clone());
                continue;
            }
            if !facts.schema_exists {
                made.empty.push(service.clone());
                continue;
            }
            let applied = facts.anything_applied().map_err(RunError::Survey)?;
            let owned = reading.ask(|connection| Owned::read(connection, deployment, service, applied)).await;
            let owned = owned.map_err(&failed)?;
            if owned.own().next().is_none() && facts.access != Access::Read {
                made.empty.push(service.clone());
                continue;
            }
            let limit = match options.verify {
                Verify::Always => u64::MAX,
                Verify::UpTo(limit) => limit,
                Verify::Never => 0,
            };
            let size = reading.ask(|connection| owned.size(connection)).await.map_err(&failed)?;
            let tables = match size <= limit {
                true => reading.ask(|connection| owned.count(connection)).await.map_err(&failed)?,
                false => Vec::new(),
            };
            let around = reading.ask(|connection| surroundings(connection, &owned.schemas)).await;
            let around = around.map_err(&failed)?;
            let recorded = Recorded::of(deployment, &facts);
            let place = format!("{service}-{moment}.json");
            let part = options.directory.join(format!(".{place}.part"));
            let temporary = Temporary::make(part.clone()).map_err(BackupError::writing(&part))?;
            let (server, tool) = (&server, options.tool.as_str());
            let described =
                Described { service, recorded: &recorded, owned: &owned, around, server, taken_at, tool };
            let manifest = Manifest {
                external: Some(External {
                    name: format!("migrate-{moment}"),
                    wal_position: wal_position.clone(),
                }),
                archive: place,
                tables,
                verification: Verification::Skipped("only the tool that made it can".to_owned()),
                ..described.manifest()
            };
            begun.push(Begun { service: service.clone(), recorded, manifest, temporary });
        }
        reading.close().await;
    }
    Ok(begun)
}

impl Begun {
    /// Writes the manifest, and gives it its name.
    fn keep(self, options: &BackupOptions) -> Result<Backup, BackupError> {
        let place = options.directory.join(&self.manifest.archive);
        let part = self.temporary.path().to_owned();
        let text = self.manifest.sealed();
        let written = OpenOptions::new().write(true).open(&part);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        let kept = written.and_then(|()| self.temporary.keep(&place));
        kept.map_err(BackupError::writing(&place))?;
        Ok(Backup { archive: place, manifest: self.manifest })
    }
}

/// What a survey says of a service, if it could be read.
fn facts(survey: &Survey, service: &ServiceName) -> Result<ServiceFacts, BackupError> {
    let failed = || read(service)(sqlx::Error::RowNotFound);
    let facts = survey.service(service).ok_or_else(failed)?;
    match facts.unread.clone() {
        Some(unread) => Err(RunError::Survey(unread).into()),
        None => Ok(facts.clone()),
    }
}

/// Where the server's log is; a standby writes none.
async fn wal_position(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    const POSITION: &str = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
        THEN pg_catalog.pg_current_wal_lsn()::text END";
    rows(connection, POSITION).await?.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}
