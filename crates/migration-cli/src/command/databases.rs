//! What is said to people of the databases that a command uses.

use migration_coordinator::{DatabaseUrl, Surroundings, Survey};
use migration_report::DatabaseReport;

use crate::database::{Connected, Source};
use crate::output::{Paint, Text};
use crate::words::OurWords;

/// The databases of a deployment and what they said.
pub(super) fn databases(connected: &Connected, survey: &Survey) -> Vec<DatabaseReport> {
    DatabaseReport::all(&connected.deployment, survey, is_embedded(connected), &OurWords)
}

/// Which databases are the private server's.
pub(super) fn is_embedded(connected: &Connected) -> impl Fn(&DatabaseUrl) -> bool + use<> {
    let is_private = matches!(connected.source, Source::Embedded { .. });
    move |url| is_private && url.host().starts_with('/')
}

/// Which database is used, or why it cannot be.
pub(super) fn introduce(database: &DatabaseReport, connected: &Connected, paint: Paint, text: &mut Text) {
    match &database.diagnostic {
        Some(diagnostic) => text.error(diagnostic.clone()),
        None => text.note(format!("{}  {}", paint.faint("database"), named(database, connected))),
    }
}

/// That a role lacks a right on the database which many do not know to be one.
pub(super) fn no_temporary(role: &str) -> String {
    format!("`{role}` may not create temporary tables, which migrations in steps need")
}

/// What was found around the services, a line each.
pub(super) fn surroundings(report: &DatabaseReport) -> Vec<String> {
    let Some(Surroundings {
        superuser,
        bypasses_row_security,
        may_create_temporary,
        event_triggers,
        overridden_settings,
        row_security,
    }) = &report.surroundings
    else {
        return Vec::new();
    };
    let database = &report.name;
    let role = match (superuser, bypasses_row_security) {
        (true, _) => "is a superuser, whom no right and no policy holds back",
        (false, true) => "bypasses row security",
        (false, false) => "is subject to row security, and stops where a policy would hide rows",
    };
    let mut lines = vec![format!("`{database}`: role `{}` {role}", report.user)];
    if !may_create_temporary {
        lines.push(format!("`{database}`: {}", no_temporary(&report.user)));
    }
    lines.extend(event_triggers.iter().map(|trigger| {
        format!(
            "`{database}`: event trigger `{}` calls `{}` at {}",
            trigger.name, trigger.function, trigger.event
        )
    }));
    lines.extend(overridden_settings.iter().map(|setting| {
        format!(
            "`{database}`: {} sets `{}` to `{}`; our sessions set `{}`: {}",
            setting.of, setting.name, setting.value, setting.ours, setting.reason
        )
    }));
    lines.extend(row_security.iter().map(|table| {
        let forced = if table.forced { ", for its owner too" } else { "" };
        format!("{}: table `{}` has row security{forced}", table.service, table.table)
    }));
    let absent: Vec<&str> = [
        (event_triggers.is_empty(), "no event trigger"),
        (overridden_settings.is_empty(), "no setting that our sessions override"),
        (row_security.is_empty(), "no table with row security"),
    ]
    .into_iter()
    .filter_map(|(is_absent, what)| is_absent.then_some(what))
    .collect();
    if !absent.is_empty() {
        lines.push(format!("`{database}`: {}", absent.join(", ")));
    }
    lines
}

fn named(database: &DatabaseReport, connected: &Connected) -> String {
    let version =
        database.server_version.as_ref().map_or_else(String::new, |version| format!("PostgreSQL {version}"));
    match &connected.source {
        Source::Embedded { directory, reason } if database.embedded => {
            format!("embedded {version} in {directory} ({reason})")
        }
        _ => {
            let host = if database.host.contains(':') && !database.host.starts_with('/') {
                format!("[{}]", database.host)
            } else {
                database.host.clone()
            };
            format!("`{}` at {host}:{}, {version}, as `{}`", database.name, database.port, database.user)
        }
    }
}
