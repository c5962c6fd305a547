//! Tables of others that are attached to those of services: runs are refused there.

use migration_coordinator::{Deployment, RunError, attached};
use migration_kit::ServiceName;
use migration_report::Diagnostic;

use super::{Examined, Finding, Verdict};
use crate::words::OurWords;

/// Adds what is attached. Of a database that does not answer, that was said.
pub(super) async fn look(deployment: &Deployment, examined: &mut Examined) {
    let all: Vec<ServiceName> = deployment.services().map(|(service, ..)| service.name().clone()).collect();
    for services in deployment.by_database(&all).values() {
        let found = attached(deployment, services).await.unwrap_or_default();
        examined.findings.extend(found.iter().filter_map(finding));
    }
}

fn finding(error: &RunError) -> Option<Finding> {
    let RunError::Attached { service, .. } = error else { return None };
    let refused = Diagnostic::of(error, &OurWords);
    let (message, hint) = (refused.on_one_line(), refused.hint);
    Some(Finding {
        refused: Some(refused.class),
        ..Finding::new(Verdict::Bad, service.to_string(), message, hint)
    })
}
