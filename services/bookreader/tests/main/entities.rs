//! The entities against the database: they are the tables at head, and rows go in and out through them.

use bookreader_migration::entity::{
    DescriptionType, SubscriptionPlan, SubscriptionStatus, book, chapter, description, generated_image,
    reading_progress, subscription, user, user_preference,
};
use bookreader_migration::service;
use migration_testing::Scratch;
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, ModelTrait, NotSet, Schema, TransactionTrait,
};

/// The tables that the entities describe, created beside those of the migrations, have the same columns with the same
/// types, nullability and defaults, and the same primary and foreign keys.
#[tokio::test]
async fn they_are_the_tables_at_head() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    scratch.execute("CREATE SCHEMA model").await;
    let tx = scratch.db().begin().await.unwrap();
    tx.execute_unprepared("SET LOCAL search_path = model, bookreader").await.unwrap();
    let schema = Schema::new(DbBackend::Postgres);
    for table in [
        schema.create_table_from_entity(user::Entity),
        schema.create_table_from_entity(user_preference::Entity),
        schema.create_table_from_entity(subscription::Entity),
        schema.create_table_from_entity(book::Entity),
        schema.create_table_from_entity(reading_progress::Entity),
        schema.create_table_from_entity(chapter::Entity),
        schema.create_table_from_entity(description::Entity),
        schema.create_table_from_entity(generated_image::Entity),
    ] {
        tx.execute(&table).await.unwrap();
    }
    tx.commit().await.unwrap();
    let columns = |schema: &str| {
        format!(
            "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) \
             FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r' AND relname NOT LIKE '%migration%' \
             AND attnum > 0 AND NOT attisdropped ORDER BY relname, attname"
        )
    };
    assert_eq!(scratch.rows(&columns("model")).await, scratch.rows(&columns("bookreader")).await);
    let keys = |schema: &str| {
        format!(
            "SELECT conrelid::regclass::text, replace(pg_get_constraintdef(oid), 'model.', '') FROM pg_constraint \
             WHERE connamespace = '{schema}'::regnamespace AND contype IN ('p', 'f') \
             AND conrelid::regclass::text NOT LIKE '%migration%' ORDER BY 1, 2"
        )
    };
    let model = scratch
        .rows(
            &keys("model")
                .replace("conrelid::regclass::text,", "substring(conrelid::regclass::text FROM 7),"),
        )
        .await;
    assert_eq!(model, scratch.rows(&keys("bookreader")).await);
}

#[tokio::test]
async fn rows_go_in_and_out() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let db = scratch.db();
    let user = user::ActiveModel {
        email: Set("anna@example.org".to_owned()),
        password_hash: Set("hash".to_owned()),
        is_active: Set(true),
        is_verified: Set(true),
        is_admin: Set(false),
        ..Default::default()
    };
    let user = user.insert(db).await.unwrap();
    let preferences = user_preference::ActiveModel { user_id: Set(user.id), ..Default::default() };
    let preferences = preferences.insert(db).await.unwrap();
    assert_eq!((preferences.theme.as_str(), preferences.language.as_str()), ("light", "ru"));
    let subscription = subscription::ActiveModel {
        user_id: Set(user.id),
        plan: Set(SubscriptionPlan::Premium),
        status: Set(SubscriptionStatus::Active),
        auto_renewal: Set(true),
        books_uploaded: Set(0),
        images_generated_month: Set(0),
        ..Default::default()
    };
    assert_eq!(subscription.insert(db).await.unwrap().plan, SubscriptionPlan::Premium);
    let book = book::ActiveModel {
        user_id: Set(user.id),
        title: Set("Мастер и Маргарита".to_owned()),
        genre: Set("fiction".to_owned()),
        language: Set("ru".to_owned()),
        file_path: Set("/books/1.epub".to_owned()),
        file_format: Set("epub".to_owned()),
        file_size: Set(1),
        total_pages: Set(1),
        estimated_reading_time: Set(1),
        is_parsed: Set(true),
        parsing_progress: Set(100),
        rating: Set(Some(4.5)),
        ..Default::default()
    };
    let book = book.insert(db).await.unwrap();
    let chapter = chapter::ActiveModel {
        book_id: Set(book.id),
        chapter_number: Set(1),
        content: Set("Однажды весною".to_owned()),
        word_count: Set(2),
        estimated_reading_time: Set(1),
        is_description_parsed: Set(true),
        descriptions_found: Set(1),
        parsing_progress: Set(100),
        ..Default::default()
    };
    let chapter = chapter.insert(db).await.unwrap();
    let description = description::ActiveModel {
        chapter_id: Set(chapter.id),
        r#type: Set(DescriptionType::Atmosphere),
        content: Set("закат".to_owned()),
        confidence_score: Set(0.9),
        position_in_chapter: Set(0),
        word_count: Set(1),
        is_suitable_for_generation: Set(true),
        priority_score: Set(1.0),
        image_generated: Set(false),
        generation_requested: Set(false),
        ..Default::default()
    };
    let description = description.insert(db).await.unwrap();
    let image = generated_image::ActiveModel {
        description_id: Set(description.id),
        user_id: Set(user.id),
        service_used: Set("pollinations".to_owned()),
        status: Set("completed".to_owned()),
        prompt_used: Set("sunset".to_owned()),
        is_moderated: Set(false),
        view_count: Set(0),
        download_count: Set(0),
        retry_count: Set(0),
        ..Default::default()
    };
    image.insert(db).await.unwrap();
    let progress = reading_progress::ActiveModel {
        user_id: Set(user.id),
        book_id: Set(book.id),
        current_chapter: Set(1),
        current_page: Set(1),
        current_position: Set(0),
        reading_time_minutes: Set(0),
        reading_speed_wpm: Set(200.0),
        reading_location_cfi: Set(Some("epubcfi(/6/4!/4/2)".to_owned())),
        scroll_offset_percent: NotSet,
        ..Default::default()
    };
    assert_eq!(progress.insert(db).await.unwrap().scroll_offset_percent.to_string(), "0");

    let found = description::Entity::find_by_id(description.id).one(db).await.unwrap().unwrap();
    assert_eq!(found.r#type, DescriptionType::Atmosphere);
    let images = found.find_related(generated_image::Entity).all(db).await.unwrap();
    assert_eq!(images.len(), 1);
    let owner = images[0].find_related(user::Entity).one(db).await.unwrap();
    assert_eq!(owner.map(|owner| owner.email).as_deref(), Some("anna@example.org"));
}
