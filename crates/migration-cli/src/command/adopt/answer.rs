//! What `adopt` and `stamp` show.

use migration_coordinator::{CheckResult, Deployment, ServiceFacts, VERSION_TABLES};
use migration_kit::qualified;
use migration_plan::{counted, few_words};
use migration_rehearsal::{Drift, Kind, Object};
use migration_report::Class;
use serde::Serialize;

use super::moving::Destination;
use crate::arguments::AdoptOptions;
use crate::command::migrations;
use crate::environment::variable;
use crate::output::{Paint, Text};
use crate::shell::setting;

/// What `adopt --json` and `stamp --json` print.
#[derive(Serialize)]
pub(super) struct Document {
    /// Whether nothing was to be written.
    pub(super) dry_run: bool,
    pub(super) services: Vec<ServiceDocument>,
    /// Version tables of the earlier tool that have another name now, or would get one: each with its schema.
    pub(super) retired: Vec<String>,
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
    /// What they promise of rows, and does not hold or could not be asked.
    pub(super) unkept: Vec<CheckResult>,
    /// The objects of which these migrations promise what is not so, whatever else differs.
    #[serde(skip)]
    pub(super) promised: Vec<String>,
    /// Migrations that change no schema, so that the schema does not tell whether they were applied.
    pub(super) undecided: Vec<String>,
    /// A script for `psql` that makes the live schema what these migrations make.
    pub(super) repair: Option<String>,
    /// The schema into which it moves, if it does.
    pub(super) into: Option<Moving>,
    pub(super) recorded: bool,
}

/// Whereto a service moves.
#[derive(Serialize)]
pub(super) struct Moving {
    pub(super) schema: String,
    /// What moves, as the comparison names it; the bookkeeping does too.
    pub(super) objects: Vec<String>,
    /// The old names that stay, as views.
    pub(super) views: Vec<String>,
    /// What blocks the move.
    pub(super) obstacles: Vec<String>,
    /// What is to be set afterwards.
    #[serde(skip)]
    pub(super) setting: String,
}

impl Moving {
    /// The move of what a comparison found.
    pub(super) fn of(
        Destination { schema, setting }: &Destination,
        drift: &Drift,
        obstacles: Vec<String>,
    ) -> Self {
        let is_readable = |object: &&Object| matches!(object.kind, Kind::Table | Kind::View);
        let view = |object: &Object| qualified(&drift.schema, &object.name);
        Self {
            schema: schema.clone(),
            setting: setting.clone(),
            obstacles,
            objects: drift.own.iter().map(ToString::to_string).collect(),
            views: drift.own.iter().filter(is_readable).map(view).collect(),
        }
    }
}

impl ServiceDocument {
    /// Whether the live schema is as claimed, and can move if it should.
    pub(super) fn fits(&self) -> bool {
        let can_move = self.into.as_ref().is_none_or(|moving| moving.obstacles.is_empty());
        self.differences.is_empty() && self.unmet.is_empty() && self.unkept.is_empty() && can_move
    }

    /// What it comes to that it does not fit: of rows, what `verify` would say.
    pub(super) fn class(&self) -> Class {
        match &self.unkept[..] {
            [] if self.fits() => Class::Done,
            unkept if unkept.iter().any(|result| !result.answered && !result.locked) => Class::Connection,
            unkept if !unkept.is_empty() && unkept.iter().all(|result| result.locked) => Class::Busy,
            _ => Class::Integrity,
        }
    }
}

