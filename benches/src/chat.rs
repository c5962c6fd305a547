//! A million messages with a new column, indexes and checks beside their application.

use super::Bench;
use super::under_load::{Phase, Subject};

/// The service's four revisions as their tool writes them: one transaction, indexes as `create_index` makes them.
const SCRIPT: &str = "\
BEGIN;
ALTER TABLE messages ADD COLUMN source VARCHAR(20) NOT NULL DEFAULT 'telegram';
CREATE INDEX idx_messages_source ON messages (source);
CREATE INDEX idx_messages_history ON messages (user_id, chat_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE STATISTICS stats_messages_dialogue (dependencies) ON user_id, chat_id FROM messages;
ANALYZE messages (user_id, chat_id);
ALTER TABLE messages ADD CONSTRAINT messages_role_check CHECK (role IN ('user', 'assistant'));
ALTER TABLE messages ADD CONSTRAINT messages_message_length_check CHECK (message_length >= 0);
COMMIT;
";

/// The application: it reads a dialogue, writes a message, and clears a dialogue.
const STATEMENTS: [(&str, u32); 3] = [
    (
        "\\set n random(1, 10000)\nSELECT role, content FROM chat.messages WHERE user_id = :n AND chat_id = :n \
         AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 20;\n",
        5,
    ),
    (
        "\\set n random(1, 10000)\nINSERT INTO chat.messages (user_id, chat_id, role, content, message_length) \
         VALUES (:n, :n, 'user', 'hello', 5);\n",
        4,
    ),
    (
        "\\set n random(1, 10000)\nUPDATE chat.messages SET deleted_at = now() \
         WHERE user_id = :n AND chat_id = :n AND deleted_at IS NULL;\n",
        1,
    ),
];

/// Messages without the source that they get.
const LEFT: &str = "SELECT count(*) FROM messages WHERE source IS DISTINCT FROM 'telegram'";

/// The service under load.
pub(super) fn subject(bench: &Bench) -> Subject {
    Subject {
        service: "chat",
        before: "m20251016_000001_create_messages",
        seed: seed(bench.rows),
        tables: &["chat.messages"],
        phases: vec![Phase::expand("chat", &STATEMENTS, SCRIPT, LEFT)],
    }
}

/// Messages of ten thousand private chats, in each of which they follow each other.
fn seed(n_rows: u64) -> String {
    format!(
        "INSERT INTO messages (user_id, chat_id, role, content, message_length, created_at)
SELECT n % 10000 + 1, n % 10000 + 1, CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END, repeat(md5(n::text), 4), 128,
    '2025-10-16'::timestamp + n * interval '1 second'
FROM generate_series(1, {n_rows}) AS n;"
    )
}
