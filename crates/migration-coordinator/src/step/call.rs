//! Calling a migration's own code. A panic in it is a failure like any other: it ends neither the run nor the program.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use migration_kit::panic_message;
use migration_plan::{Direction, Step};
use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;

use super::Worker;
use super::statement::{Stopped, recorded};

impl Worker<'_> {
    /// Calls the migration's `up` or `down`. An error comes with an excerpt of the statement that failed, if it was one.
    pub(super) async fn call(&self, step: &Step, manager: &SchemaManager<'_>) -> Result<(), Stopped> {
        let body = self.migration(step).body();
        // What the panic may have left half changed is the migration's own, which is not called again in this run, and the
        // transaction, which is rolled back.
        let called = AssertUnwindSafe(async {
            match step.direction {
                Direction::Apply => body.up(manager).await,
                Direction::Revert => body.down(manager).await,
            }
        });
        let panicked =
            |panic: Box<dyn Any + Send>| DbErr::Custom(format!("it panicked: {}", panic_message(&*panic)));
        let called = called.catch_unwind().map(|called| called.unwrap_or_else(|panic| Err(panicked(panic))));
        recorded(called).await
    }
}
