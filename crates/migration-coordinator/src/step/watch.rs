//! Reporting who blocks a migration that runs outside a transaction: a concurrent index build waits for every older
//! snapshot, however long.

use std::future::Future;

use migration_plan::Step;

use super::Worker;
use crate::{event, watch};

impl Worker<'_> {
    /// Runs to the end, and reports meanwhile who blocks it for longer than a moment.
    pub(super) async fn watched<T>(&self, step: &Step, work: impl Future<Output = T>) -> T {
        let url = &self.deployment.databases()[self.placed().site.database];
        let report = |blocker: &event::Blocker, waited| event::statement_waiting(step, blocker, waited);
        watch::watched(url, self.locked.session().pid(), report, work).await
    }
}
