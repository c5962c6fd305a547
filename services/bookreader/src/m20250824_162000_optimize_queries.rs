//! Expand: five indexes for frequent queries, and an earlier autovacuum of two busy tables.
//!
//! Strongest lock: SHARE UPDATE EXCLUSIVE, which neither readers nor writers notice: all five indexes are built
//! concurrently, also the two that the old script built blocking, because the tables exist and are large. Storage
//! settings take the same lock for a moment.
//!
//! `down` drops the indexes, resets the settings and loses nothing.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds composite, partial and full-text indexes, and storage settings.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// The configuration is a constant, so that the expression is immutable: the one-argument form reads a setting.
const FULL_TEXT: &str = "to_tsvector('russian'::regconfig, title || ' ' || COALESCE(author, ''))";

const INDEXES: [&str; 5] = [
    "idx_books_user_created",
    "idx_descriptions_chapter_priority",
    "idx_books_unparsed",
    "idx_images_completed",
    "idx_books_fulltext",
];

/// Table and the share of dead rows at which autovacuum starts, instead of PostgreSQL's 0.2.
const SCALE_FACTORS: [(&str, &str); 2] = [("generated_images", "0.1"), ("reading_progress", "0.05")];
const SCALE_FACTOR: &str = "autovacuum_vacuum_scale_factor";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .create_index("idx_books_user_created")
            .on("books")
            .columns(["user_id", "created_at"])
            .run()
            .await?;
        online
            .create_index("idx_descriptions_chapter_priority")
            .on("descriptions")
            .columns(["chapter_id", "priority_score"])
            .run()
            .await?;
        online
            .create_index("idx_books_unparsed")
            .on("books")
            .columns(["user_id", "created_at"])
            .filter("is_parsed = false")
            .run()
            .await?;
        online
            .create_index("idx_images_completed")
            .on("generated_images")
            .columns(["description_id", "created_at"])
            .filter("status = 'completed'")
            .run()
            .await?;
        online.create_index("idx_books_fulltext").on("books").using("gin").columns([FULL_TEXT]).run().await?;
        for (table, share) in SCALE_FACTORS {
            online.set_storage(table, [(SCALE_FACTOR, share)]).await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        for (table, _) in SCALE_FACTORS.into_iter().rev() {
            online.reset_storage(table, [SCALE_FACTOR]).await?;
        }
        for index in INDEXES.into_iter().rev() {
            online.drop_index(index).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let mut details = Details::expand().replaces("ghi789jkl012");
        for index in INDEXES {
            details = details.verify(Check::index(index));
        }
        for (table, share) in SCALE_FACTORS {
            details = details.verify(Check::holds(
                format!("`{SCALE_FACTOR}` of `{table}` is {share}"),
                format!(
                    "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('{table}') \
                     AND '{SCALE_FACTOR}={share}' = ANY (reloptions))"
                ),
            ));
        }
        details
    }
}
