//! The queries of the entities: what they find, and how the server runs the very SQL that they emit.

use chat_migration::entity::prelude::Messages;
use chat_migration::entity::{Dialogue, Role, dashboard};
use chat_migration::service;
use migration_testing::Scratch;
use sea_orm::prelude::{Date, DateTime};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, JsonValue, QueryTrait, Statement, TransactionTrait,
};

const DIALOGUE: Dialogue = Dialogue { user_id: 7, chat_id: 7 };

/// 100,000 messages of 250 private chats, whose id is the user's, a tenth of them deleted, in no order.
const MANY: &str = "\
INSERT INTO messages (user_id, chat_id, role, content, message_length, created_at, deleted_at)
SELECT n % 250, n % 250, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'message ' || n, length('message ' || n),
       timestamp '2025-01-01' + (n * 7919 % 100000) * interval '1 minute',
       CASE WHEN n % 10 = 0 THEN timestamp '2026-01-01' END
FROM generate_series(1, 100000) AS n";

async fn many() -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute(MANY).await;
    scratch.execute("ANALYZE messages").await;
    scratch
}

/// Types of the plan's nodes and the indexes that they use, from the top down.
fn nodes(plan: &JsonValue) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![&plan[0]["Plan"]];
    while let Some(node) = open.pop() {
        let index = node["Index Name"].as_str().map(|index| format!(" {index}")).unwrap_or_default();
        found.push(format!("{}{index}", node["Node Type"].as_str().unwrap()));
        open.extend(node["Plans"].as_array().into_iter().flatten());
    }
    found
}

async fn plan_of(db: &impl ConnectionTrait, statement: Statement) -> Vec<String> {
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    nodes(&row.try_get_by_index::<JsonValue>(0).unwrap())
}

async fn explain(db: &impl ConnectionTrait, statement: Statement) -> Vec<String> {
    let sql = format!("EXPLAIN (FORMAT JSON) {}", statement.sql);
    plan_of(db, Statement::from_sql_and_values(DbBackend::Postgres, sql, statement.values.unwrap())).await
}

#[tokio::test]
async fn history_is_an_index_scan_without_a_sort() {
    let scratch = many().await;
    let statement = DIALOGUE.history(20).build(DbBackend::Postgres);
    let wanted = ["Limit", "Index Scan idx_messages_history"];
    assert_eq!(explain(scratch.db(), statement.clone()).await, wanted);

    // An application prepares the statement once; after a few runs the server plans it without knowing the values.
    let tx = scratch.db().begin().await.unwrap();
    tx.execute_unprepared(&format!("PREPARE history AS {}", statement.sql)).await.unwrap();
    tx.execute_unprepared("SET LOCAL plan_cache_mode = force_generic_plan").await.unwrap();
    let generic =
        Statement::from_string(DbBackend::Postgres, "EXPLAIN (FORMAT JSON) EXECUTE history (7, 7, 20)");
    assert_eq!(plan_of(&tx, generic).await, wanted);
    tx.execute_unprepared("DEALLOCATE history").await.unwrap();
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn history_sorts_without_its_index() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20251017_000001_add_message_source").await;
    scratch.execute(MANY).await;
    scratch.execute("ANALYZE messages").await;
    let plan = explain(scratch.db(), DIALOGUE.history(20).build(DbBackend::Postgres)).await;
    assert!(plan.contains(&"Sort".to_owned()), "{plan:?}");
}

#[tokio::test]
async fn history_is_the_latest_active_messages_of_one_dialogue() {
    let scratch = many().await;
    let found: Vec<i32> =
        DIALOGUE.history(20).all(scratch.db()).await.unwrap().iter().map(|message| message.id).collect();
    let wanted = scratch
        .rows(
            "SELECT id FROM messages WHERE user_id = 7 AND chat_id = 7 AND deleted_at IS NULL \
             ORDER BY created_at DESC, id DESC LIMIT 20",
        )
        .await;
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), wanted);
    assert_eq!(found.len(), 20);
}

#[tokio::test]
async fn messages_of_one_transaction_come_in_the_order_of_their_ids() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let tx = scratch.db().begin().await.unwrap();
    for (role, content) in
        [(Role::User, "one"), (Role::Assistant, "two"), (Role::User, "three"), (Role::Assistant, "four")]
    {
        DIALOGUE.message(role, content).insert(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(scratch.rows("SELECT count(DISTINCT created_at) FROM messages").await, ["1"]);
    // The table's own order must not be what answers: rewrite the rows the other way round.
    for id in [1, 3, 2] {
        scratch.execute(&format!("UPDATE messages SET source = 'telegram' WHERE id = {id}")).await;
    }
    let history = DIALOGUE.history(3).all(scratch.db()).await.unwrap();
    let said: Vec<&str> = history.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said, ["four", "three", "two"]);
}

#[tokio::test]
async fn a_new_message_counts_characters_and_leaves_the_rest_to_the_server() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let message = DIALOGUE.message(Role::User, "привет 😀").insert(scratch.db()).await.unwrap();
    assert_eq!((message.message_length, message.source.as_str(), message.deleted_at), (8, "telegram", None));
    assert_eq!(Messages::find_by_id(message.id).one(scratch.db()).await.unwrap().as_ref(), Some(&message));
    assert_eq!(scratch.rows("SELECT message_length = length(content) FROM messages").await, ["t"]);
}

#[tokio::test]
async fn the_dashboard_counts_active_messages_by_day() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch
        .execute(
            "INSERT INTO messages (user_id, chat_id, role, content, message_length, created_at, deleted_at) VALUES \
             (1, 1, 'user', 'too early', 9, '2025-03-01 23:59:59.999', NULL), \
             (1, 1, 'user', 'first', 5, '2025-03-02', NULL), \
             (2, 1, 'user', 'second', 6, '2025-03-02 23:59:59', NULL), \
             (1, 1, 'assistant', 'third', 5, '2025-03-04', NULL), \
             (3, 1, 'user', 'deleted', 7, '2025-03-04', '2025-03-05')",
        )
        .await;
    let since: DateTime = "2025-03-02T00:00:00".parse().unwrap();
    let totals = dashboard::totals(since).one(scratch.db()).await.unwrap().unwrap();
    assert_eq!(totals, dashboard::Totals { n_messages: 3, n_users: 2 });
    let days = dashboard::per_day(since).all(scratch.db()).await.unwrap();
    let day = |day: u32, n_messages| dashboard::DayCount {
        day: Date::from_ymd_opt(2025, 3, day).unwrap(),
        n_messages,
    };
    assert_eq!(days, [day(2, 2), day(4, 1)]);
}
