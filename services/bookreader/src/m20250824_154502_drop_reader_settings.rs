//! Contract: drops `users.reader_settings`, which `user_preferences` has replaced.
//!
//! It sweeps once more, checks that no user is left without preferences, and drops trigger, column and functions.
//! Strongest lock: ACCESS EXCLUSIVE on `users` for the instant in which trigger and column go together. A view or
//! another object that reads the column refuses the migration before it changes anything.
//!
//! **Lost for good**: keys without a column, that is all but `theme`, `language`, `notifications` and
//! `notifications_enabled`; the spelling of the JSON; whether a setting was absent or the default. Settings with a
//! reject are kept whole in the table of rejects, and so are those that say something else than the preferences, which stay:
//! new code may have changed these, or the settings have escaped the trigger.
//!
//! `down` brings the column back with `theme`, `language` and `notifications` from `user_preferences`; settings with a
//! reject come back to the byte if the preferences have not changed since. Functions and trigger are there again. The
//! column then stands last in the table.

use std::time::Duration;

use migration_kit::{
    Check, Details, LockMode, Online, OnlineMigration, ServiceMigration, literal, online_migration,
};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::reader_settings::{self, TRIGGER};

/// Drops the old settings.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Finds the column as long as it is there. Asked of the catalog: what sea-orm asks shows a role only what it may use.
const COLUMN: &str = "SELECT attname::text FROM pg_attribute \
     WHERE attrelid = to_regclass('users') AND attname = 'reader_settings' AND NOT attisdropped";

const SOAK: Duration = Duration::from_secs(24 * 60 * 60);

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        if online.query_text(COLUMN).await?.is_some() {
            reader_settings::last_sweep(online).await?;
            if let Some(user) = online.query_text(reader_settings::WITHOUT_PREFERENCES).await? {
                return Err(DbErr::Migration(format!("user `{user}` has no preferences after the sweep")));
            }
            // In one transaction: no row can be written between.
            online.brief(drop_column()).locking("users", LockMode::AccessExclusive).run().await?;
        }
        reader_settings::stop_keeping_in_step(online).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.add_column("users", "reader_settings", "json").run().await?;
        reader_settings::keep_in_step(online).await?;
        reader_settings::rebuild(online).await?;
        online.forget_rejects().await?;
        // Those whom no trigger has met while the column was gone.
        if online.query_text(reader_settings::WITHOUT_PREFERENCES).await?.is_some() {
            reader_settings::fill(online).run().await?;
        }
        Ok(())
    }
}

/// One statement, because trigger and column go together or not at all.
fn drop_column() -> String {
    let body = format!(
        "BEGIN DROP TRIGGER IF EXISTS {TRIGGER} ON users; ALTER TABLE users DROP COLUMN reader_settings; END"
    );
    format!("DO LANGUAGE plpgsql {}", literal(&body))
}

/// True if the trigger fires for every application, or the column is gone already.
fn is_kept_in_step() -> String {
    format!("SELECT NOT EXISTS ({COLUMN}) OR ({})", Check::trigger("users", TRIGGER).sql)
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(SOAK).one_node_to_revert("an `UPDATE` calls `STABLE` functions for each row")
            .loses(
                "keys of `users.reader_settings` other than `theme`, `language`, `notifications` and \
                 `notifications_enabled`, and how the JSON was spelled",
            )
            .loses_on_revert(
                "of users whose preferences changed since: the settings that were kept whole because not all of them \
                 could be carried over, or because the preferences said something else",
            )
            .lost_rows("users", reader_settings::LISTED)
            .guard(Check::none(
                "nothing but our trigger reads `users.reader_settings`",
                format!(
                    "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend \
                     JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid \
                     WHERE refclassid = 'pg_class'::regclass AND refobjid = to_regclass('users') \
                     AND attname = 'reader_settings' \
                     AND NOT EXISTS (SELECT FROM pg_trigger WHERE classid = 'pg_trigger'::regclass \
                     AND pg_trigger.oid = objid AND tgname = '{TRIGGER}')"
                ),
            ))
            .guard(Check::holds(
                "the trigger that keeps preferences in step is there and enabled",
                is_kept_in_step(),
            ))
            .guard(reader_settings::lost_keys("settings that are lost, and how many users have them"))
            .preview("settings that it loses, and how many users have them", reader_settings::LOST_KEYS)
            .preview(
                "users whose settings say something else than their preferences, which stay (the settings become rejects)",
                reader_settings::preview_differing(COLUMN),
            )
            .verify(Check::no_column("users", "reader_settings"))
            .verify(Check::holds(
                "trigger and functions are gone",
                // With their arguments: in a shared schema another application may have some of these names.
                format!(
                    "SELECT bool_and(to_regprocedure(quote_ident(current_schema()) || '.' || function) IS NULL) \
                     FROM unnest(ARRAY['{TRIGGER}()', '{}', '{}']) AS function",
                    reader_settings::FUNCTIONS[0].dropped_as(),
                    reader_settings::FUNCTIONS[1].dropped_as(),
                ),
            ))
    }
}
