//! The service under the coordinator, in `public`, in the middle of other teams' tables: its own migrations pass, one
//! that touches anything else is rolled back with the object and its owner named.

use migration_coordinator::{Caller, Deployment, Goal, Placement, Report, RunOptions, cancellation, run};
use migration_kit::{Details, Service, ServiceMigration};
use migration_testing::Scratch;
use rag_migration::{NAME, migrations, service};
use sea_orm_migration::prelude::*;

use crate::data::REALISTIC;
use crate::other_teams;

/// A later migration of this service that forgets what is not its own.
struct Intruder(&'static str);

impl MigrationName for Intruder {
    fn name(&self) -> &str {
        "m20991231_000001_add_intrusion"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Intruder {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.0).await.map(drop)
    }
}

impl ServiceMigration for Intruder {
    fn details(&self) -> Details {
        Details::expand()
    }
}

fn with_intruder(sql: &'static str) -> Service {
    let mut migrations = migrations();
    migrations.push(Box::new(Intruder(sql)));
    let service = Service::new(NAME, migrations).unwrap().with_tables(["user_knowledge"]);
    rag_migration::service().externals().iter().fold(service, |service, external| {
        service.with_external(&external.schema, &external.table, &external.owner)
    })
}

/// Applies all migrations of a service in `public` of the scratch database, as the command line does.
async fn up(scratch: &Scratch, service: Service) -> Report {
    let placement = Placement { service, schema: "public".to_owned(), url: scratch.url().parse().unwrap() };
    let deployment = Deployment::new(vec![placement]).unwrap();
    let goal =
        Goal::Apply { selections: Vec::new(), contract: Default::default(), unknown: Default::default() };
    // Kept, as a run whose other half is dropped cannot be stopped.
    let (_stop, cancellation) = cancellation();
    let options = RunOptions::new(Caller::new("test")).with_jobs(1).with_cancellation(cancellation);
    run(&deployment, &goal, &options).await.unwrap()
}

async fn inherited() -> Scratch {
    let scratch = Scratch::new(service().with_default_schema("public")).await;
    other_teams::create(&scratch).await;
    other_teams::create_old_table(&scratch).await;
    scratch.execute(REALISTIC).await;
    scratch
}

#[tokio::test]
async fn its_own_migrations_adopt_the_table_and_touch_nothing_else() {
    let scratch = inherited().await;
    let rows = scratch.table_digest("user_knowledge").await;
    let footprint = other_teams::footprint(&scratch).await;
    let report = up(&scratch, service()).await;
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(report.done.len(), 2);
    assert_eq!(scratch.table_digest("user_knowledge").await, rows);
    assert_eq!(other_teams::footprint(&scratch).await, footprint);
}

#[tokio::test]
async fn a_migration_that_touches_what_is_not_its_own_is_rolled_back() {
    let intrusions = [
        // What the old project's chain really did.
        (
            "INSERT INTO users (username) SELECT user_id FROM user_knowledge",
            "table `public.users` of the forum was written to",
        ),
        (
            "ALTER TABLE message_embeddings ADD COLUMN x INT",
            "table `public.message_embeddings` of the AI manager was altered",
        ),
        (
            "CREATE INDEX ix ON embeddings (created_at)",
            "table `public.embeddings` of the AI manager was altered",
        ),
        ("DELETE FROM messages", "table `public.messages` of the forum was written to"),
        (
            "CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RETURN NULL; END'",
            "function `public.update_updated_at_column` of role `postgres` was created or replaced",
        ),
        ("DROP TABLE alembic_version", "table `public.alembic_version` of role `postgres` was dropped"),
    ];
    let scratch = inherited().await;
    let report = up(&scratch, service()).await;
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let footprint = other_teams::footprint(&scratch).await;
    for (sql, violation) in intrusions {
        let report = up(&scratch, with_intruder(sql)).await;
        let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures.len(), 1, "{sql}: {failures:?}");
        assert!(failures[0].contains("touched what is not its own and was rolled back"), "{}", failures[0]);
        assert!(failures[0].contains(violation), "{}", failures[0]);
        assert_eq!(other_teams::footprint(&scratch).await, footprint, "{sql}");
    }
}
