//! Lists of columns, indexes and foreign keys: what they add twice, verify and drop.

use migration_kit::{Column, Details, ForeignKey, Index, OnDelete};

use super::helpers::{objects, steps};
use crate::support::Scratch;

const COLUMNS: [Column; 4] = [
    Column::new("item", "title", "VARCHAR(20)")
        .catalog_type("character varying(20)")
        .comment("It's its title"),
    Column::new("item", "is_active", "boolean").not_null("TRUE"),
    Column::new("item", "updated_at", "timestamp with time zone").default_for_new_rows("now()"),
    Column::new("item", "bot_id", "integer"),
];

const INDEXES: [Index; 3] = [
    Index::new("idx_item_title", "item", &["lower(title)", "id DESC"]).filter("is_active"),
    Index::new("idx_item_bot", "item", &["bot_id"]).using("hash"),
    Index::new("idx_bot_name", "bot", &["name"]).unique(),
];

const FOREIGN_KEYS: [ForeignKey; 2] = [
    ForeignKey::new("item_bot_fkey", "item", &["bot_id"], "bot").to_columns(&["id"]),
    ForeignKey::new("child_item_fkey", "child", &["id", "kind"], "item").on_delete(OnDelete::Cascade),
];

#[tokio::test]
async fn lists_are_added_verified_and_dropped() {
    let scratch = Scratch::with(
        "CREATE TABLE bot (id integer PRIMARY KEY, name text); INSERT INTO bot VALUES (1, 'b'); \
         CREATE TABLE item (id integer, kind text, PRIMARY KEY (id, kind)); INSERT INTO item VALUES (1, 'k'); \
         CREATE TABLE child (id integer, kind text); INSERT INTO child VALUES (1, 'k')",
    )
    .await;
    let before = objects(&scratch);
    let online = steps(&scratch).await;

    for _ in 0..2 {
        online.add_columns(&COLUMNS).await.unwrap();
        online.create_indexes(&INDEXES).await.unwrap();
        online.add_foreign_keys(&FOREIGN_KEYS).await.unwrap();
    }

    let added = objects(&scratch);
    for expected in [
        "UNIQUE INDEX idx_bot_name ON shop.bot USING btree (name) valid=true",
        "INDEX idx_item_bot ON shop.item USING hash (bot_id) valid=true",
        "INDEX idx_item_title ON shop.item USING btree (lower((title)::text), id DESC) WHERE is_active valid=true",
        "item_bot_fkey FOREIGN KEY (bot_id) REFERENCES bot(id)\n",
        "child_item_fkey FOREIGN KEY (id, kind) REFERENCES item(id, kind) ON DELETE CASCADE\n",
        "item|is_active|boolean|t|true",
        "item|updated_at|timestamp with time zone|f|now()",
    ] {
        assert!(added.contains(expected), "{expected}: {added}");
    }
    assert_eq!(scratch.psql("SELECT is_active, updated_at IS NULL FROM item"), "t|t");
    assert_eq!(scratch.psql("SELECT col_description('item'::regclass, 3)"), "It's its title");
    let details = Details::expand().verify_all(&COLUMNS).verify_all(&INDEXES).verify_all(&FOREIGN_KEYS);
    assert_eq!(details.checks.len(), 9);
    for check in &details.checks {
        assert_eq!(scratch.psql(&check.question()), "t", "{}", check.says);
    }

    for _ in 0..2 {
        online.drop_foreign_keys(&FOREIGN_KEYS).await.unwrap();
        online.drop_indexes(INDEXES.iter().rev()).await.unwrap();
        online.drop_columns(COLUMNS.iter().rev()).await.unwrap();
    }
    assert_eq!(objects(&scratch), before);
}
