//! `db`: the embedded PostgreSQL.

use migration_report::{Class, Found};
use postgres_sandbox::Status;
use serde::Serialize;

use super::space::bytes;
use crate::arguments::DbCommand;
use crate::context::Context;
use crate::database;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Text};

/// What `db … --json` prints.
#[derive(Serialize)]
struct Document {
    running: bool,
    pid: Option<u32>,
    keeps_running: bool,
    server_version: Option<String>,
    major: Option<u32>,
    damage: Option<&'static str>,
    data_directory: String,
    size_bytes: u64,
    url: Option<String>,
}

pub(super) fn db(context: &Context, command: &DbCommand) -> anyhow::Result<Answer> {
    let directory = context.environment.cluster_directory()?;
    let cluster = database::cluster(&context.environment)?;
    let shown = context.environment.relative(&directory).to_string();
    let mut deleted = None;
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
                class: Class::Refused,
                message,
                hint: Some("say `db reset --yes`".to_owned()),
            }
            .into());
        }
        DbCommand::Reset { yes: true } => {
            let before = cluster.status()?.size_bytes;
            cluster.reset()?;
            if before > 0 {
                deleted = Some(before);
            }
            cluster.status()?
        }
    };
    let text = match deleted {
        Some(before) => {
            let mut text = Text::default();
            let deleted = context.output.paint.good("deleted");
            text.line(format!("{deleted} {} of data in {shown}", bytes(before)));
            text
        }
        None => text(context.output.paint, &shown, &status),
    };
    let document = Document {
        running: status.pid.is_some(),
        pid: status.pid,
        keeps_running: status.keeps_running,
        server_version: status.server_version.map(|version| version.to_string()),
        major: status.major,
        damage: status.damage,
        data_directory: status.data_directory.display().to_string(),
        size_bytes: status.size_bytes,
        url: status.url,
    };
    Ok(Answer::of("db", Found::whole(document), text)?)
}

fn text(paint: Paint, directory: &str, status: &Status) -> Text {
    let mut text = Text::default();
    let version = match (status.server_version, status.major) {
        (Some(version), _) => format!(" {version}"),
        (None, Some(major)) => format!(" {major}"),
        (None, None) => String::new(),
    };
    match (status.pid, status.major) {
        (Some(pid), _) => {
            let until = if status.keeps_running { "until `db stop`" } else { "as long as it is used" };
            text.line(format!(
                "{} PostgreSQL{version} in {directory}, pid {pid}, {until}",
                paint.good("running")
            ));
        }
        (None, major) => {
            let size = bytes(status.size_bytes);
            text.line(match (status.damage, major) {
                (Some(what), _) => {
                    let damaged = paint.bad("damaged");
                    format!("{damaged} PostgreSQL{version} in {directory}, {size} of data: {what}")
                }
                (None, Some(_)) => {
                    let stopped = paint.warn("stopped");
                    let missing = match status.server_version {
                        Some(_) => "",
                        None => "; its programs are not on this machine",
                    };
                    format!("{stopped} PostgreSQL{version} in {directory}, {size} of data{missing}")
                }
                (None, None) => format!("{} nothing in {directory} yet", paint.faint("absent")),
            });
        }
    }
    if let Some(url) = &status.url {
        text.line(url);
    }
    text
}
