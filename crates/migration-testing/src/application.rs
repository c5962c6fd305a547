//! The application beside the migrations: a role of its own, which owns nothing.
//!
//! It may do what an application may that was granted its rights before a migration ran: read and write the tables of that
//! time. What comes later it has never heard of, so that an expand step that needs its rights shows as a failed statement.

use migration_kit::{Phase, Service, quote_identifier};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait};

use crate::{Scratch, fail, query};

/// Sessions of a role that owns nothing.
#[derive(Debug)]
pub struct Application {
    db: DatabaseConnection,
}

impl Application {
    /// Runs one statement.
    ///
    /// # Panics
    /// If it fails.
    pub async fn execute(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
    }
}

impl Scratch {
    /// A new role with rights on the tables and sequences that the service has now, and on nothing else.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn as_application_role(&self) -> Application {
        let role = format!("application_{}", self.database().name());
        let schema = self.service().default_schema();
        let (quoted_role, quoted_schema) = (quote_identifier(&role), quote_identifier(schema));
        self.execute(&format!(
            "CREATE ROLE {quoted_role} LOGIN; GRANT USAGE ON SCHEMA {quoted_schema} TO {quoted_role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted_schema} TO {quoted_role}; \
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA {quoted_schema} TO {quoted_role}"
        ))
        .await;
        let db =
            query::connect(self.url(), &[schema], Some(&role)).await.unwrap_or_else(|error| fail(&error));
        Application { db }
    }

    /// The application writes rows that the schema permits, and no check fails because of them.
    ///
    /// # Panics
    /// If a statement or a check fails.
    pub async fn verify_beside_application(&self, statements: &[&str]) {
        let application = self.as_application_role().await;
        for statement in statements {
            application.execute(statement).await;
        }
        self.verify().await;
    }

    /// Applies the pending expand steps one by one, contract steps among them held back; before, between and after them the application, with the rights of
    /// the tables that are there now, runs these statements.
    ///
    /// # Panics
    /// If a migration or a statement fails.
    pub async fn expand_beside_application(&self, statements: &[&str]) -> Application {
        let application = self.as_application_role().await;
        let version_table = quote_identifier(self.service().version_table());
        let applied = self.rows(&format!("SELECT version FROM {version_table}")).await;
        let steps = self.service().known().migrations.into_iter();
        let expand = steps.filter(|step| step.phase == Phase::Expand).map(|step| step.name.to_string());
        let pending = expand.filter(|step| !applied.contains(step));
        for statement in statements {
            application.execute(statement).await;
        }
        for step in pending {
            self.up_to(&step).await;
            for statement in statements {
                application.execute(statement).await;
            }
        }
        application
    }
}

/// With the service's connection options an entity finds the service's own table, and not another team's of the same name in
/// `public`, which it finds without them.
///
/// # Panics
/// If it finds another one.
pub async fn application_finds_its_own_tables<E: EntityTrait>(
    service: Service,
    connect_options: impl FnOnce(String) -> ConnectOptions,
) {
    let scratch = Scratch::new(service).await;
    scratch.up_contract().await;
    let table = quote_identifier(E::default().table_name());
    scratch.execute(&format!("CREATE TABLE public.{table} (other_teams integer)")).await;
    let plain = Database::connect(scratch.url()).await.unwrap_or_else(|error| fail(&error));
    let found = E::find().all(&plain).await.map(drop).map_err(|error| error.to_string());
    assert!(
        found.as_ref().is_err_and(|error| error.contains("column")),
        "it does not meet the other team's table, which lacks its columns: {found:?}"
    );
    let options = connect_options(scratch.url().to_owned());
    let own = Database::connect(options).await.unwrap_or_else(|error| fail(&error));
    let rows = E::find().all(&own).await.unwrap_or_else(|error| fail(&error));
    assert!(rows.is_empty(), "its own table has no rows");
}
