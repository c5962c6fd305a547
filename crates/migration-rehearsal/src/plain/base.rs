//! The schema on top of which SQL files are checked: from a file that `pg_dump` wrote, or from a live database, of which only
//! the schema is read.

use std::process::Command;

use migration_coordinator::{DatabaseUrl, Reading};
use migration_kit::quote_identifier;
use postgres_sandbox::{Cluster, Database, SandboxError, Search, ServerVersion};

use super::{Refusal, SqlFile, refusal};
use crate::{RehearsalError, generate, sandbox};

/// Opens the line by which `pg_dump` says from which server it read.
const DUMPED_FROM: &str = "-- Dumped from database version ";

/// What SQL files are checked on top of.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Base<'b> {
    /// A file as `pg_dump --schema-only` writes it.
    File(SqlFile<'b>),
    /// A database.
    Live(&'b DatabaseUrl),
}

/// A server, of the major version that the base is of, and a database on it with that schema.
pub(super) async fn apply(base: Option<Base<'_>>) -> Result<(Cluster, Database), RehearsalError> {
    match base {
        None => sandbox::start(),
        Some(Base::File(file)) => make(major(file.text), file),
        Some(Base::Live(url)) => {
            let (major, text) = dump(url).await?;
            make(Some(major), SqlFile { path: &url.to_string(), text: &text })
        }
    }
}

/// The major version of the server whose schema this is, if it says so and is supported.
fn major(text: &str) -> Option<u32> {
    let line = text.lines().take(50).find_map(|line| line.strip_prefix(DUMPED_FROM));
    let dumped = line.and_then(ServerVersion::of_setting).map(|version| version.major);
    dumped.or_else(|| generate::major(text)).filter(|major| *major >= ServerVersion::OLDEST.major)
}

/// The schema of a database, by a `pg_dump` that fits its server, and the major version of that one.
async fn dump(url: &DatabaseUrl) -> Result<(u32, String), RehearsalError> {
    let reading = Reading::open(url).await?;
    let version = reading.version().strip_prefix("PostgreSQL ").and_then(ServerVersion::of_setting);
    let version = version.unwrap_or(ServerVersion::OLDEST);
    reading.close().await;
    let found = Search::from_environment().clients(version.major);
    let clients = found.map_err(|missing| SandboxError::Binaries(Box::new(missing)))?;
    let mut command = Command::new(clients.pg_dump());
    command.args(["--schema-only", "--no-owner", "--no-privileges", "--no-password"]);
    command.arg("--lock-wait-timeout=10s");
    url.libpq_environment("migrate check", &[]).apply(&mut command);
    let failed = |says: String| RehearsalError::Dump { database: url.to_string(), says };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let says = String::from_utf8_lossy(&output.stderr);
        let line = says.lines().find(|line| line.contains("error: ")).or(says.lines().next());
        return Err(failed(line.unwrap_or("pg_dump ended with an error").to_owned()));
    }
    Ok((version.major, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// The server and the database. A role that the schema names and nobody has is made: rights are part of a schema as well.
fn make(major: Option<u32>, base: SqlFile<'_>) -> Result<(Cluster, Database), RehearsalError> {
    let cluster = sandbox::start_of(major)?;
    let mut made: Option<String> = None;
    loop {
        let database = sandbox::traced(&cluster)?;
        let Err(error) = database.psql(base.text) else { return Ok((cluster, database)) };
        let Some(Refusal { line, says, .. }) = refusal(&error) else { return Err(error.into()) };
        let role = says.strip_prefix("role \"").and_then(|rest| rest.strip_suffix("\" does not exist"));
        match role {
            Some(role) if made.as_deref() != Some(role) => {
                cluster.psql("postgres", &format!("CREATE ROLE {}", quote_identifier(role)))?;
                made = Some(role.to_owned());
            }
            _ => {
                return Err(RehearsalError::Refused {
                    path: base.path.to_owned(),
                    line,
                    says,
                    is_base: true,
                });
            }
        }
    }
}
