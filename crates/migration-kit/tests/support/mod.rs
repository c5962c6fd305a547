//! A scratch database with the schema of a service `shop`, and short ways to ask it.

use migration_kit::Online;
use postgres_sandbox::{Cluster, Database};
use sea_orm::sqlx::postgres::PgPool;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use sea_orm_migration::SchemaManager;

/// A database of its own, dropped with this value.
pub(crate) struct Scratch {
    db: DatabaseConnection,
    database: Database,
}

impl Scratch {
    /// An empty schema `shop`, over a pool of a single connection, as the coordinator has it.
    pub(crate) async fn new() -> Self {
        Self::on(Cluster::shared()).await
    }

    /// The same in which these statements were run.
    pub(crate) async fn with(statements: &str) -> Self {
        let scratch = Self::new().await;
        scratch.psql(statements);
        scratch
    }

    /// The same on a cluster with settings of its own.
    pub(crate) async fn on(cluster: &Cluster) -> Self {
        let database = cluster.create_database().unwrap();
        database.psql("CREATE SCHEMA shop").unwrap();
        let db = connect(&database).await;
        Self { db, database }
    }

    /// Another session in the same schema: the application.
    pub(crate) async fn other(&self) -> DatabaseConnection {
        connect(&self.database).await
    }

    /// The steps of a migration of `shop`.
    pub(crate) async fn online(&self, migration: &str) -> Online {
        Online::new(&SchemaManager::new(&self.db), "shop", migration).await.unwrap()
    }

    /// Makes a manager outside a transaction, as sea-orm hands it to a migration.
    pub(crate) fn manager(&self) -> SchemaManager<'_> {
        SchemaManager::new(&self.db)
    }

    /// URL of the database.
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// The pool, for what takes a connection.
    pub(crate) fn pool(&self) -> &PgPool {
        self.db.get_postgres_connection_pool()
    }

    /// Runs statements from outside in the schema and gives their rows, a line each, fields parted by `|`.
    pub(crate) fn psql(&self, sql: &str) -> String {
        let printed = self.database.psql(&format!("SET search_path = shop;\n{sql}"));
        printed.unwrap_or_else(|error| panic!("{sql}: {error}")).trim_end().to_owned()
    }

    /// Runs one statement.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.db, sql).await;
    }

    /// Runs one query and gives its first column, as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        texts(&self.db, sql).await
    }

    /// Runs one query and gives its only value, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        self.texts(sql).await.pop().expect("the query gives a row")
    }
}

/// Runs one statement in a session.
pub(crate) async fn execute(db: &impl ConnectionTrait, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Runs one query in a session and gives its first column, as text; null is `∅`.
pub(crate) async fn texts(db: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let sql = format!("SELECT coalesce(asked::text, '∅') FROM ({sql}) AS question (asked)");
    let asked = Statement::from_string(db.get_database_backend(), sql.clone());
    let rows = db.query_all_raw(asked).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn connect(database: &Database) -> DatabaseConnection {
    let mut options = ConnectOptions::new(database.url());
    options.max_connections(1).set_schema_search_path("shop").sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
}
