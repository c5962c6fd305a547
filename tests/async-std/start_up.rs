//! An application on async-std brings its own service to head when it starts: the libraries need no particular runtime.
//!
//! It starts in two ways, through the coordinator and through plain sea-orm. What the migrations do is tested beside
//! them; here only that they do it without tokio.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::time::Duration;

use chat_migration::Migrator;
use chat_migration::entity::{Dialogue, Role};
use futures_util::future::join;
use migration_coordinator::{
    Caller, Cancellation, Deployment, Goal, Placement, Report, RunError, RunOptions, run,
};
use migration_kit::table_lock::Policy;
use migration_plan::{ContractSteps, UnknownApplied};
use postgres_sandbox::Cluster;
use sea_orm::{ActiveModelTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait;

/// What the application does before it serves. At head it takes no lock and writes nothing, and several instances that
/// start at once wait for the one that migrates.
async fn migrate(url: &str) -> Result<Report, RunError> {
    let service = chat_migration::service();
    let schema = service.default_schema().to_owned();
    let url = url.parse().expect("the sandbox gives addresses that parse");
    let deployment = Deployment::new(vec![Placement { service, schema, url }])
        .expect("a service fits together with itself");
    let goal = Goal::Apply {
        selections: Vec::new(),
        contract: ContractSteps::HoldBack,
        unknown: UnknownApplied::AllowAhead,
    };
    let options = RunOptions {
        caller: Caller { host: "test".to_owned(), tool: "async-std-application".to_owned() },
        wait: Duration::from_secs(60),
        table_locks: Policy::default(),
        jobs: 1,
        atomic: false,
        allow_data_loss: false,
        new_beside: false,
        cancellation: Cancellation::default(),
    };
    // In a box, because `async_std::task::block_on` moves its future over the stack a dozen times.
    Box::pin(run(&deployment, &goal, &options)).await
}

/// The application's own pool, in its service's schema.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.set_schema_search_path("chat").sqlx_logging(false);
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
