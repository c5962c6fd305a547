//! Columns: the shape decides what is done, and nothing that would write a table anew gets through.

use migration_kit::Online;
use sea_orm::DbErr;

use super::helpers::{objects, refused, steps};
use crate::support::Scratch;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text); \
                     INSERT INTO item SELECT n, 'n' || n FROM generate_series(1, 10) n";

async fn add(online: &Online) -> Result<(), DbErr> {
    let added = online.add_column("item", "price", "NUMERIC(10, 2)").not_null().default("0");
    added.comment("in euros, it's exact").run().await
}

#[tokio::test]
async fn is_added_once_with_its_comment() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    add(&online).await.unwrap();
    let file = scratch.psql("SELECT pg_relation_filenode('item')");
    add(&online).await.unwrap();
    assert_eq!(scratch.psql("SELECT pg_relation_filenode('item')"), file);
    assert_eq!(scratch.psql("SELECT DISTINCT price FROM item"), "0.00");
    assert_eq!(scratch.psql("SELECT col_description('item'::regclass, 3)"), "in euros, it's exact");
}

#[tokio::test]
async fn another_shape_is_refused() {
    let scratch = Scratch::with(TABLE).await;
    scratch.psql("ALTER TABLE item ADD COLUMN price numeric(10,3)");
    assert_eq!(
        refused(add(&steps(&scratch).await).await),
        "`item` has a column `price` already, of another shape: it is `numeric(10,3)`, not `numeric(10,2) not null`"
    );
}

#[tokio::test]
async fn what_would_write_the_table_anew_is_refused() {
    let scratch = Scratch::with(TABLE).await;
    scratch.psql("CREATE DOMAIN positive AS int CHECK (VALUE > 0)");
    let before = objects(&scratch);
    let online = steps(&scratch).await;
    for (column_type, default) in [
        ("uuid", Some("gen_random_uuid()")),
        ("timestamptz", Some("clock_timestamp()")),
        ("bigserial", None),
        ("bigint GENERATED ALWAYS AS IDENTITY", None),
        ("positive", None),
    ] {
        let mut column = online.add_column("item", "extra", column_type);
        if let Some(default) = default {
            column = column.default(default);
        }
        let message = refused(column.run().await);
        assert!(message.contains("would write the whole table anew"), "{column_type}: {message}");
    }
    // The transaction's time is not volatile: one value for all rows.
    online.add_column("item", "seen_at", "timestamptz").default("now()").run().await.unwrap();
    online.drop_column("item", "seen_at").await.unwrap();
    assert_eq!(objects(&scratch), before);
}

#[tokio::test]
async fn not_null_without_a_default_and_a_missing_table_are_refused() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    let message = refused(online.add_column("item", "x", "int").not_null().run().await);
    assert!(message.starts_with("`item.x` refuses null and has no default"), "{message}");
    let message = refused(online.add_column("nothing", "x", "int").run().await);
    assert_eq!(message, "there is no table `nothing` in schema `shop`");
}

#[tokio::test]
async fn defaults_and_columns_come_and_go() {
    let scratch = Scratch::with(
        "CREATE TABLE owner (id int PRIMARY KEY); CREATE TABLE item (id int PRIMARY KEY, owner_id int REFERENCES owner)",
    )
    .await;
    let online = steps(&scratch).await;
    for _ in 0..2 {
        online.set_default("item", "id", "7").await.unwrap();
    }
    assert_eq!(scratch.psql("INSERT INTO item DEFAULT VALUES RETURNING id"), "7");
    for _ in 0..2 {
        online.drop_default("item", "id").await.unwrap();
        online.drop_column("item", "owner_id").await.unwrap();
    }
    assert_eq!(scratch.psql("SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), "0");
    assert_eq!(
        refused(online.set_default("item", "nothing", "1").await),
        "table `item` has no column `nothing`"
    );
}

#[tokio::test]
async fn not_null_is_complete_after_any_crash() {
    let by_hand = [
        "ALTER TABLE item ADD CONSTRAINT migrate_not_null_2 CHECK (name IS NOT NULL) NOT VALID",
        "ALTER TABLE item VALIDATE CONSTRAINT migrate_not_null_2",
        "ALTER TABLE item ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE item DROP CONSTRAINT migrate_not_null_2",
    ];
    let whole = Scratch::with(TABLE).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(TABLE).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        let online = steps(&scratch).await;
        online.set_not_null("item", "name").await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
        online.drop_not_null("item", "name").await.unwrap();
        online.drop_not_null("item", "name").await.unwrap();
        assert_eq!(scratch.psql("SELECT count(*) FROM pg_attribute WHERE attnotnull AND attrelid = 'item'::regclass AND attname = 'name'"), "0");
    }
}

#[tokio::test]
async fn not_null_over_a_null_says_how_many_and_leaves_nothing() {
    let scratch = Scratch::with(TABLE).await;
    scratch.psql("UPDATE item SET name = NULL WHERE id < 4");
    let before = objects(&scratch);
    let message = refused(steps(&scratch).await.set_not_null("item", "name").await);
    assert_eq!(message, "`item.name` cannot be made not null: it is null in 3 row(s)");
    assert_eq!(objects(&scratch), before);
}

#[tokio::test]
async fn enum_values_storage_and_brief_statements_are_idempotent() {
    let scratch =
        Scratch::with("CREATE TYPE mood AS ENUM ('fine'); CREATE TABLE item (id int, mood mood)").await;
    let online = steps(&scratch).await;
    for _ in 0..2 {
        online.add_enum_value("mood", "it's odd").await.unwrap();
        online
            .set_storage("item", [("autovacuum_vacuum_scale_factor", "0.1"), ("fillfactor", "90")])
            .await
            .unwrap();
        online.reset_storage("item", ["fillfactor"]).await.unwrap();
        let rename = online.brief(format!("ALTER TABLE {}.item RENAME COLUMN id TO number", online.schema()));
        rename
            .locking("item", migration_kit::LockMode::AccessExclusive)
            .unless("SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname = 'number')")
            .run()
            .await
            .unwrap();
    }
    scratch.psql("INSERT INTO item VALUES (1, 'it''s odd')");
    assert_eq!(
        scratch.psql("SELECT reloptions FROM pg_class WHERE relname = 'item'"),
        "{autovacuum_vacuum_scale_factor=0.1}"
    );
}
