//! Triggers and functions, and what `Online` itself refuses.

use migration_kit::Online;
use sea_orm::DbErr;

use super::helpers::{objects, refused, steps};
use crate::support::Scratch;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text, slug text)";

async fn keep_slug(online: &Online, expression: &str) -> Result<(), DbErr> {
    let body = format!("NEW.slug := {expression};\nRETURN NEW;");
    online.create_trigger("item_keep_slug", "item", "BEFORE INSERT OR UPDATE OF name", &body).run().await
}

#[tokio::test]
async fn a_trigger_is_created_replaced_and_dropped() {
    let scratch = Scratch::with(TABLE).await;
    let before = objects(&scratch);
    let online = steps(&scratch).await;
    keep_slug(&online, "upper(NEW.name)").await.unwrap();
    keep_slug(&online, "lower(NEW.name)").await.unwrap();
    keep_slug(&online, "lower(NEW.name)").await.unwrap();
    assert_eq!(scratch.psql("INSERT INTO item VALUES (1, 'It''s') RETURNING slug"), "it's");
    online.drop_trigger("item", "item_keep_slug").await.unwrap();
    online.drop_trigger("item", "item_keep_slug").await.unwrap();
    assert_eq!(objects(&scratch), before);
}

#[tokio::test]
async fn a_trigger_may_have_variables() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    let body = "DECLARE made text := $$it's$$; BEGIN NEW.slug := made; RETURN NEW; END;";
    online.create_trigger("t", "item", "BEFORE INSERT", body).run().await.unwrap();
    assert_eq!(scratch.psql("INSERT INTO item VALUES (1, 'x') RETURNING slug"), "it's");
}

#[tokio::test]
async fn a_function_is_created_replaced_and_dropped() {
    let scratch = Scratch::with(TABLE).await;
    let online = steps(&scratch).await;
    for body in ["SELECT upper(title)", "SELECT lower(title)"] {
        online.create_function("slug(title text) RETURNS text", "sql", "IMMUTABLE", body).await.unwrap();
    }
    assert_eq!(online.query_text("SELECT slug('ABC')").await.unwrap().as_deref(), Some("abc"));
    online.drop_function("slug(text)").await.unwrap();
    online.drop_function("slug(text)").await.unwrap();
}

#[tokio::test]
async fn inside_a_transaction_nothing_is_done() {
    let scratch = Scratch::with(TABLE).await;
    let manager = scratch.manager().begin().await.unwrap();
    let made = Online::new(&manager, "shop", "m20260101_000001_try_steps").await;
    let message = refused(made.map(drop));
    assert!(message.contains("its `use_transaction` must return `Some(false)`"), "{message}");
}
