//! Expand: every `id` gets a default where it has none, as in databases whose application made its ids by itself.
//!
//! Strongest lock: ACCESS EXCLUSIVE for an instant on each table whose `id` has no default; none where all have one.
//! Code that names its ids does not notice.
//!
//! A comment on the column says that the default is new, so that `down` takes back those and no others. It loses nothing.

use migration_kit::{
    Check, Details, LockMode, Online, OnlineMigration, ServiceMigration, literal, online_migration,
};
use sea_orm_migration::prelude::*;

use crate::{NAME, TABLES};

/// Adds the defaults.
#[derive(DeriveMigrationName)]
pub struct Migration;

const DEFAULT: &str = "gen_random_uuid()";

online_migration!(NAME, Migration);

/// The comment on a column whose default this migration has set.
const ADDED: &str = "default added by m20261120_000001_add_id_defaults";

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        for table in TABLES {
            if online.query_text(&id_of(table, "NOT atthasdef")).await?.is_some() {
                comment(online, table, &literal(ADDED)).await?;
                online.set_default(table, "id", DEFAULT).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        let added = format!("col_description(attrelid, attnum) = {}", literal(ADDED));
        for table in TABLES {
            if online.query_text(&id_of(table, &added)).await?.is_some() {
                online.drop_default(table, "id").await?;
                comment(online, table, "NULL").await?;
            }
        }
        Ok(())
    }
}

/// Finds a table's `id` if it is so.
fn id_of(table: &str, condition: &str) -> String {
    let table = literal(table);
    format!(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass({table}) AND attname = 'id' AND {condition}"
    )
}

async fn comment(online: &Online, table: &str, text: &str) -> Result<(), DbErr> {
    let sql = format!("COMMENT ON COLUMN {table}.id IS {text}");
    online.brief(sql).locking(table, LockMode::ShareUpdateExclusive).run().await
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let checks = TABLES.map(|table| Check::default_of(table, "id", DEFAULT));
        checks.into_iter().fold(Details::expand(), Details::verify)
    }
}
