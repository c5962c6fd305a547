//! Backs up single services of one database, proves that what was written can be restored, and restores it; moves one to another
//! server; drops what one owns.
//!
//! A backup is an archive of `pg_dump` and a manifest beside it, which is written last: an archive without one is half done.
//! It prints nothing, and reads neither arguments nor the environment. Rows go through `pg_dump` and `pg_restore`; whole clusters,
//! and a point in time, are the part of other tools.

mod archive;
mod aside;
mod attached;
mod connections;
mod dump;
mod error;
mod external;
mod left_out;
mod manifest;
mod moving;
mod needs;
mod outside;
mod owned;
mod place;
mod program;
mod recorded;
mod reset;
mod restore;
mod script;
mod stream;
mod verify;

pub use attached::can_be_backed_up;
pub use connections::CONNECTIONS;
pub use dump::{Backup, BackupOptions, Made, Progress, backup};
pub use error::BackupError;
pub use left_out::LeftOut;
pub use manifest::{
    ArchiveFile, Extension, External, Kind, Manifest, Outside, Server, TableRows, Verification,
};
pub use moving::{MoveOptions, MovePlaces, MoveProgress, Moved, Prospect, TableBytes, look, move_service};
pub use place::{Listed, Problem, Retention, list, prune};
pub use reset::{Reset, ResetOptions, reset};
pub use restore::{RestoreOptions, Restored, RestoredTable, drop_old, restore};
pub use stream::{Fetched, Pipe, fetch};
pub use verify::Verify;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
