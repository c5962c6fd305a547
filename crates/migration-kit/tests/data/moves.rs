//! Rows that leave their table and come back: whole, to the byte, and never over something else.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join;

use crate::support::{Scratch, execute};

/// One column of every kind that has an awkward text form.
const NASTY: &str = "CREATE TABLE nasty (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, \"a \"\"quoted\"\" name\" text, f4 real, f8 double precision,
    n numeric(12, 4), free numeric, d date, ts timestamp, tz timestamptz(3), span interval, b bytea, j json, jb jsonb,
    texts text[], numbers integer[], fixed char(8), short varchar(5), flag boolean, one \"char\", bits bit(5), host inet,
    mood mood, pair pair, positive positive, range tstzrange, doc tsvector, twice integer GENERATED ALWAYS AS (id * 2) STORED)";

const NASTY_ROWS: &[&str] = &[
    "'it''s \\ \"quoted\", {braced} é 日本 🦀 ' || chr(10) || chr(9), 0.1, 0.1::float8 + 0.2, 1.5000, 1.50, \
     '0044-03-15 BC', '2026-01-26 10:00:00.123456', '2026-03-29 01:30:00.123+05:30', '-1 year 3 days -04:05:06.789', \
     '\\x00ff5c27', '{\"b\":  1, \"a\": 2, \"a\" : 3.00}', '{\"b\":  1, \"a\": 1.00}', \
     ARRAY['a,b', '\"', NULL, 'NULL', '{}', ''], ARRAY[[1, 2], [3, NULL]], 'ab', 'ab ', false, 'x', B'10110', \
     '10.0.0.1/8', 'so so', ROW(7, 'a \"b\", (c)'), 3, '[2026-01-01,2026-02-01)', 'a fat cat'",
    "'', 'NaN', '-Infinity', 'NaN', '1e30', 'infinity', '-infinity', 'infinity', '0', '', 'null', 'null', '{}', \
     '[2:3]={8,9}', '', '', true, ' ', B'00000', '::1', 'good', ROW(NULL, NULL), 1, 'empty', ''",
    "NULL, '3.4028235e38', '5e-324', '-0.0001', '-0.0', NULL, NULL, NULL, NULL, NULL, '\"\\u0041\"', NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
];

#[tokio::test]
async fn a_row_of_any_types_comes_back_to_the_byte() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TYPE mood AS ENUM ('so so', 'good')").await;
    scratch.execute("CREATE TYPE pair AS (n integer, words text)").await;
    scratch.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)").await;
    scratch.execute(NASTY).await;
    for row in NASTY_ROWS {
        scratch.execute(&format!("INSERT INTO nasty VALUES (DEFAULT, {row})")).await;
    }
    let all = "SELECT concat_ws('|', nasty::text, float4send(f4), float8send(f8), n::text, octet_length(j::text), \
        octet_length(fixed), octet_length(short), extract(epoch FROM span)) FROM nasty ORDER BY id";
    let before = scratch.texts(all).await;
    let online = scratch.online("m1").await;

    let n_moved = online.move_to_rejects("nasty", "source.id > 0", "all").run().await.unwrap();
    assert_eq!(n_moved, 3);
    assert_eq!(scratch.text("SELECT count(*) FROM nasty").await, "0");
    // The reverting session need not write dates and intervals as the applying one did.
    scratch.execute("SET IntervalStyle = 'sql_standard'").await;
    scratch.execute("SET DateStyle = 'SQL, DMY'").await;
    assert_eq!(online.restore_rejects("nasty").await.unwrap(), 3);
    scratch.execute("RESET IntervalStyle").await;
    scratch.execute("SET DateStyle = 'ISO, MDY'").await;

    assert_eq!(scratch.texts(all).await, before);
    assert_eq!(scratch.text("SELECT count(*) FROM migration_reject_shop").await, "0");
}

#[tokio::test]
async fn a_moved_row_is_readable() {
    let scratch = with_runs(3).await;
    let online = scratch.online("m1").await;

    online.move_to_rejects("run", "source.id = 2", "a duplicate").run().await.unwrap();

    assert_eq!(
        scratch
            .texts("SELECT row(row_key, field, reason, moved, row_data)::text FROM migration_reject_shop")
            .await,
        [r#"("{""id"": 2}","","a duplicate",t,"{""id"": ""2"", ""name"": ""run 2""}")"#]
    );
}

#[tokio::test]
async fn moves_more_than_a_batch_and_a_repeated_run_moves_nothing() {
    let scratch = with_runs(2_500).await;
    let online = scratch.online("m1").await;
    let old = || online.move_to_rejects("run", "source.id <= 2300", "too old");

    assert_eq!(old().run().await.unwrap(), 2_300);
    assert_eq!(old().run().await.unwrap(), 0);

    assert_eq!(scratch.text("SELECT count(*) FROM run").await, "200");
    assert_eq!(online.restore_rejects("run").await.unwrap(), 2_300);
    assert_eq!(online.restore_rejects("run").await.unwrap(), 0);
}

#[tokio::test]
async fn equal_rows_without_a_key_are_all_kept() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE note (body text)").await;
    scratch.execute("INSERT INTO note VALUES ('same'), ('same'), ('other')").await;
    let online = scratch.online("m1").await;

    let n_moved = online.move_to_rejects("note", "source.body = 'same'", "twice").run().await;
    assert_eq!(n_moved.unwrap(), 2);
    assert_eq!(online.restore_rejects("note").await.unwrap(), 2);

    assert_eq!(scratch.texts("SELECT body FROM note ORDER BY body").await, ["other", "same", "same"]);
}

