//! What `pg_restore` makes of an archive, sent over a session of ours: in its transaction, and under its lock. No program for
//! scripts is needed, and no command of one can hide in an archive.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use migration_kit::ServiceName;
use migration_kit::sql::statements;
use postgres_sandbox::Clients;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::BackupError;
use crate::archive::FED;
use crate::error::written;
use crate::program::Running;

/// How much of a table is sent at once.
const CHUNK: usize = 256 * 1024;

/// An archive and what is restored of it.
pub(crate) struct Script<'s> {
    pub(crate) clients: &'s Clients,
    pub(crate) service: &'s ServiceName,
    pub(crate) archive: &'s Path,
    pub(crate) list: &'s str,
    /// Whether owners and rights are left out.
    pub(crate) no_owner: bool,
    /// Whether everything goes into the tablespace that is the database's own.
    pub(crate) no_tablespaces: bool,
}

impl Script<'_> {
    /// Sends a section that has no rows: `pre-data` or `post-data`.
    pub(crate) async fn definitions(
        &self,
        connection: &mut PgConnection,
        section: &'static str,
    ) -> Result<(), BackupError> {
        let mut running = self.start(section)?;
        let mut script = String::new();
        let read = running.stdout().map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut script));
        read.map_err(BackupError::reading(self.archive))?;
        running.end(async || {}).await.map_err(|says| self.failed(says))?;
        self.send(connection, &of_server(&script)).await
    }

    /// Sends the rows of all tables, and where their sequences are.
    pub(crate) async fn rows(&self, connection: &mut PgConnection) -> Result<(), BackupError> {
        let mut running = self.start("data")?;
        let Some(stdout) = running.stdout() else { return Ok(()) };
        let mut lines = BufReader::with_capacity(CHUNK, stdout);
        let (mut statements, mut line) = (String::new(), Vec::new());
        while next(&mut lines, &mut line).map_err(BackupError::reading(self.archive))? {
            let text = String::from_utf8_lossy(&line);
            if text.starts_with("COPY ") && text.ends_with(" FROM stdin;\n") {
                self.send(connection, &of_server(&statements)).await?;
                statements.clear();
                self.copy(connection, text.trim_end().trim_end_matches(';'), &mut lines).await?;
            } else if !["\\restrict ", "\\unrestrict "].iter().any(|word| text.starts_with(word)) {
                statements.push_str(&text);
            }
        }
        self.send(connection, &of_server(&statements)).await?;
        running.end(async || {}).await.map_err(|says| self.failed(says))
    }

    async fn copy(
        &self,
        connection: &mut PgConnection,
        statement: &str,
        lines: &mut impl BufRead,
    ) -> Result<(), BackupError> {
        let rejected = written(self.service);
        let mut copy = connection.copy_in_raw(statement).await.map_err(&rejected)?;
        let (mut chunk, mut line) = (Vec::with_capacity(CHUNK), Vec::new());
        let is_whole = loop {
            match next(lines, &mut line) {
                Ok(true) if line == b"\\.\n" => break true,
                Ok(true) => chunk.extend_from_slice(&line),
                // It ends within a table: the transaction is not committed.
                Ok(false) | Err(_) => break false,
            }
            if chunk.len() >= CHUNK {
                copy.send(chunk.as_slice()).await.map_err(&rejected)?;
                chunk.clear();
            }
        };
        copy.send(chunk.as_slice()).await.map_err(&rejected)?;
        copy.finish().await.map_err(rejected)?;
        if is_whole { Ok(()) } else { Err(self.failed("the rows of a table are cut off".to_owned())) }
    }

    /// Sends statements, each in a message of its own: Citus sends a message of several to each node as a whole.
    async fn send(&self, connection: &mut PgConnection, sql: &str) -> Result<(), BackupError> {
        for statement in statements(sql).unwrap_or_else(|| vec![sql.to_owned()]) {
            let sent = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await;
            sent.map_err(written(self.service))?;
        }
        Ok(())
    }

    fn start(&self, section: &'static str) -> Result<Running, BackupError> {
        let mut command = Command::new(self.clients.pg_restore());
        command.args(["--file=-", "--section", section, "--use-list", FED]);
        if self.no_owner {
            command.args(["--no-owner", "--no-privileges"]);
        }
        command.args(self.no_tablespaces.then_some("--no-tablespaces"));
        command.arg(self.archive).stdout(Stdio::piped());
        Running::fed(&mut command, self.list.to_owned()).map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, says: String) -> BackupError {
        BackupError::Program { service: self.service.clone(), program: "pg_restore", says }
    }
}

/// Reads one line with its end; nothing is left if it says no.
fn next(lines: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    Ok(lines.read_until(b'\n', line)? > 0)
}

/// A script without what only `psql` understands, and without a setting that older servers do not have.
fn of_server(script: &str) -> String {
    let key = script.lines().find_map(|line| line.strip_prefix("\\restrict "));
    let is_kept = |line: &&str| {
        let of_psql = key.is_some_and(|key| {
            ["\\restrict ", "\\unrestrict "].iter().any(|word| line.strip_prefix(word) == Some(key))
        });
        !of_psql && *line != "SET transaction_timeout = 0;"
    };
    script.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::of_server;

    #[test]
    fn what_only_psql_understands_is_left_out() {
        let script =
            "\\restrict abc\nSET transaction_timeout = 0;\nSELECT '\n\\unrestrict x\n';\n\\unrestrict abc\n";
        assert_eq!(of_server(script), "SELECT '\n\\unrestrict x\n';\n");
        assert_eq!(of_server("SELECT 1;\n"), "SELECT 1;\n");
    }
}
