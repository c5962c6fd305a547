//! Proving that an archive can be restored: on a private server of the same major version, with the same rows and the same schema.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use migration_coordinator::{DatabaseUrl, Reading};
use migration_kit::{ServiceName, quote_identifier};
use migration_plan::counted;
use postgres_sandbox::{Clients, Cluster, Database, SandboxError, Search};
use postgres_schema::Schema;

use crate::archive;
use crate::error::read;
use crate::left_out::completed;
use crate::outside::not_in_backup;
use crate::owned::{Owned, n_rows};
use crate::program::Running;
use crate::{BackupError, Manifest, Verification};

/// Whether a backup is restored on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Always; where that is not possible, the backup fails.
    Always,
    /// Unless the archive is larger than so many bytes, or there is no server to do it on.
    UpTo(u64),
    /// Never.
    Never,
}

/// A backup that is to be proved.
pub(crate) struct Trial<'t> {
    pub(crate) service: &'t ServiceName,
    pub(crate) archive: &'t Path,
    pub(crate) manifest: &'t Manifest,
    pub(crate) owned: &'t Owned,
    /// The schemas as they were.
    pub(crate) schemas: &'t [(String, Schema)],
    /// How many tables are restored side by side.
    pub(crate) jobs: Option<u16>,
}

impl Trial<'_> {
    /// Restores it, and says whether that was possible.
    pub(crate) async fn carry_out(
        &self,
        wanted: Verify,
        clients: &Clients,
        search: &Search,
        major: u32,
    ) -> Result<Verification, BackupError> {
        match wanted {
            Verify::Never => return Ok(Verification::Skipped("not asked for".to_owned())),
            Verify::UpTo(limit) if self.manifest.size_bytes > limit => {
                return Ok(Verification::Skipped("it is large".to_owned()));
            }
            Verify::UpTo(_) | Verify::Always => {}
        }
        match not_in_backup(&self.manifest.outside) {
            Some(why) if wanted == Verify::Always => {
                return Err(BackupError::NotTried { service: self.service.clone(), why });
            }
            Some(why) => return Ok(Verification::Skipped(why)),
            None => {}
        }
        let database = match self.server(search, major) {
            Ok(database) => database,
            Err(error) if wanted != Verify::Always => return Ok(Verification::Skipped(error.to_string())),
            Err(source) => return Err(BackupError::Server { service: self.service.clone(), source }),
        };
        self.restore(clients, &database).await?;
        self.compare(&database).await?;
        Ok(Verification::Restored)
    }

    /// A database in which there is all that the archive takes for granted.
    fn server(&self, search: &Search, major: u32) -> Result<Database, SandboxError> {
        let found = search.clone().only_major(major).run();
        let binaries = found.map_err(|missing| SandboxError::Binaries(Box::new(missing)))?;
        let cluster = Cluster::builder().binaries(binaries).start()?;
        let database = cluster.create_database()?;
        for role in &self.manifest.roles {
            database.psql(&format!("CREATE ROLE {}", quote_identifier(role)))?;
        }
        let schemas =
            self.owned.schemas.iter().chain(self.manifest.extensions.iter().map(|found| &found.schema));
        for schema in schemas {
            database.psql(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(schema)))?;
        }
        for extension in &self.manifest.extensions {
            database.psql(&format!(
                "CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE",
                quote_identifier(&extension.name),
                quote_identifier(&extension.schema)
            ))?;
        }
        Ok(database)
    }

    async fn restore(&self, clients: &Clients, database: &Database) -> Result<(), BackupError> {
        let list =
            archive::contents(clients, self.service, self.archive, self.manifest, &BTreeSet::new()).await?;
        let mut command = Command::new(clients.pg_restore());
        command.args(self.jobs.map(|jobs| format!("--jobs={jobs}")));
        command
            .args([
                "--exit-on-error",
                "--no-owner",
                "--no-privileges",
                "--no-tablespaces",
                "--dbname",
                database.name(),
                "--use-list",
                archive::FED,
            ])
            .arg(self.archive)
            .stdout(Stdio::null());
        url(database).libpq_environment("migrate backup", &[]).apply(&mut command);
        let started = Running::fed(&mut command, list).map_err(|error| self.wrong(error.to_string()))?;
        started.end(async || {}).await.map_err(|says| self.wrong(says))
    }

    async fn compare(&self, database: &Database) -> Result<(), BackupError> {
        let url = url(database);
        let failed = read(self.service);
        let mut reading = Reading::open(&url).await?;
        reading.begin().await.map_err(&failed)?;
        for expected in &self.manifest.tables {
            let counting = reading.ask(|connection| n_rows(connection, &expected.schema, &expected.name));
            let n_rows = counting.await.map_err(&failed)?;
            if n_rows != expected.rows {
                let came = counted(n_rows, "row", "rows");
                let why = format!("{came} of `{}` came back, of {}", expected.name, expected.rows);
                return Err(self.wrong(why));
            }
        }
        for (name, before) in self.schemas {
            let asked = reading.ask(|connection| Schema::read_within(connection, name)).await;
            let after =
                asked.map_err(|source| BackupError::Schema { service: self.service.clone(), source })?;
            let after = self.owned.of(after);
            let differences = completed(before, &after).differences(&after);
            if let Some(first) = differences.first() {
                let n = counted(differences.len(), "difference", "differences");
                return Err(self.wrong(format!("the schema `{name}` came back with {n}: {first}")));
            }
        }
        reading.close().await;
        Ok(())
    }

    fn wrong(&self, why: String) -> BackupError {
        BackupError::NotRestorable { service: self.service.clone(), why }
    }
}

fn url(database: &Database) -> DatabaseUrl {
    database.url().parse().expect("the sandbox makes well-formed addresses")
}
