//! `history`: each migration and what became of it; with `--verbose`, every run. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migration_coordinator::{JournalLine, Journals, ServiceFacts, Survey, SurveyError, journal};
use migration_kit::ServiceName;
use migration_plan::{HeldBack, Phase, ServiceStatus, statuses};
use serde::Serialize;

use super::{connect, names, services};
use crate::database::Connected;
use crate::exit::Exit;
use crate::output::{Paint, Table, error, timestamp};
use crate::program::Context;

/// What `history --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    ok: bool,
    exit_code: u8,
    errors: Vec<error::Told>,
    migrations: Vec<MigrationDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Vec<JournalLine>>,
}

/// One migration and what became of it.
#[derive(Serialize)]
struct MigrationDocument {
    service: String,
    migration: String,
    phase: &'static str,
    state: &'static str,
    applied_at: Option<String>,
    replaces: Vec<String>,
}

pub(super) async fn history(context: &Context, services: &[String], verbose: bool) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let survey = Survey::take(&connected.deployment).await;
    let is_chosen = |name: &ServiceName| chosen.is_empty() || chosen.contains(name);
    let statuses = statuses(connected.deployment.catalog(), &survey.history(), survey.now());
    let migrations: Vec<MigrationDocument> = statuses
        .iter()
        .filter(|status| is_chosen(&status.service))
        .flat_map(|status| {
            let is_known = survey.service(&status.service).is_some_and(ServiceFacts::is_history_known);
            of_service(&connected, status, is_known)
        })
        .collect();
    let journals = if verbose { Some(journal(&connected.deployment, &chosen).await) } else { None };
    let unread: Vec<Arc<SurveyError>> = match &journals {
        Some(journals) => journals.unread.clone(),
        None => {
            let facts = survey.services.iter().filter(|facts| is_chosen(&facts.service));
            facts.filter(|facts| !facts.is_history_known()).filter_map(|facts| facts.unread.clone()).collect()
        }
    };
    let exit = Exit::worst(unread.iter().map(|error| Exit::of_survey(error)));
    let errors = error::tell_each(unread.iter().map(AsRef::as_ref));
    if !context.output.is_human() {
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "history",
            ok: exit == Exit::Done,
            exit_code: exit.code(),
            errors,
            migrations,
            journal: journals.map(|journals| journals.lines),
        })?;
        return Ok(exit);
    }
    errors.iter().for_each(|told| error::write(told, &context.output));
    match journals {
        Some(journals) => print_journal(context, journals),
        None => print_migrations(context, migrations),
    }
    Ok(exit)
}

fn of_service(connected: &Connected, status: &ServiceStatus, is_known: bool) -> Vec<MigrationDocument> {
    let applied: BTreeMap<_, _> = status.applied.iter().map(|a| (&a.name, a.applied_at)).collect();
    let held: BTreeSet<_> = status.held_back.iter().map(|HeldBack { id, .. }| &id.name).collect();
    let begun: BTreeSet<_> = status.begun.iter().map(|(name, _)| name).collect();
    let Some((service, _, _)) = connected.deployment.service(&status.service) else { return Vec::new() };
    let known = service.migrations().map(|listed| {
        let (name, details) = (listed.name(), listed.details());
        MigrationDocument {
            service: status.service.to_string(),
            migration: name.to_string(),
            phase: if details.phase == Phase::Expand { "expand" } else { "contract" },
            state: match applied.get(name) {
                _ if !is_known => "unknown",
                Some(_) => "applied",
                None if begun.contains(name) => "stopped midway",
                None if held.contains(name) => "held back",
                None => "pending",
            },
            applied_at: applied.get(name).map(|at| timestamp(*at)),
            replaces: details.replaces.clone(),
        }
    });
    let unknown = status.missing.iter().map(|name| (name, "missing"));
    let unknown = unknown.chain(status.ahead.iter().map(|name| (name, "ahead")));
    let unknown = unknown.chain(status.renamed.iter().map(|(name, _)| (name, "renamed")));
    let unknown = unknown.map(|(name, state)| MigrationDocument {
        service: status.service.to_string(),
        migration: name.to_string(),
        phase: "unknown",
        state,
        applied_at: None,
        replaces: Vec::new(),
    });
    known.chain(unknown).collect()
}

fn print_migrations(context: &Context, migrations: Vec<MigrationDocument>) {
    let mut table = Table::new(&["SERVICE", "MIGRATION", "PHASE", "STATE", "APPLIED AT", "REPLACES"])
        .spared(&["REPLACES", "PHASE"]);
    for migration in migrations {
        let painted: fn(Paint, &str) -> String = match migration.state {
            "applied" => Paint::good,
            "pending" | "held back" => Paint::warn,
            _ => Paint::bad,
        };
        let absent = if migration.state == "unknown" { "?" } else { "–" };
        table.painted(vec![
            (migration.service, None),
            (migration.migration, None),
            (migration.phase.to_owned(), None),
            (migration.state.to_owned(), Some(painted)),
            (migration.applied_at.unwrap_or_else(|| absent.to_owned()), None),
            (migration.replaces.join(", "), Some(Paint::faint)),
        ]);
    }
    context.output.table(&table);
}

/// Lines without those that say `running` of what the same run ended later: the journal is only ever appended to.
fn settled(lines: Vec<JournalLine>) -> Vec<JournalLine> {
    let key = |line: &JournalLine| {
        (line.run.clone(), line.service.clone(), line.migration.clone(), line.direction.clone())
    };
    let ended: BTreeSet<_> = lines.iter().filter(|line| line.outcome != "running").map(key).collect();
    lines.into_iter().filter(|line| line.outcome != "running" || !ended.contains(&key(line))).collect()
}

fn print_journal(context: &Context, journals: Journals) {
    let Journals { lines, n_services, .. } = journals;
    if lines.is_empty() {
        if n_services > 0 {
            context.output.line(format!("no run is recorded ({} asked)", services(n_services)));
        }
        return;
    }
    let mut table = Table::new(&[
        "STARTED",
        "SERVICE",
        "MIGRATION",
        "DID",
        "OUTCOME",
        "TOOK",
        "ROLE",
        "HOST",
        "RUN",
        "ERROR",
    ])
    .right(&["TOOK"])
    .spared(&["RUN", "HOST", "ROLE", "DID"]);
    for line in settled(lines) {
        let painted: fn(Paint, &str) -> String = match line.outcome.as_str() {
            "succeeded" => Paint::good,
            "running" => Paint::warn,
            _ => Paint::bad,
        };
        table.painted(vec![
            (line.started_at, None),
            (line.service, None),
            (line.migration, None),
            (
                line.consent
                    .map_or(line.direction.clone(), |consent| format!("{} {consent}", line.direction)),
                None,
            ),
            (line.outcome, Some(painted)),
            (line.elapsed_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms")), None),
            (line.role, None),
            (line.host, None),
            (line.run, Some(Paint::faint)),
            (line.error.unwrap_or_default(), None),
        ]);
    }
    context.output.table(&table);
}
