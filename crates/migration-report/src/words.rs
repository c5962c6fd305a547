//! What a program adds to what the libraries say.

use std::error::Error;

use migration_coordinator::{Hint, Offer};
use migration_plan::HoldReason;

use crate::Class;

/// How a program spells what hints name, and what it knows of errors of its own.
pub trait Words {
    /// A command, an option or a setting, as the program calls it.
    fn offer(&self, offer: &Offer) -> String {
        offer.to_string()
    }

    /// What an error is, and what to do about it, if only the program knows it.
    fn own(&self, _error: &(dyn Error + 'static)) -> Option<OwnError> {
        None
    }
}

/// What a program knows of an error of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnError {
    /// What kind of failure it is.
    pub class: Class,
    /// What to do next.
    pub hint: Option<String>,
}

/// The words of the libraries themselves, for a program without commands and options.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainWords;

impl Words for PlainWords {}

/// A hint in these words.
pub(crate) fn worded(hint: &Hint, words: &dyn Words) -> String {
    hint.worded(|offer| words.offer(offer))
}

/// Why a migration is held back, and what applies it once the time has come.
#[must_use]
pub fn why_held_back(reason: &HoldReason, words: &dyn Words) -> String {
    match reason {
        HoldReason::Soaking { .. } => {
            format!("{reason}, then {} applies it", words.offer(&Offer::ApplyContractSteps))
        }
        HoldReason::ContractNotAsked => {
            format!("due now: {} applies it", words.offer(&Offer::ApplyContractSteps))
        }
        HoldReason::RequiresHeldBack { .. } => reason.to_string(),
    }
}
