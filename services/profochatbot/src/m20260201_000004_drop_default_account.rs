//! Contract, phase 7. Ends the time of old application code: a row that names no account fails, instead of falling to
//! account 1.
//!
//! First the default goes, so that old code cannot write any more; then what it wrote is linked once more, and only when
//! nothing is left do the triggers and their functions go. A ban that escaped the triggers and that its bot has already
//! leaves for the rejects; of runs that escaped them only the newest of a chat stays active, and the others are listed. Rows whose
//! names say something else than their links stay as they are, and are listed.
//!
//! `ACCESS EXCLUSIVE` on each table for the moment that a default or a trigger takes; batches that lock the rows they
//! change. `down` brings bans, functions, triggers and defaults back. Rows that were linked stay linked, and the entries of
//! emptied links and of runs that were made inactive stay in the rejects.

use std::time::Duration;

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, literal, online_migration};
use sea_orm_migration::prelude::*;

use crate::check::{self, Rule};
use crate::links::{self, backfill, sweep, trigger};
use crate::{NAME, SOAK_DAYS, TENANT_TABLES};

/// Drops `DEFAULT 1` of every `account_id`, and the triggers that linked what old code wrote.
#[derive(DeriveMigrationName)]
pub struct Migration;

fn no_account_is_taken_by_default() -> Check {
    let tables = TENANT_TABLES.map(|table| format!("to_regclass({})", literal(table)));
    Check::none(
        "no account is taken by default",
        format!(
            "SELECT attrelid::regclass FROM pg_attribute \
             WHERE attname = 'account_id' AND atthasdef AND attrelid IN ({})",
            tables.join(", "),
        ),
    )
}

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        // A run that was killed after the functions went begins here again: the sweep needs them.
        online.create_functions(&links::FUNCTIONS).await?;
        for table in TENANT_TABLES {
            online.drop_default(table, "account_id").await?;
        }
        sweep::sweep(online).await?;
        // They must find nothing before the triggers go.
        for check in check::kept_by_triggers().map(Rule::kept) {
            let left =
                online.query_text(&format!("SELECT row_to_json(l)::text FROM ({}) AS l", check.sql)).await?;
            if let Some(row) = left {
                return Err(DbErr::Migration(format!(
                    "after the last sweep it does not hold that {}: {row}",
                    check.says
                )));
            }
        }
        online.drop_triggers(&trigger::ALL).await?;
        online.drop_functions(links::FUNCTIONS.iter().rev()).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        // Before the triggers: they would give such a ban its bot, which has another one of this chat.
        online.restore_rejects("bannedparticipants").await?;
        online.create_functions(&links::FUNCTIONS).await?;
        online.create_triggers(&trigger::ALL).await?;
        for table in TENANT_TABLES {
            online.set_default(table, "account_id", "1").await?;
        }
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let details = Details::contract(Duration::from_secs(SOAK_DAYS * 24 * 60 * 60))
            .one_node(crate::links::ONE_NODE)
            .preview(
                "rows whose names say something else than their links, which both stay (the rows become rejects)",
                check::preview_names(),
            )
            .verify(no_account_is_taken_by_default())
            .verify(trigger::are_gone(&trigger::ALL))
            .verify(check::figures("rows that no trigger links any more", check::kept_by_triggers()));
        TENANT_TABLES.iter().fold(details, |details, table| {
            details.verify(Check::none(
                format!("every row of `{table}` has an account that exists"),
                format!(
                    "SELECT {table}.account_id FROM {table} \
                     WHERE NOT EXISTS (SELECT FROM account WHERE account.account_id = {table}.account_id)"
                ),
            ))
        })
    }
}
