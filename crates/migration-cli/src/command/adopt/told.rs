//! What `adopt` and `stamp` show.

use migration_coordinator::{ServiceFacts, VERSION_TABLES};
use serde::Serialize;

use crate::arguments::AdoptOptions;
use crate::environment::variable;
use crate::output::{Paint, Text};

/// What `adopt --json` and `stamp --json` print.
#[derive(Serialize)]
pub(super) struct Document {
    /// Whether nothing was to be written.
    pub(super) dry_run: bool,
    pub(super) services: Vec<ServiceDocument>,
}

/// What was claimed of one service, and what came of it.
#[derive(Serialize)]
pub(super) struct ServiceDocument {
    pub(super) service: String,
    pub(super) schema: String,
    /// Where the claim is from: the earlier tool's table with its ids, `schema`, or `target`.
    pub(super) source: String,
    /// What counts as applied beside what did so before.
    pub(super) migrations: Vec<String>,
    pub(super) objects: usize,
    pub(super) differences: Vec<String>,
    pub(super) accepted: Vec<String>,
    /// What these migrations promise and what is not so: later ones rely on it.
    pub(super) unmet: Vec<String>,
    /// Migrations that change no schema, so that the schema does not tell whether they were applied.
    pub(super) undecided: Vec<String>,
    /// A script for `psql` that makes the live schema what these migrations make.
    pub(super) repair: Option<String>,
    pub(super) recorded: bool,
}

impl ServiceDocument {
    /// Whether the live schema is as claimed.
    pub(super) fn fits(&self) -> bool {
        self.differences.is_empty() && self.unmet.is_empty()
    }
}

pub(super) fn say(found: &[ServiceDocument], asked: &AdoptOptions, paint: Paint, text: &mut Text) {
    for service in found {
        let n_migrations = service.migrations.len();
        let plural = if n_migrations == 1 { "" } else { "s" };
        let source = match service.source.as_str() {
            "target" => String::new(),
            "schema" => ", by the schema".to_owned(),
            table => format!(", by {table}"),
        };
        text.line(format!("{:<14}{n_migrations} migration{plural}{source}", service.service));
        for migration in &service.migrations {
            text.line(format!("  {migration}"));
        }
        let verdict = if !service.unmet.is_empty() {
            paint.bad("the migrations promise what is not so: nothing is recorded")
        } else if service.differences.is_empty() {
            paint.good(&format!("{} objects of `{}` are as they make them", service.objects, service.schema))
        } else {
            let n = service.differences.len();
            let plural = if n == 1 { "difference" } else { "differences" };
            paint.bad(&format!(
                "{n} {plural} of `{}` from what they make: nothing is recorded",
                service.schema
            ))
        };
        text.line(format!("  {verdict}"));
        for line in service.differences.iter().chain(&service.unmet) {
            text.line(format!("    {line}"));
        }
        for migration in &service.undecided {
            let line = format!("{migration} changes no schema: whether it was applied is not known");
            text.line(format!("    {} {line}", paint.warn("?")));
        }
        for object in &service.accepted {
            text.line(format!("    {} {object}: the difference is accepted", paint.faint("·")));
        }
    }
    let recorded: Vec<&ServiceDocument> = found.iter().filter(|service| service.recorded).collect();
    let n_recorded: usize = recorded.iter().map(|service| service.migrations.len()).sum();
    let is_fitting = found.iter().all(ServiceDocument::fits);
    text.line(if n_recorded > 0 {
        format!("recorded {n_recorded} as applied; nothing else was changed")
    } else if !is_fitting {
        "nothing was recorded".to_owned()
    } else if asked.dry_run {
        "nothing was recorded: a dry run".to_owned()
    } else {
        "nothing to record".to_owned()
    });
    if let Some(service) = recorded.first() {
        text.note(format!("next: `plan {}` shows what is pending", service.service));
    }
}

/// What to do about differences.
pub(super) fn hint(facts: Option<&ServiceFacts>) -> String {
    let elsewhere = facts.and_then(elsewhere);
    let hint = elsewhere.unwrap_or_else(|| {
        "`--without MIGRATION` leaves out what the earlier system never had; `--accept OBJECT` accepts a difference, \
         `--accept 'TABLE.*'` all of a table; `--json` has the statements that close them"
            .to_owned()
    });
    format!("hint: {hint}")
}

/// Where the tables of a service are, if they are in another schema than it.
pub(super) fn elsewhere(facts: &ServiceFacts) -> Option<String> {
    let mut places = facts.twins.iter().filter_map(|twin| twin.table.split_once('.'));
    let (schema, _) = places.find(|(_, table)| !VERSION_TABLES.contains(table))?;
    let variable = variable(&facts.service, "DATABASE_SCHEMA");
    Some(format!("tables of its names are in `{schema}`: if they are its own, set {variable}={schema}"))
}
