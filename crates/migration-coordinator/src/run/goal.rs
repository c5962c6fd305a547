//! What a run is to bring about, and the plan that follows from it.

use std::collections::BTreeSet;

use migration_kit::ServiceName;
use migration_plan::{
    ApplyOptions, ContractSteps, History, Plan, PlanError, Redo, Selection, UnknownApplied,
};

use crate::deployment::Deployment;

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Goal {
    /// Bring services to their targets.
    Apply {
        /// Targets; none means all services.
        selections: Vec<Selection>,
        /// What becomes of contract steps.
        contract: ContractSteps,
        /// What becomes of applied migrations that are not known here.
        unknown: UnknownApplied,
    },
    /// Take services back to their targets.
    Revert {
        /// Targets, at least one.
        selections: Vec<Selection>,
    },
    /// Take services back to their targets, and bring in again what was taken back.
    Redo {
        /// Targets, at least one; a service alone stands for its last migration.
        selections: Vec<Selection>,
    },
}

impl Goal {
    pub(super) fn plan(
        &self,
        deployment: &Deployment,
        history: &History,
        now: i64,
    ) -> Result<Plan, PlanError> {
        let catalog = deployment.catalog();
        match self {
            Self::Apply { selections, contract, unknown } => Plan::apply(
                catalog,
                history,
                selections,
                &ApplyOptions { contract: *contract, unknown: *unknown, now },
            ),
            Self::Revert { selections } => Plan::revert(catalog, history, selections),
            Self::Redo { selections } => Plan::redo(catalog, history, selections).map(Redo::in_sequence),
        }
    }

    /// The services that were selected.
    pub(super) fn services<'d>(&self, deployment: &'d Deployment) -> BTreeSet<&'d ServiceName> {
        let (Self::Apply { selections, .. } | Self::Revert { selections } | Self::Redo { selections }) = self;
        let selected = |name: &ServiceName| {
            selections.is_empty() || selections.iter().any(|selection| selection.service == *name)
        };
        deployment.services().map(|(service, _, _)| service.name()).filter(|name| selected(name)).collect()
    }

    /// The services for which it is planned, and those that they require, directly or by others.
    pub(super) fn services_and_required<'d>(&self, deployment: &'d Deployment) -> BTreeSet<&'d ServiceName> {
        let mut services = self.services(deployment);
        let mut unseen: Vec<&ServiceName> = services.iter().copied().collect();
        while let Some(known) = unseen.pop().and_then(|name| deployment.catalog().service(name)) {
            let required = known.migrations.iter().flat_map(|migration| &migration.requires);
            unseen.extend(required.map(|id| &id.service).filter(|name| services.insert(name)));
        }
        services
    }

    /// The part of the goal that concerns some services, among which is at least one that was selected.
    pub(super) fn within(&self, deployment: &Deployment, services: &BTreeSet<&ServiceName>) -> Self {
        let keep = |selections: &[Selection]| -> Vec<Selection> {
            selections.iter().filter(|selection| services.contains(&selection.service)).cloned().collect()
        };
        match self {
            Self::Apply { selections, contract, unknown } => {
                let all = || {
                    let names = deployment.services().map(|(service, _, _)| service.name());
                    names.map(|name| Selection { service: name.clone(), target: None }).collect::<Vec<_>>()
                };
                let selections = if selections.is_empty() { keep(&all()) } else { keep(selections) };
                Self::Apply { selections, contract: *contract, unknown: *unknown }
            }
            Self::Revert { selections } => Self::Revert { selections: keep(selections) },
            Self::Redo { selections } => Self::Redo { selections: keep(selections) },
        }
    }
}
