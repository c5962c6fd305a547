//! Indexes: what an earlier try left is recognised, and only the same index is taken for done.

use migration_kit::Online;
use sea_orm::DbErr;

use super::events::Events;
use super::helpers::{execute, failed, objects, refused, session, steps, until};
use crate::support::Scratch;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text, price int); \
                     INSERT INTO item SELECT n, 'n' || n, n % 10 FROM generate_series(1, 100) n";

async fn by_name(online: &Online) -> Result<(), DbErr> {
    online.create_index("item_name", "item", ["name", "(price + 1) DESC"]).filter("price > 0").run().await
}

#[tokio::test]
async fn is_built_once_and_found_again() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    by_name(&online).await.unwrap();
    let built = scratch.psql("SELECT 'item_name'::regclass::oid, pg_get_indexdef('item_name'::regclass)");
    assert!(
        built.ends_with("ON shop.item USING btree (name, ((price + 1)) DESC) WHERE (price > 0)"),
        "{built}"
    );
    by_name(&online).await.unwrap();
    assert_eq!(
        scratch.psql("SELECT 'item_name'::regclass::oid, pg_get_indexdef('item_name'::regclass)"),
        built
    );
}

#[tokio::test]
async fn an_invalid_leftover_is_built_again() {
    let scratch = Scratch::with(TABLE).await;
    // A unique build over rows that are not unique fails and leaves an invalid index.
    let online = steps(&scratch).await;
    let mut session = session(&scratch).await;
    let unique = "CREATE UNIQUE INDEX CONCURRENTLY item_name ON item (price)";
    execute(&mut session, unique).await.unwrap_err();
    assert_eq!(scratch.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_name'::regclass"), "f");
    by_name(&online).await.unwrap();
    assert_eq!(
        scratch.psql("SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'item_name'::regclass"),
        "t|f"
    );
}

#[tokio::test]
async fn rows_that_are_not_unique_are_named_and_nothing_is_left() {
    let scratch = Scratch::with(TABLE).await;
    let before = objects(&scratch);
    let online = steps(&scratch).await;
    let message = refused(online.create_index("item_price", "item", ["price"]).unique().run().await);
    assert!(message.starts_with("unique index `item_price` on `item` cannot be built: "), "{message}");
    assert!(message.contains("Key (price)=("), "{message}");
    assert_eq!(objects(&scratch), before);
}

#[tokio::test]
async fn another_definition_under_the_name_is_refused() {
    let scratch = Scratch::with(TABLE).await;
    scratch.psql("CREATE INDEX item_name ON item (name DESC)");
    let message = refused(by_name(&steps(&scratch).await).await);
    assert_eq!(
        message,
        "index `item_name` exists already, with another definition: it is `USING btree (name DESC)`, \
         not `USING btree (name, ((price + 1)) DESC) WHERE (price > 0)`"
    );
    scratch.psql("CREATE TABLE other (id int); DROP INDEX item_name; CREATE INDEX item_name ON other (id)");
    let message = refused(by_name(&steps(&scratch).await).await);
    assert_eq!(message, "index `item_name` exists already, on table `other`");
}

#[tokio::test]
async fn a_name_that_is_no_index_and_a_table_that_is_missing_are_refused() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    let message = refused(online.create_index("x", "nothing", ["a"]).run().await);
    assert_eq!(message, "there is no table `nothing` in schema `shop`");
    scratch.psql("CREATE TABLE item_name (id int)");
    assert_eq!(failed(by_name(&online).await), "42P07");
}

