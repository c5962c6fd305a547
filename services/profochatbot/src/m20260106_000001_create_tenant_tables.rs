//! Expand, phase 1. Creates the tables that only many tenants need: `account_member`, `bot`, `course_deployment` and
//! `enrollment_token`.
//!
//! Locks nothing that exists: the foreign keys come later, each on its own. `bot_token` is NULL until it is set, because
//! two empty tokens would already break its uniqueness. Times are `TIMESTAMP` like those of the older tables: the
//! application compares them. `down` drops the tables: members, the bots' tokens and the enrollment tokens are lost.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates `account_member`, `bot`, `course_deployment` and `enrollment_token`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const STATEMENTS: [&str; 4] = [
    "CREATE TABLE account_member (
        account_member_id SERIAL CONSTRAINT account_member_pkey PRIMARY KEY,
        account_id INTEGER NOT NULL,
        telegram_user_id BIGINT NOT NULL,
        telegram_username TEXT,
        role TEXT NOT NULL DEFAULT 'member',
        created_at TIMESTAMP NOT NULL DEFAULT now(),
        last_login_at TIMESTAMP,
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        CONSTRAINT account_member_account_id_telegram_user_id_key UNIQUE (account_id, telegram_user_id)
    )",
    "CREATE TABLE bot (
        bot_id SERIAL CONSTRAINT bot_pkey PRIMARY KEY,
        account_id INTEGER NOT NULL,
        bot_name TEXT NOT NULL,
        bot_token TEXT,
        display_name TEXT,
        description TEXT,
        created_at TIMESTAMP NOT NULL DEFAULT now(),
        updated_at TIMESTAMP NOT NULL DEFAULT now(),
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        settings JSONB,
        CONSTRAINT bot_account_id_bot_name_key UNIQUE (account_id, bot_name),
        CONSTRAINT bot_bot_token_key UNIQUE (bot_token)
    )",
    "CREATE TABLE course_deployment (
        deployment_id SERIAL CONSTRAINT course_deployment_pkey PRIMARY KEY,
        course_id TEXT NOT NULL,
        account_id INTEGER NOT NULL,
        bot_id INTEGER NOT NULL,
        environment TEXT NOT NULL DEFAULT 'prod',
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        created_at TIMESTAMP NOT NULL DEFAULT now(),
        updated_at TIMESTAMP NOT NULL DEFAULT now(),
        settings JSONB,
        CONSTRAINT course_deployment_bot_id_course_id_account_id_environment_key
            UNIQUE (bot_id, course_id, account_id, environment)
    )",
    "CREATE TABLE enrollment_token (
        token_id SERIAL CONSTRAINT enrollment_token_pkey PRIMARY KEY,
        deployment_id INTEGER NOT NULL,
        token TEXT NOT NULL CONSTRAINT enrollment_token_token_key UNIQUE,
        token_type TEXT NOT NULL DEFAULT 'public',
        max_uses INTEGER,
        current_uses INTEGER NOT NULL DEFAULT 0,
        expires_at TIMESTAMP,
        created_at TIMESTAMP NOT NULL DEFAULT now(),
        created_by BIGINT,
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        metadata JSONB
    )",
];

const TABLES: [&str; 4] = ["enrollment_token", "course_deployment", "bot", "account_member"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts("int-key", "as in the older tables")
            .accepts("serial", "as in the older tables")
            .accepts(
                "citus-int-serial",
                "as in the older tables: on Citus, the application writes through the coordinator",
            )
            .accepts(
                "timestamp-without-zone",
                "as in the older tables, with which the application compares them",
            )
            .loses_on_revert(
                "the accounts' members, the bots' tokens, the deployments and the enrollment tokens",
            )
            .lost_rows("account_member", "TRUE")
            .lost_rows("bot", "bot_token IS NOT NULL")
            .lost_rows("course_deployment", "TRUE")
            .lost_rows("enrollment_token", "TRUE")
            .verify(Check::constraint("account_member", "account_member_account_id_telegram_user_id_key"))
            .verify(Check::constraint("bot", "bot_account_id_bot_name_key"))
            .verify(Check::constraint("bot", "bot_bot_token_key"))
            .verify(Check::column("bot", "bot_token", "text"))
            .verify(Check::constraint(
                "course_deployment",
                "course_deployment_bot_id_course_id_account_id_environment_key",
            ))
            .verify(Check::constraint("enrollment_token", "enrollment_token_token_key"))
    }
}
