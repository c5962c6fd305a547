//! The entities describe the tables as they are at head.

use assessments_migration::entity;
use migration_testing::Scratch;
use sea_orm::EntityTrait;

/// A row can be read: its fields have the types of the columns.
async fn reads<E: EntityTrait>(scratch: &Scratch) {
    let row = E::find().one(scratch.db()).await.expect("its fields have the types of the columns");
    assert!(row.is_some(), "{} has no row", E::default().table_name());
}

#[tokio::test]
async fn they_read_their_tables() {
    let scratch = crate::before().await;
    scratch.up_contract().await;
    reads::<entity::user::Entity>(&scratch).await;
    reads::<entity::role::Entity>(&scratch).await;
    reads::<entity::user_role::Entity>(&scratch).await;
    reads::<entity::competency::Entity>(&scratch).await;
    reads::<entity::direction::Entity>(&scratch).await;
    reads::<entity::technology::Entity>(&scratch).await;
    reads::<entity::direction_technology::Entity>(&scratch).await;
    reads::<entity::direction_competency::Entity>(&scratch).await;
    reads::<entity::technology_competency::Entity>(&scratch).await;
    reads::<entity::assessment::Entity>(&scratch).await;
    reads::<entity::competency_assessment::Entity>(&scratch).await;
    reads::<entity::question::Entity>(&scratch).await;
    reads::<entity::question_history::Entity>(&scratch).await;
}

#[tokio::test]
async fn an_answer_is_found_from_its_question() {
    let scratch = crate::before().await;
    scratch.up_contract().await;
    let found = entity::question_history::Entity::find()
        .find_also_related(entity::question::Entity)
        .one(scratch.db())
        .await
        .unwrap();
    assert!(found.is_some());
}