#[tokio::test]
async fn a_key_that_comes_again_is_kept_beside_the_first() {
    let scratch = with_runs(1).await;
    let online = scratch.online("m1").await;
    let all = || online.move_to_rejects("run", "true", "all");
    all().run().await.unwrap();
    scratch.execute("INSERT INTO run VALUES (1, 'the second')").await;

    assert_eq!(all().run().await.unwrap(), 1);

    let names = "SELECT row_data->>'name' FROM migration_reject_shop ORDER BY id";
    assert_eq!(scratch.texts(names).await, ["run 1", "the second"]);
}

#[tokio::test]
async fn a_row_whose_key_is_taken_stays_a_reject() {
    let scratch = with_runs(5).await;
    let online = scratch.online("m1").await;
    online.move_to_rejects("run", "true", "all").run().await.unwrap();
    scratch.execute("INSERT INTO run VALUES (3, 'newer')").await;

    assert_eq!(online.restore_rejects("run").await.unwrap(), 4);
    assert_eq!(online.forget_rejects().await.unwrap(), 0);

    assert_eq!(scratch.text("SELECT name FROM run WHERE id = 3").await, "newer");
    assert_eq!(scratch.texts("SELECT row_data->>'name' FROM migration_reject_shop").await, ["run 3"]);
}

#[tokio::test]
async fn a_row_comes_back_after_its_parent() {
    let scratch = Scratch::new().await;
    scratch
        .execute("CREATE TABLE node (id integer PRIMARY KEY, parent integer CONSTRAINT node_parent REFERENCES node)")
        .await;
    scratch.execute("INSERT INTO node SELECT i, nullif(i - 1, 0) FROM generate_series(1, 6) AS i").await;
    let online = scratch.online("m1").await;
    // One by one from the leaf, so that every child has an older entry than its parent; and one root is missing.
    for id in (2..=6).rev() {
        let row = format!("source.id = {id}");
        online.move_to_rejects("node", row, "an orphan").run().await.unwrap();
    }
    scratch
        .execute(
            "UPDATE migration_reject_shop SET row_data = row_data || '{\"parent\": \"99\"}' WHERE id = 1",
        )
        .await;

    assert_eq!(online.restore_rejects("node").await.unwrap(), 4);

    assert_eq!(scratch.texts("SELECT id FROM node ORDER BY id").await, ["1", "2", "3", "4", "5"]);
    assert_eq!(scratch.text("SELECT count(*) FROM migration_reject_shop").await, "1");
}

#[tokio::test]
async fn columns_may_come_and_go_but_no_value_is_lost() {
    let scratch = with_runs(2).await;
    scratch.execute("UPDATE run SET name = NULL WHERE id = 2").await;
    let online = scratch.online("m1").await;
    online.move_to_rejects("run", "true", "all").run().await.unwrap();
    scratch.execute("ALTER TABLE run DROP COLUMN name, ADD COLUMN added integer DEFAULT 7").await;

    assert_eq!(online.restore_rejects("run").await.unwrap(), 1);
    assert_eq!(scratch.texts("SELECT run FROM run").await, ["(2,7)"]);

    scratch.execute("ALTER TABLE run ADD COLUMN name text").await;
    assert_eq!(online.restore_rejects("run").await.unwrap(), 1);
    assert_eq!(scratch.texts("SELECT run FROM run ORDER BY id").await, ["(1,7,\"run 1\")", "(2,7,)"]);
}

#[tokio::test]
async fn rows_of_other_tables_do_not_go_along() {
    let scratch = with_runs(3).await;
    scratch
        .execute(
            "CREATE TABLE step (id integer PRIMARY KEY, run_id integer CONSTRAINT step_run REFERENCES run ON DELETE CASCADE)",
        )
        .await;
    scratch.execute("INSERT INTO step VALUES (1, 2)").await;
    let online = scratch.online("m1").await;
    let all = || online.move_to_rejects("run", "true", "all");

    let refused = all().run().await.unwrap_err().to_string();
    assert!(refused.contains("1 row of `shop.step` along, through `step_run`"), "{refused}");
    assert_eq!(scratch.text("SELECT count(*) FROM run").await, "3");

    online.move_to_rejects("step", "source.run_id = 2", "of a run that goes").run().await.unwrap();
    assert_eq!(all().run().await.unwrap(), 3);
}

