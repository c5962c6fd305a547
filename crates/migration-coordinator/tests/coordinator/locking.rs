//! One run at a time, and what the others do meanwhile.

use std::time::Duration;

use migration_coordinator::{LockError, RunError, StepError, run};
use migration_kit::Service;

use crate::support::{Bench, Events, done, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const FILL: &str = "m20250101_000002_add_rows";
const INDEX: &str = "m20250101_000003_index_item";

/// Whether somebody builds an index.
const BUILDING: &str =
    "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database())";

/// Whether somebody runs the second migration.
const FILLING: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'migrate shop:%rows')";

/// Each run of the second migration leaves a row; so does each of the third, which is outside a transaction.
fn shop() -> Service {
    service(
        "shop",
        vec![
            step(CREATE).up("CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY, by text)"),
            step(FILL).wait_at_gate().up("INSERT INTO item (by) VALUES ('fill')"),
            step(INDEX)
                .stepwise()
                .up("INSERT INTO item (by) VALUES ('index')")
                .up("CREATE INDEX CONCURRENTLY item_by_idx ON item (by)"),
        ],
    )
}

#[tokio::test]
async fn of_two_runs_on_an_empty_database_one_waits() {
    let (bench, events) = (Bench::new(), Events::collect());
    bench.gate().await;
    let (one, two) = (bench.deployment(vec![shop()]), bench.deployment(vec![shop()]));
    let (goal, options) = (everything(), options());
    let opener = async {
        let waiting = events.until("lock_waiting").await;
        bench.open_gate().await;
        waiting
    };
    let (one, two, waiting) = tokio::join!(run(&one, &goal, &options), run(&two, &goal, &options), opener);
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.failures.is_empty() && two.failures.is_empty(), "{one:?} {two:?}");
    assert_eq!([done(&one), done(&two)].concat().len(), 3, "each migration is done once");
    assert_eq!(bench.rows("SELECT by FROM shop.item ORDER BY id").await, ["fill", "index"]);
    assert!(waiting.contains("service=\"shop\""), "{waiting}");
    assert!(waiting.contains("holder_pid="), "{waiting}");
    assert!(waiting.contains("holder_application=\"migrate shop"), "{waiting}");
    assert_eq!(events.of("lock_acquired").len(), 1);
}

#[tokio::test]
async fn a_run_that_waits_does_not_hold_up_a_concurrent_build() {
    let (bench, events) = (Bench::new(), Events::collect());
    bench.gate().await;
    let mut application = bench.session().await;
    let building = service(
        "shop",
        vec![
            step(CREATE).up("CREATE TABLE item (by text)"),
            step(INDEX).stepwise().up("CREATE INDEX CONCURRENTLY item_by_idx ON item (by)"),
        ],
    );
    let again = service("shop", vec![step(CREATE), step(INDEX).stepwise()]);
    // A build waits for every snapshot that is older, and so for this one.
    application.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    application.execute("SELECT count(*) FROM public.gate").await;
    let (one, two) = (bench.deployment(vec![building]), bench.deployment(vec![again]));
    let (goal, options) = (everything(), options());
    let release = async {
        bench.until(BUILDING).await;
        events.until("lock_waiting").await;
        let waiting = events.until("statement_waiting").await;
        application.execute("COMMIT").await;
        waiting
    };
    let first = run(&one, &goal, &options);
    let second = async {
        bench.until(BUILDING).await;
        run(&two, &goal, &options).await
    };
    let (one, two, waiting) = tokio::join!(first, second, release);
    assert!(waiting.contains("blocker_pid="), "the build says whom it waits for: {waiting}");
    assert_eq!(done(&one.unwrap()).len(), 2);
    assert_eq!(done(&two.unwrap()), Vec::<String>::new());
    assert_eq!(
        bench.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop.item_by_idx'::regclass").await,
        ["t"]
    );
}

#[tokio::test]
async fn patience_ends_with_the_holder_named() {
    let (bench, events) = (Bench::new(), Events::collect());
    bench.gate().await;
    let (one, two) = (bench.deployment(vec![shop()]), bench.deployment(vec![shop()]));
    let goal = everything();
    let holding = options();
    let impatient = options().with_wait(Duration::ZERO);
    let second = async {
        bench.until(FILLING).await;
        let report = run(&two, &goal, &impatient).await;
        bench.open_gate().await;
        report
    };
    let (one, two) = tokio::join!(run(&one, &goal, &holding), second);
    assert!(one.unwrap().failures.is_empty());
    let failures = two.unwrap().failures;
    let [RunError::Lock(error @ LockError::Busy { holder: Some(holder), .. })] = &failures[..] else {
        panic!("{failures:?}")
    };
    assert_eq!(holder.application, format!("migrate shop:{FILL}"));
    assert!(error.to_string().contains(&holder.pid.to_string()), "{error}");
    assert!(events.of("lock_waiting").is_empty());
}

#[tokio::test]
async fn when_the_holders_session_is_killed_the_next_run_goes_on() {
    let (bench, events) = (Bench::new(), Events::collect());
    bench.gate().await;
    let (one, two) = (bench.deployment(vec![shop()]), bench.deployment(vec![shop()]));
    let (goal, options) = (everything(), options());
    let killer = async {
        events.until("lock_waiting").await;
        let killed = bench
            .rows(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .await;
        bench.open_gate().await;
        killed
    };
    let waiter = async {
        bench.until(FILLING).await;
        run(&two, &goal, &options).await.unwrap()
    };
    let (killed, survivor, terminated) = tokio::join!(run(&one, &goal, &options), waiter, killer);
    assert_eq!(terminated, ["t"]);
    let killed = killed.unwrap();
    assert_eq!(done(&killed), [format!("shop:{CREATE}")]);
    assert!(
        matches!(&killed.failures[..], [RunError::Step(StepError::RolledBack { .. })]),
        "a lost session is an error, and is not replaced: {killed:#?}"
    );
    assert!(survivor.failures.is_empty(), "{survivor:#?}");
    assert_eq!(bench.rows("SELECT by FROM shop.item ORDER BY id").await, ["fill", "index"]);
}

#[tokio::test]
async fn a_session_lost_between_two_statements_is_not_replaced() {
    let bench = Bench::new();
    let losing = step(FILL)
        .stepwise()
        .up("CREATE TABLE IF NOT EXISTS first ()")
        .up("SELECT pg_terminate_backend(pg_backend_pid())")
        .up("CREATE TABLE IF NOT EXISTS second ()");
    let (error, _) = bench.up_badly(vec![service("shop", vec![losing, step(INDEX)])]).await;
    assert!(matches!(&error, RunError::Step(StepError::Partial { .. })), "{error:?}");
    assert_eq!(bench.tables("shop").await, ["first"]);
}
