//! `status`: where each service stands. Reads only.

use std::collections::HashSet;

use migration_coordinator::{
    Deployment, Holder, Survey, Twin, edited_migrations, service_state, surroundings,
};
use migration_kit::{Listed, MigrationName, Service};
use migration_plan::{Direction, HeldBack, HoldReason, ServiceStatus, statuses};
use serde::Serialize;

use super::databases::DatabaseDocument;
use super::{connect, locks, names};
use crate::exit::Exit;
use crate::output::{Paint, Table, error, timestamp};
use crate::program::Context;

/// How many migrations of one kind are named to people; JSON has all.
const SHOWN: usize = 10;

/// What `status --json` prints. Fields are only ever added.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    ok: bool,
    exit_code: u8,
    database: Option<DatabaseDocument>,
    databases: Vec<DatabaseDocument>,
    services: Vec<ServiceDocument>,
    summary: Summary,
}

/// Where one service stands. What is not known is `null`, never zero or empty.
#[derive(Serialize)]
struct ServiceDocument {
    name: String,
    schema: String,
    version_table: String,
    database: usize,
    state: &'static str,
    current: Option<String>,
    head: Option<String>,
    applied: Option<usize>,
    pending: Option<Vec<String>>,
    held_back: Option<Vec<HeldDocument>>,
    missing: Option<Vec<String>>,
    ahead: Option<Vec<String>>,
    renamed: Option<Vec<RenamedDocument>>,
    out_of_order: Option<Vec<String>>,
    edited: Option<Vec<String>>,
    stopped_midway: Option<Vec<BegunDocument>>,
    lock: Option<Holder>,
    externals: Vec<ExternalDocument>,
    elsewhere: Vec<TwinDocument>,
    error: Option<error::Told>,
    #[serde(skip)]
    exit: Exit,
}

/// A migration that was begun and not finished.
#[derive(Serialize)]
struct BegunDocument {
    migration: String,
    direction: &'static str,
}

/// A migration that is applied under another name.
#[derive(Serialize)]
struct RenamedDocument {
    applied: String,
    pending: String,
}

/// A migration that is held back.
#[derive(Serialize)]
struct HeldDocument {
    migration: String,
    reason: String,
    until: Option<String>,
}

/// A table of somebody else.
#[derive(Serialize)]
struct ExternalDocument {
    table: String,
    owner: String,
    present: Option<bool>,
}

/// A table elsewhere that an empty service may have had before.
#[derive(Serialize)]
struct TwinDocument {
    table: String,
    has_rows: Option<bool>,
    #[serde(skip)]
    shown: String,
}

/// How many services there are, by what is to be done.
#[derive(Serialize)]
struct Summary {
    services: usize,
    up_to_date: usize,
    at_head: usize,
    pending: usize,
    held_back: usize,
    unknown: usize,
}

/// What is asked for beside the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) check: bool,
    pub(super) verbose: bool,
}

pub(super) async fn status(context: &Context, services: &[String], asked: Asked) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let deployment = &connected.deployment;
    let survey = Survey::take(deployment).await;
    let documents: Vec<ServiceDocument> = statuses(deployment.catalog(), &survey.history(), survey.now())
        .into_iter()
        .filter(|status| chosen.is_empty() || chosen.contains(&status.service))
        .filter_map(|status| ServiceDocument::of(deployment, &survey, &status))
        .collect();
    let mut exit = exit(&documents, asked.check);
    let mut databases = DatabaseDocument::all(&connected, &survey);
    if asked.verbose {
        let all = surroundings(deployment, &chosen).await;
        for (database, found) in databases.iter_mut().zip(all) {
            if let Some(Err(error)) = &found {
                exit = Exit::worst([exit, Exit::of_survey(error)]);
            }
            database.surround(found);
        }
    }
    if context.output.is_human() {
        for_people(context, &databases, &documents);
    } else {
        let current = || documents.iter().filter(|document| document.state == "current");
        let up_to_date = current().count();
        let holds_nothing_back =
            |document: &&ServiceDocument| document.held_back.as_ref().is_some_and(Vec::is_empty);
        let at_head = current().filter(holds_nothing_back).count();
        let held_back =
            documents.iter().filter_map(|document| document.held_back.as_ref()).map(Vec::len).sum();
        let pending = documents.iter().filter_map(|document| document.pending.as_ref()).map(Vec::len).sum();
        let unknown = documents.iter().filter(|document| document.pending.is_none()).count();
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "status",
            ok: exit == Exit::Done,
            exit_code: exit.code(),
            database: databases.first().cloned(),
            databases,
            summary: Summary { services: documents.len(), up_to_date, at_head, pending, held_back, unknown },
            services: documents,
        })?;
    }
    Ok(exit)
}

