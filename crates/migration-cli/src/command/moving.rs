//! `move`: one service to another server, proved to be the same there before it is taken away here.

use migration_backup::{MoveOptions, MovePlaces, MoveProgress, Moved, Prospect, TableBytes, TableRows};
use migration_coordinator::{Cancellation, DatabaseUrl, Deployment, Placement, Policy};
use migration_kit::ServiceName;
use migration_plan::counted;
use migration_report::Found;
use serde::Serialize;

use super::backup::raised;
use super::run::caller;
use super::space::bytes;
use super::{connect, name};
use crate::arguments::MoveArguments;
use crate::context::Context;
use crate::database::Connected;
use crate::environment::variable;
use crate::output::{Answer, Table, Text, duration};

/// What was moved, or would be.
#[derive(Debug, Clone, Serialize)]
struct Document {
    service: String,
    from: String,
    to: String,
    moved: bool,
    /// Whether an earlier move had done all but to end.
    ended: bool,
    size_bytes: u64,
    tables: Vec<TableDocument>,
    notes: Vec<String>,
    archive: Option<String>,
    n_checks: usize,
    kept_in: Vec<String>,
    set_aside: Vec<String>,
    stopped_ms: Option<u64>,
}

/// A table of it.
#[derive(Debug, Clone, Serialize)]
struct TableDocument {
    table: String,
    size_bytes: u64,
    rows: Option<i64>,
}

pub(super) async fn move_service(
    context: &Context,
    asked: &MoveArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let service = name(&connected, &asked.service)?;
    let to = context.environment.target("--to", &asked.to)?;
    let here = &placed(context, &connected, &service, None)?;
    let there = &placed(context, &connected, &service, Some(&to))?;
    let places = MovePlaces { here, there, named: &connected.deployment };
    let options = MoveOptions {
        directory: context.environment.backup_directory()?,
        wait: asked.wait,
        table_locks: Policy::default().with_patience(asked.lock_patience),
        no_owner: asked.no_owner,
        search: context.environment.programs()?,
        caller: caller(),
        cancellation: cancellation.clone(),
    };
    if !asked.yes {
        let prospect = Box::pin(migration_backup::look(places, &service, &options)).await;
        let prospect = prospect.map_err(raised)?;
        let text = before(context, &service, &prospect);
        let body = Document::of(&service, &prospect, None);
        return Ok(Answer::of("move", Found::whole(body), text)?);
    }
    let bar = context.output.bar();
    let show = |progress| {
        bar.set_message(match progress {
            MoveProgress::Trying => format!("{service}  trying it without rows"),
            MoveProgress::Fencing => format!("{service}  waiting until nobody writes"),
            MoveProgress::Dumped(size) => format!("{service}  dumping  {}", bytes(size)),
            MoveProgress::Restoring => format!("{service}  restoring there"),
            MoveProgress::Comparing => format!("{service}  comparing"),
        });
    };
    let moving = migration_backup::move_service(places, &service, &options, &show);
    let moved = Box::pin(moving).await;
    bar.finish_and_clear();
    let moved = moved.map_err(raised)?;
    let text = after(context, &service, &moved);
    let body = Document::of(&service, &moved.prospect, Some(&moved));
    Ok(Answer::of("move", Found::whole(body), text)?)
}

/// The same services, of which the one that moves is at this address, or where it is. A schema of its own is all its own, whatever it is
/// called: that nothing of others is in it is looked at.
fn placed(
    context: &Context,
    connected: &Connected,
    moving: &ServiceName,
    url: Option<&DatabaseUrl>,
) -> anyhow::Result<Deployment> {
    let here = &connected.deployment;
    let place = |service: &ServiceName| here.service(service).map(|(_, schema, database)| (schema, database));
    let is_alone =
        here.services().all(|(other, ..)| other.name() == moving || place(other.name()) != place(moving));
    let placements = context.program.services()?.into_iter().filter_map(|service| {
        let (schema, database) = place(service.name())?;
        let is_moving = service.name() == moving;
        let url = url.filter(|_| is_moving).unwrap_or(&here.databases()[database]).clone();
        let is_own = is_moving && is_alone && schema != "public";
        let service = if is_own { service.owning_schema() } else { service };
        Some(Placement { schema: schema.to_owned(), url, service })
    });
    let environment = &context.environment;
    Ok(Deployment::new(placements.collect())?
        .allowing(environment.allowed_objects()?)
        .allowing_any_bytes(environment.allows_any_bytes()?))
}

