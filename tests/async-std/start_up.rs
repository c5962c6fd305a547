//! An application on async-std brings its own service to head when it starts: the libraries need no particular runtime.
//!
//! It starts in two ways, through the coordinator and through plain sea-orm. What the migrations do is tested beside
//! them; here only that they do it without tokio.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use chat_migration::Migrator;
use chat_migration::entity::{Dialogue, Role};
use futures_util::future::join;
use migration_coordinator::{Caller, EmbedError, Guard, Report, Standing, bring_to_head};
use postgres_sandbox::Cluster;
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait;

/// What the application does before it serves. Several instances that start at once wait for the one that migrates.
async fn migrate(url: &str) -> Result<Report, EmbedError> {
    // In a box, because `async_std::task::block_on` moves its future over the stack a dozen times.
    Box::pin(bring_to_head(chat_migration::service(), url, Caller::new("async-std-application"))).await
}

/// The application's own pool, in its service's schema.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = chat_migration::connect_options(url);
    options.sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// What the application is there for.
async fn serve(db: &DatabaseConnection) {
    let dialogue = Dialogue { user_id: 42, chat_id: 42 };
    dialogue.message(Role::User, "hello").insert(db).await.unwrap();
    let history = dialogue.history(10).all(db).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].content, "hello");
}

#[async_std::test]
async fn through_the_coordinator() {
    let database = Cluster::shared().create_database().unwrap();
    let report = migrate(database.url()).await.unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(report.done.len(), Migrator::migrations().len());
    let guard = Guard::new(chat_migration::service(), database.url()).unwrap();
    assert!(matches!(guard.check().await, Standing::Current));
    let again = migrate(database.url()).await.unwrap();
    assert!(again.done.is_empty() && again.failures.is_empty());
    serve(&connect(database.url()).await).await;
}

#[async_std::test]
async fn two_instances_at_once() {
    let database = Cluster::shared().create_database().unwrap();
    let (one, other) = join(migrate(database.url()), migrate(database.url())).await;
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.failures.is_empty() && other.failures.is_empty());
    assert_eq!(one.done.len() + other.done.len(), Migrator::migrations().len());
    serve(&connect(database.url()).await).await;
}

#[async_std::test]
async fn through_plain_sea_orm() {
    let database = Cluster::shared().create_database().unwrap();
    let db = connect(database.url()).await;
    db.execute_unprepared("CREATE SCHEMA chat").await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    assert!(Migrator::get_pending_migrations(&db).await.unwrap().is_empty());
    serve(&db).await;
}
