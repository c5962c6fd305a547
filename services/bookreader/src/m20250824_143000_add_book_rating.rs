//! Expand: `books.rating`, and two indexes on it.
//!
//! Strongest lock: ACCESS EXCLUSIVE on `books` for the moment in which the column is added, without a rewrite. The
//! indexes are built concurrently, one statement each and outside a transaction: in the old script both stood in one.
//!
//! `down` loses the ratings.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds the rating of a book, and its indexes.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_column("books", "rating", "double precision").run().await?;
        online.create_index("idx_books_rating", "books", ["rating"]).run().await?;
        online.create_index("idx_books_high_rating", "books", ["rating"]).filter("rating >= 4.0").run().await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index("idx_books_high_rating").await?;
        online.drop_index("idx_books_rating").await?;
        online.drop_column("books", "rating").await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .replaces("abc123def456")
            .loses_on_revert("the ratings of books")
            .lost_rows("books", "rating IS NOT NULL")
            .verify(Check::column("books", "rating", "double precision"))
            .verify(Check::index("idx_books_rating"))
            .verify(Check::index("idx_books_high_rating"))
    }
}
