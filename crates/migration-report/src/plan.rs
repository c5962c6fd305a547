//! What would be done, and what is left out.

use migration_coordinator::{Deployment, PreviewAnswer};
use migration_plan::{Direction, HeldBack, HoldReason, Phase, Plan, Step};
use serde::Serialize;

use crate::{Diagnostic, Words, text, timestamp, why_held_back};

/// A plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlanReport {
    /// The steps, in the order in which they would be done.
    pub steps: Vec<StepReport>,
    /// Pending migrations that would be left out.
    pub held_back: Vec<HeldBackReport>,
    /// What applying it would be refused for now: tables of an earlier system elsewhere, names that are taken. It is asked where
    /// a plan was asked for.
    pub refused: Vec<Diagnostic>,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// The service.
    pub service: String,
    /// The migration.
    pub migration: String,
    /// Apply or revert.
    #[serde(serialize_with = "text::shown")]
    pub direction: Direction,
    /// Expand or contract.
    #[serde(serialize_with = "text::shown")]
    pub phase: Phase,
    /// Whether it runs in one transaction.
    pub transactional: bool,
    /// Earlier steps of other services that must be done first, as `service:migration`.
    pub after: Vec<String>,
    /// The direction in which it was begun before and not finished.
    #[serde(serialize_with = "text::direction")]
    pub begun: Option<Direction>,
    /// The step that requires it, if nobody asked for it otherwise.
    pub pulled_in_by: Option<String>,
    /// What it loses for good.
    pub loses: Option<String>,
    /// When its soak time would have ended, where that is ignored.
    pub ignored_soak: Option<String>,
    /// What it does, in a sentence, if the service's lock file says so.
    pub description: Option<String>,
    /// What it would decide about rows.
    pub previews: Vec<PreviewReport>,
}

/// What a step would decide about rows.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewReport {
    /// What is listed.
    pub says: String,
    /// How many there are; `None` if that is not known yet.
    pub n: Option<u64>,
    /// The first of them.
    pub rows: Vec<String>,
    /// Why it is not known yet.
    pub unanswered: Option<String>,
}

/// A pending migration that is left out.
#[derive(Debug, Clone, Serialize)]
pub struct HeldBackReport {
    /// The service.
    pub service: String,
    /// The migration.
    pub migration: String,
    /// Why.
    pub reason: String,
    /// When its soak time ends.
    pub until: Option<String>,
    /// What it would decide about rows, where a plan was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub previews: Vec<PreviewReport>,
}

impl PlanReport {
    /// A plan over these services.
    #[must_use]
    pub fn of(deployment: &Deployment, plan: &Plan, words: &dyn Words) -> Self {
        Self {
            steps: plan.steps().iter().map(|step| StepReport::of(deployment, step)).collect(),
            held_back: HeldBackReport::all(plan.held_back(), words),
            refused: Vec::new(),
        }
    }

    /// The plan with what its steps, and what it holds back, would decide about rows.
    #[must_use]
    pub fn with_previews(mut self, previews: &[PreviewAnswer]) -> Self {
        for step in self.steps.iter_mut().filter(|step| step.direction == Direction::Apply) {
            step.previews = PreviewReport::all(previews, &step.service, &step.migration);
        }
        for held in &mut self.held_back {
            held.previews = PreviewReport::all(previews, &held.service, &held.migration);
        }
        self
    }
}

impl StepReport {
    fn of(deployment: &Deployment, step: &Step) -> Self {
        Self {
            service: step.id.service.to_string(),
            migration: step.id.name.to_string(),
            direction: step.direction,
            phase: step.phase,
            transactional: step.transactional,
            after: text::texts(&step.after),
            begun: step.begun,
            pulled_in_by: step.pulled_in_by.as_ref().map(ToString::to_string),
            loses: loses(deployment, step).map(str::to_owned),
            ignored_soak: step.ignored_soak.map(timestamp),
            description: deployment
                .service(&step.id.service)
                .and_then(|(service, _, _)| service.description(&step.id.name))
                .map(str::to_owned),
            previews: Vec::new(),
        }
    }
}

impl PreviewReport {
    /// Those of one migration.
    fn all(previews: &[PreviewAnswer], service: &str, migration: &str) -> Vec<Self> {
        let is_own = |answer: &&PreviewAnswer| {
            answer.id.service.as_str() == service && answer.id.name.as_str() == migration
        };
        previews.iter().filter(is_own).map(Self::of).collect()
    }

    fn of(answer: &PreviewAnswer) -> Self {
        let (n, rows, unanswered) = match &answer.rows {
            Ok((n, rows)) => (Some(*n), rows.clone(), None),
            Err(why) => (None, Vec::new(), Some(why.clone())),
        };
        Self { says: answer.says.clone(), n, rows, unanswered }
    }
}

/// What a step loses for good, if anything.
fn loses<'d>(deployment: &'d Deployment, step: &Step) -> Option<&'d str> {
    let (service, _, _) = deployment.service(&step.id.service)?;
    let details = service.migration(&step.id.name)?.details();
    match step.direction {
        Direction::Apply => details.loses.as_deref(),
        Direction::Revert => details.loses_on_revert.as_deref(),
    }
}

impl HeldBackReport {
    /// Migrations that are left out.
    #[must_use]
    pub fn all(held_back: &[HeldBack], words: &dyn Words) -> Vec<Self> {
        let report = |held: &HeldBack| Self {
            service: held.id.service.to_string(),
            migration: held.id.name.to_string(),
            reason: why_held_back(&held.reason, words),
            until: match held.reason {
                HoldReason::Soaking { until } => Some(timestamp(until)),
                HoldReason::ContractNotAsked | HoldReason::RequiresHeldBack { .. } => None,
            },
            previews: Vec::new(),
        };
        held_back.iter().map(report).collect()
    }
}
