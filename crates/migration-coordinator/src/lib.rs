//! The doing: reads what stands in the databases, takes the migration lock, applies, reverts and verifies the
//! migrations of many services, each in its own version table.
//!
//! It never names a service, prints nothing, reads neither arguments nor the environment, and needs no particular async
//! runtime. What it does it tells as `tracing` events (target `migration`). Reading writes nothing: it runs in
//! `READ ONLY` transactions.

mod bookkeeping;
mod cancel;
mod database;
mod deployment;
mod event;
mod interrupt;
mod isolation;
mod journal;
mod lock;
mod lock_file;
mod reading;
mod run;
mod session;
mod state;
mod step;
mod surroundings;
mod survey;
mod upkeep;
mod verify;
mod watch;

pub use cancel::{Cancellation, Stop, cancellation};
pub use database::{DatabaseUrl, DatabaseUrlError, Defaults, LibpqEnvironment};
pub use deployment::{Deployment, DeploymentError, Placement};
pub use isolation::Violation;
pub use journal::{JournalLine, Journals, journal};
pub use lock::LockError;
pub use lock_file::{LockEntry, LockFile, LockFileError, RecordedLock};
pub use run::{
    Caller, DoneStep, Filled, Goal, Report, RevertLoss, RunError, RunOptions, carry_out, edited_migrations,
    plan, run,
};
pub use session::ConnectError;
pub use state::service_state;
pub use step::{FailedStatement, StepError};
pub use surroundings::{EventTrigger, OverriddenSetting, SecuredTable, Surroundings, surroundings};
pub use survey::{Access, Holder, JournalFacts, ServerFacts, ServiceFacts, Survey, SurveyError, Twin};
pub use upkeep::{UpkeepError, reclaim, reject_counts, rejected, table_sizes, under_lock};
pub use verify::{CheckResult, ServiceVerification, verify};
