//! A database of one's own, dropped when it goes out of scope.

use std::sync::Arc;

use crate::SandboxError;
use crate::cluster::Running;

/// A database with a unique name. Dropping it drops it on the server too, with the sessions in it; until then it keeps
/// its cluster running.
#[derive(Debug)]
pub struct Database {
    cluster: Arc<Running>,
    name: String,
    url: String,
}

impl Database {
    pub(crate) fn create(cluster: &Arc<Running>, template: &str) -> Result<Self, SandboxError> {
        let name = crate::place::unique_name("scratch");
        let template = template.replace('"', "\"\"");
        cluster.client.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE \"{template}\""))?;
        Ok(Self { cluster: Arc::clone(cluster), url: cluster.client.url(&name), name })
    }

    /// Name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// URL of the database, as libpq and sqlx read it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements through `psql`: see [`crate::Cluster::psql`].
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn psql(&self, sql: &str) -> Result<String, SandboxError> {
        self.cluster.client.psql(&self.name, sql)
    }

    /// Writes the database out through `pg_dump` with these further arguments.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn pg_dump(&self, args: &[&str]) -> Result<String, SandboxError> {
        self.cluster.client.pg_dump(&self.name, args)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It fails if the server is gone, and then so is the database.
        drop(
            self.cluster
                .client
                .psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)),
        );
    }
}
