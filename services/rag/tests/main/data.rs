//! Rows: kept byte for byte by every migration that can be reverted without loss, and dated by the trigger.

use migration_testing::Scratch;
use rag_migration::entity::prelude::UserKnowledge;
use rag_migration::entity::user_knowledge::ActiveModel;
use rag_migration::service;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, JsonValue, TransactionTrait};

/// Profiles as the application writes them.
pub(crate) const REALISTIC: &str = "\
INSERT INTO user_knowledge (id, user_id, name, personality, background, expertise, communication_style, preferences, file_path, created_at, updated_at)
SELECT md5('key ' || n)::uuid, 'user_' || n, 'Имя ' || n, repeat('любознательный ', n % 9), CASE WHEN n % 3 = 0 THEN 'Тверь' END,
       jsonb_build_array('rust', 'sql', n), CASE WHEN n % 2 = 0 THEN 'brief' END,
       jsonb_build_object('theme', CASE n % 2 WHEN 0 THEN 'dark' ELSE 'light' END, 'n', n / 7.0), 'profiles/' || n || '.json',
       timestamp '2025-07-27' + n * interval '13 minutes', timestamp '2025-07-28' + n * interval '17 minutes'
FROM generate_series(1, 4000) AS n";

/// What columns without a check collect.
pub(crate) const DIRTY: &str = "\
INSERT INTO user_knowledge (id, user_id, name, personality, background, expertise, communication_style, preferences, file_path, created_at, updated_at) VALUES
    (md5('a')::uuid, '', '', '', '', '\"not an array\"', '', '[1, 2]', '', NULL, NULL),
    (md5('b')::uuid, repeat('ж', 50), repeat('ж', 100), NULL, NULL, 'null', NULL, 'null', repeat('/', 255), 'infinity', '-infinity'),
    (md5('c')::uuid, ' user_1 ', E'tab\\t and \\\\', E'\\u00e9 e\\u0301 \\U0001F600', NULL, '{}', NULL, '{\"a\": {\"a\": null}}', NULL,
     '2025-07-28', '2025-07-27')";

async fn rows_survive(insert: &str) {
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20250727_000001_create_user_knowledge").await;
    scratch.execute(insert).await;
    let before = scratch.table_digest("user_knowledge").await;
    scratch.up().await;
    scratch.verify().await;
    assert_eq!(scratch.table_digest("user_knowledge").await, before);
    scratch.down_to("m20250727_000001_create_user_knowledge").await;
    assert_eq!(scratch.table_digest("user_knowledge").await, before);
    scratch.up().await;
    assert_eq!(scratch.table_digest("user_knowledge").await, before);
}

#[tokio::test]
async fn realistic_rows_survive_up_and_down() {
    rows_survive(REALISTIC).await;
}

#[tokio::test]
async fn dirty_rows_survive_up_and_down() {
    rows_survive(DIRTY).await;
}

#[tokio::test]
async fn a_user_is_found_by_the_unique_constraint_once_the_redundant_index_is_gone() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute(REALISTIC).await;
    scratch.execute("ANALYZE user_knowledge").await;
    let plan =
        scratch.rows("EXPLAIN (COSTS OFF) SELECT * FROM user_knowledge WHERE user_id = 'user_7'").await;
    assert_eq!(plan[0], "Index Scan using user_knowledge_user_id_key on user_knowledge");
    let again = "INSERT INTO user_knowledge (user_id, name) VALUES ('user_7', 'again')";
    let twice = scratch.db().execute_unprepared(again).await;
    assert!(twice.unwrap_err().to_string().contains("user_knowledge_user_id_key"));
}

#[tokio::test]
async fn the_server_keys_and_dates_a_row_and_the_trigger_dates_its_updates() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let db = scratch.db();
    let inserted = ActiveModel {
        user_id: Set("ivan".to_owned()),
        name: Set("Иван".to_owned()),
        expertise: Set(Some(JsonValue::from(vec!["rust", "sql"]))),
        ..Default::default()
    };
    let inserted = inserted.insert(db).await.unwrap();
    assert!(inserted.created_at.is_some() && inserted.created_at == inserted.updated_at);
    scratch.execute("UPDATE user_knowledge SET created_at = '2025-01-01'").await;

    // Whatever the caller sets, and wherever its search_path points, the trigger dates the update in UTC.
    let tx = db.begin().await.unwrap();
    tx.execute_unprepared("SET LOCAL search_path = ''").await.unwrap();
    tx.execute_unprepared("UPDATE rag.user_knowledge SET name = 'Ваня', updated_at = '1999-01-01'")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let updated = UserKnowledge::find_by_user_id("ivan").one(db).await.unwrap().unwrap();
    assert_eq!((updated.id, updated.name.as_str()), (inserted.id, "Ваня"));
    assert_eq!(updated.expertise, inserted.expertise);
    assert!(updated.updated_at > inserted.updated_at);
    assert_eq!(
        scratch
            .rows("SELECT created_at, updated_at BETWEEN timezone('UTC', now()) - interval '1 hour' AND timezone('UTC', now()) \
                   FROM user_knowledge")
            .await,
        ["2025-01-01 00:00:00|t"]
    );
}
