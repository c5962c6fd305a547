//! Moving existing rows: backfills, rejects, rows that leave their table, and the space that all of this takes.
//!
//! Everything is done in short transactions that leave either all of their traces or none, so that a run killed at any
//! point continues where it stopped and nothing is lost, done twice or counted twice.
//!
//! It does not decide what a value becomes: a migration says so in SQL, and writes that SQL so that repeating it changes
//! nothing. It does not watch rows that are written meanwhile either: a trigger of the migration keeps those in step.

mod backfill;
mod moves;
mod oversized;
mod patience;
mod progress;
pub mod rejects;
mod restore;
pub mod space;

pub use backfill::{Backfill, BackfillReport};
pub use moves::MoveToRejects;

use sea_orm::DbErr;

use crate::Online;
use space::TableSize;

/// Steps that move rows.
impl Online {
    /// Fills existing rows in small batches, each a transaction of its own; see [`Backfill`].
    pub fn backfill(&self, table: &str) -> Backfill<'_> {
        Backfill::new(self, table)
    }

    /// Takes rows out of their table and keeps them whole as rejects; see [`MoveToRejects`].
    ///
    /// `rows` says which leave, as an SQL condition over the table under the alias `source`. It is asked anew for each batch
    /// of 1,000 rows, so it must not name more rows because some have left. Of a table with a primary key those leave that
    /// it names when they are looked for, of one without about as many, and those that are there in the end; have a
    /// constraint or a trigger refuse new ones before. `reason` says why they leave.
    pub fn move_to_rejects(
        &self,
        table: &str,
        rows: impl Into<String>,
        reason: impl Into<String>,
    ) -> MoveToRejects<'_> {
        MoveToRejects::new(self, table, rows.into(), reason.into())
    }

    /// Puts the rows back that this migration moved out of the table, and forgets their rejects: the `down` of
    /// [`Online::move_to_rejects`]. The number of rows put back.
    ///
    /// A row that cannot be put back (its key is taken, its parent is gone, or one of its values has no column any more)
    /// stays a reject and is reported; it never overwrites anything.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server that is not about one row.
    pub async fn restore_rejects(&self, table: &str) -> Result<u64, DbErr> {
        restore::restore(self, table).await
    }

    /// Makes the service's table of rejects, if there is none: for statements of the migration's own that write to it.
    ///
    /// # Errors
    /// An error of the server.
    pub async fn install_rejects(&self) -> Result<(), DbErr> {
        let mut connection = self.acquire().await?;
        rejects::install_in(&mut connection, self.schema(), &self.origin().service).await
    }

    /// Forgets what this migration rejected, for its `down`; the number of entries. Rows that were moved are not
    /// forgotten: their entry is all that is left of them.
    ///
    /// # Errors
    /// An error of the server.
    pub async fn forget_rejects(&self) -> Result<u64, DbErr> {
        let mut connection = self.acquire().await?;
        rejects::forget(&mut connection, self.schema(), self.origin()).await
    }

    /// How much space the table takes.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server.
    pub async fn table_size(&self, table: &str) -> Result<TableSize, DbErr> {
        let mut connection = self.acquire().await?;
        space::table_size(&mut connection, self.schema(), table).await
    }

    /// Frees the space of dead rows for new ones, without a lock that blocks an application; see [`space::vacuum`].
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server.
    pub async fn vacuum(&self, table: &str) -> Result<(), DbErr> {
        let mut connection = self.acquire().await?;
        space::vacuum(&mut connection, self.schema(), table).await
    }

    /// Tells for which reasons rows were rejected, if any were.
    async fn report_rejected(&self, table: &str, n_rejects: u64) -> Result<(), DbErr> {
        if n_rejects == 0 {
            return Ok(());
        }
        let mut connection = self.acquire().await?;
        rejects::tell(&mut connection, self.schema(), self.origin(), table).await
    }
}
