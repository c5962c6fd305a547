//! Creates `user_knowledge` and the trigger that dates its updates, or adopts the table if it is there.
//!
//! Expand. In one transaction. A new table is seen by nobody before it commits: no lock that an application meets. A
//! table that is there already is compared with the wanted one: equal, it is adopted; else the migration stops, lists
//! every difference and changes nothing. Adopting takes `SHARE ROW EXCLUSIVE` on the table for milliseconds.
//!
//! The trigger's function is named after its table and lives in the service's schema. An adopted table had the generic
//! `update_updated_at_column()`, which other teams' tables may use: the trigger leaves it for ours, and it stays.
//!
//! `down` drops table and function under `ACCESS EXCLUSIVE`, held for milliseconds, and loses every row, those of an
//! adopted table too. Where somebody else's view or foreign key depends on the table it fails and changes nothing.

use migration_kit::table_lock::{LockMode, TableLock, lock_statement};
use migration_kit::{Check, Details, Existing, ServiceMigration};
use migration_kit::{current_schema, existing_table, literal, quote_identifier};
use sea_orm::Statement;
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match existing_table(manager, "user_knowledge", definition).await? {
            Existing::Nothing => {
                let schema = quote_identifier(&current_schema(manager).await?);
                for statement in definition(&schema) {
                    manager.get_connection().execute_unprepared(&statement).await?;
                }
                Ok(())
            }
            Existing::Same => take_over_trigger(manager).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("DROP TABLE user_knowledge").await?;
        // A table that was adopted as it stood, without running `up`, has no function of ours.
        db.execute_unprepared("DROP FUNCTION IF EXISTS user_knowledge_set_updated_at()").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts(
                "timestamp-without-zone",
                "as in the tables that the application had before it had migrations",
            )
            .replaces("294d3841e2d5")
            .adopts("user_knowledge")
            .loses_on_revert("everything known of every user")
            .verify(Check::table(
                "user_knowledge",
                &[
                    "id uuid not null default gen_random_uuid()",
                    "user_id character varying(50) not null",
                    "name character varying(100) not null",
                    "personality text",
                    "background text",
                    "expertise jsonb",
                    "communication_style text",
                    "preferences jsonb",
                    "file_path character varying(255)",
                    "created_at timestamp without time zone default now()",
                    "updated_at timestamp without time zone default now()",
                ],
            ))
            .verify(Check::constraint("user_knowledge", "user_knowledge_pkey"))
            .verify(Check::constraint("user_knowledge", "user_knowledge_user_id_key"))
            .verify(
                Check::index("ix_user_knowledge_user_id")
                    .until("m20261120_000001_drop_redundant_user_id_index"),
            )
            .verify(Check::trigger("user_knowledge", "update_user_knowledge_updated_at"))
    }
}

/// The statements that create the table with all that belongs to it in a schema, given by its quoted name.
fn definition(schema: &str) -> Vec<String> {
    vec![
        format!(
            "CREATE TABLE {schema}.user_knowledge (
                id UUID DEFAULT gen_random_uuid() CONSTRAINT user_knowledge_pkey PRIMARY KEY,
                user_id VARCHAR(50) NOT NULL CONSTRAINT user_knowledge_user_id_key UNIQUE,
                name VARCHAR(100) NOT NULL,
                personality TEXT,
                background TEXT,
                expertise JSONB,
                communication_style TEXT,
                preferences JSONB,
                file_path VARCHAR(255),
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
            )"
        ),
        format!("CREATE INDEX ix_user_knowledge_user_id ON {schema}.user_knowledge (user_id)"),
        create_function(schema),
        create_trigger("CREATE TRIGGER", schema),
    ]
}

/// Not `OR REPLACE`: whatever has this name already is not ours to overwrite. The body names nothing that a caller's
/// `search_path` could decide.
fn create_function(schema: &str) -> String {
    format!(
        "CREATE FUNCTION {schema}.user_knowledge_set_updated_at() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.updated_at := CURRENT_TIMESTAMP; RETURN NEW; END'"
    )
}

fn create_trigger(create: &str, schema: &str) -> String {
    format!(
        "{create} update_user_knowledge_updated_at BEFORE UPDATE ON {schema}.user_knowledge \
         FOR EACH ROW EXECUTE FUNCTION {schema}.user_knowledge_set_updated_at()"
    )
}

/// Points the trigger of an adopted table at our function, unless it calls it already. The trigger is replaced in one
/// statement, so that no update goes undated; the function that it called belongs to somebody else.
async fn take_over_trigger(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let schema = current_schema(manager).await?;
    let lock = TableLock::new(schema.as_str(), "user_knowledge", LockMode::ShareRowExclusive);
    let schema = quote_identifier(&schema);
    let ours = Statement::from_string(
        manager.get_database_backend(),
        format!(
            "SELECT FROM pg_trigger WHERE tgrelid = to_regclass({}) \
             AND tgname = 'update_user_knowledge_updated_at' AND tgfoid = to_regprocedure({})",
            literal(&format!("{schema}.user_knowledge")),
            literal(&format!("{schema}.user_knowledge_set_updated_at()")),
        ),
    );
    if db.query_one_raw(ours).await?.is_none() {
        // Does not wait: whoever runs the migration sees that the table is in use, and begins again.
        db.execute_unprepared(&lock_statement(&lock)).await?;
        db.execute_unprepared(&create_function(&schema)).await?;
        db.execute_unprepared(&create_trigger("CREATE OR REPLACE TRIGGER", &schema)).await?;
    }
    Ok(())
}
