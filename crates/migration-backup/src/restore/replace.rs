//! Replacing a service by what an archive holds, in one transaction of the session that has its migration lock.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use migration_coordinator::{Applied, Caller, Deployment};
use migration_kit::{ServiceName, literal, qualified, quote_identifier, settings};
use migration_plan::counted;
use postgres_sandbox::Clients;
use sqlx::{PgConnection, Row};

use super::{RestoreOptions, Restored, dependants, former_names};
use crate::aside::{Aside, commented};
use crate::attached::is_in_no_other;
use crate::error::{read, written};
use crate::owned::{Owned, begin_locked, n_rows, rows, send};
use crate::script::Script;
use crate::{BackupError, TableRows, archive};

/// Keeps the schemas that the transaction makes on the coordinator, where there is a Citus: an archive gives identity columns to tables
/// that are there, which a table on a node cannot get.
const STAYS: &str = "SELECT pg_catalog.set_config('citus.enable_schema_based_sharding', 'off', true) \
                     WHERE pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL";

/// A restore under the lock.
pub(crate) struct Work<'w> {
    pub(crate) deployment: &'w Deployment,
    pub(crate) service: &'w ServiceName,
    /// Whether anything of it is applied where it is put.
    pub(crate) applied: Applied,
    /// As it was named.
    pub(crate) file: &'w Path,
    pub(crate) archive: PathBuf,
    pub(crate) restored: &'w Restored,
    pub(crate) clients: &'w Clients,
    pub(crate) options: &'w RestoreOptions,
    /// Why, in the journal's word.
    pub(crate) consent: &'static str,
    /// Why what was there is set aside.
    pub(crate) aside: Aside,
}

