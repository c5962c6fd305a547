//! Up, down to the base and up again: nothing is lost, and running again changes nothing.

use migration_testing::Scratch;
use profochatbot_migration::Migrator;
use sea_orm_migration::MigratorTrait;

use crate::support::{BASE, TABLES, base, digests, dirty, named_digests, realistic};

async fn gives_every_row_back(scratch: Scratch) {
    let rows = digests(&scratch).await;
    let empty = scratch.dump_schema().await;

    scratch.up_contract().await;
    scratch.verify().await;
    let head = scratch.dump_schema().await;

    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
    assert_eq!(scratch.dump_schema().await, empty);
    assert_eq!(scratch.rows("SELECT table_name, row_key FROM migration_reject_profochatbot").await, [""; 0]);

    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.dump_schema().await, head);
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
}

#[tokio::test]
async fn an_empty_database_goes_there_and_back() {
    gives_every_row_back(base().await).await;
}

#[tokio::test]
async fn realistic_rows_come_back_byte_for_byte() {
    gives_every_row_back(realistic().await).await;
}

#[tokio::test]
async fn dirty_rows_come_back_byte_for_byte() {
    gives_every_row_back(dirty().await).await;
}

/// Those that new code has written without one get it.
#[tokio::test]
async fn elements_that_never_had_a_bots_name_keep_none() {
    let scratch = base().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('c', 'bot');
             INSERT INTO course_element (course_id, element_id) VALUES ('c', 'old')",
        )
        .await;
    let names = "SELECT element_id, bot_name FROM course_element ORDER BY 1";
    for _ in 0..2 {
        scratch.up_contract().await;
        scratch
            .execute("INSERT INTO course_element (course_id, element_id, account_id) VALUES ('c', 'new', 1)")
            .await;
        scratch.down_to(BASE).await;
        assert_eq!(scratch.rows(names).await, ["new|bot", "old|∅"]);
        assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_profochatbot").await, ["0"]);
        scratch.execute("DELETE FROM course_element WHERE element_id = 'new'").await;
    }
}

#[tokio::test]
async fn everything_can_be_dropped() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    scratch.down_to("base").await;
    assert_eq!(
        scratch.rows("SELECT relname FROM pg_class WHERE relnamespace = 'profochatbot'::regnamespace AND relkind = 'r' AND relname !~ 'migration'").await,
        [""; 0]
    );
}

/// Each migration alone goes down and up again, over dirty rows, with the schema of before and the checks of all.
#[tokio::test]
async fn every_step_can_be_reverted_alone() {
    let scratch = dirty().await;
    let service = profochatbot_migration::service();
    let names: Vec<String> = service.migrations().map(|listed| listed.name().to_string()).collect();
    for pair in names.windows(2) {
        let (before, step) = (&pair[0], &pair[1]);
        let rows = digests(&scratch).await;
        let schema = scratch.dump_schema().await;
        scratch.up_to(step).await;
        let after = scratch.dump_schema().await;
        scratch.down_to(before).await;
        assert_eq!(scratch.dump_schema().await, schema, "{step} leaves something");
        // The backfills fill columns that go with the migration which added them.
        if !step.contains("backfill") {
            assert_eq!(digests(&scratch).await, rows, "{step} changes rows");
        }
        scratch.up_to(step).await;
        assert_eq!(scratch.dump_schema().await, after);
    }
    scratch.verify().await;
}

/// A run that was killed after its last step and before it was recorded runs again from its start, over rows that are
/// all in the new shape.
#[tokio::test]
async fn running_a_step_again_changes_nothing() {
    let scratch = dirty().await;
    let service = profochatbot_migration::service();
    for migration in service.migrations() {
        let name = migration.name();
        scratch.up_to(name.as_str()).await;
        if !migration.is_transactional() {
            let before = state(&scratch).await;
            scratch
                .execute(&format!(
                    "DELETE FROM seaql_migrations_profochatbot WHERE version = '{name}'; \
                     UPDATE migration_journal_profochatbot SET outcome = 'running' WHERE migration = '{name}'"
                ))
                .await;
            scratch.up_to(name.as_str()).await;
            assert_eq!(state(&scratch).await, before, "{name}");
        }
    }
    scratch.verify().await;
}

async fn state(scratch: &Scratch) -> Vec<(&'static str, String)> {
    let mut state = digests(scratch).await;
    for table in ["account", "bot", "course_deployment", "enrollment_token"] {
        if scratch.has_table(table).await {
            state.push((table, scratch.table_digest(table).await));
        }
    }
    let rejects = "SELECT migration, table_name, row_key, field, value, reason, moved, row_data \
                   FROM migration_reject_profochatbot ORDER BY migration, table_name, row_key, field";
    if scratch.has_table("migration_reject_profochatbot").await {
        state.push(("rejects", scratch.rows(rejects).await.join("\n")));
    }
    state.push(("schema", scratch.dump_schema().await));
    state
}

/// Plain sea-orm tools reach the same head; they know nothing of phases.
#[tokio::test]
async fn plain_sea_orm_reaches_head() {
    let coordinated = dirty().await;
    coordinated.up_contract().await;
    let plain = dirty().await;
    Migrator::up(plain.db(), None).await.unwrap();
    plain.verify().await;
    assert_eq!(plain.dump_schema().await, coordinated.dump_schema().await);
    assert_eq!(named_digests(&plain).await, named_digests(&coordinated).await);
    let n_steps = profochatbot_migration::service().migrations().count() - 1;
    Migrator::down(plain.db(), Some(n_steps.try_into().unwrap())).await.unwrap();
    assert_eq!(digests(&plain).await, digests(&dirty().await).await);
}

/// Tables that are already there stop the first migration unharmed; recorded with plain SQL, they go to head and back.
#[tokio::test]
async fn a_database_in_use_is_recorded_by_hand() {
    let scratch = dirty().await;
    let rows = digests(&scratch).await;
    scratch.execute("DROP TABLE seaql_migrations_profochatbot, migration_journal_profochatbot").await;
    scratch.try_up().await.unwrap_err();
    assert_eq!(digests(&scratch).await, rows);
    scratch.execute("DROP TABLE IF EXISTS seaql_migrations_profochatbot").await;
    scratch
        .execute(
            "CREATE TABLE seaql_migrations_profochatbot (version varchar PRIMARY KEY, applied_at bigint NOT NULL);
             INSERT INTO seaql_migrations_profochatbot
             VALUES ('m20240101_000001_create_profochatbot', extract(epoch FROM now())::bigint)",
        )
        .await;
    scratch.verify().await;
    scratch.up_contract().await;
    scratch.verify().await;
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
}

#[tokio::test]
async fn expand_steps_leave_every_row_where_it_is() {
    let scratch = dirty().await;
    let n_rows = counts(&scratch).await;
    scratch.up().await;
    assert_eq!(counts(&scratch).await, n_rows);
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_profochatbot WHERE moved").await, ["0"]);
    scratch.up().await;
}

async fn counts(scratch: &Scratch) -> Vec<String> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.extend(scratch.rows(&format!("SELECT '{table}', count(*) FROM {table}")).await);
    }
    counts
}
