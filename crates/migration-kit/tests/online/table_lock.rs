//! Strong locks while the application works: who waits, for whom, and who never does.

use std::time::Duration;

use migration_kit::LockMode;
use migration_kit::Origin;
use migration_kit::space;
use migration_kit::table_lock::{HolderKind, Policy, TableLock, Waiting, holders};
use postgres_sandbox::Cluster;
use sea_orm::sqlx::{self, PgConnection};

use super::events::Events;
use super::helpers::{execute, impatient, refused, session, steps};
use crate::support::Scratch;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text); \
                     INSERT INTO item SELECT n, 'n' || n FROM generate_series(1, 1000) n";

/// Reads the table as an application does, until `done`, and fails if it waits for a lock longer than its session's
/// `lock_timeout`.
async fn read_until(session: &mut PgConnection, done: &std::cell::Cell<bool>) -> u32 {
    let mut n_reads = 0;
    while !done.get() {
        execute(session, "SELECT count(*) FROM item").await.expect("a reader does not wait");
        n_reads += 1;
        tokio::task::yield_now().await;
    }
    n_reads
}

#[tokio::test]
async fn nobody_waits_behind_a_migration_that_waits() {
    let scratch = Scratch::with(TABLE).await;
    let (mut report, mut reader) = (session(&scratch).await, session(&scratch).await);
    execute(&mut report, "SET application_name = 'the report'").await.unwrap();
    execute(&mut report, "BEGIN").await.unwrap();
    execute(&mut report, "SELECT count(*) FROM item").await.unwrap();
    execute(&mut reader, "SET lock_timeout = 5").await.unwrap();
    let online = impatient(&scratch).await;
    let events = Events::collect();
    let done = std::cell::Cell::new(false);
    let migration = async {
        let result = online.add_column("item", "price", "int").run().await;
        done.set(true);
        result
    };
    let (result, n_reads) = tokio::join!(migration, read_until(&mut reader, &done));
    let message = refused(result);
    assert!(message.starts_with("no ACCESS EXCLUSIVE lock on `shop.item` within 1 s: process "), "{message}");
    assert!(message.contains("(`the report`) has held ACCESS SHARE"), "{message}");
    assert!(n_reads > 0);
    let told = events.told();
    assert!(!told.is_empty());
    for event in told {
        assert_eq!(event["kind"], "table_lock_waiting");
        assert_eq!(
            (&*event["service"], &*event["relation"], &*event["mode"]),
            ("shop", "item", "ACCESS EXCLUSIVE")
        );
        assert_eq!(event["blocker_application"], "the report");
        assert!(event["waited_ms"].parse::<u64>().unwrap() >= 200);
    }

    execute(&mut report, "COMMIT").await.unwrap();
    online.add_column("item", "price", "int").run().await.unwrap();
}

#[tokio::test]
async fn nobody_waits_behind_giving_space_back_that_waits() {
    let scratch = Scratch::with(TABLE).await;
    let (mut report, mut reader) = (session(&scratch).await, session(&scratch).await);
    execute(&mut report, "BEGIN").await.unwrap();
    execute(&mut report, "SELECT count(*) FROM item").await.unwrap();
    execute(&mut reader, "SET lock_timeout = 50").await.unwrap();
    let mut connection = session(&scratch).await;
    execute(&mut connection, "SET migration.table_lock_patience_ms = 1500").await.unwrap();
    execute(&mut connection, "SET lock_timeout = 7000").await.unwrap();
    let done = std::cell::Cell::new(false);
    let reclaiming = async {
        let result = space::reclaim(&mut connection, "shop", "shop", "item").await;
        done.set(true);
        result
    };
    let (result, n_reads) = tokio::join!(reclaiming, read_until(&mut reader, &done));
    let message = refused(result);
    assert!(message.starts_with("no ACCESS EXCLUSIVE lock on `shop.item` within 1 s: process "), "{message}");
    assert!(n_reads > 0);

    execute(&mut report, "COMMIT").await.unwrap();
    let file = "SELECT pg_relation_filenode('item')";
    let before = scratch.psql(file);
    space::reclaim(&mut connection, "shop", "shop", "item").await.unwrap();
    assert_ne!(scratch.psql(file), before);
    let timeout: (String,) = sqlx::query_as("SHOW lock_timeout").fetch_one(&mut connection).await.unwrap();
    assert_eq!(timeout.0, "7s");
}

#[tokio::test]
async fn a_migration_gets_through_when_the_old_transaction_ends() {
    let scratch = Scratch::with(TABLE).await;
    let mut report = session(&scratch).await;
    execute(&mut report, "BEGIN").await.unwrap();
    execute(&mut report, "SELECT count(*) FROM item").await.unwrap();
    let online = steps(&scratch).await;
    let release = async {
        // Between two attempts, the last that the migration has asked is who is in the way.
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND query LIKE '/* migrate */ WITH RECURSIVE wanted%'";
        while scratch.psql(asked) != "1" {
            tokio::task::yield_now().await;
        }
        execute(&mut report, "COMMIT").await
    };
    let (added, released) = tokio::join!(online.add_column("item", "price", "int").run(), release);
    added.unwrap();
    released.unwrap();
    assert_eq!(
        scratch.psql(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname = 'price'"
        ),
        "1"
    );
    assert_eq!(scratch.psql("SELECT count(*) FROM pg_locks WHERE relation = 'item'::regclass"), "0");
}

