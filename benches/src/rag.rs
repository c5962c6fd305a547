//! What is known of users, while an index goes that a constraint's index makes useless.

use super::Bench;
use super::under_load::{Phase, Subject};

/// The application: it reads by user, and writes.
const STATEMENTS: [(&str, u32); 3] = [
    (
        "\\set n random(1, 100000)\nSELECT name, expertise FROM rag.user_knowledge WHERE user_id = 'user' || :n;\n",
        5,
    ),
    (
        "\\set n random(1, 100000)\nUPDATE rag.user_knowledge SET background = 'of ' || :n WHERE user_id = 'user' || :n;\n",
        4,
    ),
    (
        "\\set n random(1, 1000000000000)\nINSERT INTO rag.user_knowledge (user_id, name) \
         VALUES ('new' || :n, 'A new user') ON CONFLICT (user_id) DO NOTHING;\n",
        1,
    ),
];

/// The documented script: the index that goes.
const SCRIPT: &str = "DROP INDEX ix_user_knowledge_user_id;\n";

/// Whether it is still there.
const LEFT: &str = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('ix_user_knowledge_user_id')";

/// The service under load.
pub(super) fn subject(bench: &Bench) -> Subject {
    Subject {
        service: "rag",
        before: "m20250727_000001_create_user_knowledge",
        seed: seed(bench.rows),
        tables: &["rag.user_knowledge"],
        phases: vec![Phase::expand("rag", &STATEMENTS, SCRIPT, LEFT)],
    }
}

/// A user a row.
fn seed(n_rows: u64) -> String {
    format!(
        "INSERT INTO user_knowledge (user_id, name, expertise, background)
SELECT 'user' || n, 'User ' || n, jsonb_build_array('sql', 'rust'), repeat(md5(n::text), 8)
FROM generate_series(1, {n_rows}) AS n;"
    )
}
