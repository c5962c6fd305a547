//! What a backfill records as rejects, and how it is read.

use std::time::Duration;

use migration_kit::{Backfill, Online, rejects};
use sea_orm::TransactionTrait;
use sea_orm_migration::SchemaManager;

use crate::support::Scratch;

/// Lists the texts that are no numbers.
const NOT_A_NUMBER: &str = "SELECT jsonb_build_object('id', source.id) AS key, 'score' AS field, source.score AS value, \
    'not a number' AS reason, to_jsonb(source) AS row FROM answer AS source WHERE {batch} AND source.score !~ '^[0-9]+$'";
const NUMBERS: &str = "UPDATE answer AS source SET n = source.score::integer \
    WHERE {batch} AND source.score ~ '^[0-9]+$' AND source.n IS NULL";

#[tokio::test]
async fn a_reject_is_recorded_once_however_often_the_backfill_runs() {
    let scratch = with_answers().await;
    let online = scratch.online("m1").await;

    let first = carry_over(&online).run().await.unwrap();
    let again = carry_over(&online).run().await.unwrap();

    assert_eq!((first.changed, first.rejected), (15, 5));
    assert_eq!((again.changed, again.rejected), (0, 0));
    assert_eq!(scratch.text("SELECT count(*) FROM migration_reject_shop").await, "5");
}

/// No index holds a key itself.
#[tokio::test]
async fn keys_of_any_length_are_listed_once() {
    let scratch = with_answers().await;
    let online = scratch.online("m1").await;
    let long = "SELECT jsonb_build_object('id', source.id, 'name', (SELECT string_agg(md5(n::text || source.id), '') \
        FROM generate_series(1, 300) AS n)) AS key, 'score' AS field, source.score AS value, 'long' AS reason, \
        NULL::jsonb AS row FROM answer AS source WHERE {batch}";
    for _ in 0..2 {
        online.backfill("answer").rejects(long).run().await.unwrap();
    }
    assert_eq!(scratch.text("SELECT count(*) FROM migration_reject_shop").await, "20");
    assert_eq!(
        scratch.text("SELECT min(length(row_key ->> 'name')) FROM migration_reject_shop").await,
        "9600"
    );
}

/// A row that is too large for JSON is listed with its size, and stays; so is a value as text.
#[tokio::test]
async fn a_row_too_large_for_json_is_listed_with_its_size() {
    let scratch = with_answers().await;
    scratch.execute("UPDATE answer SET score = repeat('x', 268435456) WHERE id = 7").await;
    let online = scratch.online("m1").await;
    let listed = format!(
        "SELECT jsonb_build_object('id', source.id) AS key, 'whole' AS field, left(source.score, 5) AS value, 'long' AS reason, \
         {} FROM answer AS source WHERE {{batch}} AND source.id IN (6, 7)",
        rejects::WHOLE_ROW,
    );
    online.backfill("answer").rejects(listed).run().await.unwrap();
    online
        .add_check("answer", "answer_short", "length(score) < 100")
        .rejecting("score", "is long")
        .run()
        .await
        .unwrap();
    let found = "SELECT string_agg(concat_ws('|', row_key ->> 'id', length(value), reason, row_data ->> 'id', \
        (row_data ->> 'size_bytes')::integer >> 20), ' ' ORDER BY reason, row_key) FROM migration_reject_shop";
    assert_eq!(scratch.text(found).await, "7|268435456|is long|256 6|1|long|6 7|5|long|256");
    assert_eq!(scratch.text("SELECT length(score) FROM answer WHERE id = 7").await, "268435456");

    // Where the migration has JSON made of it all the same, the row is named.
    let all = "SELECT jsonb_build_object('id', source.id) AS key, 'all' AS field, NULL AS value, 'long' AS reason, \
        to_jsonb(source) AS row FROM answer AS source WHERE {batch}";
    let error = online.backfill("answer").rejects(all).run().await.unwrap_err().to_string();
    assert!(
        error.contains("row {\"id\": \"7\"} of `answer` has 256 MB and does not fit into the rejects"),
        "{error}"
    );
}

/// Without statistics, whatever looks for the rejects of a row would read all of them for each row.
#[tokio::test]
async fn the_server_knows_how_many_rejects_there_are() {
    let scratch = with_answers().await;
    scratch.execute("INSERT INTO answer (id, score) SELECT n, 'none' FROM generate_series(21, 120) n").await;
    let online = scratch.online("m1").await;
    carry_over(&online).run().await.unwrap();
    let known = "SELECT reltuples::int8::text FROM pg_class WHERE relname = 'migration_reject_shop'";
    assert_eq!(scratch.text(known).await, "105");
}

