//! Strong table locks: the application never waits behind us.

use std::time::Duration;

use migration_coordinator::{RunError, StepError, run};
use migration_kit::Service;
use migration_kit::table_lock::{Policy, TableLockError};
use postgres_sandbox::Cluster;

use crate::support::{Bench, Events, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const ADD: &str = "m20250102_000001_add_column";

fn shop() -> Service {
    let lock_file = "m20250101_000001_create_item expand transaction aa ab\n\
                     m20250102_000001_add_column expand transaction bb bc\n  apply item in ACCESS EXCLUSIVE\n";
    let add = step(ADD).up("ALTER TABLE item ADD COLUMN note text");
    service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)"), add]).with_lock_file(lock_file)
}

/// The shop with its table, and a transaction that reads it and does not end.
async fn behind_an_open_transaction() -> (Bench, crate::support::Session) {
    let bench = Bench::new();
    bench.up_well(vec![service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)")])]).await;
    let mut reader = bench.session().await;
    reader.execute("BEGIN").await;
    reader.execute("SELECT count(*) FROM shop.item").await;
    (bench, reader)
}

#[tokio::test]
async fn behind_an_old_transaction_nobody_waits_for_us_and_the_blocker_is_named() {
    let (bench, mut reader) = behind_an_open_transaction().await;
    let blocker = reader.rows("SELECT pg_backend_pid()").await.concat();
    let events = Events::collect();
    let policy = Policy::default().with_patience(Duration::from_secs(2)).with_old_after(Duration::ZERO);
    let impatient = options().with_table_locks(policy);
    let deployment = bench.deployment(vec![shop()]);
    let goal = everything();
    let mut application = bench.session().await;
    // Any wait for a table lock, however short, fails a statement of the application.
    application.execute("SET lock_timeout = '1ms'").await;
    let working = async {
        loop {
            application.execute("SELECT count(*) FROM shop.item").await;
            application.execute("INSERT INTO shop.item VALUES (1)").await;
        }
    };
    let report = tokio::select! {
        report = run(&deployment, &goal, &impatient) => report.unwrap(),
        () = working => unreachable!("it works for ever"),
    };
    let failures = report.failures;
    let [RunError::Step(StepError::TableLock { source, .. })] = &failures[..] else { panic!("{failures:?}") };
    let TableLockError::GaveUp { relation, blocker: Some(holder), .. } = source else { panic!("{source:?}") };
    assert_eq!(
        (relation.as_str(), holder.pid.to_string(), holder.application.as_str()),
        ("shop.item", blocker, "app")
    );
    assert!(events.until("table_lock_waiting").await.contains("blocker_application=\"app\""));
    assert_ne!(bench.rows("SELECT count(*) FROM shop.item").await, ["0"], "the application went on");
    reader.execute("COMMIT").await;
    assert_eq!(bench.up_well(vec![shop()]).await, [format!("shop:{ADD}")]);
}

#[tokio::test]
async fn a_lock_that_was_not_known_beforehand_is_tried_again() {
    let (bench, mut reader) = behind_an_open_transaction().await;
    let create = step(CREATE).up("CREATE TABLE item (id integer)");
    let unrecorded = service("shop", vec![create, step(ADD).up("ALTER TABLE item ADD COLUMN note text")]);
    let release = async {
        let queued =
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'shop.item'::regclass)";
        bench.until(queued).await;
        bench.until(&queued.replacen("EXISTS", "NOT EXISTS", 1)).await;
        reader.execute("COMMIT").await;
    };
    let (done, ()) = tokio::join!(bench.up_well(vec![unrecorded]), release);
    assert_eq!(done, [format!("shop:{ADD}")]);
}

#[tokio::test]
async fn all_or_nothing_waits_for_table_locks_too() {
    let (bench, mut reader) = behind_an_open_transaction().await;
    let events = Events::collect();
    let deployment = bench.deployment(vec![shop()]);
    let goal = everything();
    let atomic = options().atomic();
    let release = async {
        events.until("table_lock_waiting").await;
        reader.execute("COMMIT").await;
    };
    let (report, ()) = tokio::join!(run(&deployment, &goal, &atomic), release);
    let report = report.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    assert_eq!(report.done.len(), 1);
}

