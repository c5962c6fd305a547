//! `rejects`: rows and values that could not be carried over, with their reasons. Reads only.

use migration_coordinator::{lost_rejects, reject_counts, rejected};
use migration_kit::rejects::{Reject, RejectCount};
use migration_report::{Class, Found, Rejects};

use super::{connect, name};
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Table, Text};

/// Longest value that is shown in a table cell, in characters.
const CELL: usize = 60;

pub(super) async fn rejects(
    context: &Context,
    service: &str,
    count: bool,
    limit: u64,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let service = name(&connected, service)?;
    let counts = reject_counts(&connected.deployment, &service).await?;
    let listed = if count { Vec::new() } else { rejected(&connected.deployment, &service, limit).await? };
    if counts.counts.is_empty()
        && counts.n_deleted == 0
        && let Some(table) = lost_rejects(&connected.deployment, &service).await?
    {
        let message = format!("`{service}`: what its migrations rejected is lost: `{table}` is missing");
        let hint = format!("`verify {service}` names the checks that ask it; a backup has what was listed");
        return Err(Failure { class: Class::Integrity, message, hint: Some(hint) }.into());
    }
    let rejects = Rejects::of(&service, counts, listed);
    let mut text = Text::default();
    if rejects.counts.is_empty() && rejects.n_deleted == 0 {
        text.line(format!("`{service}` has rejected nothing"));
    } else if count {
        let (harmless, losses) = rejects.counts.iter().partition(|count| count.harmless);
        apart(table_of_counts(losses), table_of_counts(harmless), &mut text);
    } else {
        let (harmless, losses) = rejects.rejects.iter().partition(|reject| reject.harmless);
        apart(table_of_rejects(losses), table_of_rejects(harmless), &mut text);
        let (n_shown, n_all) = (rejects.rejects.len() as u64, rejects.n_rejects);
        if n_shown < n_all {
            text.note(format!("{n_shown} of {n_all} entries; `--limit` shows more, `--count` counts them"));
        }
    }
    if rejects.n_deleted > 0 {
        text.note(match rejects.n_deleted {
            1 => "1 more entry is about a row that has been deleted since".to_owned(),
            n => format!("{n} more entries are about rows that have been deleted since"),
        });
    }
    Ok(Answer::of("rejects", Found::whole(rejects), text)?)
}

/// Losses, and below them what lost nothing.
fn apart(losses: Option<Table>, harmless: Option<Table>, text: &mut Text) {
    losses.into_iter().for_each(|table| text.table(table));
    if let Some(table) = harmless {
        text.line("changed by a rule, which reverting undoes; nothing is lost:");
        text.table(table);
    }
}

fn table_of_counts(counts: Vec<&RejectCount>) -> Option<Table> {
    if counts.is_empty() {
        return None;
    }
    let mut table = Table::new(&["ENTRIES", "TABLE", "FIELD", "REASON", "MIGRATION"])
        .right(&["ENTRIES"])
        .spared(&["MIGRATION"]);
    for count in counts {
        table.row([
            count.n_rejects.to_string(),
            count.table.clone(),
            field(&count.field, count.moved),
            count.reason.clone(),
            count.migration.clone(),
        ]);
    }
    Some(table)
}

fn table_of_rejects(rejects: Vec<&Reject>) -> Option<Table> {
    if rejects.is_empty() {
        return None;
    }
    let mut table =
        Table::new(&["TABLE", "KEY", "FIELD", "VALUE", "REASON", "MIGRATION"]).spared(&["MIGRATION"]);
    for reject in rejects {
        table.row([
            reject.table.clone(),
            cell(&reject.key.to_string()),
            field(&reject.field, reject.moved),
            cell(reject.value.as_deref().unwrap_or("–")),
            reject.reason.clone(),
            reject.migration.clone(),
        ]);
    }
    Some(table)
}

/// A reject without a field is about the whole row; one that was moved is only in the reject table.
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