#[tokio::test]
async fn rejects_can_be_listed_and_counted() {
    let scratch = with_answers().await;
    let online = scratch.online("m1").await;
    assert!(list(&scratch).await.is_empty());
    carry_over(&online).run().await.unwrap();

    let listed = list(&scratch).await;
    let reject = &listed[0];

    assert_eq!(listed.len(), 5);
    assert_eq!((reject.migration.as_str(), reject.table.as_str()), ("m1", "answer"));
    assert_eq!(reject.key, serde_json::json!({"id": 4}));
    assert_eq!((reject.field.as_str(), reject.value.as_deref()), ("score", Some("4th")));
    assert_eq!((reject.reason.as_str(), reject.moved), ("not a number", false));
    assert_eq!(reject.row, Some(serde_json::json!({"id": 4, "score": "4th", "n": null})));
    assert!(reject.rejected_at.ends_with('Z'));
    let mut connection = scratch.pool().acquire().await.unwrap();
    let counts = rejects::counts(&mut connection, "shop", "shop").await.unwrap();
    assert_eq!((counts.counts.len(), counts.n_deleted), (1, 0));
    assert_eq!((counts.counts[0].reason.as_str(), counts.counts[0].n_rejects), ("not a number", 5));
}

/// Rare losses, frequent ones, then what a rule changed; entries of rows that are gone are kept and not listed.
#[tokio::test]
async fn what_matters_is_listed_first_and_what_is_gone_not_at_all() {
    let scratch = with_answers().await;
    let online = scratch.online("m1").await;
    let listing = |field: &str, reason: &str, which: &str| {
        format!(
            "SELECT jsonb_build_object('id', source.id) AS key, '{field}' AS field, source.score AS value, \
             '{reason}' AS reason, NULL AS row FROM answer AS source WHERE {{batch}} AND {which}"
        )
    };
    carry_over(&online)
        .notes(listing("n", "outdated", "source.id <= 2"))
        .rejects(listing("id", "rare", "source.id = 20"))
        .run()
        .await
        .unwrap();
    scratch.execute("DELETE FROM answer WHERE id IN (4, 8)").await;

    let listed: Vec<String> =
        list(&scratch).await.iter().map(|r| format!("{} {}", r.key["id"], r.reason)).collect();
    assert_eq!(
        listed,
        ["20 rare", "12 not a number", "16 not a number", "20 not a number", "1 outdated", "2 outdated"]
    );
    let mut connection = scratch.pool().acquire().await.unwrap();
    let counts = rejects::counts(&mut connection, "shop", "shop").await.unwrap();
    let counted = |count: &rejects::RejectCount| (count.reason.clone(), count.n_rejects, count.harmless);
    assert_eq!(
        counts.counts.iter().map(counted).collect::<Vec<_>>(),
        [
            ("rare".to_owned(), 1, false),
            ("not a number".to_owned(), 3, false),
            ("outdated".to_owned(), 2, true)
        ]
    );
    assert_eq!(counts.n_deleted, 2);
    drop(connection);
    // Where the row's table cannot tell, everything is listed.
    scratch.execute("DROP TABLE answer").await;
    assert_eq!(list(&scratch).await.len(), 8);
}

#[tokio::test]
async fn a_failed_batch_records_no_rejects() {
    let scratch = with_answers().await;
    let online = scratch.online("m1").await;
    let failing = "UPDATE answer AS source SET n = 1 / (source.id - source.id) WHERE {batch}";

    carry_over(&online).statement(failing).run().await.unwrap_err();

    assert!(list(&scratch).await.is_empty());
}

#[tokio::test]
async fn reverting_forgets_the_rejects_of_this_migration_only() {
    let scratch = with_answers().await;
    let (first, second) = (scratch.online("m1").await, scratch.online("m2").await);
    assert_eq!(first.forget_rejects().await.unwrap(), 0);
    carry_over(&first).run().await.unwrap();
    carry_over(&second).run().await.unwrap();

    assert_eq!(first.forget_rejects().await.unwrap(), 5);

    assert_eq!(scratch.texts("SELECT DISTINCT migration FROM migration_reject_shop").await, ["m2"]);
}

#[tokio::test]
async fn a_migration_in_a_transaction_can_make_the_table() {
    let scratch = with_answers().await;
    let tx = scratch.manager().get_connection().begin().await.unwrap();
    rejects::install(&SchemaManager::new(&tx), "shop").await.unwrap();
    rejects::install(&SchemaManager::new(&tx), "shop").await.unwrap();
    tx.commit().await.unwrap();

    assert!(list(&scratch).await.is_empty());
    assert_eq!(scratch.text("SELECT count(*) FROM shop.migration_reject_shop").await, "0");
}

fn carry_over(online: &Online) -> Backfill<'_> {
    online.backfill("answer").batch_rows(10).target(Duration::ZERO).statement(NUMBERS).rejects(NOT_A_NUMBER)
}

async fn list(scratch: &Scratch) -> Vec<rejects::Reject> {
    let mut connection = scratch.pool().acquire().await.unwrap();
    rejects::list(&mut connection, "shop", "shop", 100).await.unwrap()
}

/// 20 answers, every fourth of them no number.
async fn with_answers() -> Scratch {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE answer (id integer PRIMARY KEY, score text, n integer)").await;
    scratch
        .execute(
            "INSERT INTO answer SELECT i, i || CASE WHEN i % 4 = 0 THEN 'th' ELSE '' END FROM generate_series(1, 20) AS i",
        )
        .await;
    scratch
}
