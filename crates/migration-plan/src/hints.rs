//! The next step after a refused plan: one sentence, which a program shows below the error.

use crate::{Hint, HoldReason, IntegrityError, Offer, PlanError};

impl PlanError {
    /// What to do next, if there is more to say than the error says.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::UnknownService { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?").into(),
            Self::UnknownService { nearest: None, .. } => Hint::from(Offer::Status(None)) + " lists the services",
            Self::UnknownTarget { service, nearest: Some(nearest), .. } => {
                format!("did you mean `{service}:{nearest}`?").into()
            }
            Self::UnknownTarget { service, nearest: None, .. } => {
                Hint::from(Offer::History(service.clone())) + " lists its migrations"
            }
            Self::SelectedTwice { .. } => "give each service one target".into(),
            Self::NothingSelected => "name a service and how far, such as `SERVICE@-1` or `SERVICE@base`".into(),
            Self::NoTarget { service } => {
                format!("`{service}@-1` reverts the last one, `{service}@NAME` all after that one, `{service}@base` all")
                    .into()
            }
            Self::AmbiguousTarget { .. } => "give more of the name".into(),
            Self::ApplyBackward { service, target } => {
                Hint::from("to revert, use ") + Offer::Revert(format!("{service}@{target}"))
            }
            Self::RevertForward { service, target } => {
                Hint::from("to apply, use ") + Offer::Apply(format!("{service}@{target}"))
            }
            Self::TargetBehind { id, .. } => {
                Hint::from("to revert what was applied after it, use ") + Offer::Revert(id.to_string())
            }
            Self::BegunBeyondTarget { id } => {
                Hint::from(Offer::apply_to(id)) + " finishes it, " + Offer::revert_last(&id.service) + " takes it back"
            }
            Self::TargetHeldBack { reason, .. } => hint_of_hold(reason),
            Self::BeyondTarget { requirement, .. } => {
                format!("give `{}` no target, or `{requirement}`", requirement.service).into()
            }
            Self::TargetNotApplied { id } => Hint::from("to apply it, use ") + Offer::apply_to(id),
            Self::TooFewPending { service, .. } => Hint::from("to apply all, use ") + Offer::apply(service),
            Self::TooFewApplied { service, n_applied: 0, .. } => {
                Hint::from("there is nothing to revert: ")
                    + Offer::History(service.clone())
                    + " lists its migrations"
            }
            Self::TooFewApplied { service, .. } => {
                Hint::from("to revert all, use ") + Offer::Revert(format!("{service}@base"))
            }
            Self::HistoryNotRead { service } => {
                format!("make the database of `{service}` reachable for this role, then try again").into()
            }
            Self::RequirementOutside { requirement, .. } => format!(
                "run it from the program that knows all services, or let this role read the version table of `{}`",
                requirement.service
            )
            .into(),
            Self::RequirementNotApplied { requirement, .. } => {
                Hint::from(format!("apply it first with the program of `{}`: ", requirement.service))
                    + Offer::apply_to(requirement)
            }
            Self::Integrity { errors } => return errors.first().map(IntegrityError::hint),
            Self::RevertUnknown { .. } => "revert with the build that applied them".into(),
            Self::Irreversible { id, .. } => {
                Hint::from("stop before it, with ")
                    + Offer::Revert(id.to_string())
                    + ", or go forward with a new migration"
            }
            Self::StillNeeded { by, .. } => {
                let mut services: Vec<_> = by.iter().map(|id| id.service.as_str()).collect();
                services.dedup();
                format!("revert that in the same command: give `{}` a target too", services.join("`, `")).into()
            }
        })
    }
}

fn hint_of_hold(reason: &HoldReason) -> Hint {
    match reason {
        HoldReason::ContractNotAsked => {
            Hint::from("if no old application runs any more, ask for contract steps with ")
                + Offer::ContractSteps
        }
        HoldReason::Soaking { .. } => "try again when its soak time has passed".into(),
        HoldReason::RequiresHeldBack { requirement } => {
            Hint::from(Offer::Plan(requirement.service.clone()))
                + format!(" says why `{requirement}` is held back")
        }
    }
}
