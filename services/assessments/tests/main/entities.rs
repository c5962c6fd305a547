//! The entities describe the tables as they are at head.

use assessments_migration::entity;
use migration_testing::Scratch;
use sea_orm::{EntityTrait, IdenStatic, Iterable};

/// Every column of the table has a field and every field a column, and a row can be read.
async fn check<E: EntityTrait>(scratch: &Scratch) {
    let table = E::default().table_name().to_owned();
    let mut fields: Vec<String> = E::Column::iter().map(|column| column.as_str().to_owned()).collect();
    fields.sort_unstable();
    let columns = scratch
        .rows(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 \
             AND NOT attisdropped ORDER BY attname COLLATE \"C\""
        ))
        .await;
    assert_eq!(fields, columns, "{table}");
    let row = E::find().one(scratch.db()).await.expect("its fields have the types of the columns");
    assert!(row.is_some(), "{table} has no row");
}

#[tokio::test]
async fn they_have_the_columns_of_their_tables() {
    let scratch = crate::before().await;
    scratch.up_contract().await;
    check::<entity::user::Entity>(&scratch).await;
    check::<entity::role::Entity>(&scratch).await;
    check::<entity::user_role::Entity>(&scratch).await;
    check::<entity::competency::Entity>(&scratch).await;
    check::<entity::direction::Entity>(&scratch).await;
    check::<entity::technology::Entity>(&scratch).await;
    check::<entity::direction_technology::Entity>(&scratch).await;
    check::<entity::direction_competency::Entity>(&scratch).await;
    check::<entity::technology_competency::Entity>(&scratch).await;
    check::<entity::assessment::Entity>(&scratch).await;
    check::<entity::competency_assessment::Entity>(&scratch).await;
    check::<entity::question::Entity>(&scratch).await;
    check::<entity::question_history::Entity>(&scratch).await;
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
