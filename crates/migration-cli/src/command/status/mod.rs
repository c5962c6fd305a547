//! `status`: the state of each service. Reads only.

pub(super) mod remarks;

use migration_coordinator::{Scope, Survey, surroundings, verify_surveyed};
use migration_plan::{ServiceState, counted};
use migration_report::{HeldReport, Judged, ServiceReport, Status};

use super::databases::{databases, introduce, surroundings as around};
use super::{connect, migrations, names, services as services_of};
use crate::context::Context;
use crate::output::{Answer, Paint, Table, Text};
use crate::words::OurWords;

/// What is asked for beside the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) check: bool,
    pub(super) verbose: bool,
}

pub(super) async fn status(context: &Context, services: &[String], asked: Asked) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let deployment = &connected.deployment;
    let survey = Survey::take(deployment).await;
    let mut services = ServiceReport::all(deployment, &survey, &chosen, &OurWords);
    if asked.check {
        for verification in verify_surveyed(deployment, &survey, &chosen, Scope::Schema).await {
            let name = verification.service.as_str();
            if let Some(service) = services.iter_mut().find(|service| service.name == name) {
                service.look_at(&verification, &OurWords);
            }
        }
    }
    let mut databases = databases(&connected, &survey);
    if asked.verbose {
        for (database, found) in databases.iter_mut().zip(surroundings(deployment, &chosen).await) {
            database.surround(found, &OurWords);
        }
    }
    let mut text = Text::default();
    for database in &databases {
        introduce(database, &connected, context.output.paint, &mut text);
    }
    let status = Status::of(databases, services);
    let is_asked_for = asked.verbose || !chosen.is_empty();
    for_people(&status, is_asked_for, context.output.paint, &mut text);
    let judged = if asked.check { Judged::Findings } else { Judged::Access };
    Ok(Answer::later("status", status.found(judged), text))
}

fn for_people(status: &Status, is_asked_for: bool, paint: Paint, text: &mut Text) {
    text.table(table(&status.services));
    // Why a database was not reached was said above.
    let reached = status.services.iter().filter(|service| service.state != ServiceState::Unreachable);
    reached.filter_map(|service| service.error.clone()).for_each(|error| text.error(error));
    for service in &status.services {
        for line in remarks::remarks(service, is_asked_for) {
            text.line(format!("{}: {line}", service.name));
        }
    }
    status.databases.iter().flat_map(around).for_each(|line| text.line(line));
    if let Some(next) = next(&status.services) {
        text.line(paint.strong(&next));
    }
}

fn table(services: &[ServiceReport]) -> Table {
    let mut table =
        Table::new(&["SERVICE", "STATE", "APPLIED", "PENDING", "HELD BACK", "CURRENT", "VERSION TABLE"])
            .right(&["APPLIED", "PENDING", "HELD BACK"])
            .spared(&["VERSION TABLE"]);
    for service in services {
        let painted: fn(Paint, &str) -> String = match service.state {
            ServiceState::Current => Paint::good,
            ServiceState::Behind | ServiceState::Empty | ServiceState::Running => Paint::warn,
            _ => Paint::bad,
        };
        let absent = if service.applied.is_some() { "–" } else { "?" };
        table.painted(vec![
            (service.name.clone(), None),
            (service.state.to_string(), Some(painted)),
            (known(service.applied), None),
            (known(service.pending.as_ref().map(Vec::len)), None),
            (known(service.held_back.as_ref().map(Vec::len)), None),
            (service.current.clone().unwrap_or_else(|| absent.to_owned()), None),
            (format!("{}.{}", service.schema, service.version_table), Some(Paint::faint)),
        ]);
    }
    table
}

/// What there is to do next, in all services that are shown; what was looked at, where there is nothing. Where
/// something is not known or wrong, there is more to do than that.
fn next(services: &[ServiceReport]) -> Option<String> {
    let is_well = |state| matches!(state, ServiceState::Current | ServiceState::Behind | ServiceState::Empty);
    let is_odd = |service: &ServiceReport| {
        service.error.is_some()
            || service.is_broken()
            || service.refused.is_some()
            || service.edited.as_ref().is_some_and(|edited| !edited.is_empty())
            || !service.elsewhere.is_empty()
            || !service.taken.is_empty()
            || service.unrecorded_shown.is_some()
            || !is_well(service.state)
    };
    if services.iter().any(is_odd) {
        return None;
    }
    let behind: Vec<&ServiceReport> = services.iter().filter(|d| d.state != ServiceState::Current).collect();
    let n_pending = behind.iter().filter_map(|d| d.pending.as_ref()).map(Vec::len).sum();
    Some(match &behind[..] {
        [] => {
            let n_applied = services.iter().filter_map(|service| service.applied).sum();
            let held: Vec<&HeldReport> =
                services.iter().filter_map(|d| d.held_back.as_ref()).flatten().collect();
            let rest = match (held.len(), held.iter().filter_map(|held| held.until.as_ref()).min()) {
                (0, _) => String::new(),
                (n, None) => format!(
                    " · {} held back, see `plan --contract`",
                    counted(n, "contract step", "contract steps")
                ),
                (n, Some(until)) => {
                    format!(
                        " · {} held back, the first until {until}",
                        counted(n, "contract step", "contract steps")
                    )
                }
            };
            let services = services_of(services.len());
            format!("{services} up to date · {} applied{rest}", migrations(n_applied))
        }
        [only] => format!("next: `up {}` applies {}", only.name, migrations(n_pending)),
        several => {
            format!("next: `up` applies {} of {} services", migrations(n_pending), several.len())
        }
    })
}

/// A number, or that it is not known.
fn known(number: Option<usize>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}
