//! A run that is stopped ends what it does, says so, and leaves no lock behind.

use std::time::Duration;

use migration_coordinator::{
    Cancellation, Place, RunError, StepError, UpkeepError, cancellation, run, under_lock,
};
use migration_kit::Service;
use sea_orm::{ConnectionTrait, DbErr};

use crate::support::{Bench, Step, done, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const SLEEP: &str = "m20250102_000001_add_sleep";
const LAST: &str = "m20250103_000001_add_column";

const ASLEEP: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)' \
                      AND datname = current_database())";
const LOCKED: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

fn shop(kind: fn(Step) -> Step) -> Service {
    let create = step(CREATE).up("CREATE TABLE item (id integer)");
    let sleep = kind(step(SLEEP)).up("INSERT INTO item VALUES (1)").up("SELECT pg_sleep(60)");
    service("shop", vec![create, sleep, step(LAST)])
}

async fn interrupted(kind: fn(Step) -> Step, atomic: bool) -> Bench {
    let bench = Bench::new();
    let (stop, cancellation) = cancellation();
    let mut options = options().with_cancellation(cancellation);
    options.atomic = atomic;
    let deployment = bench.deployment(vec![shop(kind)]);
    let goal = everything();
    let stopper = async {
        bench.until(ASLEEP).await;
        stop.now();
    };
    let (report, ()) = tokio::join!(run(&deployment, &goal, &options), stopper);
    let report = report.unwrap();
    assert!(
        matches!(&report.failures[..], [RunError::Step(StepError::Interrupted { id, .. })] if id.name.as_str() == SLEEP),
        "{report:#?}"
    );
    assert_eq!(bench.rows(LOCKED).await, ["f"]);
    assert_eq!(bench.rows(ASLEEP).await, ["f"]);
    assert_eq!(bench.journal(shop(kind)).await.last(), Some(&format!("{SLEEP} interrupted")));
    assert_eq!(done(&report).len(), usize::from(!atomic));
    bench
}

#[tokio::test]
async fn a_transactional_migration_is_rolled_back() {
    let bench = interrupted(|step| step, false).await;
    assert_eq!(bench.rows("SELECT count(*) FROM shop.item").await, ["0"]);
}

#[tokio::test]
async fn a_stepwise_migration_keeps_what_it_did() {
    let bench = interrupted(Step::stepwise, false).await;
    assert_eq!(bench.rows("SELECT count(*) FROM shop.item").await, ["1"]);
}

#[tokio::test]
async fn all_is_rolled_back_where_it_is_all_or_nothing() {
    let bench = interrupted(|step| step, true).await;
    assert!(bench.tables("shop").await.is_empty());
}

#[tokio::test]
async fn a_run_that_waits_for_another_stops_waiting() {
    let bench = Bench::new();
    bench.up_well(vec![service("shop", vec![step(CREATE)])]).await;
    let mut other = bench.session().await;
    other.execute("SELECT pg_advisory_lock(hashtextextended('migrate:shop.seaql_migrations_shop', 0))").await;
    let events = crate::support::Events::collect();
    let (stop, cancellation) = cancellation();
    let options = options().with_cancellation(cancellation);
    let deployment = bench.deployment(vec![shop(|step| step)]);
    let goal = everything();
    let stopper = async {
        let waiting = events.until("lock_waiting").await;
        stop.now();
        waiting
    };
    let (report, waiting) = tokio::join!(run(&deployment, &goal, &options), stopper);
    assert!(waiting.contains("holder_application=\"app\""), "{waiting}");
    let report = report.unwrap();
    assert!(matches!(&report.failures[..], [RunError::Interrupted]), "{report:#?}");
}

/// Sessions of ours, and whether one waits for the open transaction of another.
const OURS: &str = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name LIKE 'migrate%'";
const BLOCKED: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'migrate%' AND wait_event_type = 'Lock')";

/// Whether a run of this service says that it was interrupted.
async fn is_interrupted(bench: &Bench, service: Service, cancellation: Cancellation) -> bool {
    let (deployment, goal) = (bench.deployment(vec![service]), everything());
    let failures = match run(&deployment, &goal, &options().with_cancellation(cancellation)).await {
        Ok(report) => report.failures,
        Err(error) => vec![error],
    };
    matches!(&failures[..], [RunError::Interrupted])
}

#[tokio::test]
async fn what_waits_before_the_first_migration_does_not_outlive_its_run() {
    // What another session has done and not committed.
    let obstacles = [
        ("", "CREATE SCHEMA shop"),
        ("CREATE SCHEMA shop", "CREATE TABLE shop.seaql_migrations_shop ()"),
        ("", "CREATE EXTENSION pg_trgm SCHEMA public"),
    ];
    for (before, obstacle) in obstacles {
        let bench = Bench::new();
        bench.execute(before).await;
        let mut other = bench.session().await;
        other.execute("BEGIN").await;
        other.execute(obstacle).await;
        let (stop, cancellation) = cancellation();
        let service = service("shop", vec![step(CREATE)]);
        let service =
            if obstacle.contains("EXTENSION") { service.with_extensions(["pg_trgm"]) } else { service };
        let stopper = async {
            bench.until(BLOCKED).await;
            stop.now();
        };
        let (is_interrupted, ()) = tokio::join!(is_interrupted(&bench, service, cancellation), stopper);
        assert!(is_interrupted, "{obstacle}");
        assert_eq!(bench.rows(LOCKED).await, ["f"], "{obstacle}");
        bench.until(OURS).await;
        other.execute("ROLLBACK").await;
    }
}

#[tokio::test]
async fn a_task_under_the_lock_does_not_outlive_its_run() {
    let bench = Bench::new();
    let (stop, cancellation) = cancellation();
    let deployment = bench.deployment(vec![shop(|step| step)]);
    let name = "shop".parse().unwrap();
    let task = under_lock(Place::InUse, &deployment, &name, Duration::ZERO, &cancellation, |db| async move {
        db.execute_unprepared("SELECT pg_sleep(60)").await
    });
    let stopper = async {
        bench.until(ASLEEP).await;
        stop.now();
    };
    let (done, ()) = tokio::join!(task, stopper);
    assert!(matches!(done, Err(UpkeepError::Interrupted { .. })), "{done:?}");
    bench.until(OURS).await;
}

/// Such as a commit that was under way: who is told that it was interrupted believes that nothing was done.
#[tokio::test]
async fn what_is_done_under_the_lock_all_the_same_is_not_interrupted() {
    let bench = Bench::new();
    let (stop, cancellation) = cancellation();
    let deployment = bench.deployment(vec![shop(|step| step)]);
    let name = "shop".parse().unwrap();
    let task = under_lock(Place::InUse, &deployment, &name, Duration::ZERO, &cancellation, |db| async move {
        let stopped = db.execute_unprepared("SELECT pg_sleep(60)").await;
        Ok::<_, DbErr>(stopped.is_err())
    });
    let stopper = async {
        bench.until(ASLEEP).await;
        stop.now();
    };
    let (done, ()) = tokio::join!(task, stopper);
    assert!(matches!(done, Ok(Ok(true))), "{done:?}");
}
