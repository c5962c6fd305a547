//! Expand: the exact place in a book as an EPUB CFI, and an index with it.
//!
//! Strongest lock: ACCESS EXCLUSIVE on `reading_progress` for the moment in which the column is added, without a
//! rewrite. The index is built concurrently. Old rows and books of other formats keep `NULL`.
//!
//! `down` loses the exact places; chapter, page and position stay.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds the exact place in a book, and its index.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .add_column("reading_progress", "reading_location_cfi", "character varying(500)")
            .comment("EPUB CFI for exact position tracking in epub.js")
            .run()
            .await?;
        online
            .create_index(
                "idx_reading_progress_cfi",
                "reading_progress",
                ["book_id", "user_id", "reading_location_cfi"],
            )
            .run()
            .await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index("idx_reading_progress_cfi").await?;
        online.drop_column("reading_progress", "reading_location_cfi").await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .replaces("8ca7de033db9")
            .loses_on_revert("the exact reading positions; chapter, page and position stay")
            .lost_rows("reading_progress", "reading_location_cfi IS NOT NULL")
            .verify(Check::column("reading_progress", "reading_location_cfi", "character varying(500)"))
            .verify(Check::index("idx_reading_progress_cfi"))
    }
}
