//! `status`: where each service stands. Reads only.

use migration_coordinator::{
    Access, Deployment, Holder, ServiceFacts, Survey, edited_migrations, service_state, stopped_midway,
};
use migration_kit::Service;
use migration_plan::{HeldBack, HoldReason, ServiceState, ServiceStatus, statuses};
use serde::Serialize;

use super::databases::DatabaseDocument;
use super::{connect, locks, names};
use crate::exit::Exit;
use crate::output::{Paint, Table, timestamp};
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

/// Where one service stands.
#[derive(Serialize)]
struct ServiceDocument {
    name: String,
    schema: String,
    version_table: String,
    database: usize,
    state: &'static str,
    current: Option<String>,
    head: Option<String>,
    applied: usize,
    pending: Vec<String>,
    held_back: Vec<HeldDocument>,
    missing: Vec<String>,
    ahead: Vec<String>,
    out_of_order: Vec<String>,
    edited: Vec<String>,
    stopped_midway: Vec<String>,
    lock: Option<Holder>,
    externals: Vec<ExternalDocument>,
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
    present: bool,
}

/// How many services there are, by what is to be done.
#[derive(Serialize)]
struct Summary {
    services: usize,
    at_head: usize,
    pending: usize,
}

pub(super) async fn status(context: &Context, services: &[String], check: bool) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let deployment = &connected.deployment;
    let survey = Survey::take(deployment).await;
    let documents: Vec<ServiceDocument> = statuses(deployment.catalog(), &survey.history(), survey.now())
        .into_iter()
        .filter(|status| chosen.is_empty() || chosen.contains(&status.service))
        .filter_map(|status| ServiceDocument::of(deployment, &survey, &status))
        .collect();
    let exit = exit(&documents, check);
    let databases = DatabaseDocument::all(&connected, &survey);
    if context.output.is_human() {
        for_people(context, &databases, &documents);
    } else {
        let at_head = documents.iter().filter(|document| document.state == "current").count();
        let pending = documents.iter().map(|document| document.pending.len()).sum();
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "status",
            ok: exit == Exit::Done,
            exit_code: exit.code(),
            database: databases.first().cloned(),
            databases,
            summary: Summary { services: documents.len(), at_head, pending },
            services: documents,
        })?;
    }
    Ok(exit)
}

/// Not being able to ask is always an error; what was found out is one only where `--check` asks for it.
fn exit(documents: &[ServiceDocument], check: bool) -> Exit {
    Exit::worst(documents.iter().map(|document| match document.state {
        "forbidden" | "unreachable" => Exit::Connection,
        _ if !check => Exit::Done,
        "diverged" | "ahead" => Exit::Integrity,
        _ if !document.edited.is_empty() => Exit::Integrity,
        "dirty" => Exit::Partial,
        _ if !document.pending.is_empty() => Exit::Pending,
        _ => Exit::Done,
    }))
}

fn for_people(context: &Context, databases: &[DatabaseDocument], documents: &[ServiceDocument]) {
    let output = &context.output;
    for database in databases {
        database.print(output);
    }
    let mut table = Table::new(&["SERVICE", "STATE", "APPLIED", "PENDING", "CURRENT", "VERSION TABLE"]);
    for document in documents {
        let painted: fn(Paint, &str) -> String = match document.state {
            "current" => Paint::good,
            "behind" | "empty" | "running" => Paint::warn,
            _ => Paint::bad,
        };
        table.painted(vec![
            (document.name.clone(), None),
            (document.state.to_owned(), Some(painted)),
            (document.applied.to_string(), None),
            (document.pending.len().to_string(), None),
            (document.current.clone().unwrap_or_else(|| "–".to_owned()), None),
            (format!("{}.{}", document.schema, document.version_table), Some(Paint::faint)),
        ]);
    }
    output.table(&table);
    for document in documents {
        for line in document.remarks() {
            output.line(format!("{}: {line}", document.name));
        }
    }
}

impl HeldDocument {
    fn of(held: &HeldBack, service: &Service, status: &ServiceStatus) -> Self {
        let mut earlier =
            service.migrations().map(|(name, _)| name).take_while(|name| **name != held.id.name);
        let begun = !earlier.any(|name| status.pending.contains(name));
        let (reason, until) = match held.reason {
            HoldReason::Soaking { until } if begun => (held.reason.to_string(), Some(timestamp(until))),
            HoldReason::Soaking { .. } => {
                ("it soaks after what is pending before it is applied".to_owned(), None)
            }
            _ => (held.reason.to_string(), None),
        };
        Self { migration: held.id.name.to_string(), reason, until }
    }
}

impl ServiceDocument {
    fn of(deployment: &Deployment, survey: &Survey, status: &ServiceStatus) -> Option<Self> {
        let facts = survey.service(&status.service)?;
        let (service, schema, database) =
            deployment.services().find(|(service, _, _)| *service.name() == status.service)?;
        let state = service_state(service, facts, status);
        let externals =
            service.externals().iter().zip(&facts.externals).map(|(external, present)| ExternalDocument {
                table: format!("{}.{}", external.schema, external.table),
                owner: external.owner.to_owned(),
                present: *present,
            });
        let text = |names: &[migration_kit::MigrationName]| names.iter().map(ToString::to_string).collect();
        Some(Self {
            name: status.service.to_string(),
            schema: schema.to_owned(),
            version_table: service.version_table().to_owned(),
            database,
            state: state.as_str(),
            current: status.current.as_ref().map(ToString::to_string),
            head: status.head.as_ref().map(ToString::to_string),
            applied: status.applied.len(),
            pending: pending(status, facts, state),
            held_back: status.held_back.iter().map(|held| HeldDocument::of(held, service, status)).collect(),
            missing: text(&status.missing),
            ahead: text(&status.ahead),
            out_of_order: text(&status.out_of_order),
            edited: text(&edited_migrations(deployment, facts)),
            // What runs now has not stopped.
            stopped_midway: stopped_midway(service, facts)
                .into_iter()
                .filter(|_| facts.holder.is_none())
                .map(ToString::to_string)
                .collect(),
            lock: facts.holder.clone(),
            externals: externals.collect(),
        })
    }

    /// What the table has no column for.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        remarks.extend(
            self.held_back.iter().map(|held| format!("`{}` is held back: {}", held.migration, held.reason)),
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
            ("stopped midway, and resumed by the next run", &self.stopped_midway),
        ] {
            if !names.is_empty() {
                remarks.push(format!("{what}: {}", list(names)));
            }
        }
        if let Some(holder) = &self.lock {
            remarks.push(locks::held(holder));
        }
        remarks.extend(absent(&self.externals));
        if self.state == "forbidden" {
            remarks.push(format!(
                "our role may not read it: it needs USAGE on the schema and SELECT on `{}.{}`",
                self.schema, self.version_table
            ));
        }
        remarks
    }
}

/// The tables of others that are not there, a line for each owner.
fn absent(externals: &[ExternalDocument]) -> Vec<String> {
    let mut owners: Vec<(&str, Vec<String>)> = Vec::new();
    for external in externals.iter().filter(|external| !external.present) {
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

/// Nothing is said to be pending where nothing could be read.
fn pending(status: &ServiceStatus, facts: &ServiceFacts, state: ServiceState) -> Vec<String> {
    match (facts.access, state) {
        (Access::Forbidden | Access::Unreachable, _) => Vec::new(),
        _ => status.pending.iter().map(ToString::to_string).collect(),
    }
}
