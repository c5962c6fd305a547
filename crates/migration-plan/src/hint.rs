//! What to do next, as a value: a sentence in which what a program offers is named by what it does.
//!
//! No library knows how a program spells that. A command line puts its commands and options in; the plain text, which an
//! application that embeds its service logs, names the operations and the settings of this library.

use std::fmt;
use std::ops::Add;

use crate::{MigrationId, ServiceName};

/// A sentence that says what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    parts: Vec<Part>,
}

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Offer(Offer),
}

/// Something that a program offers under a name of its own: an operation, an option or a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offer {
    /// Applies migrations of this selection.
    Apply(String),
    /// Reverts migrations to this selection's target.
    Revert(String),
    /// Shows where services are; one, or all.
    Status(Option<ServiceName>),
    /// Lists the migrations of a service.
    History(ServiceName),
    /// Shows what would be done for a service.
    Plan(ServiceName),
    /// Lists what a service's migrations have rejected.
    Rejects(ServiceName),
    /// Shows which sessions hold the migration locks.
    Locks,
    /// The option that applies contract steps.
    ContractSteps,
    /// Applies what is pending, contract steps among it.
    ApplyContractSteps,
    /// The option that accepts a database that is ahead of this build.
    AllowAhead,
    /// The option that lets data be lost.
    AllowDataLoss,
    /// The option that accepts that something of a service, as `service:object`, is not as its migrations make it.
    Accept(String),
    /// Takes a service's existing database over: compares it and records what an earlier system has applied.
    Adopt(ServiceName),
    /// Takes a service's existing database over by this version table of an earlier tool.
    AdoptFrom(ServiceName, String),
    /// Explains what is wrong with a service's history, and what mends it.
    Repair(ServiceName),
    /// Prints the statements that bring a service's schema back to what its applied migrations make.
    RepairSchema(ServiceName),
    /// The option that makes new tables beside those of an earlier system.
    NewBeside,
    /// The option for one transaction around all migrations.
    Atomic,
    /// The option that waits longer for the migration lock.
    WaitLonger,
    /// The option that works on one service at a time.
    OneAtATime,
    /// The setting that is the database's address.
    Address,
    /// The setting that is the address of one service's database.
    AddressOf(ServiceName),
    /// Shows which statements give a service roles of its own, as that owner and application.
    Roles(ServiceName),
    /// Moves a service to another server.
    Move(ServiceName),
    /// The setting that chooses the schema of a service.
    Schema(ServiceName),
    /// The setting that chooses the schema of a service, with this value.
    PlaceIn(ServiceName, String),
    /// The setting that names objects of others that any migration may touch.
    AllowedObjects,
    /// The setting that lets migrations be applied where text may be any bytes.
    AnyBytes,
}

impl Hint {
    /// The sentence, with what a program offers in its own words.
    #[must_use]
    pub fn worded(&self, words: impl Fn(&Offer) -> String) -> String {
        let word = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Offer(offer) => words(offer),
        };
        self.parts.iter().map(word).collect()
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worded(ToString::to_string))
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply(selection) => write!(f, "`apply {selection}`"),
            Self::Revert(selection) => write!(f, "`revert {selection}`"),
            Self::Status(None) => f.write_str("the status"),
            Self::Status(Some(service)) => write!(f, "the status of `{service}`"),
            Self::History(service) => write!(f, "the history of `{service}`"),
            Self::Plan(service) => write!(f, "the plan for `{service}`"),
            Self::Rejects(service) => write!(f, "the rejects of `{service}`"),
            Self::Locks => f.write_str("the migration locks"),
            Self::ContractSteps | Self::ApplyContractSteps => f.write_str("`ContractSteps::Apply`"),
            Self::AllowAhead => f.write_str("`UnknownApplied::AllowAhead`"),
            Self::AllowDataLoss => f.write_str("`RunOptions::with_data_loss`"),
            Self::Accept(_) => f.write_str("`RunOptions::with_accepted`"),
            Self::Adopt(service) => write!(f, "the adoption of `{service}`"),
            Self::AdoptFrom(service, table) => write!(f, "the adoption of `{service}` by `{table}`"),
            Self::Repair(service) => write!(f, "the repair of `{service}`"),
            Self::RepairSchema(service) => write!(f, "the repair of the schema of `{service}`"),
            Self::NewBeside => f.write_str("`RunOptions::with_new_beside`"),
            Self::Atomic => f.write_str("`RunOptions::atomic`"),
            Self::WaitLonger => f.write_str("`RunOptions::with_wait`"),
            Self::OneAtATime => f.write_str("`RunOptions::with_jobs`"),
            Self::Address => f.write_str("its address"),
            Self::AddressOf(_) => f.write_str("`Placement::url`"),
            Self::Roles(_) => f.write_str("`provide_roles`"),
            Self::Move(service) => write!(f, "the move of `{service}`"),
            Self::Schema(_) => f.write_str("`Placement::schema`"),
            Self::PlaceIn(_, schema) => write!(f, "`{schema}` as its `Placement::schema`"),
            Self::AllowedObjects => f.write_str("`Deployment::allowing`"),
            Self::AnyBytes => f.write_str("`Deployment::allowing_any_bytes`"),
        }
    }
}

impl Offer {
    /// Applies what a service has pending.
    #[must_use]
    pub fn apply(service: &ServiceName) -> Self {
        Self::Apply(service.to_string())
    }

    /// Applies a service's migrations up to this one.
    #[must_use]
    pub fn apply_to(id: &MigrationId) -> Self {
        Self::Apply(id.to_string())
    }

    /// Reverts a service's last migration.
    #[must_use]
    pub fn revert_last(service: &ServiceName) -> Self {
        Self::Revert(format!("{service}@-1"))
    }

    /// Shows where a service is.
    #[must_use]
    pub fn status(service: &ServiceName) -> Self {
        Self::Status(Some(service.clone()))
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self { parts: vec![Part::Text(text)] }
    }
}

impl From<Offer> for Hint {
    fn from(offer: Offer) -> Self {
        Self { parts: vec![Part::Offer(offer)] }
    }
}

impl<T: Into<Self>> Add<T> for Hint {
    type Output = Self;

    fn add(mut self, next: T) -> Self {
        self.parts.extend(next.into().parts);
        self
    }
}
