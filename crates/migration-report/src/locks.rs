//! The migration locks that are held.

use migration_coordinator::{Access, Holder, Survey};
use serde::Serialize;

use crate::{Diagnostic, Found, Words, each_once};

/// The migration locks that are held.
#[derive(Debug, Clone, Serialize)]
pub struct Locks {
    /// One entry per lock, in the order of the services.
    pub locks: Vec<LockReport>,
    /// How many services were asked and answered.
    #[serde(skip)]
    pub n_asked: usize,
}

/// A migration lock that is held.
#[derive(Debug, Clone, Serialize)]
pub struct LockReport {
    /// The service.
    pub service: String,
    /// The session that holds it.
    #[serde(flatten)]
    pub holder: Holder,
}

impl Locks {
    /// What a survey saw.
    #[must_use]
    pub fn of(survey: Survey, words: &dyn Words) -> Found<Self> {
        let unread = survey.databases.iter().filter_map(|database| database.as_ref().err());
        // Its lock where it is not in use says nothing of it.
        let elsewhere = survey.services.iter().filter_map(|facts| facts.unread.as_ref());
        let unread = unread.chain(elsewhere.filter(|error| error.is_elsewhere()));
        let errors = each_once(unread.map(|error| Diagnostic::of(error.as_ref(), words)));
        let n_asked = survey.services.iter().filter(|facts| facts.access != Access::Unreachable).count();
        let held = survey.services.into_iter().filter_map(|facts| {
            Some(LockReport { service: facts.service.to_string(), holder: facts.holder? })
        });
        Found::despite(errors, Self { locks: held.collect(), n_asked })
    }
}
