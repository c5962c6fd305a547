//! What the coordinator has found and done, for any program that shows it: documents (`migrate/v1`) and diagnostics.
//!
//! It turns values of the coordinator into values that can be serialized, and errors into what failed, why, what to do next
//! and a class. It asks no database, knows no terminal, no option and no exit code; how a program spells what a hint names is
//! in its [`Words`].

mod class;
mod databases;
mod diagnostic;
mod document;
mod graph;
mod history;
mod locks;
mod moment;
mod plan;
mod rejects;
mod run;
mod space;
mod status;
mod taken;
mod text;
mod verification;
mod words;

pub use class::Class;
pub use databases::DatabaseReport;
pub use diagnostic::{Diagnostic, each_once};
pub use document::{Document, Found};
pub use graph::{Graph, GraphMigration, GraphRequirement, GraphService};
pub use history::{Histories, MigrationReport, MigrationState, settled};
pub use locks::{LockReport, Locks};
pub use moment::timestamp;
pub use plan::{HeldBackReport, PlanReport, PreviewReport, StepReport};
pub use rejects::Rejects;
pub use run::{AcceptedReport, DoneReport, RunReport};
pub use space::{Roomy, Space, TableReport};
pub use status::{
    BegunReport, ExternalReport, HeldReport, Judged, RenamedReport, ServiceReport, Status, Summary,
    TakenReport, TwinReport,
};
pub use taken::{taken, unrecorded};
pub use verification::{ServiceChecks, Verifications};
pub use words::{OwnError, PlainWords, Words, why_held_back};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
