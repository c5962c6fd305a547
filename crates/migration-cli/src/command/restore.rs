//! `restore`: one service as a backup has it, and what it was before set aside.

use std::path::Path;

use migration_backup::{Fetched, RestoreOptions, Restored, RestoredTable, drop_old};
use migration_coordinator::Cancellation;
use migration_report::Found;
use serde::Serialize;

use super::backup::{pipe, raised};
use super::run::caller;
use super::{connect, migrations, name};
use crate::arguments::RestoreArguments;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Table, Text};

/// What was restored, or would be.
#[derive(Debug, Clone, Serialize)]
struct Document {
    service: String,
    dry_run: bool,
    restored: bool,
    taken_at: Option<String>,
    newest: Option<String>,
    tables: Vec<TableDocument>,
    pending_again: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    absent_tablespaces: Vec<String>,
    kept_in: Vec<String>,
    dropped: Vec<String>,
}

/// A table before and after.
#[derive(Debug, Clone, Serialize)]
struct TableDocument {
    table: String,
    rows_before: Option<i64>,
    rows_after: Option<i64>,
}

pub(super) async fn restore(
    context: &Context,
    asked: &RestoreArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let options = RestoreOptions {
        wait: asked.wait,
        replace: asked.allow_data_loss,
        no_owner: asked.no_owner,
        from_elsewhere: asked.from_elsewhere,
        dry_run: asked.dry_run,
        search: context.environment.programs()?,
        caller: caller(),
        own: None,
        cancellation: cancellation.clone(),
    };
    let mut text = Text::default();
    let note = context.output.paint.warn("note");
    let body = match (&asked.drop_old, &asked.file) {
        (Some(service), _) => {
            let service = name(&connected, service)?;
            let dropped = drop_old(&connected.deployment, &service, &options).await.map_err(raised)?;
            match (dropped.as_slice(), asked.dry_run) {
                ([], _) => text.line(format!("nothing of `{service}` was set aside")),
                (dropped, true) => text.line(format!("would drop `{}`", dropped.join("`, `"))),
                (dropped, false) => text.line(format!("dropped `{}`", dropped.join("`, `"))),
            }
            Document::of_dropped(service.to_string(), asked.dry_run, dropped)
        }
        (None, file) => {
            let file = file.as_deref().expect("the arguments ask for one of both");
            let fetched = match &asked.from_command {
                Some(command) => Some(fetched(context, command, file, cancellation).await?),
                None => None,
            };
            let file = fetched.as_ref().map_or(file, Fetched::archive);
            let restoring = migration_backup::restore(&connected.deployment, file, &options);
            let found = Box::pin(restoring).await.map_err(raised)?;
            say(&found, &mut text, &note);
            Document::of(found, asked.dry_run)
        }
    };
    Ok(Answer::of("restore", Found::whole(body), text)?)
}

/// What a command gives of this name, in the directory of backups for as long as the value lives.
async fn fetched(
    context: &Context,
    command: &str,
    name: &Path,
    cancellation: &Cancellation,
) -> anyhow::Result<Fetched> {
    let Some(name) = name.to_str().filter(|name| !name.is_empty() && !name.contains('/')) else {
        let hint = "the command says where it is: `--from-command` with `$MIGRATE_BACKUP_NAME` in it";
        return Err(Failure::usage("with a command, FILE is a name without a directory", hint).into());
    };
    let (pipe, below) = (pipe(context, command), context.environment.backup_directory()?);
    migration_backup::fetch(&pipe, name, &below, cancellation).await.map_err(raised)
}

impl Document {
    fn of(found: Restored, dry_run: bool) -> Self {
        let Restored { manifest, kept_in, tables, pending_again, absent_tablespaces, done } = found;
        let table = |RestoredTable { schema, name, rows_before, rows_after }: RestoredTable| TableDocument {
            table: format!("{schema}.{name}"),
            rows_before,
            rows_after,
        };
        Self {
            service: manifest.service,
            dry_run,
            restored: done,
            taken_at: Some(manifest.taken_at),
            newest: manifest.newest,
            tables: tables.into_iter().map(table).collect(),
            pending_again,
            absent_tablespaces,
            kept_in,
            dropped: Vec::new(),
        }
    }

    fn of_dropped(service: String, dry_run: bool, dropped: Vec<String>) -> Self {
        Self {
            service,
            dry_run,
            restored: false,
            taken_at: None,
            newest: None,
            tables: Vec::new(),
            pending_again: Vec::new(),
            absent_tablespaces: Vec::new(),
            kept_in: Vec::new(),
            dropped,
        }
    }
}

fn say(found: &Restored, text: &mut Text, note: &str) {
    let rows = |rows: Option<i64>| rows.map_or_else(|| "no table".to_owned(), |rows| rows.to_string());
    let mut table =
        Table::new(&["TABLE", "ROWS NOW", "ROWS IN THE BACKUP"]).right(&["ROWS NOW", "ROWS IN THE BACKUP"]);
    for RestoredTable { schema, name, rows_before, rows_after } in &found.tables {
        table.row([format!("{schema}.{name}"), rows(*rows_before), rows(*rows_after)]);
    }
    text.table(table);
    let (service, taken_at) = (&found.manifest.service, &found.manifest.taken_at);
    if found.done {
        text.line(format!("`{service}` is as it was at {taken_at}"));
        for kept_in in &found.kept_in {
            text.note(format!(
                "{note}  what it had is in the schema `{kept_in}`; `restore --drop-old {service}` drops it"
            ));
        }
    } else {
        text.line(format!("nothing was changed: a dry run; `{service}` would be as it was at {taken_at}"));
    }
    if let (n, Some(last)) = (found.pending_again.len(), found.pending_again.last()) {
        let (one, many) = if found.done { ("is", "are") } else { ("would be", "would be") };
        let verb = if n == 1 { one } else { many };
        text.note(format!("{note}  pending again {verb} {}, the last of them `{last}`", migrations(n)));
    }
    let absent = &found.absent_tablespaces;
    if !absent.is_empty() {
        let verb = if found.done { "is" } else { "would be" };
        text.note(format!(
            "{note}  {} `{}` not there: everything {verb} in the database's own tablespace",
            if absent.len() == 1 { "tablespace" } else { "tablespaces" },
            absent.join("`, `")
        ));
    }
}
