//! Expand: the scroll offset within a page, with its default and its range.
//!
//! Strongest lock: ACCESS EXCLUSIVE on `reading_progress` for the moments in which the column and the constraint are
//! added; the constant default is kept in the catalog, so nothing is rewritten. The constraint is added `NOT VALID` and
//! then validated in a second transaction, beside readers and writers.
//!
//! The default stays for good: application code from before the column inserts without naming it.
//!
//! `down` loses the offsets.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds the scroll offset, and the check of its range.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .add_column("reading_progress", "scroll_offset_percent", "double precision")
            .not_null()
            .default("0.0")
            .comment("Scroll offset within page (0-100%) for pixel-perfect positioning")
            .run()
            .await?;
        online
            .add_check(
                "reading_progress",
                "check_scroll_offset_range",
                "scroll_offset_percent >= 0.0 AND scroll_offset_percent <= 100.0",
            )
            .run()
            .await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_constraint("reading_progress", "check_scroll_offset_range").await?;
        online.drop_column("reading_progress", "scroll_offset_percent").await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .replaces("e94cab18247f")
            .loses_on_revert("the scroll offsets")
            .lost_rows("reading_progress", "scroll_offset_percent <> 0")
            .verify(Check::column("reading_progress", "scroll_offset_percent", "double precision not null"))
            // So that older application code can insert without naming it.
            .verify(Check::default_of("reading_progress", "scroll_offset_percent", "0.0"))
            .verify(Check::constraint("reading_progress", "check_scroll_offset_range"))
    }
}
