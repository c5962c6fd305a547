//! Expand, phase 0. Creates `account` with the one tenant that there was so far.
//!
//! Locks nothing that exists. `down` drops the table: what accounts were called and which plan they pay for is lost.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

use crate::TENANT_TABLES;
use crate::lists::fit_indexes;

/// Creates `account` and the default account, number 1.
#[derive(DeriveMigrationName)]
pub struct Migration;

const STATEMENTS: [&str; 3] = [
    "CREATE TABLE account (
        account_id SERIAL CONSTRAINT account_pkey PRIMARY KEY,
        name TEXT NOT NULL,
        slug TEXT NOT NULL CONSTRAINT account_slug_key UNIQUE,
        plan TEXT NOT NULL DEFAULT 'free',
        created_at TIMESTAMP NOT NULL DEFAULT now(),
        updated_at TIMESTAMP NOT NULL DEFAULT now(),
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        settings JSONB
    )",
    "INSERT INTO account (account_id, name, slug) VALUES (1, 'Default Account', 'default')",
    "SELECT setval(pg_get_serial_sequence('account', 'account_id'), 1)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE account").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        // The first that an earlier system's database meets: what a later one could not do with its rows is said here.
        fit_indexes(&TENANT_TABLES)
            .fold(Details::expand(), Details::guard)
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
            .loses_on_revert("the accounts: their names, plans and settings")
            // All but what the migration itself has made.
            .lost_rows(
                "account",
                "settings IS NOT NULL OR (account_id, name, slug, plan, is_active) \
                 <> (1, 'Default Account', 'default', 'free', TRUE)",
            )
            .verify(Check::table(
                "account",
                &[
                    "account_id integer not null",
                    "name text not null",
                    "slug text not null",
                    "plan text not null",
                    "created_at timestamp without time zone not null",
                    "updated_at timestamp without time zone not null",
                    "is_active boolean not null",
                    "settings jsonb",
                ],
            ))
            .verify(Check::constraint("account", "account_slug_key"))
            .verify(Check::holds(
                "account 1 is the default account",
                "SELECT EXISTS (SELECT FROM account WHERE account_id = 1 AND slug = 'default')",
            ))
    }
}
