//! The plan: an ordered value that can be printed, compared, confirmed, and only then run. How it comes about is in
//! `apply` and `revert`; how it looks is the command line's part.

use std::fmt;

use crate::{MigrationId, Phase, ServiceName, Utc};

/// Whether a step brings a migration in or takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Run the migration's `up`.
    Apply,
    /// Run the migration's `down`.
    Revert,
}

/// One migration to be applied or reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Migration that is meant.
    pub id: MigrationId,
    /// Apply or revert.
    pub direction: Direction,
    /// Expand or contract.
    pub phase: Phase,
    /// Whether it runs inside one transaction.
    pub transactional: bool,
    /// In which direction the migration was begun before and not finished, if it was: this step finishes it, or takes
    /// back what there is of it.
    pub begun: Option<Direction>,
    /// Steps of this plan in other services that must be done before, in the plan's order. Steps of the same service
    /// are done one after the other anyway.
    pub after: Vec<MigrationId>,
    /// The step of another service that needs this one, if this one lies outside of what was selected.
    pub pulled_in_by: Option<MigrationId>,
    /// When the soak time would have passed that is ignored, in seconds since 1970-01-01 UTC.
    pub ignored_soak: Option<i64>,
}

/// A pending migration that the plan leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Migration that is left out.
    pub id: MigrationId,
    /// Why it is left out.
    pub reason: HoldReason,
}

/// Why a pending migration is left out of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldReason {
    /// A contract step that could be applied now, but contract steps were not asked for.
    ContractNotAsked,
    /// A contract step whose soak time has not passed; asking for contract steps does not help before.
    Soaking {
        /// When it will have passed, in seconds since 1970-01-01 UTC.
        until: i64,
    },
    /// It comes after a migration that is held back itself.
    RequiresHeldBack {
        /// That migration: a requirement, or an earlier one of the same service.
        requirement: MigrationId,
    },
}

/// Steps in the order in which they are to be done, and what was left out.
///
/// Done from first to last, no step comes before one that it needs. Steps of different services may be done side by
/// side as long as each waits for its [`Step::after`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    // Invariant: a migration is there at most once per direction, after all that it needs; built by `apply`, `revert` and
    // `redo` only.
    pub(crate) steps: Vec<Step>,
    pub(crate) held_back: Vec<HeldBack>,
}

/// The two plans of a redo: the second takes up what the first took back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// To be done first.
    pub revert: Plan,
    /// To be done when the first is done.
    pub apply: Plan,
}

impl Plan {
    /// The steps in their order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Pending migrations within what was selected that the plan leaves out, and those that they wait for.
    #[must_use]
    pub fn held_back(&self) -> &[HeldBack] {
        &self.held_back
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps of one service in their order.
    pub fn steps_of(&self, service: &ServiceName) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.id.service == *service)
    }

    /// The services that have steps, in the order of their first.
    #[must_use]
    pub fn services(&self) -> Vec<&ServiceName> {
        let mut seen = std::collections::HashSet::new();
        self.steps.iter().map(|step| &step.id.service).filter(|service| seen.insert(*service)).collect()
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContractNotAsked => f.write_str("it is a contract step, and those were not asked for"),
            Self::Soaking { until } => write!(f, "it waits until {}", Utc(*until)),
            Self::RequiresHeldBack { requirement } => {
                write!(f, "it comes after `{requirement}`, which is held back")
            }
        }
    }
}

impl Redo {
    /// Both plans as one, the second after the first.
    #[must_use]
    pub fn in_sequence(self) -> Plan {
        let Self { mut revert, apply } = self;
        revert.steps.extend(apply.steps);
        revert
    }
}

impl Direction {
    /// The direction of this verb.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Apply, Self::Revert].into_iter().find(|direction| direction.as_str() == text)
    }

    /// The verb as text: `apply` or `revert`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Revert => "revert",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