impl Work<'_> {
    /// Does it, or nothing.
    pub(super) async fn carry_out(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        self.begin(connection).await?;
        let done = Box::pin(async {
            self.within(connection).await?;
            self.write_down(connection).await
        });
        let done = done.await;
        let is_done = done.is_ok();
        let ended = execute(connection, self.service, if is_done { "COMMIT" } else { "ROLLBACK" }).await;
        match ended {
            // It may have been committed before the connection broke.
            Err(BackupError::Lost { service }) if is_done => {
                Err(BackupError::Unknown { service, kept_in: self.restored.kept_in.first().cloned() })
            }
            ended => done.and(ended),
        }
    }

    /// Begins the transaction, with the tables locked that are to be moved.
    pub(crate) async fn begin(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        begin_locked(connection, self.options.wait, written(self.service), async |connection| {
            if self.restored.kept_in.is_empty() {
                return Ok(());
            }
            let owned = Owned::read(connection, self.deployment, self.service, self.applied)
                .await
                .map_err(read(self.service))?;
            if owned.stays { owned.try_lock(connection).await.map_err(read(self.service)) } else { Ok(()) }
        })
        .await
    }

    /// Sets aside what is there, restores and checks, within the transaction.
    pub(crate) async fn within(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        let (service, manifest) = (self.service, &self.restored.manifest);
        let failed = read(service);
        execute(connection, service, STAYS).await?;
        let (mut present, mut former) = (BTreeSet::new(), Vec::new());
        if !self.restored.kept_in.is_empty() {
            let owned =
                Owned::read(connection, self.deployment, service, self.applied).await.map_err(&failed)?;
            is_in_no_other(connection, service, &owned).await?;
            let others =
                dependants(connection, &owned.oids(), former_names::IS_NONE).await.map_err(&failed)?;
            if let Some(others) = others {
                let why = format!("{others} would still use what is replaced");
                return Err(BackupError::Unfit { service: service.to_string(), why });
            }
            let views = former_names::read(connection, &owned.oids()).await.map_err(&failed)?;
            for view in &views {
                execute(connection, service, &view.drop).await?;
            }
            former = views.into_iter().flat_map(|view| view.make).collect();
            for sql in self.set_aside(connection, &owned).await.map_err(&failed)? {
                execute(connection, service, &sql).await?;
            }
            if owned.stays {
                present = owned.present;
            }
        }
        for schema in [&manifest.schema].into_iter().chain(&manifest.further_schemas) {
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(schema));
            execute(connection, service, &sql).await?;
        }
        let archive = &self.archive;
        let list = archive::contents(self.clients, service, archive, manifest, &present).await?;
        let no_owner = self.options.no_owner;
        let no_tablespaces = !self.restored.absent_tablespaces.is_empty();
        let script =
            Script { clients: self.clients, service, archive, list: &list, no_owner, no_tablespaces };
        script.definitions(connection, "pre-data").await?;
        script.rows(connection).await?;
        script.definitions(connection, "post-data").await?;
        // An archive brings settings along that its database had.
        execute(connection, service, &format!("SELECT {}", settings::anew())).await?;
        self.check(connection).await?;
        for sql in &former {
            execute(connection, service, sql).await?;
        }
        Ok(())
    }

    /// The statements that set aside what is there.
    async fn set_aside(
        &self,
        connection: &mut PgConnection,
        owned: &Owned,
    ) -> Result<Vec<String>, sqlx::Error> {
        let mut statements = Vec::new();
        for (schema, kept_in) in owned.schemas.iter().zip(&self.restored.kept_in) {
            let (old, new) = (quote_identifier(schema), quote_identifier(kept_in));
            let mut own_comment = None;
            if owned.stays && *schema == owned.schemas[0] {
                statements.push(format!("CREATE SCHEMA {new}"));
                let moved = owned.own().filter(|relation| relation.schema == *schema && !relation.follows);
                statements.extend(moved.map(|relation| {
                    format!("ALTER {} {} SET SCHEMA {new}", relation.keyword(), relation.qualified())
                }));
                // They do not follow their tables, and their names would be taken.
                let statistics = format!(
                    "SELECT stxname::text FROM pg_catalog.pg_statistic_ext \
                     WHERE stxnamespace = {}::pg_catalog.regnamespace AND stxrelid IN (SELECT oid::oid FROM ({}) AS own) \
                     ORDER BY 1",
                    literal(&old),
                    owned.oids(),
                );
                let found = rows(connection, &statistics).await?;
                statements.extend(found.iter().map(|row| {
                    format!("ALTER STATISTICS {} SET SCHEMA {new}", qualified(schema, row.get(0)))
                }));
            } else {
                statements.extend(rename(connection, schema, kept_in).await?);
                own_comment = commented(connection, schema).await?;
            }
            statements.push(self.aside.comment(self.service, kept_in, own_comment.as_deref()));
        }
        Ok(statements)
    }

    /// Whether everything came back: the rows of every table, and the history.
    async fn check(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        let failed = read(self.service);
        let manifest = &self.restored.manifest;
        let damaged = |what| BackupError::Damaged { file: self.file.to_owned(), what };
        for TableRows { schema, name, rows: expected } in &manifest.tables {
            let n_rows = n_rows(connection, schema, name).await.map_err(&failed)?;
            if n_rows != *expected {
                let came = counted(n_rows, "row", "rows");
                return Err(damaged(format!("{came} of `{name}` came back, of {expected}")));
            }
        }
        let tables = self.deployment.bookkeeping_tables(self.service);
        let versions = qualified(&manifest.schema, &tables[0]);
        let sql = format!("SELECT version::text FROM {versions} WHERE applied_at >= 0");
        let there = if manifest.migrations.is_empty() {
            Vec::new()
        } else {
            rows(connection, &sql).await.map_err(&failed)?
        };
        let there: BTreeSet<String> = there.iter().map(|row| row.get(0)).collect();
        if there != manifest.migrations.iter().cloned().collect() {
            return Err(damaged("its history is not the one that its manifest names".to_owned()));
        }
        Ok(())
    }

    /// Writes into the restored journal that it was restored: its last line once more, so that it says the same of every
    /// migration.
    pub(crate) async fn write_down(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        let failed = read(self.service);
        let manifest = &self.restored.manifest;
        let tables = self.deployment.bookkeeping_tables(self.service);
        let journal = qualified(&manifest.schema, &tables[1]);
        let exists = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&journal));
        if !rows(connection, &exists).await.map_err(&failed)?.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        let Caller { host, tool, .. } = &self.options.caller;
        let sql = format!(
            "INSERT INTO {journal} (run, migration, direction, started_at, finished_at, outcome, checksum, host, tool, \
               first_install, consent) \
             SELECT {}, migration, direction, pg_catalog.now(), CASE WHEN finished_at IS NOT NULL THEN \
               pg_catalog.clock_timestamp() END, outcome, checksum, {}, {}, first_install, {} \
             FROM {journal} WHERE outcome <> 'accepted' ORDER BY id DESC LIMIT 1",
            literal(self.options.own.as_ref().map_or(&manifest.sha256[..16], |own| own.run.as_str())),
            literal(host),
            literal(tool),
            literal(self.consent),
        );
        execute(connection, self.service, &sql).await
    }
}

/// The statements that give a schema another name, and make an empty one of the old name and the same owner.
pub(crate) async fn rename(
    connection: &mut PgConnection,
    schema: &str,
    kept_in: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let (old, new) = (quote_identifier(schema), quote_identifier(kept_in));
    let sql = format!(
        "SELECT pg_catalog.pg_get_userbyid(nspowner)::text, nspowner = current_user::pg_catalog.regrole \
         FROM pg_catalog.pg_namespace WHERE nspname = {}",
        literal(schema)
    );
    let found = rows(connection, &sql).await?;
    let mut statements = vec![format!("ALTER SCHEMA {old} RENAME TO {new}"), format!("CREATE SCHEMA {old}")];
    if let Some(row) = found.first().filter(|row| !row.get::<bool, _>(1)) {
        statements.push(format!("ALTER SCHEMA {old} OWNER TO {}", quote_identifier(row.get(0))));
    }
    Ok(statements)
}

pub(crate) async fn execute(
    connection: &mut PgConnection,
    service: &ServiceName,
    sql: &str,
) -> Result<(), BackupError> {
    send(connection, sql).await.map_err(written(service))
}
