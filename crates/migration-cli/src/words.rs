//! How this command line spells what hints name: its commands, options and variables.

use migration_coordinator::{Hint, Offer};
use migration_plan::HoldReason;

use crate::environment::variable;

/// A hint as it is shown.
pub(crate) fn hint(hint: &Hint) -> String {
    hint.worded(offer)
}

fn offer(offer: &Offer) -> String {
    match offer {
        Offer::Apply(selection) => format!("`up {selection}`"),
        Offer::Revert(selection) => format!("`down {selection}`"),
        Offer::Status(None) => "`status`".to_owned(),
        Offer::Status(Some(service)) => format!("`status {service}`"),
        Offer::History(service) => format!("`history {service}`"),
        Offer::Plan(service) => format!("`plan {service}`"),
        Offer::Rejects(service) => format!("`rejects {service}`"),
        Offer::Locks => "`locks`".to_owned(),
        Offer::ContractSteps => "`--contract`".to_owned(),
        Offer::AllowAhead => "`--allow-ahead`".to_owned(),
        Offer::AllowDataLoss => "`--allow-data-loss`".to_owned(),
        Offer::NewBeside => "`--new-beside`".to_owned(),
        Offer::Atomic => "`--atomic`".to_owned(),
        Offer::WaitLonger => "`--wait 10m`".to_owned(),
        Offer::OneAtATime => "`--jobs 1`".to_owned(),
        Offer::Address => "DATABASE_URL".to_owned(),
        Offer::Schema(service) => format!("`{}`", variable(service, "DATABASE_SCHEMA")),
        Offer::AllowedObjects => "`MIGRATE_ALLOWED_OBJECTS`".to_owned(),
        other => other.to_string(),
    }
}

/// Why a migration is held back, and what applies it.
pub(crate) fn reason(reason: &HoldReason) -> String {
    match reason {
        HoldReason::Soaking { .. } => format!("{reason}, then `up --contract` applies it"),
        HoldReason::ContractNotAsked | HoldReason::RequiresHeldBack { .. } => reason.to_string(),
    }
}