#[tokio::test]
async fn an_autovacuum_gives_way_and_no_reader_waits() {
    let cluster = Cluster::builder().setting("autovacuum_naptime", "1s").start().unwrap();
    let scratch = Scratch::on(&cluster).await;
    scratch.psql(TABLE);
    // Slow enough to be met for sure: a page of the table costs 100 ms.
    scratch.psql(
        "ALTER TABLE item SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, \
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1); \
         INSERT INTO item SELECT n, repeat('x', 100) FROM generate_series(1001, 50000) n; \
         DELETE FROM item WHERE id % 2 = 0",
    );
    while scratch.psql("SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'item'::regclass") == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Such a role is not told what kind of process another one is.
    scratch.psql(
        "CREATE ROLE plain; GRANT USAGE ON SCHEMA shop TO plain; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO plain",
    );
    let mut reader = session(&scratch).await;
    execute(&mut reader, "SET ROLE plain").await.unwrap();
    let wanted = [TableLock::new("shop", "item", LockMode::AccessExclusive)];
    let seen = holders(&mut reader, &wanted).await.unwrap();
    assert_eq!(seen.iter().map(|holder| holder.kind).collect::<Vec<_>>(), [HolderKind::Autovacuum]);

    // Queueing for the strong lock itself until the server cancels an autovacuum would take a second.
    execute(&mut reader, "SET lock_timeout = 500").await.unwrap();
    let online = steps(&scratch).await;
    let done = std::cell::Cell::new(false);
    let migration = async {
        let result = online.add_column("item", "price", "int").run().await;
        done.set(true);
        result
    };
    let (added, _) = tokio::join!(migration, read_until(&mut reader, &done));
    added.unwrap();
}

#[tokio::test]
async fn holders_are_told_with_what_they_are() {
    let scratch = Scratch::with(
        "CREATE TABLE event (at int) PARTITION BY RANGE (at); \
         CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10)",
    )
    .await;
    let (mut writer, mut asking) = (session(&scratch).await, session(&scratch).await);
    execute(&mut writer, "SET application_name = 'the writer'").await.unwrap();
    execute(&mut writer, "BEGIN").await.unwrap();
    execute(&mut writer, "INSERT INTO event_1 VALUES (1)").await.unwrap();
    let weak = [TableLock::new("shop", "event", LockMode::ShareUpdateExclusive)];
    assert_eq!(holders(&mut asking, &weak).await.unwrap(), []);
    let strong = [TableLock::new("shop", "event", LockMode::Share)];
    let seen = holders(&mut asking, &strong).await.unwrap();
    let [holder] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(
        (holder.mode, holder.granted, holder.kind),
        (LockMode::RowExclusive, true, HolderKind::Session)
    );
    assert_eq!((holder.relation.as_str(), holder.application.as_str()), ("event", "the writer"));
}

#[tokio::test]
async fn a_statement_that_is_not_brief_is_cancelled() {
    let scratch = Scratch::with(TABLE).await;
    let limit = Duration::from_millis(50);
    let online = steps(&scratch).await.with_policy(Policy::default().with_statement_limit(limit));
    let slow = online.brief("SELECT pg_sleep(60)").locking("item", LockMode::AccessExclusive);
    let message = refused(slow.run().await);
    assert!(message.starts_with("a statement under a strong lock ran longer than"), "{message}");
}

/// How a coordinator uses the pieces: it begins, locks, works and commits, and waits as it is told after a failure.
#[tokio::test]
async fn a_loop_of_ones_own_gets_its_locks() {
    let scratch = Scratch::with(TABLE).await;
    let (mut application, mut own) = (session(&scratch).await, session(&scratch).await);
    execute(&mut application, "BEGIN").await.unwrap();
    execute(&mut application, "UPDATE item SET name = 'x' WHERE id = 1").await.unwrap();
    let locks = [TableLock::new("shop", "item", LockMode::ShareRowExclusive)];
    let origin = Origin { service: "shop".to_owned(), migration: "m20260101_000001_try".to_owned() };
    let mut waiting = Waiting::new(Policy::default(), origin);
    let mut n_failures = 0;
    loop {
        execute(&mut own, "BEGIN").await.unwrap();
        let mut locked = Ok(());
        for sql in waiting.lock_statements(&locks) {
            locked =
                sea_orm::sqlx::raw_sql(sea_orm::sqlx::AssertSqlSafe(sql)).execute(&mut own).await.map(drop);
            if locked.is_err() {
                break;
            }
        }
        if locked.is_ok() {
            execute(&mut own, "COMMIT").await.unwrap();
            break;
        }
        execute(&mut own, "ROLLBACK").await.unwrap();
        n_failures += 1;
        if n_failures == 3 {
            execute(&mut application, "COMMIT").await.unwrap();
        }
        waiting.after_failure(&mut own, &locks).await.unwrap();
    }
    assert_eq!(n_failures, 3);
}
