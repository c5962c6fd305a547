//! Migrations that were written for other tools, taken as they are.

use migration_kit::{Details, Service};
use migration_plan::ServiceState;
use sea_orm_migration::prelude::*;

use crate::support::Bench;

/// A team's own migrator, which knows nothing of services: names and contents as they are found in the wild.
struct Migrator;

struct Foreign(&'static str, &'static str, &'static str);

impl MigrationName for Foreign {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Foreign {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.1).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.2).await.map(drop)
    }
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Foreign(
                "m0000010_init",
                "CREATE TYPE status AS ENUM ('open', 'done');
                 CREATE TABLE ticket (id serial PRIMARY KEY, title text NOT NULL, status status NOT NULL DEFAULT 'open');",
                "DROP TABLE ticket; DROP TYPE status",
            )),
            Box::new(Foreign(
                "m20220101_000001_create_table",
                "CREATE EXTENSION IF NOT EXISTS pg_trgm;
                 CREATE INDEX ticket_title ON ticket USING gin (title gin_trgm_ops);
                 CREATE FUNCTION open_tickets() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM ticket $$;
                 CREATE MATERIALIZED VIEW overview AS SELECT status, count(*) FROM ticket GROUP BY status",
                "DROP MATERIALIZED VIEW overview; DROP FUNCTION open_tickets; DROP INDEX ticket_title",
            )),
            Box::new(Foreign(
                "m20260121_00001_seed",
                "INSERT INTO ticket (title) VALUES ('first'), ('second'); REFRESH MATERIALIZED VIEW overview",
                "DELETE FROM ticket",
            )),
        ]
    }

    fn migration_table_name() -> DynIden {
        "tickets_migrations".into_iden()
    }
}

fn tickets() -> Service {
    Service::from_migrator::<Migrator>("ticket-desk.eu").unwrap()
}

fn ledger() -> Service {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migration-kit/tests/foreign/sql");
    Service::from_sql_directory("ledger", folder).unwrap()
}

#[tokio::test]
async fn a_migrator_is_a_service_in_one_line() {
    let bench = Bench::new();
    let names = ["m0000010_init", "m20220101_000001_create_table", "m20260121_00001_seed"];
    assert_eq!(bench.up_well(vec![tickets()]).await, names.map(|name| format!("ticket-desk.eu:{name}")));
    assert_eq!(bench.state(tickets()).await.0, ServiceState::Current);
    let applied = "SELECT version FROM \"ticket-desk.eu\".tickets_migrations ORDER BY 1";
    assert_eq!(bench.rows(applied).await, names);
    assert_eq!(bench.rows("SELECT * FROM \"ticket-desk.eu\".overview").await, ["open|2"]);
    assert_eq!(bench.down_well(vec![tickets()], "ticket-desk.eu@base").await.len(), 3);
    assert_eq!(bench.tables("\"ticket-desk.eu\"").await, ["tickets_migrations"]);
    assert_eq!(bench.up_well(vec![tickets()]).await.len(), 3);
}

#[tokio::test]
async fn a_folder_of_sql_files_is_a_service_in_one_line() {
    let bench = Bench::new();
    let names = ["0001_init", "0002_seed", "0010_index_entries"];
    assert_eq!(bench.up_well(vec![ledger()]).await, names.map(|name| format!("ledger:{name}")));
    assert_eq!(
        bench.rows("SELECT kind, note FROM ledger.entry ORDER BY id").await,
        ["debit|a;b", "credit; reversed|it's"]
    );
    assert_eq!(
        bench
            .rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger.entry_amount'::regclass")
            .await,
        ["t"]
    );
    assert_eq!(bench.down_well(vec![ledger()], "ledger@base").await.len(), 3);
    assert_eq!(bench.tables("ledger").await, [""; 0]);
    assert_eq!(bench.up_well(vec![ledger()]).await.len(), 3);
}

#[test]
fn details_are_added_by_name() {
    let contract = Details::contract(std::time::Duration::from_secs(3600));
    let with_details = ledger().with_details("0010_index_entries", contract).unwrap();
    let phases: Vec<bool> = with_details
        .migrations()
        .map(|listed| matches!(listed.details().phase, migration_kit::Phase::Contract { .. }))
        .collect();
    assert_eq!(phases, [false, false, true]);
    ledger().with_details("0011_none", Details::expand()).err().unwrap();
}