#[tokio::test]
async fn a_trigger_that_swallows_rows_loses_none() {
    let scratch = with_runs(3).await;
    let online = scratch.online("m1").await;
    let all = || online.move_to_rejects("run", "true", "all");
    scratch
        .execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF coalesce(OLD.id, NEW.id) = 2 THEN RETURN NULL; END IF; RETURN coalesce(NEW, OLD); END'",
        )
        .await;
    let trigger =
        "CREATE TRIGGER swallow BEFORE INSERT OR DELETE ON run FOR EACH ROW EXECUTE FUNCTION shop.swallow()";
    scratch.execute(trigger).await;
    let refused = all().run().await.unwrap_err().to_string();
    assert!(refused.contains("does a trigger keep them"), "{refused}");
    scratch.execute("DROP TRIGGER swallow ON run").await;
    assert_eq!(all().run().await.unwrap(), 1);
    scratch.execute(trigger).await;

    assert_eq!(online.restore_rejects("run").await.unwrap(), 2);

    assert_eq!(scratch.texts("SELECT row_data->>'id' FROM migration_reject_shop").await, ["2"]);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_refused() {
    let scratch = Scratch::new().await;
    let online = scratch.online("m1").await;
    let refused = online.move_to_rejects("absent", "true", "all").run().await.unwrap_err().to_string();
    assert!(refused.ends_with("there is no table `absent` in schema `shop`"), "{refused}");
}

async fn with_runs(n_rows: u32) -> Scratch {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE run (id integer PRIMARY KEY, name text)").await;
    scratch
        .execute(&format!("INSERT INTO run SELECT i, 'run ' || i FROM generate_series(1, {n_rows}) AS i"))
        .await;
    scratch
}

/// There is a session that makes rows all the time which should go, one by one or by thousands, and that writes one without
/// pause: what was there when it was looked for goes, once, and nobody is waited for.
#[tokio::test]
async fn it_ends_whatever_the_application_does() {
    // (the key, rows that the application makes at a time)
    for (key, n_late) in
        [("ADD PRIMARY KEY (id)", 1), ("ALTER id SET NOT NULL", 1), ("ALTER id SET NOT NULL", 2_500)]
    {
        let scratch = Scratch::new().await;
        scratch.execute("CREATE TABLE run (id integer, name text)").await;
        scratch.execute("INSERT INTO run SELECT i, 'run ' || i FROM generate_series(1, 1500) AS i").await;
        scratch.execute(&format!("ALTER TABLE run {key}")).await;
        let online = scratch.online("m1").await;
        let application = scratch.other().await;
        let is_done = AtomicBool::new(false);
        let writing = async {
            let mut id = 1_500;
            while !is_done.load(Ordering::Relaxed) {
                let late =
                    format!("INSERT INTO run SELECT {id} + i, 'late' FROM generate_series(1, {n_late}) AS i");
                execute(&application, &late).await;
                execute(&application, "UPDATE run SET name = name || '' WHERE id = 1400").await;
                id += n_late;
            }
        };
        let moving = async {
            let n_moved = online.move_to_rejects("run", "true", "all").run().await;
            is_done.store(true, Ordering::Relaxed);
            n_moved
        };

        let (n_moved, ()) = join(moving, writing).await;

        assert!(n_moved.unwrap() >= 1_500);
        assert_eq!(scratch.text("SELECT count(*) FROM run WHERE id <= 1500").await, "0");
        assert_eq!(scratch.texts("SELECT name FROM pg_cursors WHERE name <> ''").await, [""; 0]);
        let n_kept = scratch.text("SELECT count(DISTINCT row_data->>'id') FROM migration_reject_shop").await;
        assert!(n_kept.parse::<u32>().unwrap() >= 1_500, "{n_kept}");
    }
}

/// It is named, and neither it nor what comes after it leaves.
#[tokio::test]
async fn a_row_too_large_for_the_rejects_is_named_and_stays() {
    for key in ["PRIMARY KEY", ""] {
        let scratch = Scratch::new().await;
        scratch.execute(&format!("CREATE TABLE note (id integer {key}, words text)")).await;
        scratch.execute("INSERT INTO note SELECT n, repeat('x', CASE n WHEN 2 THEN 268435456 ELSE 9 END) FROM generate_series(1, 3) AS n").await;
        let online = scratch.online("m1").await;
        let moved = || online.move_to_rejects("note", "source.id > 1", "is not wanted").run();
        let error = moved().await.unwrap_err().to_string();
        let row = if key.is_empty() { "{\"ctid\": \"(0,2)\"}" } else { "{\"id\": \"2\"}" };
        assert!(error.contains(&format!("row {row} of `note` has 256 MB")), "{error}");
        assert!(error.contains("it was not changed: shorten it, or keep it elsewhere"), "{error}");
        assert_eq!(scratch.text("SELECT string_agg(id::text, ',' ORDER BY id) FROM note").await, "1,2,3");
        scratch.execute("UPDATE note SET words = 'short' WHERE id = 2").await;
        assert_eq!(moved().await.unwrap(), 2);
    }
}
