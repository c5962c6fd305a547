//! A database of one's own for each test, with a service's schema in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use migration_kit::table_lock::Policy;
use migration_kit::{Online, sqlstate};
use postgres_sandbox::{Cluster, Database};
use sea_orm::sqlx::{Connection, PgConnection};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};
use sea_orm_migration::SchemaManager;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// A database with the schema `shop`, and a pool of one connection to it, as the coordinator makes it.
pub(crate) struct Scratch {
    pub(crate) db: DatabaseConnection,
    database: Database,
}

impl Scratch {
    /// A database in which these statements were run.
    pub(crate) async fn new(statements: &str) -> Self {
        Self::on(Cluster::shared(), statements).await
    }

    pub(crate) async fn on(cluster: &Cluster, statements: &str) -> Self {
        let database = cluster.create_database().expect("the cluster runs");
        database.psql("CREATE SCHEMA shop").expect("the database is empty");
        let mut options = ConnectOptions::new(database.url());
        options.max_connections(1).set_schema_search_path("shop").sqlx_logging(false);
        let db = sea_orm::Database::connect(options).await.expect("the cluster runs");
        let scratch = Self { db, database };
        scratch.psql(statements);
        scratch
    }

    /// The steps of a migration.
    pub(crate) async fn online(&self) -> Online {
        Online::new(&SchemaManager::new(&self.db), "shop", "m20260101_000001_try_steps")
            .await
            .expect("it is outside a transaction")
    }

    /// The steps of a migration that gives up soon, and to which every transaction is an old one.
    pub(crate) async fn impatient(&self) -> Online {
        let second = std::time::Duration::from_secs(1);
        let policy = Policy { patience: second, old_after: std::time::Duration::ZERO, ..Policy::default() };
        self.online().await.with_policy(policy)
    }

    /// Runs statements in the schema and gives their rows, fields parted by `|`.
    pub(crate) fn psql(&self, sql: &str) -> String {
        let printed = self.database.psql(&format!("SET search_path = shop;\n{sql}"));
        printed.expect("the statement of a test is right").trim_end().to_owned()
    }

    /// Another session, as an application has it.
    pub(crate) async fn session(&self) -> PgConnection {
        let mut session = PgConnection::connect(self.database.url()).await.expect("the cluster runs");
        execute(&mut session, "SET search_path = shop").await.expect("the schema exists");
        session
    }

    /// Indexes, constraints, triggers, functions and columns of the schema, for comparing before and after.
    pub(crate) fn objects(&self) -> String {
        self.psql(
            "SELECT pg_get_indexdef(indexrelid) || ' valid=' || indisvalid FROM pg_index \
             JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'shop'::regnamespace ORDER BY 1; \
             SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'shop'::regnamespace ORDER BY 1; \
             SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid \
             WHERE relnamespace = 'shop'::regnamespace AND NOT tgisinternal ORDER BY 1; \
             SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'shop'::regnamespace ORDER BY 1; \
             SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) \
             FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid \
             AND adnum = attnum WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 \
             AND NOT attisdropped ORDER BY relname, attnum",
        )
    }
}

/// The events that the kit sends on this thread, each as its fields in text form.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Events {
    /// Collects until the result is dropped.
    pub(crate) fn collect() -> Collecting {
        let events = Self::default();
        let subscriber = tracing_subscriber::registry().with(events.clone());
        Collecting { events, _guard: tracing::subscriber::set_default(subscriber) }
    }
}

/// Events being collected.
pub(crate) struct Collecting {
    events: Events,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Collecting {
    /// The events so far.
    pub(crate) fn told(&self) -> Vec<BTreeMap<String, String>> {
        self.events.0.lock().expect("nobody panicked over it").clone()
    }
}

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        if event.metadata().target() == "migration" {
            let mut fields = Fields(BTreeMap::new());
            event.record(&mut fields);
            self.0.lock().expect("nobody panicked over it").push(fields.0);
        }
    }
}

/// Runs one statement in a session.
pub(crate) async fn execute(
    session: &mut PgConnection,
    sql: &'static str,
) -> Result<(), sea_orm::sqlx::Error> {
    sea_orm::sqlx::raw_sql(sql).execute(session).await.map(drop)
}

/// The message of a step that must have been refused by the kit itself.
pub(crate) fn refused(result: Result<(), DbErr>) -> String {
    match result {
        Err(DbErr::Migration(message)) => message,
        Err(other) => panic!("it failed otherwise: {other}"),
        Ok(()) => panic!("it was not refused"),
    }
}

/// The SQLSTATE of a step that must have been refused by the server.
pub(crate) fn failed(result: Result<(), DbErr>) -> String {
    let error = result.expect_err("it must fail");
    sqlstate(&error).unwrap_or_else(|| panic!("it failed otherwise: {error}"))
}
