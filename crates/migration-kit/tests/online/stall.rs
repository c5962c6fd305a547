//! How long an application that never pauses waits behind a migration: no longer than the policy's stall budget, by the limits that
//! the server really got. A measured time would be the machine's.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use migration_kit::space;
use migration_kit::table_lock::Policy;
use postgres_sandbox::Cluster;
use sea_orm::sqlx::PgConnection;

use super::helpers::{execute, session, steps};
use crate::support::Scratch;

const TABLES: &str = "CREATE TABLE kind (id int PRIMARY KEY, name text); \
                      CREATE TABLE item (id int PRIMARY KEY, name text, kind_id int); \
                      INSERT INTO kind VALUES (1, 'a'), (2, 'b'); INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2)";

/// A transaction of each session, without its end. It writes, so that it also blocks what stops only writing.
const WORK: [&str; 2] = [
    "BEGIN; UPDATE kind SET name = 'x' WHERE id = 1; UPDATE item SET name = 'x' WHERE id = 1",
    "BEGIN; UPDATE kind SET name = 'x' WHERE id = 2; UPDATE item SET name = 'x' WHERE id = 2",
];

/// The sessions of an application, the first in a transaction: a migration that begins after this meets it.
async fn at_work(scratch: &Scratch) -> [PgConnection; 2] {
    let mut sessions = [session(scratch).await, session(scratch).await];
    execute(&mut sessions[0], WORK[0]).await.unwrap();
    sessions
}

/// Lets their transactions overlap until `done`: there is never a moment without one, so only queueing gets through.
async fn work_until(done: &Cell<bool>, overlap: Duration, sessions: [PgConnection; 2]) {
    let [mut first, mut second] = sessions;
    let (mut last, mut next) = ((&mut first, WORK[0]), (&mut second, WORK[1]));
    while !done.get() {
        let end = async {
            tokio::time::sleep(overlap).await;
            execute(last.0, "COMMIT").await
        };
        let (worked, ended) = tokio::join!(execute(next.0, next.1), end);
        worked.unwrap();
        ended.unwrap();
        std::mem::swap(&mut last, &mut next);
    }
    execute(last.0, "COMMIT").await.unwrap();
}

/// The limits in milliseconds under which statements of a migration waited for locks that stop an application.
#[derive(Debug, Default)]
struct Limits {
    /// Of those that queued for a lock.
    queueing: Vec<u64>,
    /// Of those for which the locks were taken.
    under_locks: Vec<u64>,
}

/// Reads a log whose lines begin with the process id. Only a migration's sessions set a limit. What asks with `NOWAIT` does not
/// queue, and nothing of an application waits behind a weaker mode.
fn limits(log: &str) -> Limits {
    let mut found = Limits::default();
    let mut set: HashMap<&str, u64> = HashMap::new();
    let mut queueing: HashMap<&str, u64> = HashMap::new();
    for line in log.lines() {
        let Some((pid, statement)) = line.split_once("|LOG:  statement: ") else { continue };
        if let Some(limit) = limit_set(statement) {
            set.insert(pid, limit);
        }
        if statement.contains("BEGIN") {
            queueing.remove(pid);
        }
        let limit = || *set.get(pid).filter(|limit| **limit > 0).expect(line);
        let strong = ["IN ACCESS EXCLUSIVE MODE", "IN SHARE ROW EXCLUSIVE MODE"];
        if strong.iter().any(|mode| statement.ends_with(mode)) {
            let before = queueing.insert(pid, limit());
            assert!(before.is_none_or(|before| limit() <= before), "a second lock has what is left: {line}");
            found.queueing.push(limit());
        } else if statement.contains("VACUUM (FULL)") {
            found.queueing.push(limit());
        } else if statement.starts_with("ALTER TABLE") && !statement.contains("VALIDATE CONSTRAINT") {
            found.under_locks.push(limit());
        }
    }
    found
}

/// The `lock_timeout` that a statement sets, in milliseconds.
fn limit_set(statement: &str) -> Option<u64> {
    let ways = ["set_config('lock_timeout', '", "SET LOCAL lock_timeout = "];
    let (_, value) = ways.iter().find_map(|way| statement.split_once(way))?;
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse().expect(statement))
}

/// A database on a server that logs what it is told.
async fn logged() -> (Cluster, Scratch) {
    let settings = [("log_statement", "all"), ("log_line_prefix", "%p|"), ("autovacuum", "off")];
    let builder =
        settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value));
    let cluster = builder.start().unwrap();
    let scratch = Scratch::on(&cluster).await;
    scratch.psql(TABLES);
    (cluster, scratch)
}

fn assert_within_budget(cluster: &Cluster, n_steps: usize) {
    let log = std::fs::read_to_string(cluster.log_file()).unwrap();
    let Limits { queueing, under_locks } = limits(&log);
    let budget = Policy::default().stall_budget;
    assert_eq!(budget, Duration::from_millis(250));
    assert!(queueing.len() >= n_steps, "each step queued: {queueing:?}\n{log}");
    assert!(!under_locks.is_empty(), "{log}");
    for limit in queueing.iter().chain(&under_locks) {
        assert!(Duration::from_millis(*limit) <= budget, "{queueing:?} {under_locks:?}\n{log}");
    }
}

/// One table, two tables for one step, and a statement that cannot be in a transaction.
#[tokio::test]
async fn overlapping_short_transactions_do_not_starve_a_migration_nor_wait_longer_than_the_stall_budget() {
    let (cluster, scratch) = logged().await;
    let mut vacuuming = session(&scratch).await;
    let online = steps(&scratch).await;
    let application = at_work(&scratch).await;
    let done = Cell::new(false);
    let migration = async {
        online.add_column("item", "price", "int").run().await.unwrap();
        let key = online.add_foreign_key("item_kind", ("item", ["kind_id"]), ("kind", ["id"]));
        key.run().await.unwrap();
        space::reclaim(&mut vacuuming, "shop", "shop", "item").await.unwrap();
        done.set(true);
    };
    tokio::join!(migration, work_until(&done, Duration::from_millis(20), application));
    assert_within_budget(&cluster, 3);
}

/// Transactions too long for a gentle attempt, so that the whole budget is spent in the end.
#[tokio::test]
async fn overlapping_longer_transactions_wait_no_longer_than_the_stall_budget() {
    let (cluster, scratch) = logged().await;
    let online = steps(&scratch).await;
    let application = at_work(&scratch).await;
    let done = Cell::new(false);
    let migration = async {
        online.add_column("item", "price", "int").run().await.unwrap();
        done.set(true);
    };
    tokio::join!(migration, work_until(&done, Duration::from_millis(70), application));
    assert_within_budget(&cluster, 1);
}
