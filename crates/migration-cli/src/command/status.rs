//! `status` and `locks`: where each service stands and who is at work. Reads only.

use migration_coordinator::{
    Access, Deployment, Holder, ServiceFacts, Survey, edited_migrations, service_state,
};
use migration_plan::{HoldReason, ServiceState, ServiceStatus, statuses};
use serde::Serialize;

use super::{connect, names};
use crate::database::{Connected, Source};
use crate::exit::Exit;
use crate::output::{Paint, Table, timestamp};
use crate::program::Context;

/// What `status --json` prints. Documented in `docs/json.md`; fields are only ever added.
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

/// One database.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DatabaseDocument {
    host: String,
    port: u16,
    name: String,
    user: String,
    embedded: bool,
    reachable: bool,
    server_version: Option<String>,
    read_only: Option<bool>,
    error: Option<String>,
    #[serde(skip)]
    directory: Option<String>,
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

/// Who holds which lock.
#[derive(Serialize)]
struct LocksDocument {
    schema: &'static str,
    command: &'static str,
    locks: Vec<LockDocument>,
}

/// A migration lock that is held.
#[derive(Serialize)]
struct LockDocument {
    service: String,
    #[serde(flatten)]
    holder: Holder,
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
    let (output, paint) = (&context.output, context.output.paint);
    for database in databases {
        output.note(format!("{}  {}", paint.faint("database"), database.for_people()));
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
    for line in table.lines(paint) {
        output.line(line);
    }
    for document in documents {
        for line in document.remarks() {
            output.line(format!("{}: {line}", document.name));
        }
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
            version_table: service.version_table(),
            database,
            state: state.as_str(),
            current: status.current.as_ref().map(ToString::to_string),
            head: status.head.as_ref().map(ToString::to_string),
            applied: status.applied.len(),
            pending: pending(status, facts, state),
            held_back: status
                .held_back
                .iter()
                .map(|held| HeldDocument {
                    migration: held.id.name.to_string(),
                    reason: held.reason.to_string(),
                    until: match held.reason {
                        HoldReason::Soaking { until } => Some(timestamp(until)),
                        _ => None,
                    },
                })
                .collect(),
            missing: text(&status.missing),
            ahead: text(&status.ahead),
            out_of_order: text(&status.out_of_order),
            edited: text(&edited_migrations(deployment, facts)),
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
        let list =
            |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        for (what, names) in [
            ("applied, and missing in this build", &self.missing),
            ("applied, and newer than this build", &self.ahead),
            ("edited after it was applied", &self.edited),
            ("pending, and older than what is applied", &self.out_of_order),
        ] {
            if !names.is_empty() {
                remarks.push(format!("{what}: {}", list(names)));
            }
        }
        if let Some(holder) = &self.lock {
            remarks.push(held(holder));
        }
        remarks.extend(
            self.externals
                .iter()
                .filter(|external| !external.present)
                .map(|external| format!("`{}` of {} is not there", external.table, external.owner)),
        );
        remarks
    }
}

/// Nothing is said to be pending where nothing could be read.
fn pending(status: &ServiceStatus, facts: &ServiceFacts, state: ServiceState) -> Vec<String> {
    match (facts.access, state) {
        (Access::Forbidden | Access::Unreachable, _) => Vec::new(),
        _ => status.pending.iter().map(ToString::to_string).collect(),
    }
}

fn held(holder: &Holder) -> String {
    format!(
        "the migration lock is held by pid {} ({}, {}) since {}",
        holder.pid,
        holder.application,
        holder.host,
        timestamp(holder.since)
    )
}

impl DatabaseDocument {
    /// The databases of a deployment and what they said.
    pub(super) fn all(connected: &Connected, survey: &Survey) -> Vec<Self> {
        let urls = connected.deployment.databases().iter();
        urls.zip(&survey.databases)
            .map(|(url, answer)| {
                let facts = answer.as_ref().ok();
                let directory = match &connected.source {
                    Source::Embedded { directory } if url.host().starts_with('/') => Some(directory.clone()),
                    _ => None,
                };
                Self {
                    host: url.host(),
                    port: url.port(),
                    name: url.database().to_owned(),
                    user: facts.map_or_else(|| url.user().to_owned(), |facts| facts.user.clone()),
                    embedded: directory.is_some(),
                    reachable: facts.is_some(),
                    server_version: facts.map(|facts| facts.version.clone()),
                    read_only: facts.map(|facts| facts.read_only),
                    error: answer.as_ref().err().map(|error| error_text(error.as_ref())),
                    directory,
                }
            })
            .collect()
    }

    /// One line for people.
    pub(super) fn for_people(&self) -> String {
        let version =
            self.server_version.as_ref().map_or_else(String::new, |version| format!("PostgreSQL {version}"));
        if let Some(error) = &self.error {
            return format!("`{}` at {}:{}: {error}", self.name, self.host, self.port);
        }
        match &self.directory {
            Some(directory) => format!("embedded {version} in {directory} (no DATABASE_URL set)"),
            None => format!("`{}` at {}:{}, {version}, as `{}`", self.name, self.host, self.port, self.user),
        }
    }
}

fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let told = crate::output::error::tell(error);
    std::iter::once(told.message).chain(told.causes).collect::<Vec<_>>().join(": ")
}

pub(super) async fn locks(context: &Context) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let survey = Survey::take(&connected.deployment).await;
    if let Some(Err(error)) = survey.databases.into_iter().find(Result::is_err) {
        return Err(migration_coordinator::RunError::Survey(error).into());
    }
    let locks: Vec<LockDocument> = survey
        .services
        .into_iter()
        .filter_map(|facts| Some(LockDocument { service: facts.service.to_string(), holder: facts.holder? }))
        .collect();
    if !context.output.is_human() {
        context.output.document(&LocksDocument { schema: "migrate/v1", command: "locks", locks })?;
    } else if locks.is_empty() {
        context.output.line("no migration lock is held");
    } else {
        let mut table = Table::new(&["SERVICE", "PID", "APPLICATION", "HOST", "SINCE"]);
        for LockDocument { service, holder } in locks {
            table.row([
                service,
                holder.pid.to_string(),
                holder.application,
                holder.host,
                timestamp(holder.since),
            ]);
        }
        for line in table.lines(context.output.paint) {
            context.output.line(line);
        }
    }
    Ok(Exit::Done)
}