pub(super) fn say(found: &[ServiceDocument], asked: &AdoptOptions, paint: Paint, text: &mut Text) {
    for service in found {
        let n_migrations = service.migrations.len();
        let source = match service.source.as_str() {
            "target" => String::new(),
            "schema" => ", by the schema".to_owned(),
            table => format!(", by {table}"),
        };
        text.line(format!("{:<14}{}{source}", service.service, migrations(n_migrations)));
        for migration in &service.migrations {
            text.line(format!("  {migration}"));
        }
        let verdict = if !service.unkept.is_empty() {
            paint.bad("the migrations promise of rows what is not so: nothing is recorded")
        } else if !service.unmet.is_empty() {
            paint.bad("the migrations promise what is not so: nothing is recorded")
        } else if service.differences.is_empty() {
            let are = if service.objects == 1 { "is as they make it" } else { "are as they make them" };
            let objects = counted(service.objects, "object", "objects");
            paint.good(&format!("{objects} of `{}` {are}", service.schema))
        } else {
            let differences = counted(service.differences.len(), "difference", "differences");
            let schema = &service.schema;
            paint.bad(&format!("{differences} of `{schema}` from what they make: nothing is recorded"))
        };
        text.line(format!("  {verdict}"));
        for line in service.differences.iter().chain(&service.unmet) {
            text.line(format!("    {line}"));
        }
        for result in &service.unkept {
            text.line(format!("    {result} ({})", result.migration));
        }
        for migration in &service.undecided {
            let line = format!("{migration} changes no schema: whether it was applied is not known");
            text.line(format!("    {} {line}", paint.warn("?")));
        }
        for object in &service.accepted {
            text.line(format!("    {} {object}: the difference is accepted", paint.faint("·")));
        }
        for obstacle in service.into.iter().flat_map(|moving| &moving.obstacles) {
            text.line(format!(
                "  {}",
                paint.bad(&format!("{obstacle}: nothing moves, and nothing is recorded"))
            ));
        }
        if let (Some(into), true) = (&service.into, service.fits()) {
            let objects = into.objects.join(", ");
            text.line(format!("  into `{}`: {objects}", into.schema));
            text.line(format!("  views in their place: {}", into.views.join(", ")));
        }
    }
    let recorded: Vec<&ServiceDocument> = found.iter().filter(|service| service.recorded).collect();
    let n_recorded: usize = recorded.iter().map(|service| service.migrations.len()).sum();
    let is_fitting = found.iter().all(ServiceDocument::fits);
    let moved = || recorded.iter().filter_map(|service| Some((service, service.into.as_ref()?)));
    text.line(if moved().next().is_some() {
        let services: Vec<String> = moved()
            .map(|(service, into)| format!("`{}` now lives in schema `{}`", service.service, into.schema))
            .collect();
        format!("recorded {n_recorded} as applied; {}; no row was changed", services.join(", "))
    } else if n_recorded > 0 {
        format!("recorded {n_recorded} as applied; nothing else was changed")
    } else if !is_fitting {
        "nothing was recorded".to_owned()
    } else if asked.dry_run {
        "nothing was recorded: a dry run".to_owned()
    } else {
        "nothing to record".to_owned()
    });
    for (_, into) in moved() {
        text.note(into.setting.clone());
        text.note(format!(
            "before contract steps, when no code uses the old names any longer: DROP VIEW {}",
            into.views.join(", ")
        ));
    }
    if let Some(service) = recorded.first() {
        text.note(format!("next: `plan {}` shows what is pending", service.service));
    }
}

/// What to do about differences.
pub(super) fn hint(deployment: &Deployment, facts: Option<&ServiceFacts>, found: &ServiceDocument) -> String {
    // What is not as promised stops a run too, and what later migrations make is nothing that an adopting one would find.
    let is_before = |facts: &&ServiceFacts| {
        found.promised.is_empty() && adopts(deployment, facts, found.migrations.last())
    };
    let elsewhere = facts.and_then(|facts| {
        elsewhere(deployment, facts)
            .or_else(|| Some(facts).filter(is_before).and_then(|facts| by_itself(deployment, facts)))
    });
    let hint = elsewhere.unwrap_or_else(|| {
        let promised = found.promised.iter().map(|object| format!("`{object}`"));
        let accepting = match found.promised.is_empty() {
            true => "`--accept OBJECT` accepts a difference, `--accept 'TABLE.*'` all of a table".to_owned(),
            false => format!(
                "`--accept OBJECT` accepts a difference, but not what migrations promise ({})",
                few_words(promised, 3)
            ),
        };
        format!(
            "`--without MIGRATION` leaves out what the earlier system never had; {accepting}; `--json` has the statements that close them"
        )
    });
    format!("hint: {hint}")
}

/// Whether this migration, the last one that is claimed, takes tables over by itself; none is the state before the first one.
fn adopts(deployment: &Deployment, facts: &ServiceFacts, last: Option<&String>) -> bool {
    let Some((known, ..)) = deployment.service(&facts.service) else { return false };
    let mut adopting = known.migrations().filter(|listed| !listed.details().adopts.is_empty());
    last.is_none_or(|last| adopting.any(|listed| listed.name().as_str() == last))
}

/// Where the tables of a service are, if they are in another schema than it.
pub(super) fn elsewhere(deployment: &Deployment, facts: &ServiceFacts) -> Option<String> {
    let mut places = facts.twins.iter().filter_map(|twin| twin.table.split_once('.'));
    let (schema, _) = places.find(|(_, table)| !VERSION_TABLES.contains(table))?;
    let variable = variable(&facts.service, "DATABASE_SCHEMA");
    let hint = format!(
        "tables of its names are in `{schema}`: if they are its own, set {}",
        setting(&variable, schema)
    );
    Some(match by_itself(deployment, facts) {
        Some(by_itself) => format!("{hint}; {by_itself}"),
        None => hint,
    })
}

/// What is not recorded but done: a service of which nothing is applied, and whose migrations take its tables over by themselves.
fn by_itself(deployment: &Deployment, facts: &ServiceFacts) -> Option<String> {
    let service = &facts.service;
    let (known, ..) = deployment.service(service)?;
    let table = known.adoptable().next().filter(|_| facts.applied.is_empty())?;
    Some(format!(
        "its migrations adopt `{table}` where it is, with what they change of it: run `up {service}`"
    ))
}
