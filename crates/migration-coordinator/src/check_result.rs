//! What the server said of one check: that it holds, that it does not, or nothing. Who asks it is `verify`.

use std::fmt;

use migration_kit::ServiceName;

use crate::survey::SurveyError;

/// What the server said of one check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckResult {
    /// Migration that promised it.
    pub migration: String,
    /// What should hold.
    pub says: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the server answered. If not, nothing is known, and `holds` is false.
    pub answered: bool,
    /// Number of violating rows, the figure of a report, or why the server did not answer.
    pub found: String,
    /// Whether it is a figure for the reader, which always holds.
    pub report: bool,
    /// Whether it holds only because what differs was accepted.
    pub accepted: bool,
    /// Whether the server did not answer because another transaction kept a table locked.
    #[serde(skip)]
    pub locked: bool,
}

impl CheckResult {
    /// Whether the server answered, and it does not hold.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.answered && !self.holds
    }

    /// Why nothing is known of it, if the server did not answer.
    #[must_use]
    pub fn unanswered(&self, service: &ServiceName) -> Option<SurveyError> {
        (!self.answered).then(|| SurveyError::Unanswered {
            service: service.clone(),
            says: self.to_string(),
            is_locked: self.locked,
        })
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.says, self.found)
    }
}
