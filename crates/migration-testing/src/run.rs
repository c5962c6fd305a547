//! Applying, reverting and verifying through the coordinator, with soak times passed.

use std::sync::Arc;
use std::time::Duration;

use migration_coordinator::{
    Caller, CheckResult, Goal, RunError, RunOptions, Scope, StepError, Survey, SurveyError, run, verify,
};
use migration_kit::{MigrationId, Phase, literal, qualified, table_lock};
use migration_plan::{ContractSteps, Selection, TargetPoint, UnknownApplied};
use sea_orm::{ConnectionTrait, DbErr};

use crate::Scratch;

/// How long a table lock is tried for: a test that left a transaction open fails soon.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why the scratch database is not where the test wanted it.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// A guard refused a migration; nothing was changed.
    #[error("`{id}` is refused: {}", list(failed))]
    Guard {
        /// The migration.
        id: MigrationId,
        /// The guards that do not hold.
        failed: Vec<CheckResult>,
    },
    /// A migration failed, or none began.
    #[error(transparent)]
    Run(RunError),
    /// Checks of applied migrations do not hold.
    #[error("checks do not hold: {}", list(failed))]
    Verify {
        /// The checks.
        failed: Vec<CheckResult>,
    },
    /// A service could not be asked.
    #[error(transparent)]
    Survey(#[from] Arc<SurveyError>),
    /// Soak times could not be let pass.
    #[error("`applied_at` could not be set back")]
    Soak(#[source] DbErr),
}

impl From<RunError> for ScratchError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Step(StepError::Guard { id, failed }) => Self::Guard { id, failed },
            error => Self::Run(error),
        }
    }
}

impl Scratch {
    /// Options of a run that asks nothing and does not wait.
    #[must_use]
    pub fn options() -> RunOptions {
        RunOptions::new(Caller::new("migration-testing"))
            .with_wait(Duration::ZERO)
            .with_table_locks(table_lock::Policy::default().with_patience(PATIENCE))
            .with_jobs(4)
            .with_data_loss()
            .with_new_beside()
    }

    /// Applies; `target` names a migration of the service, none means all that is pending.
    pub(crate) async fn apply(
        &self,
        target: Option<&str>,
        contract: ContractSteps,
    ) -> Result<(), ScratchError> {
        if contract == ContractSteps::HoldBack {
            return self.run(&self.apply_goal(target, contract)).await.map(drop);
        }
        // A contract step soaks since the expand steps before it, so those are applied first.
        if target.is_none() {
            self.run(&self.apply_goal(None, ContractSteps::HoldBack)).await?;
        } else if let Some(expand) = self.last_pending_expand(target).await {
            self.run(&self.apply_goal(Some(&expand), ContractSteps::HoldBack)).await?;
        }
        self.let_soak().await?;
        // What comes after a contract step was held back with it; a contract step after that soaks anew.
        while self.run(&self.apply_goal(target, contract)).await? > 0 {
            self.let_soak().await?;
        }
        Ok(())
    }

    pub(crate) async fn revert(&self, target: &str) -> Result<(), ScratchError> {
        let selections = vec![self.selection(target)];
        self.run(&Goal::Revert { selections }).await.map(drop)
    }

    pub(crate) async fn run_checks(&self) -> Result<(), ScratchError> {
        let mut failed = Vec::new();
        for verification in verify(&self.deployment, &[], Scope::Everything).await {
            failed.extend(verification.results?.into_iter().filter(|result| !result.holds));
        }
        if failed.is_empty() { Ok(()) } else { Err(ScratchError::Verify { failed }) }
    }

    /// Runs to the end or to the first failure; the number of migrations that were done.
    async fn run(&self, goal: &Goal) -> Result<usize, ScratchError> {
        let options = Self::options();
        // A run is a large future: on the heap, it leaves the stack to what it calls.
        let report = Box::pin(run(&self.deployment, goal, &options)).await?;
        match report.failures.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(report.done.len()),
        }
    }

    fn apply_goal(&self, target: Option<&str>, contract: ContractSteps) -> Goal {
        let selections = target.map(|target| self.selection(target)).into_iter().collect();
        Goal::Apply { selections, contract, unknown: UnknownApplied::Refuse }
    }

    fn selection(&self, target: &str) -> Selection {
        let point = if target == "base" { TargetPoint::Base } else { TargetPoint::Name(target.to_owned()) };
        Selection { service: self.service().name().clone(), target: Some(point) }
    }

    /// The last expand step that precedes `target` and is not applied.
    async fn last_pending_expand(&self, target: Option<&str>) -> Option<String> {
        let survey = Survey::take(&self.deployment).await;
        let applied = &survey.service(self.service().name())?.applied;
        let known = self.service().known().migrations;
        let before = known.into_iter().take_while(|migration| Some(migration.name.as_str()) != target);
        before
            .filter(|migration| migration.phase == Phase::Expand)
            .filter(|migration| !applied.iter().any(|applied| applied.name == migration.name))
            .last()
            .map(|migration| migration.name.to_string())
    }

    /// Sets `applied_at` of all services back by their longest soak time.
    async fn let_soak(&self) -> Result<(), ScratchError> {
        for (service, schema, _) in self.deployment.services() {
            let soak = |phase| match phase {
                Phase::Contract { soak } => soak,
                Phase::Expand => Duration::ZERO,
            };
            let longest = service.known().migrations.into_iter().map(|migration| soak(migration.phase)).max();
            let table = qualified(schema, service.version_table());
            // Nothing waits for a table that no run has made yet.
            let sql = format!(
                "DO $$ BEGIN IF to_regclass({}) IS NOT NULL THEN UPDATE {table} SET applied_at = applied_at - {}; \
                 END IF; END $$",
                literal(&table),
                longest.unwrap_or_default().as_secs() + 1,
            );
            self.db.execute_unprepared(&sql).await.map_err(ScratchError::Soak)?;
        }
        Ok(())
    }
}

fn list(results: &[CheckResult]) -> String {
    let line = |result: &CheckResult| format!("`{}`: {result}", result.migration);
    results.iter().map(line).collect::<Vec<_>>().join("; ")
}
