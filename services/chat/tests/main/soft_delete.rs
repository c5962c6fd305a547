//! Soft delete: out of sight by default, brought back on request, never gone.

use chat_migration::entity::messages::{Column, Entity};
use chat_migration::entity::{Dialogue, Role};
use chat_migration::service;
use migration_testing::Scratch;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, ModelTrait, PaginatorTrait, QueryOrder, TransactionTrait,
    prelude::DateTime,
};

const DIALOGUE: Dialogue = Dialogue { user_id: 5, chat_id: 50 };
/// Shares the user, not the chat.
const OTHER: Dialogue = Dialogue { user_id: 5, chat_id: 51 };

async fn two_dialogues() -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    for dialogue in [DIALOGUE, OTHER] {
        dialogue.message(Role::User, "question").insert(scratch.db()).await.unwrap();
        dialogue.message(Role::Assistant, "answer").insert(scratch.db()).await.unwrap();
    }
    scratch
}

#[tokio::test]
async fn clearing_hides_one_dialogue_and_keeps_its_rows() {
    let scratch = two_dialogues().await;
    let db = scratch.db();
    assert_eq!(DIALOGUE.clear().exec(db).await.unwrap().rows_affected, 2);
    assert!(DIALOGUE.history(10).all(db).await.unwrap().is_empty());
    assert_eq!(OTHER.history(10).all(db).await.unwrap().len(), 2);
    assert_eq!(Entity::find().count(db).await.unwrap(), 2);
    assert_eq!(Entity::find_deleted().count(db).await.unwrap(), 2);
    assert_eq!(Entity::find_with_deleted().count(db).await.unwrap(), 4);
    assert!(Entity::find_by_id(1).one(db).await.unwrap().is_none());
    assert_eq!(DIALOGUE.clear().exec(db).await.unwrap().rows_affected, 0, "cleared once, dated once");
}

#[tokio::test]
async fn restoring_brings_back_exactly_what_was_there() {
    let scratch = two_dialogues().await;
    let before = scratch.table_digest("messages").await;
    DIALOGUE.clear().exec(scratch.db()).await.unwrap();
    assert_ne!(scratch.table_digest("messages").await, before);
    assert_eq!(DIALOGUE.restore().exec(scratch.db()).await.unwrap().rows_affected, 2);
    assert_eq!(scratch.table_digest("messages").await, before);
    assert_eq!(OTHER.restore().exec(scratch.db()).await.unwrap().rows_affected, 0);
}

#[tokio::test]
async fn one_clear_is_undone_without_the_others() {
    let scratch = two_dialogues().await;
    let db = scratch.db();
    DIALOGUE.clear().exec(db).await.unwrap();
    DIALOGUE.message(Role::User, "again").insert(db).await.unwrap();
    DIALOGUE.clear().exec(db).await.unwrap();
    let last: DateTime = Entity::find_deleted()
        .order_by_desc(Column::DeletedAt)
        .one(db)
        .await
        .unwrap()
        .unwrap()
        .deleted_at
        .unwrap();
    assert_eq!(DIALOGUE.restore_cleared_at(last).exec(db).await.unwrap().rows_affected, 1);
    let active = DIALOGUE.history(10).all(db).await.unwrap();
    assert_eq!(active.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), ["again"]);
}

#[tokio::test]
async fn one_message_is_cleared_and_restored() {
    let scratch = two_dialogues().await;
    let db = scratch.db();
    let before = scratch.table_digest("messages").await;
    assert_eq!(Entity::clear_by_id(2).exec(db).await.unwrap().rows_affected, 1);
    assert_eq!(Entity::clear_by_id(2).exec(db).await.unwrap().rows_affected, 0, "cleared once, dated once");
    assert_eq!(DIALOGUE.history(10).all(db).await.unwrap().len(), 1);
    assert_eq!(OTHER.history(10).all(db).await.unwrap().len(), 2);
    assert_eq!(Entity::restore_by_id(2).exec(db).await.unwrap().rows_affected, 1);
    assert_eq!(Entity::restore_by_id(2).exec(db).await.unwrap().rows_affected, 0);
    assert_eq!(scratch.table_digest("messages").await, before);
}

#[tokio::test]
async fn creation_and_deletion_are_dated_by_one_clock_in_any_time_zone() {
    let scratch = two_dialogues().await;
    for zone in ["UTC", "Asia/Tokyo", "America/St_Johns"] {
        let dialogue = Dialogue { user_id: 9, chat_id: 9 };
        let tx = scratch.db().begin().await.unwrap();
        tx.execute_unprepared(&format!("SET LOCAL TimeZone = '{zone}'")).await.unwrap();
        let message = dialogue.message(Role::User, "now").insert(&tx).await.unwrap();
        dialogue.clear().exec(&tx).await.unwrap();
        let deleted = Entity::find_with_deleted().order_by_desc(Column::Id).one(&tx).await.unwrap().unwrap();
        assert_eq!(deleted.deleted_at, Some(message.created_at), "{zone}");
        tx.rollback().await.unwrap();
    }
    assert_eq!(
        scratch
            .rows("SELECT bool_and(created_at BETWEEN timezone('UTC', now()) - interval '1 hour' AND timezone('UTC', now())) \
                   FROM messages")
            .await,
        ["t"],
        "the service's sessions date in UTC"
    );
}

#[tokio::test]
async fn a_message_cannot_be_deleted_through_the_entity() {
    let scratch = two_dialogues().await;
    let message = Entity::find_by_id(1).one(scratch.db()).await.unwrap().unwrap();
    let refused = message.delete(scratch.db()).await.unwrap_err().to_string();
    assert!(refused.contains("never deleted"), "{refused}");
    assert_eq!(Entity::find().count(scratch.db()).await.unwrap(), 4);
}