/// Not being able to ask is always an error; what was found out is one only where `--check` asks for it.
fn exit(documents: &[ServiceDocument], check: bool) -> Exit {
    let is_any = |names: &Option<Vec<String>>| names.as_ref().is_some_and(|names| !names.is_empty());
    Exit::worst(documents.iter().map(|document| match document.state {
        _ if document.error.is_some() => document.exit,
        _ if !check => Exit::Done,
        "diverged" | "ahead" => Exit::Integrity,
        _ if is_any(&document.edited) => Exit::Integrity,
        "dirty" => Exit::Partial,
        _ if is_any(&document.pending) => Exit::Pending,
        _ => Exit::Done,
    }))
}

fn for_people(context: &Context, databases: &[DatabaseDocument], documents: &[ServiceDocument]) {
    let output = &context.output;
    for database in databases {
        database.print(output);
    }
    let mut table =
        Table::new(&["SERVICE", "STATE", "APPLIED", "PENDING", "HELD BACK", "CURRENT", "VERSION TABLE"])
            .right(&["APPLIED", "PENDING", "HELD BACK"])
            .spared(&["VERSION TABLE"]);
    for document in documents {
        let painted: fn(Paint, &str) -> String = match document.state {
            "current" => Paint::good,
            "behind" | "empty" | "running" => Paint::warn,
            _ => Paint::bad,
        };
        let absent = if document.applied.is_some() { "–" } else { "?" };
        table.painted(vec![
            (document.name.clone(), None),
            (document.state.to_owned(), Some(painted)),
            (known(document.applied), None),
            (known(document.pending.as_ref().map(Vec::len)), None),
            (known(document.held_back.as_ref().map(Vec::len)), None),
            (document.current.clone().unwrap_or_else(|| absent.to_owned()), None),
            (format!("{}.{}", document.schema, document.version_table), Some(Paint::faint)),
        ]);
    }
    output.table(&table);
    // Why a database was not reached was said above.
    let reached = documents.iter().filter(|document| document.state != "unreachable");
    for told in reached.filter_map(|document| document.error.as_ref()) {
        error::write(told, output);
    }
    for document in documents {
        for line in document.remarks() {
            output.line(format!("{}: {line}", document.name));
        }
    }
    databases.iter().flat_map(DatabaseDocument::surroundings).for_each(|line| output.line(line));
    if let Some(next) = next(documents) {
        output.line(output.paint.strong(&next));
    }
}

