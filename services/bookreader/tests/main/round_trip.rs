//! Rows through all migrations and back: nothing changes but what the contract step declares as lost.

use bookreader_migration::service;
use migration_testing::Scratch;

use crate::BASE;
use crate::data::{self, DIRTY, REALISTIC, Settings, TABLES, of_kind, restored};

/// Columns of `users` but `reader_settings`, which stands elsewhere in the row when it has come back.
const USER_COLUMNS: &str = "id, email, password_hash, full_name, is_active, is_verified, is_admin, created_at, \
     updated_at, last_login";

#[tokio::test]
async fn without_the_contract_step_every_row_is_the_same_to_the_byte() {
    let scratch = filled().await;
    let before = digests(&scratch).await;
    let schema = scratch.dump_schema().await;
    scratch.up().await;
    scratch.verify().await;
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, before);
    assert_eq!(scratch.dump_schema().await, schema);
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_bookreader").await, ["0"]);
}

#[tokio::test]
async fn with_the_contract_step_only_what_it_declares_is_lost() {
    let scratch = filled().await;
    let before = digests(&scratch).await;
    let users = scratch.rows(&format!("SELECT {USER_COLUMNS} FROM users ORDER BY id")).await;
    scratch.up_contract().await;
    scratch.verify().await;
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await[1..], before[1..]);
    assert_eq!(scratch.rows(&format!("SELECT {USER_COLUMNS} FROM users ORDER BY id")).await, users);
    for (name, kinds, n_each) in SETS {
        for (kind, settings) in kinds.iter().enumerate() {
            let found = of_kind(&scratch, (name, kinds.len(), kind), "reader_settings::text", "users").await;
            assert_eq!(found, vec![settings.restored(); n_each], "{:?}", settings.json);
        }
    }
}

#[tokio::test]
async fn what_new_code_changed_comes_back_in_the_old_settings() {
    let scratch = filled().await;
    scratch.up_contract().await;
    scratch.execute("UPDATE user_preferences SET theme = 'night', notifications_enabled = false").await;
    scratch.down_to(BASE).await;
    for (name, kinds, n_each) in SETS {
        for (kind, settings) in kinds.iter().enumerate() {
            let found = of_kind(&scratch, (name, kinds.len(), kind), "reader_settings::text", "users").await;
            assert_eq!(
                found,
                vec![restored("night", settings.language, false); n_each],
                "{:?}",
                settings.json
            );
        }
    }
}

#[tokio::test]
async fn forth_back_and_forth_gives_the_same_preferences() {
    let scratch = filled().await;
    scratch.up_contract().await;
    let preferences =
        "SELECT user_id, theme, language, notifications_enabled FROM user_preferences ORDER BY user_id";
    let before = scratch.rows(preferences).await;
    let rejects =
        "SELECT row_key, field, value, reason, row_data FROM migration_reject_bookreader ORDER BY 1, 2";
    let rejects_before = scratch.rows(rejects).await;
    scratch.down_to(BASE).await;
    scratch.up_contract().await;
    assert_eq!(scratch.rows(preferences).await, before);
    assert_eq!(scratch.rows(rejects).await, rejects_before);
}

/// The data sets: name of the users, kinds of settings, users of each kind.
const SETS: [(&str, &[Settings], usize); 2] = [("reader", &REALISTIC, 150), ("dirty", &DIRTY, 5)];

/// The base schema with both data sets.
async fn filled() -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::realistic(&scratch).await;
    data::users(&scratch, "dirty", &DIRTY, 5).await;
    scratch
}

/// A digest of each base table, `users` first.
async fn digests(scratch: &Scratch) -> Vec<String> {
    let mut digests = Vec::new();
    for table in TABLES {
        digests.push(format!("{table} {}", scratch.table_digest(table).await));
    }
    digests
}
