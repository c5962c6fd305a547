//! `space`: how large a service's tables are, and giving space back.

use std::time::Duration;

use migration_coordinator::{Cancellation, RunError, TableSpace, reclaim, table_sizes};
use migration_report::{Found, Roomy, Space, TableReport};

use super::{connect, name};
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Table, Text};
use crate::shell::word;

/// How long to wait for another run's migration lock.
const WAIT: Duration = Duration::from_secs(60);

pub(super) async fn space(
    context: &Context,
    service: &str,
    table: Option<&str>,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let service = name(&connected, service)?;
    let note = context.output.paint.warn("note");
    let mut text = Text::default();
    let mut roomy = Vec::new();
    let tables = match table {
        Some(table) => {
            let is_it = |space: &TableSpace| space.table == table;
            let looking = Box::pin(table_sizes(&connected.deployment, &service));
            let sizes = cancellation.unless_cancelled(looking).await.ok_or(RunError::Interrupted)??;
            if !sizes.iter().any(is_it) {
                let hint = format!("`space {service}` lists its tables");
                return Err(Failure::usage(format!("`{service}` has no table `{table}`"), hint).into());
            }
            let mut before = Text::default();
            before.note(format!(
                "{note}  rewriting `{table}` under an ACCESS EXCLUSIVE lock: nobody reads or writes it until it is done"
            ));
            context.output.say(&before);
            let (before, size) = reclaim(&connected.deployment, &service, table, WAIT, cancellation).await?;
            if size.n_dead_rows > 0 {
                text.note(format!(
                    "{note}  {} removed rows still take their space: a transaction may see them; try again when it is over",
                    size.n_dead_rows
                ));
            }
            let table = table.to_owned();
            vec![TableReport { table, before: Some(before), size, reclaimable_bytes: None }]
        }
        None => {
            let found = table_sizes(&connected.deployment, &service).await?;
            roomy = Roomy::of(&service, &found);
            let report = |TableSpace { table, size, reclaimable_bytes, .. }| TableReport {
                table,
                before: None,
                size,
                reclaimable_bytes,
            };
            found.into_iter().map(report).collect()
        }
    };
    if tables.is_empty() {
        text.line("the service has no tables yet");
    }
    text.table(sizes(&tables));
    say_roomy(&roomy, context.output.paint, &mut text);
    let space = Space { service: service.to_string(), tables };
    Ok(Answer::of("space", Found::whole(space), text)?)
}

fn sizes(tables: &[TableReport]) -> Table {
    let mut table = Table::new(&[
        "TABLE",
        "TOTAL",
        "ROWS",
        "INDEXES",
        "LONG VALUES",
        "DEAD ROWS",
        "RECLAIMABLE",
        "BEFORE",
    ])
    .right(&["TOTAL", "ROWS", "INDEXES", "LONG VALUES", "DEAD ROWS", "RECLAIMABLE", "BEFORE"]);
    for TableReport { table: name, before, size, reclaimable_bytes } in tables {
        table.row([
            name.clone(),
            bytes(size.total_bytes),
            bytes(size.table_bytes),
            bytes(size.index_bytes),
            bytes(size.toast_bytes),
            size.n_dead_rows.to_string(),
            reclaimable_bytes.map_or_else(String::new, about),
            before.map_or_else(String::new, |before| bytes(before.total_bytes)),
        ]);
    }
    table
}

/// Says which tables could give space back, and by which command.
pub(super) fn say_roomy(roomy: &[Roomy], paint: Paint, text: &mut Text) {
    for Roomy { service, table, reclaimable_bytes, total_bytes } in roomy {
        text.note(format!(
            "{}  `space {service} --reclaim {}` gives about {} of {} back; nobody reads or writes the table meanwhile",
            paint.warn("note"),
            word(table),
            about(*reclaimable_bytes),
            bytes(*total_bytes)
        ));
    }
}

/// An estimate, to two digits.
fn about(size: u64) -> String {
    let scale = 10_u64.pow(size.checked_ilog10().unwrap_or(0).saturating_sub(1));
    bytes(size / scale * scale)
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
