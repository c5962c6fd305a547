//! Expand: five indexes for frequent queries, and an earlier autovacuum of two busy tables.
//!
//! Strongest lock: SHARE UPDATE EXCLUSIVE, which neither readers nor writers notice: all five indexes are built
//! concurrently, also the two that the old script built blocking, because the tables exist and are large. Storage
//! settings take the same lock for a moment.
//!
//! `down` drops the indexes, resets the settings and loses nothing.

use migration_kit::{Check, Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds composite, partial and full-text indexes, and storage settings.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// The configuration is a constant, so that the expression is immutable: the one-argument form reads a setting.
const FULL_TEXT: &str = "to_tsvector('russian'::regconfig, title || ' ' || COALESCE(author, ''))";

const INDEXES: [Index; 5] = [
    Index::new("idx_books_user_created", "books", &["user_id", "created_at"]),
    Index::new("idx_descriptions_chapter_priority", "descriptions", &["chapter_id", "priority_score"]),
    Index::new("idx_books_unparsed", "books", &["user_id", "created_at"]).filter("is_parsed = false"),
    Index::new("idx_images_completed", "generated_images", &["description_id", "created_at"])
        .filter("status = 'completed'"),
    Index::new("idx_books_fulltext", "books", &[FULL_TEXT]).using("gin"),
];

/// Table and the share of dead rows at which autovacuum starts, instead of PostgreSQL's 0.2.
const SCALE_FACTORS: [(&str, &str); 2] = [("generated_images", "0.1"), ("reading_progress", "0.05")];
const SCALE_FACTOR: &str = "autovacuum_vacuum_scale_factor";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_indexes(&INDEXES).await?;
        for (table, share) in SCALE_FACTORS {
            online.set_storage(table, [(SCALE_FACTOR, share)]).await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        for (table, _) in SCALE_FACTORS.into_iter().rev() {
            online.reset_storage(table, [SCALE_FACTOR]).await?;
        }
        online.drop_indexes(INDEXES.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let mut details = Details::expand().replaces("ghi789jkl012").verify_all(&INDEXES);
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
