//! Expand: the table `user_preferences`, at most one row a user, still empty.
//!
//! Strongest lock: SHARE ROW EXCLUSIVE on `users` until the commit, because the new table refers to it; nothing is
//! scanned, so writers wait for a moment. The unique constraint stands on a table without rows and can meet no
//! duplicate. Rows come with the next migration: creating and filling in one step would hold that lock meanwhile.
//!
//! `down` drops the table and loses what new application code wrote there.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates the table of preferences.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE TABLE user_preferences (\
                 id uuid DEFAULT gen_random_uuid(), \
                 user_id uuid NOT NULL, \
                 theme varchar(20) NOT NULL DEFAULT 'light', \
                 language varchar(10) NOT NULL DEFAULT 'ru', \
                 notifications_enabled boolean NOT NULL DEFAULT true, \
                 created_at timestamptz DEFAULT now(), \
                 updated_at timestamptz DEFAULT now(), \
                 CONSTRAINT user_preferences_pkey PRIMARY KEY (id), \
                 CONSTRAINT uq_user_preferences_user_id UNIQUE (user_id), \
                 CONSTRAINT user_preferences_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) \
                 ON DELETE CASCADE)",
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE user_preferences").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .replaces("def456ghi789")
            .accepts(
                "foreign-key-with-new-table",
                "it is the only statement, so writers of `users` wait for a moment",
            )
            .loses_on_revert("preferences that new application code wrote")
            .lost_rows("user_preferences", "TRUE")
            .verify(Check::table(
                "user_preferences",
                &[
                    "id uuid not null",
                    "user_id uuid not null",
                    "theme character varying(20) not null default light",
                    "language character varying(10) not null default ru",
                    "notifications_enabled boolean not null default true",
                    "created_at timestamp with time zone default now()",
                    "updated_at timestamp with time zone default now()",
                ],
            ))
            .verify(Check::constraint("user_preferences", "user_preferences_pkey"))
            .verify(Check::constraint("user_preferences", "uq_user_preferences_user_id"))
            .verify(Check::constraint("user_preferences", "user_preferences_user_id_fkey"))
    }
}
