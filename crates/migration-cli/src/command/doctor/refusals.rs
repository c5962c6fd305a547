//! What `up` would refuse, asked as it asks, with its words; and the row-level security that would stop it.

use std::time::Duration;

use migration_coordinator::{
    ContractSteps, Deployment, Goal, Planned, RunError, Selection, UnknownApplied, plan_for,
};
use migration_kit::table_lock::Policy;
use migration_kit::{POLICY_HINT, ServiceName};
use migration_report::Diagnostic;

use super::{Examined, Finding, Verdict};
use crate::command::run::caller;
use crate::words::OurWords;

/// For how long a table that others keep locked is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Adds what `up` without options would refuse of any of the services. What is said of them already is not said once more.
pub(super) async fn look(deployment: &Deployment, examined: &mut Examined) {
    if ask(deployment, Vec::new(), examined).await.is_ok() {
        return;
    }
    // The first refusal hides those of other services.
    let all: Vec<ServiceName> = deployment.services().map(|(service, ..)| service.name().clone()).collect();
    for service in all {
        let selection = Selection { service: service.clone(), target: None };
        if let Err(error) = ask(deployment, vec![selection], examined).await {
            examined.refuse(deployment, &service, &error);
        }
    }
}

/// Adds the row-level security that would stop what is planned.
pub(in crate::command) async fn secured(
    planned: &Planned<'_>,
    examined: &mut Examined,
) -> Result<(), RunError> {
    for step in planned.secured_steps().await? {
        let (of, message) = (step.id.service.to_string(), step.to_string());
        examined.add(&of, Verdict::Bad, message, Some(POLICY_HINT));
    }
    Ok(())
}

/// Asks what a run would be refused for. It waits for no other run.
async fn ask(
    deployment: &Deployment,
    selections: Vec<Selection>,
    examined: &mut Examined,
) -> Result<(), RunError> {
    let goal =
        Goal::Apply { selections, contract: ContractSteps::default(), unknown: UnknownApplied::Refuse };
    let table_locks = Policy::default().with_patience(PATIENCE);
    let options = migration_coordinator::RunOptions::new(caller())
        .with_wait(Duration::ZERO)
        .with_table_locks(table_locks);
    let planned = Box::pin(plan_for(deployment, &goal, &options)).await?;
    Box::pin(planned.check(&options)).await?;
    if let Some(error) = Box::pin(planned.not_as_expected()).await?.into_iter().next() {
        return Err(error);
    }
    secured(&planned, examined).await
}

impl Examined {
    /// Adds what `up` of a service is refused for. Where a run is at work, it is not known.
    fn refuse(&mut self, deployment: &Deployment, service: &ServiceName, error: &RunError) {
        let database = deployment.service(service).map(|(.., database)| &deployment.databases()[database]);
        let database = database.map(ToString::to_string).unwrap_or_default();
        let refused = Diagnostic::of(error, &OurWords);
        let message = refused.on_one_line();
        let is_said = self.findings.iter().any(|finding| match error {
            RunError::Lock(_) => true,
            // Said of the server, of the role and of the history, in other words.
            RunError::Connect(_)
            | RunError::Survey(_)
            | RunError::Plan(_)
            | RunError::Rights { .. }
            | RunError::ReadOnly { .. }
            | RunError::Addresses { .. }
            | RunError::Encoding { .. }
            | RunError::TableLocked { .. } => {
                finding.verdict >= Verdict::Bad && (finding.of == service.as_str() || finding.of == database)
            }
            _ => finding.message == message,
        });
        if !is_said {
            let (of, hint) = (service.to_string(), refused.hint);
            let refused = Some(refused.class);
            self.findings.push(Finding { refused, ..Finding::new(Verdict::Bad, of, message, hint) });
        }
    }
}
