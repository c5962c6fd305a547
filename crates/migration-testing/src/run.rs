//! Applying and reverting a service's migrations as sea-orm does, with guards before and checks after each.

use std::collections::BTreeSet;

use migration_kit::{Check, MigrationName, Phase, ServiceMigration, literal, quote_identifier, rejects};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;

use crate::{Phases, Scratch, query};

/// Why the scratch database is not where the test wanted it.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The migration itself failed.
    #[error("migration `{migration}` failed while {direction}")]
    Migration {
        /// The migration.
        migration: MigrationName,
        /// What was being done: `applying` or `reverting`.
        direction: &'static str,
        /// Why.
        source: DbErr,
    },
    /// A guard refused the migration; nothing was changed.
    #[error("a guard of `{migration}` refuses: {says}; the server said `{found}`")]
    Guard {
        /// The migration.
        migration: MigrationName,
        /// What should hold.
        says: String,
        /// What the query returned.
        found: String,
    },
    /// A check does not hold.
    #[error("a check of `{migration}` does not hold: {says}; the server said `{found}`")]
    Check {
        /// The migration.
        migration: MigrationName,
        /// What should hold.
        says: String,
        /// What the query returned.
        found: String,
    },
    /// The migration cannot be reverted.
    #[error("`{migration}` is irreversible: {reason}")]
    Irreversible {
        /// The migration.
        migration: MigrationName,
        /// Its own reason.
        reason: &'static str,
    },
    /// The server could not be asked.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl Scratch {
    pub(crate) async fn run_up(&self, target: Option<&str>, phases: Phases) -> Result<(), ScratchError> {
        let db = self.migrator().await?;
        let mut applied = self.applied(&db).await?;
        for (name, migration) in self.service.migrations() {
            let is_held_back = phases == Phases::Expand && migration.details().phase != Phase::Expand;
            if !is_held_back && !applied.contains(name.as_str()) {
                self.apply(&db, name, migration).await?;
                applied.insert(name.as_str().to_owned());
                self.check(&db, name, migration, &applied).await?;
            }
            if target == Some(name.as_str()) {
                break;
            }
        }
        Ok(db.close().await?)
    }

    pub(crate) async fn run_down(&self, target: &str) -> Result<(), ScratchError> {
        if target != "base" {
            self.migration(target);
        }
        let db = self.migrator().await?;
        let applied = self.applied(&db).await?;
        let all: Vec<_> = self.service.migrations().collect();
        for (name, migration) in all.into_iter().rev().take_while(|(name, _)| name.as_str() != target) {
            if applied.contains(name.as_str()) {
                self.revert(&db, name, migration).await?;
            }
        }
        Ok(db.close().await?)
    }

    pub(crate) async fn run_checks(&self) -> Result<(), ScratchError> {
        let db = self.migrator().await?;
        let applied = self.applied(&db).await?;
        for (name, migration) in self.service.migrations().filter(|(name, _)| applied.contains(name.as_str()))
        {
            self.check(&db, name, migration, &applied).await?;
        }
        Ok(db.close().await?)
    }

    /// The migration of this name.
    ///
    /// # Panics
    /// If there is none: a test that names it is wrong.
    pub(crate) fn migration(&self, name: &str) -> &dyn ServiceMigration {
        let found = self.service.migrations().find(|(known, _)| known.as_str() == name);
        found.unwrap_or_else(|| panic!("`{}` has no migration `{name}`", self.service.name())).1
    }

    /// The connection that migrations run on, with the tables in place that they find under the coordinator.
    async fn migrator(&self) -> Result<DatabaseConnection, DbErr> {
        let db = query::connect(self.url(), self.service.default_schema(), query::MIGRATOR).await?;
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)",
            self.version_table()
        );
        db.execute_unprepared(&create).await?;
        rejects::install(&SchemaManager::new(&db), self.service.name().as_str()).await?;
        Ok(db)
    }

    fn version_table(&self) -> String {
        let schema = quote_identifier(self.service.default_schema());
        format!("{schema}.{}", quote_identifier(&self.service.version_table()))
    }

    async fn applied(&self, db: &DatabaseConnection) -> Result<BTreeSet<String>, DbErr> {
        let rows = query::rows(db, &format!("SELECT version FROM {}", self.version_table())).await?;
        Ok(rows.into_iter().collect())
    }

    async fn apply(
        &self,
        db: &DatabaseConnection,
        name: &MigrationName,
        migration: &dyn ServiceMigration,
    ) -> Result<(), ScratchError> {
        for guard in migration.details().guards {
            if let Some(found) = query::violation(db, &guard).await? {
                return Err(ScratchError::Guard { migration: name.clone(), says: guard.says, found });
            }
        }
        let record = format!(
            "INSERT INTO {} (version, applied_at) VALUES ({}, extract(epoch FROM now())::bigint)",
            self.version_table(),
            literal(name.as_str())
        );
        let done = perform(db, migration, Direction::Apply, &record).await;
        done.map_err(|source| ScratchError::Migration {
            migration: name.clone(),
            direction: "applying",
            source,
        })
    }

    async fn revert(
        &self,
        db: &DatabaseConnection,
        name: &MigrationName,
        migration: &dyn ServiceMigration,
    ) -> Result<(), ScratchError> {
        if let Some(reason) = migration.details().irreversible {
            return Err(ScratchError::Irreversible { migration: name.clone(), reason });
        }
        let forget =
            format!("DELETE FROM {} WHERE version = {}", self.version_table(), literal(name.as_str()));
        let done = perform(db, migration, Direction::Revert, &forget).await;
        done.map_err(|source| ScratchError::Migration {
            migration: name.clone(),
            direction: "reverting",
            source,
        })
    }

    /// Runs the checks of one migration that no applied one has ended.
    async fn check(
        &self,
        db: &DatabaseConnection,
        name: &MigrationName,
        migration: &dyn ServiceMigration,
        applied: &BTreeSet<String>,
    ) -> Result<(), ScratchError> {
        let has_ended =
            |check: &Check| check.until.as_ref().is_some_and(|until| applied.contains(until.as_str()));
        for check in migration.details().checks.into_iter().filter(|check| !has_ended(check)) {
            if let Some(found) = query::violation(db, &check).await? {
                return Err(ScratchError::Check { migration: name.clone(), says: check.says, found });
            }
        }
        Ok(())
    }
}

/// Which way a migration goes.
#[derive(Debug, Clone, Copy)]
enum Direction {
    Apply,
    Revert,
}

/// Runs a migration and what records it, in one transaction if the migration wants one.
async fn perform(
    db: &DatabaseConnection,
    migration: &dyn ServiceMigration,
    direction: Direction,
    record: &str,
) -> Result<(), DbErr> {
    if !migration.use_transaction().unwrap_or(true) {
        go(migration, direction, &SchemaManager::new(db)).await?;
        return db.execute_unprepared(record).await.map(drop);
    }
    let tx = db.begin().await?;
    let done = go(migration, direction, &SchemaManager::new(&tx)).await;
    match done {
        Ok(()) => {
            tx.execute_unprepared(record).await?;
            tx.commit().await
        }
        Err(source) => tx.rollback().await.and(Err(source)),
    }
}

async fn go(
    migration: &dyn ServiceMigration,
    direction: Direction,
    manager: &SchemaManager<'_>,
) -> Result<(), DbErr> {
    match direction {
        Direction::Apply => migration.up(manager).await,
        Direction::Revert => migration.down(manager).await,
    }
}
