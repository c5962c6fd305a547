//! The service adopted in `public`, among other teams' tables, where `user_knowledge` stands already.

use migration_kit::Service;
use migration_testing::Scratch;
use rag_migration::{migrations, service};
use sea_orm::{DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;

use crate::data::{DIRTY, REALISTIC};
use crate::other_teams;

const FIRST: &str = "m20250727_000001_create_user_knowledge";
const TRIGGER: &str = "SELECT tgname, tgfoid::regproc, tgenabled FROM pg_trigger \
                       WHERE tgrelid = 'public.user_knowledge'::regclass AND NOT tgisinternal";

fn in_public() -> Service {
    service().with_default_schema("public")
}

/// A database as the old project left it.
async fn inherited() -> Scratch {
    let scratch = Scratch::new(in_public()).await;
    other_teams::create(&scratch).await;
    other_teams::create_old_table(&scratch).await;
    scratch
}

/// Tries the first migration in a transaction, as sea-orm and the coordinator do.
async fn try_first(scratch: &Scratch) -> Result<(), DbErr> {
    let tx = scratch.db().begin().await?;
    migrations()[0].up(&SchemaManager::new(&tx)).await?;
    tx.commit().await
}

#[tokio::test]
async fn an_equal_table_is_adopted_with_its_rows() {
    let scratch = inherited().await;
    scratch.execute(REALISTIC).await;
    scratch.execute(DIRTY).await;
    let rows = scratch.table_digest("user_knowledge").await;
    let footprint = other_teams::footprint(&scratch).await;

    scratch.up().await;
    scratch.verify().await;
    assert_eq!(scratch.table_digest("user_knowledge").await, rows);
    assert_eq!(other_teams::footprint(&scratch).await, footprint);
    assert_eq!(
        scratch.rows(TRIGGER).await,
        ["update_user_knowledge_updated_at|user_knowledge_set_updated_at|O"],
        "the trigger calls a function of the service's own"
    );
    scratch
        .execute("UPDATE user_knowledge SET name = 'new', updated_at = '1999-01-01' WHERE user_id = 'user_1'")
        .await;
    assert_eq!(
        scratch
            .rows(
                "SELECT updated_at > now() - interval '1 hour' FROM user_knowledge WHERE user_id = 'user_1'"
            )
            .await,
        ["t"]
    );
    scratch.execute("UPDATE users SET email = 'new' WHERE id = 1").await;
    assert_eq!(
        scratch.rows("SELECT updated_at IS NOT NULL FROM users WHERE id = 1").await,
        ["t"],
        "theirs works on"
    );
}

#[tokio::test]
async fn an_adopted_table_ends_like_a_created_one() {
    let adopted = inherited().await;
    adopted.up().await;
    let created = Scratch::new(in_public()).await;
    other_teams::create(&created).await;
    created.up().await;
    assert_eq!(adopted.dump_schema().await, created.dump_schema().await);
}

#[tokio::test]
async fn adopting_twice_changes_nothing() {
    let scratch = inherited().await;
    scratch.up_to(FIRST).await;
    let versions = "SELECT oid, xmin FROM pg_trigger WHERE tgrelid = 'public.user_knowledge'::regclass \
                    UNION ALL SELECT oid, xmin FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1";
    let before = scratch.rows(versions).await;
    try_first(&scratch).await.unwrap();
    assert_eq!(scratch.rows(versions).await, before);
}

#[tokio::test]
async fn reverting_leaves_the_other_teams_function() {
    let scratch = inherited().await;
    let footprint = other_teams::footprint(&scratch).await;
    scratch.up().await;
    scratch.down_to("base").await;
    assert_eq!(
        scratch
            .rows("SELECT to_regclass('user_knowledge'), to_regproc('user_knowledge_set_updated_at')")
            .await,
        ["∅|∅"]
    );
    assert_eq!(other_teams::footprint(&scratch).await, footprint);
}

#[tokio::test]
async fn a_table_of_another_shape_stops_with_every_difference_and_is_left_as_it_is() {
    let scratch = inherited().await;
    for statement in [
        "ALTER TABLE user_knowledge ALTER COLUMN name TYPE VARCHAR(50)",
        "ALTER TABLE user_knowledge ALTER COLUMN user_id DROP NOT NULL",
        "ALTER TABLE user_knowledge ALTER COLUMN id DROP DEFAULT",
        "ALTER TABLE user_knowledge DROP COLUMN file_path",
        "ALTER TABLE user_knowledge ADD COLUMN mood TEXT COLLATE \"C\" NOT NULL",
        "ALTER TABLE user_knowledge RENAME CONSTRAINT user_knowledge_user_id_key TO uq_user",
        "ALTER TABLE user_knowledge ADD CONSTRAINT short CHECK (length(name) < 50) NOT VALID",
        "DROP INDEX ix_user_knowledge_user_id",
        "CREATE INDEX ix_user_knowledge_user_id ON user_knowledge (user_id, name)",
        "ALTER TABLE user_knowledge DISABLE TRIGGER update_user_knowledge_updated_at",
    ] {
        scratch.execute(statement).await;
    }
    let schema = scratch.dump_schema().await;
    let footprint = other_teams::footprint(&scratch).await;

    let refused = try_first(&scratch).await.unwrap_err().to_string();
    let (_, listed) = refused.split_once("was left as it is: ").unwrap();
    assert_eq!(
        listed.split("; ").collect::<Vec<_>>(),
        [
            "column file_path is missing, it should be `character varying(255)`",
            "column id should be `uuid not null default gen_random_uuid()` and is `uuid not null`",
            "column mood is not expected, it is `text collate \"C\" not null`",
            "column name should be `character varying(100) not null` and is `character varying(50) not null`",
            "column user_id should be `character varying(50) not null` and is `character varying(50)`",
            "constraint short is not expected, it is `CHECK ((length((name)::text) < 50)) NOT VALID`",
            "constraint uq_user is not expected, it is `UNIQUE (user_id)`",
            "constraint user_knowledge_user_id_key is missing, it should be `UNIQUE (user_id)`",
            "index ix_user_knowledge_user_id should be `plain USING btree (user_id)` and is `plain USING btree (user_id, name)`",
            "index uq_user is not expected, it is `unique USING btree (user_id)`",
            "index user_knowledge_user_id_key is missing, it should be `unique USING btree (user_id)`",
            "trigger update_user_knowledge_updated_at should be `CREATE TRIGGER update_user_knowledge_updated_at \
             BEFORE UPDATE FOR EACH ROW` and is `CREATE TRIGGER update_user_knowledge_updated_at BEFORE UPDATE \
             FOR EACH ROW, disabled`",
        ]
    );
    assert_eq!(scratch.dump_schema().await, schema);
    assert_eq!(other_teams::footprint(&scratch).await, footprint);
    assert_eq!(scratch.rows("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").await, ["0"]);
}

#[tokio::test]
async fn a_view_of_the_name_stops() {
    let scratch = Scratch::new(in_public()).await;
    scratch.execute("CREATE VIEW user_knowledge AS SELECT 1 AS id").await;
    let refused = try_first(&scratch).await.unwrap_err().to_string();
    assert!(refused.contains("table should be `ordinary` and is `view`"), "{refused}");
}

#[tokio::test]
async fn a_function_of_our_name_is_not_overwritten() {
    let scratch = inherited().await;
    scratch
        .execute("CREATE FUNCTION user_knowledge_set_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        .await;
    let schema = scratch.dump_schema().await;
    let refused = try_first(&scratch).await.unwrap_err().to_string();
    assert!(refused.contains("already exists"), "{refused}");
    assert_eq!(scratch.dump_schema().await, schema);
}

#[tokio::test]
async fn a_table_in_use_is_not_waited_for() {
    let scratch = inherited().await;
    let application = scratch.db().begin().await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(
        &application,
        "INSERT INTO user_knowledge (user_id, name) VALUES ('busy', 'busy')",
    )
    .await
    .unwrap();
    let refused = try_first(&scratch).await.unwrap_err();
    assert_eq!(migration_kit::sqlstate(&refused).as_deref(), Some("55P03"));
    assert!(migration_kit::table_lock::is_retryable(&refused));
    application.commit().await.unwrap();
    try_first(&scratch).await.unwrap();
}
