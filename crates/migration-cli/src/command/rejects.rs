//! `rejects`: rows and values that could not be carried over, with their reasons. Reads only.

use migration_coordinator::{reject_counts, rejected};
use migration_kit::rejects::{Reject, RejectCount};
use serde::Serialize;

use super::{connect, name};
use crate::exit::Exit;
use crate::output::Table;
use crate::program::Context;

/// Longest value that is shown in a table cell, in characters.
const CELL: usize = 60;

/// What `rejects --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    service: String,
    n_rejects: u64,
    counts: Vec<RejectCount>,
    rejects: Vec<Reject>,
}

pub(super) async fn rejects(
    context: &Context,
    service: &str,
    count: bool,
    limit: u64,
) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let service = name(&connected, service)?;
    let counts = reject_counts(&connected.deployment, &service).await?;
    let n_all: u64 = counts.iter().map(|count| count.n_rejects).sum();
    let rejects = if count { Vec::new() } else { rejected(&connected.deployment, &service, limit).await? };
    if !context.output.is_human() {
        let service = service.to_string();
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "rejects",
            service,
            n_rejects: n_all,
            counts,
            rejects,
        })?;
    } else if counts.is_empty() {
        context.output.line(format!("`{service}` has rejected nothing"));
    } else if count {
        print_counts(context, counts);
    } else {
        let n_shown = rejects.len() as u64;
        print_rejects(context, rejects);
        if n_shown < n_all {
            context
                .output
                .note(format!("{n_shown} of {n_all} entries; `--limit` shows more, `--count` counts them"));
        }
    }
    Ok(Exit::Done)
}

fn print_counts(context: &Context, counts: Vec<RejectCount>) {
    let mut table = Table::new(&["ENTRIES", "TABLE", "FIELD", "REASON", "MIGRATION"])
        .right(&["ENTRIES"])
        .spared(&["MIGRATION"]);
    for count in counts {
        table.row([
            count.n_rejects.to_string(),
            count.table,
            field(&count.field, count.moved),
            count.reason,
            count.migration,
        ]);
    }
    context.output.table(&table);
}

fn print_rejects(context: &Context, rejects: Vec<Reject>) {
    let mut table =
        Table::new(&["TABLE", "KEY", "FIELD", "VALUE", "REASON", "MIGRATION"]).spared(&["MIGRATION"]);
    for reject in rejects {
        table.row([
            reject.table,
            cell(&reject.key.to_string()),
            field(&reject.field, reject.moved),
            cell(reject.value.as_deref().unwrap_or("–")),
            reject.reason,
            reject.migration,
        ]);
    }
    context.output.table(&table);
}

/// A reject without a field is about the whole row; one that was moved stands only in the reject table.
fn field(field: &str, moved: bool) -> String {
    match (field, moved) {
        ("", true) => "(row, kept here)".to_owned(),
        ("", false) => "(row)".to_owned(),
        (field, _) => field.to_owned(),
    }
}

fn cell(text: &str) -> String {
    if text.chars().count() <= CELL {
        return text.to_owned();
    }
    text.chars().take(CELL - 1).chain(['…']).collect()
}
