//! A team's own migrator, which knows nothing of services: names and contents as they are found in public repositories.

use sea_orm_migration::prelude::*;

/// Plain sea-orm's.
pub struct Migrator;

/// A name, what `up` sends and what `down` sends.
struct Migration(&'static str, &'static str, &'static str);

const MIGRATIONS: [Migration; 4] = [
    Migration(
        "m0000010_init",
        "CREATE TYPE status AS ENUM ('open', 'done');
         CREATE TABLE ticket (id serial PRIMARY KEY, title text NOT NULL, status status NOT NULL DEFAULT 'open');",
        "DROP TABLE ticket; DROP TYPE status",
    ),
    Migration(
        "m20220101_000001_create_table",
        "CREATE EXTENSION IF NOT EXISTS pg_trgm;
         CREATE INDEX ticket_title ON ticket USING gin (title gin_trgm_ops);
         CREATE FUNCTION open_tickets() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM ticket $$;",
        "DROP FUNCTION open_tickets; DROP INDEX ticket_title",
    ),
    Migration(
        "Add an overview",
        "CREATE MATERIALIZED VIEW overview AS SELECT status, count(*) FROM ticket GROUP BY status",
        "DROP MATERIALIZED VIEW overview",
    ),
    Migration(
        "m20260121_00001_seed",
        "INSERT INTO ticket (title) VALUES ('first'), ('second'); REFRESH MATERIALIZED VIEW overview",
        "DELETE FROM ticket",
    ),
];

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.1).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.2).await.map(drop)
    }
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        MIGRATIONS.into_iter().map(|migration| -> Box<dyn MigrationTrait> { Box::new(migration) }).collect()
    }

    fn migration_table_name() -> DynIden {
        "tickets_migrations".into_iden()
    }
}
