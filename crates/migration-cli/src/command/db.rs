//! `db`: the embedded PostgreSQL.

use postgres_sandbox::Status;
use serde::Serialize;

use super::space::bytes;
use crate::arguments::DbCommand;
use crate::database;
use crate::exit::{Exit, Failure};
use crate::program::Context;

/// What `db … --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    running: bool,
    pid: Option<u32>,
    keeps_running: bool,
    server_version: Option<String>,
    data_directory: String,
    size_bytes: u64,
    url: Option<String>,
}

pub(super) fn db(context: &Context, command: &DbCommand) -> anyhow::Result<Exit> {
    let directory = context.environment.cluster_directory()?;
    let cluster = database::cluster(&context.environment)?;
    let shown = context.environment.relative(&directory).to_string();
    let status = match command {
        DbCommand::Start => cluster.start()?,
        DbCommand::Stop => {
            cluster.stop()?;
            cluster.status()?
        }
        DbCommand::Status => cluster.status()?,
        DbCommand::Reset { yes: false } => {
            let message = format!("`db reset` deletes all data in {shown}");
            return Err(Failure {
                exit: Exit::Refused,
                message,
                hint: Some("say `db reset --yes`".to_owned()),
            }
            .into());
        }
        DbCommand::Reset { yes: true } => {
            cluster.reset()?;
            cluster.status()?
        }
    };
    if context.output.is_human() {
        print(context, &shown, &status);
    } else {
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "db",
            running: status.pid.is_some(),
            pid: status.pid,
            keeps_running: status.keeps_running,
            server_version: status.server_version.map(|version| version.to_string()),
            data_directory: status.data_directory.display().to_string(),
            size_bytes: status.size_bytes,
            url: status.url,
        })?;
    }
    Ok(Exit::Done)
}

fn print(context: &Context, directory: &str, status: &Status) {
    let version = status.server_version.map_or_else(String::new, |version| format!(" {version}"));
    let (output, paint) = (&context.output, context.output.paint);
    match (status.pid, status.major) {
        (Some(pid), _) => {
            let until = if status.keeps_running { "until `db stop`" } else { "as long as it is used" };
            output.line(format!(
                "{} PostgreSQL{version} in {directory}, pid {pid}, {until}",
                paint.good("running")
            ));
        }
        (None, Some(_)) => {
            let size = bytes(status.size_bytes);
            output.line(format!(
                "{} PostgreSQL{version} in {directory}, {size} of data",
                paint.warn("stopped")
            ));
        }
        (None, None) => output.line(format!("{} nothing in {directory} yet", paint.faint("absent"))),
    }
    if let Some(url) = &status.url {
        output.line(url);
    }
}
