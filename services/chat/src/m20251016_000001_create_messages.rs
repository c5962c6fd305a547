//! Creates `messages`, the dialogue history, with soft delete.
//!
//! Expand. In one transaction, on a table that nobody else sees before it commits: no lock that an application meets.
//! `down` drops the table under `ACCESS EXCLUSIVE`, held for milliseconds, and loses every message.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

const CREATE_TABLE: &str = "\
CREATE TABLE messages (
    id SERIAL CONSTRAINT messages_pkey PRIMARY KEY,
    user_id BIGINT NOT NULL,
    chat_id BIGINT NOT NULL,
    role VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    message_length INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP
)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(CREATE_TABLE).await?;
        db.execute_unprepared(
            "CREATE INDEX idx_user_chat_deleted ON messages (user_id, chat_id, deleted_at)",
        )
        .await?;
        db.execute_unprepared(
            "CREATE INDEX idx_deleted_at ON messages (deleted_at) WHERE deleted_at IS NULL",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE messages").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts("int-key", "as in the tables that the application had before it had migrations")
            .accepts("serial", "as in the tables that the application had before it had migrations")
            .accepts(
                "citus-int-serial",
                "as in those tables: on Citus, the application writes through the coordinator",
            )
            .accepts(
                "timestamp-without-zone",
                "as in the tables that the application had before it had migrations",
            )
            .replaces("e65a515f830d")
            .loses_on_revert("every message")
            .verify(Check::table(
                "messages",
                &[
                    "id integer not null default serial",
                    "user_id bigint not null",
                    "chat_id bigint not null",
                    "role character varying(20) not null",
                    "content text not null",
                    "message_length integer not null",
                    // The server's clock dates a message.
                    "created_at timestamp without time zone not null default now()",
                    "deleted_at timestamp without time zone",
                ],
            ))
            .verify(Check::constraint("messages", "messages_pkey"))
            .verify(Check::index("idx_user_chat_deleted"))
            .verify(Check::index("idx_deleted_at"))
    }
}
