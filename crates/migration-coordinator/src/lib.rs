//! Executes plans: reads the databases, takes the migration lock, applies, reverts and verifies the
//! migrations of many services, each in its own version table.
//!
//! It never names a service, prints nothing, reads neither arguments nor the environment, and needs no particular async
//! runtime. What it does it tells as `tracing` events (target `migration`). Reading writes nothing: it runs in
//! `READ ONLY` transactions.

mod adopt;
mod attached;
mod belongings;
mod bookkeeping;
mod caller;
mod cancel;
mod check_result;
mod checkup;
mod citus;
mod connect_error;
mod connection_limits;
mod contents;
mod database;
mod deployment;
mod earlier_tool;
mod edited;
mod embedding;
mod engine;
mod event;
mod fingerprint;
mod history_sql;
mod holder;
mod interrupt;
mod isolation;
mod journal;
mod journal_mark;
mod lock;
mod moment;
mod move_mark;
mod owner;
mod preview;
mod progress;
mod promises;
mod reading;
mod recent;
mod relocate;
mod repair;
mod roles;
mod run;
mod session;
mod site;
mod span;
mod state;
mod step;
mod subscribed;
mod surroundings;
mod survey;
mod upkeep;
mod verify;
mod watch;

pub use adopt::{Claim, EarlierHistory, Retirement, earlier_histories, record, stands_for};
pub use attached::Attached;
pub use belongings::{Applied, Number, Thing, WITH_ITS_RELATION};
pub use bookkeeping::Outcome;
pub use caller::Caller;
pub use cancel::{Cancellation, Stop, cancellation};
pub use check_result::CheckResult;
pub use checkup::{Checkup, LongTransaction, Rights, checkups};
pub use citus::{
    ByColumn, Citus, CitusNode, CitusService, RowObstacle, RowPlan, citus, citus_of, distributable,
    distribute, distribute_rows, movable, move_to, row_plan,
};
pub use connect_error::ConnectError;
pub use connection_limits::{ConnectionLimit, connection_limits};
pub use contents::contents_question;
pub use database::{DatabaseUrl, DatabaseUrlError, Defaults, LibpqEnvironment};
pub use deployment::{Deployment, DeploymentError, Placement, unusable_schema};
pub use earlier_tool::EarlierTool;
pub use edited::edited_migrations;
pub use embedding::{EmbedError, Guard, Standing, bring_to_head};
pub use fingerprint::{Fingerprint, Move, ServiceFingerprint};
pub use history_sql::HistorySql;
pub use holder::Holder;
pub use isolation::Violation;
pub use journal::{JournalLine, Journals, journal};
pub use lock::LockError;
/// What a caller needs of the crates below, so that one dependency is enough.
pub use migration_kit::{Service, table_lock::Policy};
pub use migration_plan::{ContractSteps, Direction, Hint, Offer, Selection, UnknownApplied};
pub use moment::{Moment, at_one_moment};
pub use move_mark::MoveMark;
pub use preview::{PreviewAnswer, previews};
pub use progress::{Blocking, IndexBuild, OpenBackfill, Progress, progress};
pub use promises::promises;
pub use reading::Reading;
pub use recent::{Recent, recent};
pub use relocate::{Relocation, obstacles};
pub use repair::{Change, Condition, Decision, Mended, Trouble, conditions, mend};
pub use roles::{RoleOptions, RoleScript, provide_roles};
pub use run::{
    Acceptance, AcceptedDifference, DoneSince, DoneStep, Filled, Goal, Mark, OwnRun, Planned, Report,
    RevertLoss, RunError, RunOptions, SecuredStep, TakeOver, attached, no_collision, not_of_others,
    obstructions, one_address, plan, plan_for, run, unkept_by_rows, unmet_promises,
};
pub use state::service_state;
pub use step::{FailedStatement, Remains, StepError};
pub use subscribed::{Subscribed, subscribed};
pub use surroundings::{EventTrigger, OverriddenSetting, SecuredTable, Surroundings, surroundings};
pub use survey::{
    Access, Collision, Collisions, Journal, JournalFacts, ServerFacts, ServiceFacts, Survey, SurveyError,
    Twin, TwinRows, VERSION_TABLES,
};
pub use upkeep::{
    Place, TableSpace, UpkeepError, lost_rejects, on_its_own, reclaim, reject_counts, rejected, table_sizes,
    under_lock,
};
pub use verify::{Acceptor, Difference, Scope, ServiceVerification, verify, verify_surveyed};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
