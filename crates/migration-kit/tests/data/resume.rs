//! Backfills that are stopped midway: what was done stays done, and the next run goes on from there.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use migration_kit::{Backfill, BackfillReport, Online};
use sea_orm::TransactionTrait;

use crate::support::{Scratch, execute, texts};

/// Shows each visit, and fails at the row 55 until the table `repaired` exists.
const STUMBLE: &str = "UPDATE item AS source SET n = n + 1 / \
    (CASE WHEN source.id = 55 AND to_regclass('shop.repaired') IS NULL THEN 0 ELSE 1 END) WHERE {batch}";

fn tens<'a>(online: &'a Online, statement: &str) -> Backfill<'a> {
    online.backfill("item").batch_rows(10).target(Duration::ZERO).statement(statement)
}

#[tokio::test]
async fn a_failed_run_goes_on_at_its_cursor_and_keeps_its_counts() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;

    let error = tens(&online, STUMBLE).run().await.unwrap_err();
    assert!(error.to_string().contains("division by zero"));
    assert_eq!(scratch.text("SELECT sum(n) FROM item").await, "50");
    assert_eq!(
        scratch.text("SELECT cursor->'after' FROM migration_backfill_shop").await,
        r#"{"key": ["50"]}"#
    );

    scratch.execute("CREATE TABLE repaired ()").await;
    let report = tens(&online, STUMBLE).run().await.unwrap();

    assert_eq!(report, BackfillReport { rows: 95, changed: 95, rejected: 0, batches: 10 });
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn a_walk_over_blocks_goes_on_too() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (id integer, note text, n integer NOT NULL DEFAULT 0)").await;
    scratch.execute("INSERT INTO item SELECT i, repeat('x', 900) FROM generate_series(1, 95) AS i").await;
    let online = scratch.online("m1").await;
    let statement = format!("{STUMBLE} AND source.n = 0");

    tens(&online, &statement).run().await.unwrap_err();
    let n_done: u64 = scratch.text("SELECT sum(n) FROM item").await.parse().unwrap();
    assert!((1..95).contains(&n_done), "{n_done}");

    scratch.execute("CREATE TABLE repaired ()").await;
    assert_eq!(tens(&online, &statement).run().await.unwrap().changed, 95);
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn an_edited_backfill_begins_anew() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    tens(&online, STUMBLE).run().await.unwrap_err();

    let edited = tens(&online, "UPDATE item AS source SET n = 7 WHERE {batch}").run().await.unwrap();

    assert_eq!(edited.rows, 95);
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["7"]);
}

#[tokio::test]
async fn a_run_dropped_in_the_middle_of_a_batch_loses_and_repeats_nothing() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    let statement = "UPDATE item AS source SET n = n + 1 WHERE {batch}";
    let (application, watcher) = (scratch.other().await, scratch.other().await);
    let holding = application.begin().await.unwrap();
    execute(&holding, "SELECT FROM item WHERE id = 55 FOR UPDATE").await;

    let filling = tens(&online, statement).run().boxed();
    let watching = reach(&watcher, 50).boxed();
    let Either::Right(((), filling)) = select(filling, watching).await else {
        panic!("the backfill cannot get past a row that is held");
    };
    drop(filling);
    holding.rollback().await.unwrap();

    let report = tens(&online, statement).run().await.unwrap();
    assert_eq!(report.rows, 95);
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn a_row_that_is_held_is_waited_for() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    let statement = "UPDATE item AS source SET n = n + 1 WHERE {batch}";
    let (application, watcher) = (scratch.other().await, scratch.other().await);
    let holding = application.begin().await.unwrap();
    execute(&holding, "SELECT FROM item WHERE id = 55 FOR UPDATE").await;

    let filling = tens(&online, statement).run().boxed();
    let Either::Right(((), filling)) = select(filling, reach(&watcher, 50).boxed()).await else {
        panic!("the backfill cannot get past a row that is held");
    };
    holding.rollback().await.unwrap();

    assert_eq!(filling.await.unwrap().rows, 95);
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn a_row_that_changes_while_its_batch_waits_is_listed_as_it_is_filled() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    let (application, watcher) = (scratch.other().await, scratch.other().await);
    let changing = application.begin().await.unwrap();
    execute(&changing, "UPDATE item SET n = -5 WHERE id = 55").await;

    // The batch lists by what was committed before, then waits for the row.
    let listed = "SELECT jsonb_build_object('id', source.id) AS key, 'n' AS field, source.n::text AS value, \
                  'negative' AS reason, NULL::jsonb AS row FROM item AS source WHERE {batch} AND source.n < 0";
    let filled = "UPDATE item AS source SET n = source.n * 10 WHERE {batch} AND source.n > -50";
    let filling =
        online.backfill("item").batch_rows(10).target(Duration::ZERO).rejects(listed).statement(filled).run();
    let Either::Right(((), filling)) = select(filling.boxed(), somebody_waits(&watcher).boxed()).await else {
        panic!("the backfill cannot get past a row that is being changed");
    };
    changing.commit().await.unwrap();
    filling.await.unwrap();

    assert_eq!(scratch.texts("SELECT n FROM item WHERE id = 55").await, ["-50"]);
    assert_eq!(
        scratch.texts("SELECT row_key->>'id' || ': ' || value FROM migration_reject_shop").await,
        ["55: -5"]
    );
}

#[tokio::test]
async fn two_runs_at_once_notice_each_other() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    // What another run does to the cursor while this one is in the middle of a batch.
    let meddling = r#"UPDATE migration_backfill_shop SET cursor = jsonb_set(cursor, '{after}', '{"key": ["60"]}')
        WHERE EXISTS (SELECT FROM item AS source WHERE {batch} AND source.id = 55)"#;
    let count_visits = "UPDATE item AS source SET n = n + 1 WHERE {batch}";

    let error = tens(&online, count_visits).statement(meddling).run().await.unwrap_err();

    assert!(error.to_string().contains("another run of `m1`"), "{error}");
    assert_eq!(scratch.text("SELECT sum(n) FROM item").await, "50");
}

/// Waits until a session waits for a row of another.
async fn somebody_waits(watcher: &sea_orm::DatabaseConnection) {
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                   WHERE datname = current_database() AND locktype = 'transactionid' AND NOT granted";
    while texts(watcher, waiting).await != ["1"] {}
}

/// Waits until the backfill has committed so many rows.
pub(super) async fn reach(watcher: &sea_orm::DatabaseConnection, n_rows: u64) {
    let asked = "SELECT count(*) FROM pg_tables WHERE tablename = 'migration_backfill_shop'";
    while texts(watcher, asked).await != ["1"] {}
    while texts(watcher, "SELECT sum(rows) FROM migration_backfill_shop").await != [n_rows.to_string()] {}
}

async fn with_rows(n_rows: u32) -> Scratch {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0)").await;
    scratch.execute(&format!("INSERT INTO item SELECT i FROM generate_series(1, {n_rows}) AS i")).await;
    scratch
}
