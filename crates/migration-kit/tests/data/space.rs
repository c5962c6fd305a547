//! The space that tables take, and giving it back.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use migration_kit::space;
use sea_orm::TransactionTrait;

use super::resume::reach;
use crate::support::{Scratch, execute, texts};

/// How often the table was vacuumed.
const N_VACUUMS: &str = "SELECT pg_stat_get_vacuum_count('wide'::regclass)";

#[tokio::test]
async fn a_table_is_vacuumed_while_it_is_filled() {
    let scratch = with_wide_rows().await;
    let online = scratch.online("m1").await;

    online
        .backfill("wide")
        .batch_rows(100)
        .target(Duration::ZERO)
        .vacuum_times(5)
        .statement("UPDATE wide AS source SET n = 1 WHERE {batch}")
        .run()
        .await
        .unwrap();

    // A vacuum inside a transaction fails, so that it ran shows that it stood outside.
    let n_vacuums: u32 = scratch.text(N_VACUUMS).await.parse().unwrap();
    // A batch goes beyond the count at which one is due, so the last may not be.
    assert!((4..=5).contains(&n_vacuums), "{n_vacuums}");
}

#[tokio::test]
async fn a_vacuum_that_somebody_is_in_the_way_of_is_made_up_for() {
    let scratch = with_wide_rows().await;
    let online = scratch.online("m1").await;
    let (other, watcher) = (scratch.other().await, scratch.other().await);
    // As another vacuum would; and a row that keeps the backfill from going on.
    let holding = other.begin().await.unwrap();
    execute(&holding, "LOCK TABLE wide IN SHARE UPDATE EXCLUSIVE MODE").await;
    execute(&holding, "SELECT FROM wide WHERE id = 1501 FOR UPDATE").await;

    let backfill = online.backfill("wide").batch_rows(50).target(Duration::ZERO).vacuum_times(3);
    let filling = backfill.statement("UPDATE wide AS source SET n = 1 WHERE {batch}").run().boxed();
    // Then it was due twice.
    let Either::Right(((), filling)) = select(filling, reach(&watcher, 1_500).boxed()).await else {
        panic!("the backfill cannot get past a row that is held");
    };
    assert_eq!(texts(&watcher, N_VACUUMS).await, ["0"]);
    holding.rollback().await.unwrap();
    filling.await.unwrap();

    assert_eq!(scratch.text(N_VACUUMS).await, "1");
}

#[tokio::test]
async fn vacuuming_between_batches_keeps_the_table_small() {
    let mut sizes = Vec::new();
    for n_times in [0, 10] {
        let scratch = with_wide_rows().await;
        let online = scratch.online("m1").await;
        let backfill = online.backfill("wide").batch_rows(100).target(Duration::ZERO);
        let statement = "UPDATE wide AS source SET n = 1 WHERE {batch}";
        backfill.vacuum_times(n_times).statement(statement).run().await.unwrap();
        sizes.push(online.table_size("wide").await.unwrap().table_bytes);
    }

    assert!(sizes[1] * 3 < sizes[0] * 2, "{sizes:?}");
}

#[tokio::test]
async fn reclaiming_gives_the_space_back() {
    let scratch = with_wide_rows().await;
    let online = scratch.online("m1").await;
    let full = online.table_size("wide").await.unwrap();
    scratch.execute("DELETE FROM wide WHERE id > 10").await;
    online.vacuum("wide").await.unwrap();
    let vacuumed = online.table_size("wide").await.unwrap();

    let mut connection = scratch.pool().acquire().await.unwrap();
    space::reclaim(&mut connection, "shop", "shop", "wide").await.unwrap();
    let reclaimed = space::table_size(&mut connection, "shop", "wide").await.unwrap();

    assert_eq!(vacuumed.table_bytes, full.table_bytes);
    assert_eq!(reclaimed.table_bytes, 8_192);
    assert!(reclaimed.total_bytes >= reclaimed.table_bytes + reclaimed.index_bytes + reclaimed.toast_bytes);
    let refused = space::reclaim(&mut connection, "shop", "shop", "absent").await.unwrap_err().to_string();
    assert!(refused.ends_with("there is no table `absent` in schema `shop`"), "{refused}");
}

#[tokio::test]
async fn a_partitioned_table_takes_what_its_partitions_take() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE part (id integer, note text) PARTITION BY RANGE (id)").await;
    scratch.execute("CREATE TABLE part_all PARTITION OF part DEFAULT").await;
    scratch.execute("INSERT INTO part VALUES (1, 'x')").await;
    let online = scratch.online("m1").await;

    assert_eq!(online.table_size("part").await.unwrap().table_bytes, 8_192);

    scratch.execute("DELETE FROM part").await;
    let mut connection = scratch.pool().acquire().await.unwrap();
    // A deleted row stays while an older snapshot may see it, and an autovacuum that analyzes this database has one.
    let older = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                 AND backend_xmin IS NOT NULL";
    let observer = scratch.other().await;
    let mut n_tries = 0;
    loop {
        space::reclaim(&mut connection, "shop", "shop", "part").await.unwrap();
        let table_bytes = space::table_size(&mut connection, "shop", "part").await.unwrap().table_bytes;
        if table_bytes == 0 {
            break;
        }
        n_tries += 1;
        assert!(n_tries < 1_000, "{table_bytes} bytes; older snapshots: {:?}", texts(&observer, older).await);
    }
}

/// 2,000 rows of about half a kilobyte, which only the test vacuums.
async fn with_wide_rows() -> Scratch {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE wide (id integer PRIMARY KEY, n integer, note text) WITH (autovacuum_enabled = off)").await;
    scratch
        .execute("INSERT INTO wide SELECT i, NULL, repeat('x', 500) FROM generate_series(1, 2000) AS i")
        .await;
    scratch
}
