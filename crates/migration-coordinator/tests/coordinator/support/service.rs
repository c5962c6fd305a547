//! Services made in a test: migrations that are lists of statements.

use std::time::Duration;

use migration_kit::{Details, Online, Service, ServiceMigration};
use sea_orm_migration::prelude::*;

/// A migration made of its statements.
pub(crate) struct Step {
    name: &'static str,
    up: Vec<String>,
    down: Vec<String>,
    transactional: bool,
    backfill: Option<Backfill>,
    panic: Option<&'static str>,
    details: Details,
}

/// A backfill in batches of ten rows, after all statements.
struct Backfill {
    service: &'static str,
    table: &'static str,
    statement: String,
}

/// A transactional expand step that does nothing yet.
pub(crate) fn step(name: &'static str) -> Step {
    Step {
        name,
        up: Vec::new(),
        down: Vec::new(),
        transactional: true,
        backfill: None,
        panic: None,
        details: Details::expand(),
    }
}

/// A service of these steps.
pub(crate) fn service(name: &str, steps: Vec<Step>) -> Service {
    let boxed = |step| -> Box<dyn ServiceMigration> { Box::new(step) };
    Service::new(name, steps.into_iter().map(boxed).collect()).unwrap()
}

impl Step {
    /// Adds a statement to `up`.
    pub(crate) fn up(mut self, sql: impl Into<String>) -> Self {
        self.up.push(sql.into());
        self
    }

    /// Adds a statement to `down`.
    pub(crate) fn down(mut self, sql: impl Into<String>) -> Self {
        self.down.push(sql.into());
        self
    }

    /// Ends `up` with a backfill of a table of the service, outside a transaction.
    pub(crate) fn backfill(
        mut self,
        service: &'static str,
        table: &'static str,
        statement: impl Into<String>,
    ) -> Self {
        self.backfill = Some(Backfill { service, table, statement: statement.into() });
        self.stepwise()
    }

    /// Ends `up` with a panic, after all statements.
    pub(crate) fn panics(mut self, message: &'static str) -> Self {
        self.panic = Some(message);
        self
    }

    /// Takes it out of the transaction.
    pub(crate) fn stepwise(mut self) -> Self {
        self.transactional = false;
        self
    }

    /// Changes what is known of it.
    pub(crate) fn details(mut self, change: impl FnOnce(Details) -> Details) -> Self {
        self.details = change(self.details);
        self
    }

    /// Adds a statement to `up` that waits until [`super::Bench::open_gate`] or fails after half a minute.
    pub(crate) fn wait_at_gate(self) -> Self {
        self.up("DO $$ BEGIN FOR i IN 1..3000 LOOP \
               IF (SELECT open FROM public.gate) THEN RETURN; END IF; PERFORM pg_sleep(0.01); \
             END LOOP; RAISE 'the gate was never opened'; END $$")
    }
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in &self.up {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        if let Some(Backfill { service, table, statement }) = &self.backfill {
            let online = Online::new(manager, service, self.name).await?;
            let backfill = online.backfill(table).statement(statement);
            backfill.batch_rows(10).target(Duration::ZERO).run().await?;
        }
        if let Some(message) = self.panic {
            panic!("{message}");
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in &self.down {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(self.transactional)
    }
}

impl ServiceMigration for Step {
    fn details(&self) -> Details {
        self.details.clone()
    }
}