/// What there is to do next, in all services that are shown; what was looked at, where there is nothing. Where
/// something is not known or wrong, there is more to do than that.
fn next(documents: &[ServiceDocument]) -> Option<String> {
    let is_well = |state| matches!(state, "current" | "behind" | "empty");
    if documents.iter().any(|document| document.error.is_some() || !is_well(document.state)) {
        return None;
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let behind: Vec<&ServiceDocument> = documents.iter().filter(|d| d.state != "current").collect();
    let n_pending = behind.iter().filter_map(|d| d.pending.as_ref()).map(Vec::len).sum();
    Some(match &behind[..] {
        [] => {
            let n_applied = documents.iter().filter_map(|document| document.applied).sum();
            let held: Vec<&HeldDocument> =
                documents.iter().filter_map(|d| d.held_back.as_ref()).flatten().collect();
            let rest = match (held.len(), held.iter().filter_map(|held| held.until.as_ref()).min()) {
                (0, _) => String::new(),
                (n, None) => format!(" · {} held back, see `plan --contract`", count(n, "contract step")),
                (n, Some(until)) => {
                    format!(" · {} held back, the first until {until}", count(n, "contract step"))
                }
            };
            let services = count(documents.len(), "service");
            format!("{services} up to date · {} applied{rest}", count(n_applied, "migration"))
        }
        [only] => format!("next: `up {}` applies {}", only.name, count(n_pending, "migration")),
        several => {
            format!("next: `up` applies {} of {} services", count(n_pending, "migration"), several.len())
        }
    })
}

/// A number, or that it is not known.
fn known(number: Option<usize>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

impl BegunDocument {
    fn of(migration: &MigrationName, direction: Direction) -> Self {
        Self { migration: migration.to_string(), direction: direction.as_str() }
    }
}

impl RenamedDocument {
    fn of((applied, now): &(MigrationName, MigrationName)) -> Self {
        Self { applied: applied.to_string(), pending: now.to_string() }
    }
}

impl TwinDocument {
    fn of(twin: &Twin) -> Self {
        Self { table: twin.table.clone(), has_rows: twin.has_rows, shown: twin.to_string() }
    }
}

impl HeldDocument {
    /// All that are held back, in the order of the list.
    fn all(service: &Service, status: &ServiceStatus) -> Vec<Self> {
        let pending: HashSet<&MigrationName> = status.pending.iter().collect();
        let before_pending: HashSet<&MigrationName> =
            service.migrations().map(Listed::name).take_while(|name| !pending.contains(name)).collect();
        let held = status.held_back.iter();
        held.map(|held| Self::of(held, before_pending.contains(&held.id.name))).collect()
    }

    /// Its soak time has begun if nothing is pending before it.
    fn of(held: &HeldBack, begun: bool) -> Self {
        let (reason, until) = match held.reason {
            HoldReason::Soaking { until } if begun => (held.reason.to_string(), Some(timestamp(until))),
            HoldReason::Soaking { .. } => {
                ("its soak time begins when what is pending is applied".to_owned(), None)
            }
            HoldReason::ContractNotAsked => ("due now: `up --contract` applies it".to_owned(), None),
            HoldReason::RequiresHeldBack { .. } => (held.reason.to_string(), None),
        };
        Self { migration: held.id.name.to_string(), reason, until }
    }
}

impl ServiceDocument {
    fn of(deployment: &Deployment, survey: &Survey, status: &ServiceStatus) -> Option<Self> {
        let facts = survey.service(&status.service)?;
        let (service, schema, database) = deployment.service(&status.service)?;
        let state = service_state(facts, status);
        let externals =
            service.externals().iter().zip(&facts.externals).map(|(external, present)| ExternalDocument {
                table: format!("{}.{}", external.schema, external.table),
                owner: external.owner.clone(),
                present: *present,
            });
        let text = |names: &[MigrationName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let read = facts.is_history_known();
        // Where the journal could not be read, what it alone tells is not known.
        let journal = facts.unread.is_none();
        // What runs now has not stopped.
        let midway = status.begun.iter().filter(|_| facts.holder.is_none());
        let midway = midway.map(|(name, direction)| BegunDocument::of(name, *direction));
        Some(Self {
            name: status.service.to_string(),
            schema: schema.to_owned(),
            version_table: service.version_table().to_owned(),
            database,
            state: state.as_str(),
            current: status.current.as_ref().map(ToString::to_string),
            head: status.head.as_ref().map(ToString::to_string),
            applied: read.then_some(status.applied.len()),
            pending: read.then(|| text(&status.pending)),
            held_back: read.then(|| HeldDocument::all(service, status)),
            missing: read.then(|| text(&status.missing)),
            ahead: read.then(|| text(&status.ahead)),
            renamed: read.then(|| status.renamed.iter().map(RenamedDocument::of).collect()),
            out_of_order: read.then(|| text(&status.out_of_order)),
            edited: journal.then(|| text(&edited_migrations(deployment, facts))),
            stopped_midway: journal.then(|| midway.collect()),
            lock: facts.holder.clone(),
            externals: externals.collect(),
            elsewhere: facts.twins.iter().map(TwinDocument::of).collect(),
            error: facts.unread.as_ref().map(|error| error::tell(error.as_ref())),
            exit: facts.unread.as_ref().map_or(Exit::Done, |error| Exit::of_survey(error)),
        })
    }

    /// What the table has no column for.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        remarks.extend(
            self.held_back
                .iter()
                .flatten()
                .map(|held| format!("`{}` is held back: {}", held.migration, held.reason)),
        );
        let list = |names: &[String]| {
            let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            match names.len().saturating_sub(SHOWN) {
                0 => shown.join(", "),
                n_more => format!("{} and {n_more} more", shown.join(", ")),
            }
        };
        for (what, names) in [
            ("applied, and missing in this build", &self.missing),
            ("applied, and newer than this build", &self.ahead),
            ("edited after it was applied", &self.edited),
            ("pending, and older than what is applied", &self.out_of_order),
        ] {
            if let Some(names) = names.as_deref().filter(|names| !names.is_empty()) {
                remarks.push(format!("{what}: {}", list(names)));
            }
        }
        remarks.extend(self.renamed.iter().flatten().map(|renamed| {
            format!("`{}` is applied, and is called `{}` in this build", renamed.applied, renamed.pending)
        }));
        remarks.extend(self.stopped_midway.iter().flatten().map(|begun| {
            let doing = if begun.direction == Direction::Apply.as_str() { "applied" } else { "reverted" };
            format!(
                "`{}` stopped midway while it was {doing}: `up {service}` applies it, `down {service}@-1` reverts it",
                begun.migration,
                service = self.name
            )
        }));
        if let Some(holder) = &self.lock {
            remarks.push(locks::held(holder));
        }
        remarks.extend(self.elsewhere.iter().map(|twin| {
            format!("empty here, and elsewhere there is {}: `up` asks for a decision", twin.shown)
        }));
        remarks.extend(absent(&self.externals));
        if self.state != "unreachable" && self.applied.is_some() && self.error.is_some() {
            remarks.push("whether a migration was edited or stopped midway is not known".to_owned());
        }
        remarks
    }
}

/// The tables of others that are not there, a line for each owner.
fn absent(externals: &[ExternalDocument]) -> Vec<String> {
    let mut owners: Vec<(&str, Vec<String>)> = Vec::new();
    for external in externals.iter().filter(|external| external.present == Some(false)) {
        let table = format!("`{}`", external.table);
        match owners.iter_mut().find(|(owner, _)| *owner == external.owner) {
            Some((_, tables)) => tables.push(table),
            None => owners.push((&external.owner, vec![table])),
        }
    }
    owners
        .into_iter()
        .map(|(owner, tables)| format!("tables of {owner} that are not there: {}", tables.join(", ")))
        .collect()
}