#[tokio::test]
async fn limits_of_the_session_do_not_reach_a_build() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    for (setting, value) in [("lock_timeout", "1ms"), ("statement_timeout", "5s")] {
        online.query_text(&format!("SELECT set_config('{setting}', '{value}', false)")).await.unwrap();
    }
    let mut writer = session(&scratch).await;
    execute(&mut writer, "BEGIN").await.unwrap();
    execute(&mut writer, "UPDATE item SET price = 1 WHERE id = 1").await.unwrap();
    let release = async {
        phase(&scratch, "waiting for writers").await;
        execute(&mut writer, "COMMIT").await
    };
    let (built, released) = tokio::join!(by_name(&online), release);
    built.unwrap();
    released.unwrap();
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_name'::regclass";
    assert_eq!(scratch.psql(valid), "t", "the first attempt succeeded, and left nothing invalid");
    for (setting, value) in [("lock_timeout", "1ms"), ("statement_timeout", "5s")] {
        let after = online.query_text(&format!("SELECT current_setting('{setting}')")).await.unwrap();
        assert_eq!(after.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_build_waits_for_a_snapshot_instead_of_failing() {
    let scratch = Scratch::with(TABLE).await;
    let mut reader = session(&scratch).await;
    execute(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    execute(&mut reader, "SELECT count(*) FROM item").await.unwrap();
    let online = steps(&scratch).await;
    let release = async {
        phase(&scratch, "waiting for old snapshots").await;
        execute(&mut reader, "COMMIT").await
    };
    let (built, released) = tokio::join!(by_name(&online), release);
    built.unwrap();
    released.unwrap();
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'item_name'::regclass";
    assert_eq!(scratch.psql(valid), "t", "the first attempt succeeded, and left nothing invalid");
}

#[tokio::test]
async fn a_build_of_another_session_is_waited_for() {
    let scratch = Scratch::with(TABLE).await;
    let (mut writer, mut other) = (session(&scratch).await, session(&scratch).await);
    execute(&mut writer, "BEGIN").await.unwrap();
    execute(&mut writer, "UPDATE item SET price = 1 WHERE id = 1").await.unwrap();
    let online = steps(&scratch).await;
    let events = Events::collect();
    let others_build =
        async { execute(&mut other, "CREATE INDEX CONCURRENTLY item_price ON item (price)").await };
    let ours = async {
        phase(&scratch, "waiting for writers").await;
        online.create_index("item_price", "item", ["price"]).run().await
    };
    // Where the other build takes long, a wait for its table lock is reported too.
    let notices = || -> Vec<String> {
        events.told().iter().filter_map(|event| event.get("message").cloned()).collect()
    };
    let release = async {
        until("a notice", || !notices().is_empty()).await;
        execute(&mut writer, "COMMIT").await
    };
    let (others_build, ours, released) = tokio::join!(others_build, ours, release);
    others_build.unwrap();
    ours.unwrap();
    released.unwrap();
    assert_eq!(notices(), ["another session is building index `item_price`"]);
    let built = "SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'item'::regclass AND NOT indisprimary";
    assert_eq!(scratch.psql(built), "item_price|t");
}

#[tokio::test]
async fn dropping_and_rebuilding_are_idempotent() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    by_name(&online).await.unwrap();
    // What a rebuild that was killed leaves behind.
    scratch.psql(
        "CREATE INDEX item_name_ccnew ON item (name); CREATE INDEX item_name_ccold1 ON item (name); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('item_name_ccnew'::regclass, 'item_name_ccold1'::regclass)",
    );
    online.rebuild_index("item_name").await.unwrap();
    online.rebuild_index("item_name").await.unwrap();
    assert_eq!(
        scratch.psql("SELECT relname FROM pg_class WHERE relkind = 'i' AND relname LIKE 'item%' ORDER BY 1"),
        "item_name\nitem_pkey"
    );
    online.drop_index("item_name").await.unwrap();
    online.drop_index("item_name").await.unwrap();
    assert_eq!(
        refused(online.rebuild_index("item_name").await),
        "there is no index `item_name` in schema `shop`"
    );
}

const PARTITIONED: &str = "CREATE TABLE event (at int, what text) PARTITION BY RANGE (at); \
     CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10); \
     CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (100) PARTITION BY LIST (what); \
     CREATE TABLE event_2_a PARTITION OF event_2 FOR VALUES IN ('a'); \
     CREATE TABLE event_2_b PARTITION OF event_2 FOR VALUES IN ('b'); \
     INSERT INTO event SELECT n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(0, 99) n";

/// The crashes: after which of the statements of a build by hand the step begins.
#[tokio::test]
async fn on_a_partitioned_table_it_is_complete_after_any_crash() {
    let by_hand = [
        "CREATE INDEX event_at ON ONLY event (at)",
        "CREATE INDEX event_at_event_1 ON event_1 (at)",
        "CREATE INDEX event_at_event_2 ON ONLY event_2 (at)",
        "CREATE INDEX event_at_event_2_a ON event_2_a (at)",
        "CREATE INDEX event_at_event_2_b ON event_2_b (at)",
        "ALTER INDEX event_at_event_2 ATTACH PARTITION event_at_event_2_a",
        "ALTER INDEX event_at_event_2 ATTACH PARTITION event_at_event_2_b",
        "ALTER INDEX event_at ATTACH PARTITION event_at_event_2",
        "ALTER INDEX event_at ATTACH PARTITION event_at_event_1",
    ];
    let whole = Scratch::with(PARTITIONED).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(PARTITIONED).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        let online = steps(&scratch).await;
        online.create_index("event_at", "event", ["at"]).run().await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
    }
    let online = steps(&whole).await;
    online.drop_index("event_at").await.unwrap();
    assert_eq!(
        whole.psql("SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I') AND relname LIKE 'event%'"),
        "0"
    );
}

#[tokio::test]
async fn on_a_partitioned_table_each_partition_is_rebuilt_by_itself() {
    let scratch = Scratch::with(PARTITIONED).await;
    let online = steps(&scratch).await;
    online.create_index("event_at", "event", ["at"]).run().await.unwrap();
    let before = objects(&scratch);
    for (index, table) in [("event_at", "event"), ("event_at_event_2", "event_2")] {
        assert_eq!(
            refused(online.rebuild_index(index).await),
            format!(
                "index `{index}` belongs to the partitioned table `{table}`: rebuild the index of each of its \
                 partitions instead"
            )
        );
    }
    // What a rebuild of the partition's index that was killed leaves behind.
    scratch.psql(
        "CREATE INDEX event_at_event_1_ccnew ON event_1 (at); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event_at_event_1_ccnew'::regclass",
    );
    online.rebuild_index("event_at_event_1").await.unwrap();
    assert_eq!(objects(&scratch), before);
}

/// Waits until a build of an index is at this point.
async fn phase(scratch: &Scratch, phase: &str) {
    until(phase, || scratch.psql("SELECT phase FROM pg_stat_progress_create_index").starts_with(phase)).await;
}