/// The version table and the journal are waited for as any other table, by migrations of both kinds.
#[tokio::test]
async fn who_blocks_the_bookkeeping_is_named() {
    let create = || step(CREATE).up("CREATE TABLE item (id integer)");
    for (table, stepwise) in [
        ("seaql_migrations_shop", false),
        ("migration_journal_shop", false),
        ("migration_journal_shop", true),
    ] {
        let bench = Bench::new();
        bench.up_well(vec![service("shop", vec![create()])]).await;
        let mut other = bench.session().await;
        other.execute("BEGIN").await;
        other.execute(&format!("LOCK TABLE shop.{table} IN SHARE MODE")).await;
        let policy = Policy::default().with_patience(Duration::from_secs(1));
        let impatient = options().with_table_locks(policy);
        let add = step(ADD).up("ALTER TABLE item ADD COLUMN note text");
        let shop = service("shop", vec![create(), if stepwise { add.stepwise() } else { add }]);
        let (deployment, goal, events) = (bench.deployment(vec![shop]), everything(), Events::collect());
        let report = run(&deployment, &goal, &impatient);
        let released = async {
            // The failure itself is a line of the journal, too.
            events.until("migration_failed").await;
            other.execute("ROLLBACK").await;
        };
        let (report, ()) = tokio::join!(report, released);
        let failures = report.unwrap().failures;
        let [RunError::Step(StepError::TableLock { source, .. })] = &failures[..] else {
            panic!("{failures:?}")
        };
        let said = source.to_string();
        assert!(said.contains(&format!("no ROW EXCLUSIVE lock on `shop.{table}`")), "{said}");
        assert!(said.contains("(`app`) has held SHARE"), "{said}");
        let waiting = events.of("table_lock_waiting").concat();
        assert!(
            waiting.contains(&format!("relation=\"{table}\""))
                && waiting.contains("blocker_application=\"app\""),
            "{waiting}"
        );
    }
}

/// The failure itself is a line of the journal, and waits no longer: the server ends the wait, and nobody has to end the session.
#[tokio::test]
async fn the_last_line_of_the_journal_waits_as_long_as_the_run_is_patient() {
    let builder = Cluster::builder().setting("log_line_prefix", "%a|").setting("autovacuum", "off");
    let cluster = builder.start().unwrap();
    let create = || step(CREATE).up("CREATE TABLE item (id integer)");
    for stepwise in [false, true] {
        let bench = Bench::on(&cluster);
        bench.up_well(vec![service("shop", vec![create()])]).await;
        let mut other = bench.session().await;
        other.execute("BEGIN").await;
        other.execute("LOCK TABLE shop.migration_journal_shop IN SHARE MODE").await;
        let impatient =
            options().with_table_locks(Policy::default().with_patience(Duration::from_millis(100)));
        let add = step(ADD).up("ALTER TABLE item ADD COLUMN note text");
        let shop = service("shop", vec![create(), if stepwise { add.stepwise() } else { add }]);
        let already = std::fs::read_to_string(cluster.log_file()).unwrap().len();
        let report = run(&bench.deployment(vec![shop]), &everything(), &impatient).await.unwrap();
        assert!(
            matches!(&report.failures[..], [RunError::Step(StepError::TableLock { source, .. })]
                if source.to_string().contains(" ms: process ")),
            "{:?}",
            report.failures
        );
        let log = std::fs::read_to_string(cluster.log_file()).unwrap().split_off(already);
        let line = "INSERT INTO \"shop\".\"migration_journal_shop\"";
        assert!(log.contains("canceling statement due to lock timeout") && log.contains(line), "{log}");
        for ended in ["due to user request", "terminating connection"] {
            assert!(!log.contains(ended), "{log}");
        }
        other.execute("ROLLBACK").await;
    }
}

#[tokio::test]
async fn a_prepared_transaction_that_blocks_is_called_by_its_name() {
    let cluster = Cluster::builder().setting("max_prepared_transactions", "2").start().unwrap();
    let bench = Bench::on(&cluster);
    bench.up_well(vec![service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)")])]).await;
    let mut other = bench.session().await;
    for sql in ["BEGIN", "SELECT count(*) FROM shop.item", "PREPARE TRANSACTION 'the forgotten one'"] {
        other.execute(sql).await;
    }
    let policy = Policy::default().with_patience(Duration::from_secs(1));
    let impatient = options().with_table_locks(policy);
    let failures = run(&bench.deployment(vec![shop()]), &everything(), &impatient).await.unwrap().failures;
    let [RunError::Step(StepError::TableLock { source, .. })] = &failures[..] else { panic!("{failures:?}") };
    let said = source.to_string();
    assert!(said.contains(": prepared transaction the forgotten one has held ACCESS SHARE for "), "{said}");
    other.execute("ROLLBACK PREPARED 'the forgotten one'").await;

    // An index that is built concurrently waits for the end of the transaction itself, not for its lock.
    for sql in ["BEGIN", "INSERT INTO shop.item VALUES (1)", "PREPARE TRANSACTION 'the next one'"] {
        other.execute(sql).await;
    }
    let build = step(ADD).stepwise().up("CREATE INDEX CONCURRENTLY item_id ON item (id)");
    let shop = service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)"), build]);
    let events = Events::collect();
    let released = async {
        let waiting = events.until("statement_waiting").await;
        assert!(waiting.contains("blocker_application=\"prepared transaction the next one\""), "{waiting}");
        other.execute("ROLLBACK PREPARED 'the next one'").await;
    };
    let (done, ()) = tokio::join!(bench.up_well(vec![shop]), released);
    assert_eq!(done, [format!("shop:{ADD}")]);
}
