//! `space`: how large a service's tables are, and giving space back.

use std::time::Duration;

use migration_coordinator::{Cancellation, reclaim, table_sizes};
use migration_kit::space::TableSize;
use serde::Serialize;

use super::{connect, name};
use crate::exit::Exit;
use crate::output::Table;
use crate::program::Context;

/// How long to wait for another run's migration lock.
const WAIT: Duration = Duration::from_secs(60);

/// What `space --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    service: String,
    tables: Vec<TableDocument>,
}

/// One table; `before` only where space was given back.
#[derive(Serialize)]
struct TableDocument {
    table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<TableSize>,
    size: TableSize,
}

pub(super) async fn space(
    context: &Context,
    service: &str,
    table: Option<&str>,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let service = name(&connected, service)?;
    let tables = match table {
        Some(table) => {
            context.output.note(format!(
                "{}  rewriting `{table}` under an ACCESS EXCLUSIVE lock: nobody reads or writes it until it is done",
                context.output.paint.warn("note")
            ));
            let (before, size) = reclaim(&connected.deployment, &service, table, WAIT, cancellation).await?;
            if size.n_dead_rows > 0 {
                context.output.note(format!(
                    "{}  {} removed rows still take their space: a transaction may see them; try again when it is over",
                    context.output.paint.warn("note"),
                    size.n_dead_rows
                ));
            }
            vec![TableDocument { table: table.to_owned(), before: Some(before), size }]
        }
        None => table_sizes(&connected.deployment, &service)
            .await?
            .into_iter()
            .map(|(table, size)| TableDocument { table, before: None, size })
            .collect(),
    };
    if context.output.is_human() {
        print(context, &tables);
    } else {
        let service = service.to_string();
        context.output.document(&Document { schema: "migrate/v1", command: "space", service, tables })?;
    }
    Ok(Exit::Done)
}

fn print(context: &Context, tables: &[TableDocument]) {
    let mut table = Table::new(&["TABLE", "TOTAL", "ROWS", "INDEXES", "LONG VALUES", "DEAD ROWS", "BEFORE"])
        .right(&["TOTAL", "ROWS", "INDEXES", "LONG VALUES", "DEAD ROWS", "BEFORE"]);
    for TableDocument { table: name, before, size } in tables {
        table.row([
            name.clone(),
            bytes(size.total_bytes),
            bytes(size.table_bytes),
            bytes(size.index_bytes),
            bytes(size.toast_bytes),
            size.n_dead_rows.to_string(),
            before.map_or_else(String::new, |before| bytes(before.total_bytes)),
        ]);
    }
    if table.is_empty() {
        context.output.line("the service has no tables yet");
    }
    context.output.table(&table);
}

/// Bytes as people read them, in powers of 1024 as PostgreSQL's `pg_size_pretty`.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut unit = "bytes";
    let mut amount = size;
    for larger in UNITS {
        if amount < 10 * 1024 {
            break;
        }
        amount = (amount + 512) / 1024;
        unit = larger;
    }
    format!("{amount} {unit}")
}
