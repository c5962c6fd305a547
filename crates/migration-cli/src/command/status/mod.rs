//! `status`: where each service stands. Reads only.

mod document;

use document::{HeldDocument, ServiceDocument};
use migration_coordinator::{Scope, Survey, surroundings, verify_surveyed};
use migration_plan::statuses;
use serde::Serialize;

use super::databases::DatabaseDocument;
use super::{connect, names};
use crate::exit::Exit;
use crate::output::{Paint, Table, error};
use crate::program::Context;

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
    let mut documents: Vec<ServiceDocument> = statuses(deployment.catalog(), &survey.history(), survey.now())
        .into_iter()
        .filter(|status| chosen.is_empty() || chosen.contains(&status.service))
        .filter_map(|status| ServiceDocument::of(deployment, &survey, &status))
        .collect();
    if asked.check {
        for verification in verify_surveyed(deployment, &survey, &chosen, Scope::Schema).await {
            let name = verification.service.as_str();
            if let Some(document) = documents.iter_mut().find(|document| document.name == name) {
                document.look_at(&verification);
            }
        }
    }
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
        _ if is_any(&document.edited) || is_any(&document.broken) => Exit::Integrity,
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
    let is_broken =
        |document: &ServiceDocument| document.broken.as_ref().is_some_and(|broken| !broken.is_empty());
    let is_odd = |document: &ServiceDocument| {
        document.error.is_some()
            || is_broken(document)
            || !document.elsewhere.is_empty()
            || !is_well(document.state)
    };
    if documents.iter().any(is_odd) {
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
