//! `reset`: drops what one service owns, and nothing else.

use migration_backup::{Reset, ResetOptions, TableRows};
use migration_coordinator::Cancellation;
use migration_report::Found;
use serde::Serialize;

use super::backup::raised;
use super::run::caller;
use super::{connect, name};
use crate::arguments::ResetArguments;
use crate::context::Context;
use crate::output::{Answer, Table, Text};

/// What was dropped, or would be.
#[derive(Debug, Clone, Serialize)]
struct Document {
    service: String,
    dry_run: bool,
    done: bool,
    tables: Vec<TableRows>,
    others: Vec<String>,
    migrations: Vec<String>,
    used_by: Vec<String>,
}

pub(super) async fn reset(
    context: &Context,
    asked: &ResetArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let service = name(&connected, &asked.service)?;
    let options = ResetOptions {
        wait: asked.wait,
        lose_rows: asked.allow_data_loss,
        dry_run: asked.dry_run,
        caller: caller(),
        cancellation: cancellation.clone(),
    };
    let Reset { tables, others, migrations, used_by, done } =
        Box::pin(migration_backup::reset(&connected.deployment, &service, &options)).await.map_err(raised)?;
    let mut text = Text::default();
    let mut table = Table::new(&["TABLE", "ROWS"]).right(&["ROWS"]);
    for TableRows { schema, name, rows } in &tables {
        table.row([format!("{schema}.{name}"), rows.to_string()]);
    }
    text.table(table);
    others.iter().for_each(|other| text.line(other.clone()));
    let warn = context.output.paint.warn("note");
    for user in &used_by {
        text.note(format!("{warn}  `{user}` uses what would be dropped: a reset is refused"));
    }
    let n_migrations = format!(
        "{} {}",
        super::migrations(migrations.len()),
        if migrations.len() == 1 { "is" } else { "are" }
    );
    text.line(match (done, tables.is_empty() && others.is_empty() && migrations.is_empty()) {
        (_, true) => format!("`{service}` has nothing to drop"),
        (true, _) => format!("dropped; {n_migrations} pending again"),
        (false, _) => format!("nothing was changed: a dry run, after which {n_migrations} pending again"),
    });
    let dry_run = asked.dry_run;
    let body = Document { service: service.to_string(), dry_run, done, tables, others, migrations, used_by };
    Ok(Answer::of("reset", Found::whole(body), text)?)
}
