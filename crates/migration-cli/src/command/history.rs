//! `history`: each migration and what became of it; with `--verbose`, every run. Reads only.

use migration_coordinator::{JournalLine, Outcome, ServiceFacts, Survey, journal};
use migration_plan::Phase;
use migration_report::{Histories, MigrationReport, MigrationState, settled, taken, unrecorded};

use super::status::remarks::without_history;
use super::{connect, names, services};
use crate::context::Context;
use crate::output::{Answer, Paint, Table, Text};
use crate::words::OurWords;

pub(super) async fn history(context: &Context, services: &[String], verbose: bool) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let survey = Survey::take(&connected.deployment).await;
    let journals = if verbose { Some(journal(&connected.deployment, &chosen).await) } else { None };
    let found = Histories::of(&connected.deployment, &survey, journals, &chosen, &OurWords);
    let mut text = Text::of_errors(&found.errors);
    let Histories { migrations, journal, n_journals } = &found.body;
    match journal {
        Some(lines) => of_journal(lines, *n_journals, &mut text),
        None => text.table(of_migrations(migrations)),
    }
    // What is pending there may have been applied before the history was lost.
    let asked = |facts: &&ServiceFacts| chosen.is_empty() || chosen.contains(&facts.service);
    for facts in survey.services.iter().filter(asked) {
        let service = facts.service.as_str();
        let taken = taken(&connected.deployment, facts);
        taken.into_iter().for_each(|taken| text.line(format!("{service}: {taken}: `up` refuses to begin")));
        let tables = unrecorded(&connected.deployment, facts);
        tables.into_iter().for_each(|tables| {
            text.line(format!("{service}: {}", without_history(service, &tables)));
        });
    }
    Ok(Answer::of("history", found, text)?)
}

fn of_migrations(migrations: &[MigrationReport]) -> Table {
    let mut table =
        Table::new(&["SERVICE", "MIGRATION", "PHASE", "STATE", "APPLIED AT", "REPLACES", "DESCRIPTION"])
            .spared(&["REPLACES", "PHASE"]);
    for migration in migrations {
        let painted: fn(Paint, &str) -> String = match migration.state {
            MigrationState::Applied => Paint::good,
            MigrationState::Pending | MigrationState::HeldBack => Paint::warn,
            _ => Paint::bad,
        };
        let absent = if migration.state == MigrationState::Unknown { "?" } else { "–" };
        table.painted(vec![
            (migration.service.clone(), None),
            (migration.migration.clone(), None),
            (migration.phase.map_or("unknown", Phase::as_str).to_owned(), None),
            (migration.state.to_string(), Some(painted)),
            (migration.applied_at.clone().unwrap_or_else(|| absent.to_owned()), None),
            (migration.replaces.join(", "), Some(Paint::faint)),
            (migration.description.clone().unwrap_or_default(), Some(Paint::faint)),
        ]);
    }
    table
}

fn of_journal(lines: &[JournalLine], n_services: usize, text: &mut Text) {
    if lines.is_empty() {
        if n_services > 0 {
            text.line(format!("no run is recorded ({} asked)", services(n_services)));
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
        let painted: fn(Paint, &str) -> String = match line.outcome {
            Outcome::Succeeded | Outcome::Accepted => Paint::good,
            Outcome::Running => Paint::warn,
            _ => Paint::bad,
        };
        let did = match &line.consent {
            Some(decided) if decided.starts_with("repair:") => decided.clone(),
            Some(object) if line.outcome == Outcome::Accepted => format!("--accept {object}"),
            Some(consent) => {
                let options = consent.replace("data_loss", "--allow-data-loss");
                format!("{} {}", line.direction, options.replace("ignored_soak", "--ignore-soak"))
            }
            None => line.direction.to_string(),
        };
        table.painted(vec![
            (line.started_at.clone(), None),
            (line.service.clone(), None),
            (line.migration.clone(), None),
            (did, None),
            (line.outcome.as_str().to_owned(), Some(painted)),
            (line.elapsed_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms")), None),
            (line.role.clone(), None),
            (line.host.clone(), None),
            (line.run.clone(), Some(Paint::faint)),
            (line.error.clone().unwrap_or_default(), None),
        ]);
    }
    text.table(table);
}