impl Document {
    fn of(service: &ServiceName, prospect: &Prospect, moved: Option<&Moved>) -> Self {
        let table = |TableBytes { schema, name, bytes }: &TableBytes| {
            let rows = moved.and_then(|moved| {
                let is_it = |counted: &&TableRows| (&counted.schema, &counted.name) == (schema, name);
                moved.tables.iter().find(is_it).map(|counted| counted.rows)
            });
            TableDocument { table: format!("{schema}.{name}"), size_bytes: *bytes, rows }
        };
        Self {
            service: service.to_string(),
            from: prospect.from.clone(),
            to: prospect.to.clone(),
            moved: moved.is_some(),
            ended: moved.is_some() && prospect.ends,
            size_bytes: prospect.size_bytes,
            tables: prospect.tables.iter().map(table).collect(),
            notes: prospect.notes.clone(),
            archive: moved
                .and_then(|moved| moved.archive.as_ref())
                .map(|archive| archive.display().to_string()),
            n_checks: moved.map_or(0, |moved| moved.n_checks),
            kept_in: moved.map(|moved| moved.kept_in.clone()).unwrap_or_default(),
            set_aside: moved.map(|moved| moved.set_aside.clone()).unwrap_or_default(),
            stopped_ms: moved.map(|moved| u64::try_from(moved.stopped.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// What would be done.
fn before(context: &Context, service: &ServiceName, prospect: &Prospect) -> Text {
    let mut text = Text::default();
    let note = context.output.paint.warn("note");
    let Prospect { from, to, ends, tables, size_bytes, notes } = prospect;
    if *ends {
        text.line(format!("`{service}` is at `{to}`, and its move has only to be ended: `--yes` does"));
        return text;
    }
    let mut table = Table::new(&["TABLE", "SIZE"]).right(&["SIZE"]);
    for TableBytes { schema, name, bytes: size } in tables {
        table.row([format!("{schema}.{name}"), bytes(*size)]);
    }
    text.table(table);
    notes.iter().for_each(|said| text.note(format!("{note}  {said}")));
    text.note(format!(
        "{note}  while {} are dumped, restored there and compared, what writes to these tables waits (SHARE lock); reading continues",
        bytes(*size_bytes)
    ));
    text.note(format!(
        "{note}  afterwards nothing of `{service}` is found here any more: what waited fails, and the application needs its new address"
    ));
    text.line(format!("nothing was changed: `--yes` moves `{service}` from `{from}` to `{to}`"));
    text
}

/// What was done.
fn after(context: &Context, service: &ServiceName, moved: &Moved) -> Text {
    let mut text = Text::default();
    let note = context.output.paint.warn("note");
    let Prospect { to, ends, notes, .. } = &moved.prospect;
    if *ends {
        text.line(format!(
            "`{service}` is at `{to}`: an earlier move was ended, and nothing had to be copied"
        ));
    } else {
        let n_rows: i64 = moved.tables.iter().map(|table| table.rows).sum();
        text.line(format!(
            "`{service}` is at `{to}`: {} of {} there {} the same, {}; writing was stopped for {}",
            counted(n_rows, "row", "rows"),
            counted(moved.tables.len(), "table", "tables"),
            if n_rows == 1 { "is" } else { "are" },
            counted(moved.n_checks, "check holds", "checks hold"),
            duration(moved.stopped)
        ));
    }
    notes.iter().for_each(|said| text.note(format!("{note}  {said}")));
    for schema in &moved.set_aside {
        text.note(format!("{note}  what was there is in the schema `{schema}` there"));
    }
    for schema in &moved.kept_in {
        text.note(format!(
            "{note}  what it had here is in the schema `{schema}`; `restore --drop-old {service}` with the old address drops it"
        ));
    }
    if let Some(archive) = &moved.archive {
        let archive = context.environment.relative(archive);
        text.note(format!("{note}  it went by the backup `{archive}`, which stays"));
    }
    text.note(format!(
        "{note}  set `{}` to the new address wherever migrations run, and the application's own",
        variable(service, "DATABASE_URL")
    ));
    text
}
