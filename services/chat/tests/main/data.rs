//! Rows: what was there before a migration is there after it, byte for byte, and after it was reverted.

use chat_migration::service;
use migration_testing::Scratch;

/// Every column that the rows had at first, so that rows compare across the whole history.
const DIGEST: &str = "SELECT count(*), md5(string_agg(concat_ws('|', id, user_id, chat_id, role, content, message_length, \
                      created_at, coalesce(deleted_at::text, '-')), E'\\n' ORDER BY id)) FROM messages";

/// Dialogues of a few hundred users over a year: answers follow questions, some dialogues were cleared.
const REALISTIC: &str = "\
INSERT INTO messages (user_id, chat_id, role, content, message_length, created_at, deleted_at)
SELECT 1000 + n % 311, 1000 + n % 311 + (n % 7) * 100000, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, text, length(text),
       timestamp '2025-01-01' + n * interval '97 minutes',
       CASE WHEN n % 11 = 0 THEN timestamp '2025-01-01' + n * interval '98 minutes' END
FROM (SELECT n, repeat(md5(n::text) || ' — ответ ' || n || E'\\n', 1 + n % 5) AS text FROM generate_series(1, 6000) AS n) AS said";

/// What a table collects over the years: foreign roles, wrong lengths, sessions on the web, times out of order.
const DIRTY: &str = "\
INSERT INTO messages (user_id, chat_id, role, content, message_length, created_at, deleted_at) VALUES
    (1, 1, 'system', 'You are a helpful assistant', 27, '2025-02-01', NULL),
    (1, 1, 'User', 'capital letter', 14, '2025-02-01 00:00:01', NULL),
    (1, 1, '', '', 0, '2025-02-01 00:00:02', NULL),
    (-42, -42, 'user', 'session on the web', -1, '2025-02-01', NULL),
    (-9223372036854775808, 9223372036854775807, 'assistant', E'tab\\there, quote '' and \\\\', -2147483648, '-infinity', NULL),
    (2, 2, 'user', E'\\u00e9 is not e\\u0301, \\U0001F600', 999999, 'infinity', '1970-01-01'),
    (3, 3, 'tool', repeat('x', 100000), 100000, '2025-02-01', '2024-02-01'),
    (3, 3, 'user', 'deleted before it was created', 29, '2025-02-02', '2025-02-01')";

async fn rows_survive(insert: &str) {
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20251016_000001_create_messages").await;
    scratch.execute(insert).await;
    let before = scratch.rows(DIGEST).await;

    scratch.up().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(DIGEST).await, before);
    assert_eq!(scratch.rows("SELECT DISTINCT source FROM messages").await, ["telegram"]);

    scratch.down_to("m20251016_000001_create_messages").await;
    assert_eq!(scratch.rows(DIGEST).await, before);

    scratch.up().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(DIGEST).await, before);
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
async fn reverting_the_source_loses_it_and_nothing_else() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute(REALISTIC).await;
    scratch.execute("UPDATE messages SET source = 'web' WHERE id % 3 = 0").await;
    let before = scratch.rows(DIGEST).await;
    scratch.down_to("m20251016_000001_create_messages").await;
    scratch.up().await;
    assert_eq!(scratch.rows(DIGEST).await, before);
    assert_eq!(scratch.rows("SELECT count(*) FROM messages WHERE source <> 'telegram'").await, ["0"]);
}
