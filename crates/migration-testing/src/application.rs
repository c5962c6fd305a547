//! The application beside the migrations: a role of its own, which owns nothing.
//!
//! It may do what an application may that was granted its rights before a migration ran: read and write the tables of that
//! time. What comes later it has never heard of, so that an expand step that needs its rights shows as a failed statement.

use migration_kit::{Phase, quote_identifier};
use sea_orm::{ConnectionTrait, DatabaseConnection};

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

    /// Applies the pending expand steps one by one; before, between and after them the application, with the rights of
    /// the tables that are there now, runs these statements.
    ///
    /// # Panics
    /// If a migration or a statement fails.
    pub async fn expand_beside_application(&self, statements: &[&str]) -> Application {
        let application = self.as_application_role().await;
        let version_table = quote_identifier(self.service().version_table());
        let applied = self.rows(&format!("SELECT version FROM {version_table}")).await;
        let steps = self.service().known().migrations.into_iter();
        let expand = steps.take_while(|step| step.phase == Phase::Expand).map(|step| step.name.to_string());
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
