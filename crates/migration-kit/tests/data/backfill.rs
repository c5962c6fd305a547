//! What a backfill visits and changes, whatever the table's key, and beside a writing application.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join;
use migration_kit::{Backfill, BackfillReport, Online, Trigger};

use crate::support::{Scratch, execute};

/// A statement that shows each visit: run once over every row, `n` is 1 everywhere.
const COUNT_VISITS: &str = "UPDATE item AS source SET n = n + 1 WHERE {batch}";
/// A statement that changes nothing when it is repeated.
const FILL: &str = "UPDATE item AS source SET n = 1 WHERE {batch} AND source.n <> 1";

/// A backfill of `item` in batches of ten rows, whatever they take.
fn tens<'a>(online: &'a Online, statement: &str) -> Backfill<'a> {
    online.backfill("item").batch_rows(10).target(Duration::ZERO).statement(statement)
}

/// Fills a table of 95 rows with such a key and expects every row to have been visited once, in ten batches.
async fn check_key(columns: &str, rows: &str) {
    let scratch = Scratch::new().await;
    scratch.execute(&format!("CREATE TABLE item ({columns}, n integer NOT NULL DEFAULT 0)")).await;
    scratch.execute(&format!("INSERT INTO item {rows} FROM generate_series(1, 95) AS i")).await;
    let online = scratch.online("m1").await;

    let report = tens(&online, COUNT_VISITS).run().await.unwrap();

    assert_eq!(report, BackfillReport { rows: 95, changed: 95, rejected: 0, batches: 10 });
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn walks_an_integer_key() {
    check_key("id bigint PRIMARY KEY", "SELECT i * 1000").await;
}

#[tokio::test]
async fn walks_a_uuid_key() {
    check_key("id uuid PRIMARY KEY", "SELECT gen_random_uuid()").await;
}

#[tokio::test]
async fn walks_a_composite_key_in_its_own_order() {
    check_key(
        "n_in_tenant integer, tenant text, PRIMARY KEY (tenant, n_in_tenant)",
        "SELECT i, 'o''neil ' || i % 7",
    )
    .await;
}

#[tokio::test]
async fn walks_keys_of_odd_types_and_names() {
    check_key(
        "\"the \"\"key\"\"\" timestamptz, code char(6), PRIMARY KEY (code, \"the \"\"key\"\"\")",
        "SELECT timestamptz '2026-01-01 00:00:00.123456+03' + i * interval '1 day', (i % 3)::text",
    )
    .await;
}

#[tokio::test]
async fn walks_a_partitioned_table_by_its_key() {
    let scratch = Scratch::new().await;
    scratch
        .execute("CREATE TABLE item (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0) PARTITION BY RANGE (id)")
        .await;
    scratch.execute("CREATE TABLE item_low PARTITION OF item FOR VALUES FROM (0) TO (50)").await;
    scratch.execute("CREATE TABLE item_high PARTITION OF item DEFAULT").await;
    scratch.execute("INSERT INTO item SELECT i FROM generate_series(1, 95) AS i").await;
    let online = scratch.online("m1").await;

    assert_eq!(tens(&online, COUNT_VISITS).run().await.unwrap().batches, 10);

    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn no_row_is_passed_over_that_is_in_no_block_here() {
    let scratch = Scratch::with(
        "CREATE TABLE shop.item (n integer NOT NULL); INSERT INTO shop.item VALUES (0); \
         CREATE TABLE shop.parted (n integer NOT NULL) PARTITION BY RANGE (n); \
         SET allow_system_table_mods = on; \
         CREATE TABLE pg_catalog.pg_dist_node (nodeid integer); \
         CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid); \
         CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid oid, partmethod \"char\"); \
         INSERT INTO pg_catalog.pg_dist_partition VALUES ('shop.item'::regclass, 'h')",
    )
    .await;
    let online = scratch.online("m1").await;
    for (table, says) in
        [("item", "`item` is on another node and has no"), ("parted", "`parted` is partitioned and has no")]
    {
        let refused =
            online.backfill(table).statement("UPDATE item AS source SET n = 1 WHERE {batch}").run().await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn walks_blocks_where_there_is_no_key() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (note text, n integer NOT NULL DEFAULT 0)").await;
    scratch.execute("INSERT INTO item SELECT repeat('x', 500) || i FROM generate_series(1, 300) AS i").await;
    let online = scratch.online("m1").await;

    let report = tens(&online, FILL).run().await.unwrap();

    assert_eq!(report.changed, 300);
    assert!(report.batches > 10, "{report:?}");
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

/// Each walk fails at a row of its middle and leaves its cursor behind. It is continued the same way when the table was
/// written anew in the other order.
#[tokio::test]
async fn statistics_of_the_key_choose_the_walk() {
    // (order of the rows, whether they were analyzed, what the cursor holds, an index with the other order)
    for (order, analyze, walk, other_order) in [
        ("i", true, "key", "at_random"),
        ("md5(i::text)", true, "block", "item_pkey"),
        ("i", false, "block", "at_random"),
    ] {
        let scratch = with_rows(0).await;
        scratch.execute("CREATE INDEX at_random ON item (md5(id::text))").await;
        scratch.execute("CREATE TABLE pass (n integer)").await;
        let rows = format!("INSERT INTO item SELECT i FROM generate_series(1, 2000) AS i ORDER BY {order}");
        scratch.execute(&rows).await;
        if analyze {
            scratch.execute("ANALYZE item").await;
        }
        let online = scratch.online("m1").await;
        let statement = "UPDATE item AS source SET n = 1 / (CASE WHEN source.id = 1000 AND NOT EXISTS \
             (SELECT FROM pass) THEN 0 ELSE 1 END) WHERE {batch} AND source.n <> 1";
        let fill = || tens(&online, statement).unfinished("source.n <> 1").run();

        let stopped = fill().await.unwrap_err().to_string();

        assert!(stopped.contains("division by zero"), "{stopped}");
        let after = "SELECT jsonb_object_keys(cursor->'after') FROM migration_backfill_shop";
        assert_eq!(scratch.texts(after).await, [walk], "{order}");
        scratch.execute("INSERT INTO pass VALUES (1)").await;
        scratch.execute(&format!("CLUSTER item USING {other_order}")).await;
        scratch.execute("ANALYZE item").await;
        let report = fill().await.unwrap();
        assert_eq!(report.changed, 2_000, "what the first run changed counts if it is continued");
        assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
    }
}

#[tokio::test]
async fn a_row_that_escapes_a_walk_by_blocks_is_looked_for() {
    let scratch = with_rows(500).await;
    let online = scratch.online("m1").await;
    // The row 55 cannot be changed until the walk is at its end, as if it had moved before the walk all the time.
    let escaping = format!(
        "{FILL} AND (source.id <> 55 OR EXISTS (SELECT FROM migration_backfill_shop \
         WHERE cursor->>'is_extensible' = 'false' AND cursor->'after' = cursor->'until'))"
    );

    let report = tens(&online, &escaping).unfinished("source.n <> 1").run().await.unwrap();

    assert_eq!(report.changed, 500);
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn a_row_that_stays_unfinished_is_an_error() {
    let scratch = with_rows(20).await;
    let online = scratch.online("m1").await;

    let all_but_one = format!("{FILL} AND source.id <> 7");
    let error = tens(&online, &all_but_one).unfinished("source.n <> 1").run().await.unwrap_err().to_string();

    assert!(error.contains("rows of `item` stay unfinished"), "{error}");
}

/// Each row becomes unfinished again as soon as it is filled, and there is a session that writes one all the time: what
/// was there when the walk ended is filled, once, and nobody is waited for.
#[tokio::test]
async fn a_walk_by_blocks_ends_whatever_the_application_does() {
    let scratch = with_rows(500).await;
    let online = scratch.online("m1").await;
    let application = scratch.other().await;
    let is_done = AtomicBool::new(false);
    let writing = async {
        while !is_done.load(Ordering::Relaxed) {
            execute(&application, "UPDATE item SET n = -1 WHERE id = 55").await;
        }
    };
    let filling = async {
        let report = tens(&online, FILL).unfinished("source.n <> 1").run().await;
        is_done.store(true, Ordering::Relaxed);
        report
    };

    let (report, ()) = join(filling, writing).await;

    assert!(report.unwrap().changed >= 500);
    assert_eq!(scratch.texts("SELECT n FROM item WHERE id <> 55 GROUP BY n").await, ["1"]);
    assert_eq!(scratch.texts("SELECT name FROM pg_cursors WHERE name <> ''").await, [""; 0]);
}

#[tokio::test]
async fn a_walk_by_blocks_needs_a_key() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (n integer NOT NULL DEFAULT 0)").await;
    let online = scratch.online("m1").await;

    let refused = tens(&online, FILL).unfinished("source.n <> 1").run().await.unwrap_err().to_string();

    assert!(refused.contains("`item` has no primary key"), "{refused}");
}

#[tokio::test]
async fn a_repeated_run_changes_nothing() {
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    assert_eq!(tens(&online, FILL).run().await.unwrap().changed, 95);

    let again = tens(&online, FILL).run().await.unwrap();

    assert_eq!(again, BackfillReport { rows: 95, changed: 0, rejected: 0, batches: 10 });
}

#[tokio::test]
async fn statements_run_in_their_order_in_one_batch() {
    let scratch = with_rows(20).await;
    let online = scratch.online("m1").await;

    tens(&online, "UPDATE item AS source SET n = 5 WHERE {batch}")
        .statement("UPDATE item AS source SET n = n * 2 WHERE {batch} AND NOT (false OR {batch} IS NULL)")
        .run()
        .await
        .unwrap();

    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["10"]);
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let scratch = with_rows(20).await;
    let online = scratch.online("m1").await;

    tens(&online, FILL).run().await.unwrap();

    assert_eq!(
        scratch.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'shop'").await,
        ["item"]
    );
}

#[tokio::test]
async fn an_empty_table_is_done_at_once_but_its_statements_are_tried() {
    let scratch = with_rows(0).await;
    let online = scratch.online("m1").await;

    assert_eq!(tens(&online, FILL).run().await.unwrap(), BackfillReport::default());

    let mistaken = tens(&online, "UPDATE item AS source SET nn = 1 WHERE {batch}").run().await;
    assert!(mistaken.unwrap_err().to_string().contains("column \"nn\""));
}

#[tokio::test]
async fn a_statement_without_its_placeholder_is_refused() {
    let scratch = with_rows(20).await;
    let online = scratch.online("m1").await;

    let refused = tens(&online, FILL).statement("UPDATE item SET n = 2").run().await.unwrap_err().to_string();

    assert!(refused.contains("lacks `{batch}`"), "{refused}");
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["0"]);
    let refused = online.backfill("item").run().await.unwrap_err().to_string();
    assert!(refused.ends_with("the backfill of `item` has no statement"), "{refused}");
    let refused = online.backfill("absent").statement(FILL).run().await.unwrap_err().to_string();
    assert!(refused.ends_with("there is no table `absent` in schema `shop`"), "{refused}");
}

#[tokio::test]
async fn rows_written_meanwhile_are_filled_by_the_trigger() {
    let scratch = with_rows(500).await;
    scratch
        .execute(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := 1; RETURN NEW; END'",
        )
        .await;
    scratch
        .execute(
            "CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION shop.fill()",
        )
        .await;
    let online = scratch.online("m1").await;
    let application = scratch.other().await;
    let is_done = AtomicBool::new(false);
    let writing = async {
        let mut n_written = 0;
        while !is_done.load(Ordering::Relaxed) {
            let id = fastrand::u32(0..1_000_000);
            execute(&application, &format!("INSERT INTO item (id) VALUES ({id}) ON CONFLICT DO NOTHING"))
                .await;
            execute(&application, &format!("UPDATE item SET id = id WHERE id = {}", fastrand::u32(1..500)))
                .await;
            n_written += 1;
        }
        n_written
    };
    let filling = async {
        let report = tens(&online, FILL).run().await.unwrap();
        is_done.store(true, Ordering::Relaxed);
        report
    };

    let (report, n_written) = join(filling, writing).await;

    assert!(n_written > 0 && report.rows >= 500, "{report:?}");
    assert_eq!(scratch.texts("SELECT DISTINCT n FROM item").await, ["1"]);
}

#[tokio::test]
async fn it_rests_after_each_batch_if_it_is_told_to() {
    const PAUSE: Duration = Duration::from_millis(20);
    let scratch = with_rows(95).await;
    let online = scratch.online("m1").await;
    let begun = Instant::now();

    let report = tens(&online, COUNT_VISITS).pause(PAUSE).run().await.unwrap();

    assert_eq!(report.batches, 10);
    assert!(begun.elapsed() >= 10 * PAUSE, "{:?}", begun.elapsed());
}

/// A table `item` with the keys 1 to `n_rows`.
async fn with_rows(n_rows: u32) -> Scratch {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0)").await;
    scratch.execute(&format!("INSERT INTO item SELECT i FROM generate_series(1, {n_rows}) AS i")).await;
    scratch
}

/// Triggers that heed silence do not fire for what a silent statement writes, in whatever batch; for all else they fire.
#[tokio::test]
async fn a_silent_statement_is_heeded_by_the_triggers_that_say_so() {
    const COUNTING: &str = "NEW.n := NEW.n + 1; RETURN NEW;";
    const HEEDS: Trigger = Trigger::new("a_heeds", "item", "BEFORE INSERT OR UPDATE", COUNTING)
        .only_if("NEW.id > 0")
        .unless_silent();
    const DOES_NOT: Trigger = Trigger::new("b_does_not", "item", "BEFORE INSERT OR UPDATE", COUNTING);
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE item (id integer PRIMARY KEY, n integer NOT NULL, label text)").await;
    scratch.execute("INSERT INTO item SELECT i, 0 FROM generate_series(1, 40) AS i").await;
    let online = scratch.online("m1").await;
    online.create_triggers([&HEEDS, &DOES_NOT]).await.unwrap();

    let silent = "UPDATE item AS source SET label = 'silent' WHERE {batch}";
    tens(&online, "UPDATE item AS source SET label = 'loud' WHERE {batch} AND source.id % 2 = 0")
        .silent_statement(silent)
        .statement("UPDATE item AS source SET label = 'loud' WHERE {batch} AND source.id % 4 = 0")
        .run()
        .await
        .unwrap();
    scratch.execute("INSERT INTO item VALUES (50, 0)").await;

    let counted = "SELECT DISTINCT n FROM item WHERE id % 2 = 1 UNION ALL SELECT DISTINCT n FROM item WHERE id % 4 = 2 AND id < 50 \
                   UNION ALL SELECT DISTINCT n FROM item WHERE id % 4 = 0 UNION ALL SELECT n FROM item WHERE id = 50";
    assert_eq!(scratch.texts(counted).await, ["1", "3", "5", "2"]);
}
