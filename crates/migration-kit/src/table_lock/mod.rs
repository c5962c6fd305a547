//! Table locks without an outage: how a migration gets a strong lock while the application keeps working.
//!
//! A statement that *waits* for a strong lock makes every later statement on that table wait behind it, so the outage
//! lasts as long as the oldest transaction. Hence: ask with `NOWAIT`, which never queues; behind an old transaction only
//! ask again; queue briefly among transactions that are about to end, or so that the next ones soon will. What to do next
//! is decided in `policy`, without any IO, by what `lives` learnt; `herding` says when queueing brings overlapping readers
//! closer to ending together; `holders` reads what blocks it; `take` does it for the kit's own steps.
//!
//! A coordinator that runs a transactional migration uses the pieces in a loop of its own: it begins, executes
//! [`Waiting::lock_statements`], runs the migration's body and commits; on a retryable error it rolls back, calls
//! [`Waiting::after_failure`], which waits as the policy says, and begins again.
//!
//! It cancels no work but an autovacuum's, which starts again by itself.

mod autovacuum;
mod herding;
mod holders;
mod lives;
mod met;
mod mode;
mod policy;
mod take;
mod waiting;

pub use holders::{Holder, HolderKind, holders};
pub use met::{is_given_up, is_retryable, of_lock_statement};
pub use mode::{LockMode, Reference, TableLock, UnknownLockMode, lock_statement, referenced_first};
use policy::Decision;
pub use policy::{PATIENCE_SETTING, Policy};
pub use take::references;
pub(crate) use take::{Locked, policy_of_session, take_alone};
pub use waiting::{TableLockError, Waiting};
