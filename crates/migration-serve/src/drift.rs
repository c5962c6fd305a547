//! What a comparison of live schemas with what their migrations make has found. The comparison needs a server of its own and is
//! another's: here is what came of it, for as long as nothing newer is known.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

/// How the live schema of one service compares with what its applied migrations make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDrift {
    /// The service.
    pub service: String,
    /// What came of it.
    pub compared: Compared,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Nothing is applied, so there is nothing to compare.
    NothingApplied,
    /// It was compared.
    Done {
        /// How many objects were.
        n_objects: usize,
        /// What differs, a sentence each; names between backticks.
        differences: Vec<String>,
    },
    /// It could not be compared, and why.
    Unknown(String),
}

impl SchemaDrift {
    /// How many differences there are, where that is known.
    pub(crate) fn n_differences(&self) -> Option<usize> {
        match &self.compared {
            Compared::Done { differences, .. } => Some(differences.len()),
            Compared::NothingApplied | Compared::Unknown(_) => None,
        }
    }
}

/// The latest comparison, and when it was made, in seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct LatestDrift(Mutex<Option<(i64, Vec<SchemaDrift>)>>);

impl LatestDrift {
    pub(crate) fn set(&self, drift: Vec<SchemaDrift>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let made = (i64::try_from(now).unwrap_or(i64::MAX), drift);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
    }

    pub(crate) fn get(&self) -> Option<(i64, Vec<SchemaDrift>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
