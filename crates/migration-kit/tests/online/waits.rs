//! Every wait of a step between two tries is made on the server, so that whoever cancels the session's statement ends it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use migration_kit::{Online, space, sqlstate};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

use crate::support::{Scratch, execute, texts};

const TABLE: &str = "CREATE TABLE item (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0); \
                     INSERT INTO item SELECT i FROM generate_series(1, 20) AS i";

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), DbErr>> + 'a>>;

/// What waits, what an open transaction of another session has done so that it does, and the step.
struct Wait {
    what: &'static str,
    obstacle: &'static str,
    work: for<'a> fn(&'a Scratch, &'a Online) -> Work<'a>,
}

const WAITS: [Wait; 8] = [
    Wait {
        what: "for a table lock",
        obstacle: "SELECT FROM item",
        work: |_, online| Box::pin(online.add_column("item", "price", "integer").run()),
    },
    Wait {
        what: "for the table lock of a statement that runs alone",
        obstacle: "SELECT FROM item",
        work: |scratch, _| {
            Box::pin(async {
                let mut connection = scratch.pool().acquire().await.unwrap();
                space::reclaim(&mut connection, "shop", "shop", "item").await
            })
        },
    },
    Wait {
        what: "for another session's build of the same index",
        obstacle: "UPDATE item SET n = 1 WHERE id = 1",
        work: |scratch, online| {
            Box::pin(async {
                let other = scratch.other().await;
                let others = execute(&other, "CREATE INDEX CONCURRENTLY item_n ON item (n)");
                let ours = async {
                    let watcher = scratch.other().await;
                    let building = "SELECT count(*) FROM pg_stat_progress_create_index \
                                    WHERE datname = current_database() AND phase LIKE 'waiting for writers%'";
                    while texts(&watcher, building).await != ["1"] {}
                    online.create_index("item_n", "item", ["n"]).run().await
                };
                select_first(ours, others).await
            })
        },
    },
    Wait {
        what: "to rehearse a backfill",
        obstacle: "LOCK TABLE item IN SHARE MODE",
        work: |_, online| Box::pin(fill(online, Duration::ZERO)),
    },
    Wait {
        what: "for a row of a batch",
        obstacle: "SELECT FROM item WHERE id = 15 FOR UPDATE",
        work: |_, online| Box::pin(fill(online, Duration::ZERO)),
    },
    Wait {
        what: "between two batches, as a backfill was told",
        obstacle: "SELECT",
        work: |_, online| Box::pin(fill(online, Duration::from_secs(600))),
    },
    Wait {
        what: "for a row that is to become a reject",
        obstacle: "SELECT FROM item WHERE id = 15 FOR UPDATE",
        work: |_, online| Box::pin(async { reject(online, 15).await.map(drop) }),
    },
    Wait {
        what: "for the key of a reject that returns",
        obstacle: "INSERT INTO item VALUES (7)",
        work: |_, online| Box::pin(async { online.restore_rejects("item").await.map(drop) }),
    },
];

#[tokio::test]
async fn every_wait_ends_when_its_statement_is_cancelled() {
    for Wait { what, obstacle, work } in WAITS {
        let scratch = Scratch::with(TABLE).await;
        let online = scratch.online("m1").await;
        assert_eq!(reject(&online, 7).await.unwrap(), 1);
        let (application, watcher) = (scratch.other().await, scratch.other().await);
        let in_the_way = application.begin().await.unwrap();
        in_the_way.execute_unprepared(obstacle).await.unwrap();

        let waiting = work(&scratch, &online);
        let Either::Left((ended, _)) = select(waiting, pin!(cancel_sleeps(&watcher))).await else {
            panic!("a wait {what} was not found on the server");
        };

        assert_eq!(sqlstate(&ended.unwrap_err()).as_deref(), Some("57014"), "{what}");
    }
}

#[tokio::test]
async fn a_wait_is_no_statement_of_the_application() {
    let scratch = Scratch::with(TABLE).await;
    let online = scratch.online("m1").await;
    scratch.execute("SET statement_timeout = '200 ms'").await;
    fill(&online, Duration::from_millis(400)).await.unwrap();
}

/// Cancels whoever sleeps, again and again; gives up after half a minute.
async fn cancel_sleeps(watcher: &DatabaseConnection) {
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                  AND wait_event = 'PgSleep'";
    for _ in 0..3_000 {
        texts(watcher, cancel).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The result of the first, while the second runs beside it.
async fn select_first<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    match select(pin!(first), pin!(second)).await {
        Either::Left((result, _)) => result,
        Either::Right(((), first)) => first.await,
    }
}

async fn fill(online: &Online, pause: Duration) -> Result<(), DbErr> {
    let backfill = online.backfill("item").statement("UPDATE item AS source SET n = n + 1 WHERE {batch}");
    backfill.batch_rows(10).target(Duration::ZERO).pause(pause).run().await.map(drop)
}

async fn reject(online: &Online, id: u32) -> Result<u64, DbErr> {
    online.move_to_rejects("item", format!("source.id = {id}"), "a test").run().await
}
