//! The next step after a refused plan: one line, printed below the error by the command line. Commands are named
//! without the program that carries them, since there are several.

use crate::{HoldReason, IntegrityError, PlanError};

impl PlanError {
    /// What to do next, if there is more to say than the error says.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownService { nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`status` lists the services".to_owned(),
            },
            Self::UnknownTarget { service, nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean `{service}:{nearest}`?"),
                None => format!("`history {service}` lists its migrations"),
            },
            Self::SelectedTwice { .. } => "give each service one target".to_owned(),
            Self::NothingSelected => {
                "name a service and how far, such as `SERVICE@-1` or `SERVICE@base`".to_owned()
            }
            Self::NoTarget { service } => {
                format!(
                    "`{service}@-1` reverts the last one, `{service}@NAME` all after that one, `{service}@base` all"
                )
            }
            Self::AmbiguousTarget { .. } => "give more of the name".to_owned(),
            Self::ApplyBackward { service, target } => format!("to revert, use `down {service}@{target}`"),
            Self::RevertForward { service, target } => format!("to apply, use `up {service}@{target}`"),
            Self::TargetBehind { id, .. } => {
                format!("to revert what was applied after it, use `down {id}`")
            }
            Self::BegunBeyondTarget { id } => {
                format!("`up {id}` finishes it, `down {}@-1` takes it back", id.service)
            }
            Self::TargetHeldBack { reason, .. } => hint_of_hold(reason),
            Self::BeyondTarget { requirement, .. } => {
                format!("give `{}` no target, or `{requirement}`", requirement.service)
            }
            Self::TargetNotApplied { id } => format!("to apply it, use `up {id}`"),
            Self::TooFewPending { service, .. } => format!("to apply all, use `up {service}`"),
            Self::TooFewApplied { service, n_applied: 0, .. } => {
                format!("there is nothing to revert: `history {service}` lists its migrations")
            }
            Self::TooFewApplied { service, .. } => format!("to revert all, use `down {service}@base`"),
            Self::HistoryNotRead { service } => {
                format!("make the database of `{service}` reachable for this role, then try again")
            }
            Self::RequirementOutside { requirement, .. } => format!(
                "run it from the program that knows all services, or let this role read the version table of `{}`",
                requirement.service
            ),
            Self::RequirementNotApplied { requirement, .. } => {
                format!("apply it first with the program of `{}`: `up {requirement}`", requirement.service)
            }
            Self::Integrity { errors } => return errors.first().map(IntegrityError::hint),
            Self::RevertUnknown { .. } => "revert with the build that applied them".to_owned(),
            Self::Irreversible { id, .. } => {
                format!("stop before it, with `down {id}`, or go forward with a new migration")
            }
            Self::StillNeeded { by, .. } => {
                let mut services: Vec<_> = by.iter().map(|id| id.service.as_str()).collect();
                services.dedup();
                format!("revert that in the same command: give `{}` a target too", services.join("`, `"))
            }
        };
        Some(hint)
    }
}

fn hint_of_hold(reason: &HoldReason) -> String {
    match reason {
        HoldReason::ContractNotAsked => {
            "if no old application runs any more, ask for contract steps with `--contract`".to_owned()
        }
        HoldReason::Soaking { .. } => "try again when its soak time has passed".to_owned(),
        HoldReason::RequiresHeldBack { requirement } => {
            format!("`plan {}` says why `{requirement}` is held back", requirement.service)
        }
    }
}
