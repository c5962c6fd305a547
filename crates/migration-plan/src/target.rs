//! What the user asks for: a service and, perhaps, a point in its list. Finding the migration that a name or a prefix
//! means is `resolve`'s part, since it takes the catalog.

use std::fmt;
use std::num::{IntErrorKind, NonZeroU32};
use std::str::FromStr;

use crate::{NameError, ServiceName};

/// A service, and where it should be: `SERVICE` or `SERVICE@TARGET`. A colon in place of the `@` means the same, so that
/// an id as messages write it ([`MigrationId`](crate::MigrationId)) is a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Service that is meant.
    pub service: ServiceName,
    /// Point after the `@`, if one was given.
    pub target: Option<TargetPoint>,
}

/// A point in a service's list of migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPoint {
    /// `head`: everything applied.
    Head,
    /// `base`: nothing applied.
    Base,
    /// `+N`: this many steps further.
    Forward(NonZeroU32),
    /// `-N`: this many steps back.
    Back(NonZeroU32),
    /// A migration's name, the id of a predecessor that it replaces, or a unique prefix of either; the leading `m` of a
    /// name may be left out.
    Name(String),
}

/// Why a text is not a selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// There is no text.
    #[error("a target is empty")]
    Empty,
    /// What is before the `@` is not a service's name.
    #[error("`{text}` is not a target")]
    Service {
        /// The text as given.
        text: String,
        /// What is wrong with the name.
        #[source]
        source: NameError,
    },
    /// Nothing is after the `@`.
    #[error("`{text}` names no point after the service")]
    NoPoint {
        /// The text as given.
        text: String,
    },
    /// `+0` or `-0`: such a target would say nothing.
    #[error("`{text}` counts no step")]
    ZeroSteps {
        /// The text as given.
        text: String,
    },
    /// The count is larger than any list.
    #[error("`{text}` counts more than {} steps", u32::MAX)]
    TooManySteps {
        /// The text as given.
        text: String,
    },
    /// A sign is not followed by digits.
    #[error("`{text}` has a sign but no number of steps")]
    NotANumber {
        /// The text as given.
        text: String,
    },
}

impl SelectionError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "write `SERVICE` or `SERVICE@TARGET` (or `SERVICE:TARGET`), where the target is a migration, a unique prefix of one, `head`, `base`, \
         `+N` or `-N`"
    }
}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if text.is_empty() {
            return Err(SelectionError::Empty);
        }
        let (service, point) = match text.split_once(['@', ':']) {
            // An address, which is no service and no migration.
            Some((_, point)) if point.starts_with("//") => (text, None),
            Some((service, point)) => (service, Some(point)),
            None => (text, None),
        };
        let service =
            service.parse().map_err(|source| SelectionError::Service { text: text.to_owned(), source })?;
        let target = match point {
            None => None,
            Some("") => return Err(SelectionError::NoPoint { text: text.to_owned() }),
            Some("head") => Some(TargetPoint::Head),
            Some("base") => Some(TargetPoint::Base),
            Some(point) => Some(if let Some(count) = point.strip_prefix('+') {
                TargetPoint::Forward(steps(text, count)?)
            } else if let Some(count) = point.strip_prefix('-') {
                TargetPoint::Back(steps(text, count)?)
            } else {
                TargetPoint::Name(point.to_owned())
            }),
        };
        Ok(Self { service, target })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{}@{target}", self.service),
            None => write!(f, "{}", self.service),
        }
    }
}

impl fmt::Display for TargetPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Base => f.write_str("base"),
            Self::Forward(count) => write!(f, "+{count}"),
            Self::Back(count) => write!(f, "-{count}"),
            Self::Name(text) => f.write_str(text),
        }
    }
}

fn steps(text: &str, count: &str) -> Result<NonZeroU32, SelectionError> {
    let text = || text.to_owned();
    // `parse` would take a second sign.
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SelectionError::NotANumber { text: text() });
    }
    count.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::Zero => SelectionError::ZeroSteps { text: text() },
        IntErrorKind::PosOverflow => SelectionError::TooManySteps { text: text() },
        _ => SelectionError::NotANumber { text: text() },
    })
}
