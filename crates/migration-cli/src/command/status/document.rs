//! What `status` says of one service, for machines; and what people are told that the table has no column for.

use std::collections::HashSet;

use migration_coordinator::{
    Deployment, Holder, ServiceVerification, Survey, Twin, edited_migrations, service_state,
};
use migration_kit::{Listed, MigrationName, Service};
use migration_plan::{Direction, HeldBack, HoldReason, ServiceStatus};
use serde::Serialize;

use crate::command::locks;
use crate::exit::Exit;
use crate::output::{error, timestamp};
use crate::words;

/// How many migrations of one kind are named to people; JSON has all.
const SHOWN: usize = 10;

/// Where one service stands. What is not known is `null`, never zero or empty.
#[derive(Serialize)]
pub(super) struct ServiceDocument {
    pub(super) name: String,
    pub(super) schema: String,
    pub(super) version_table: String,
    pub(super) database: usize,
    pub(super) state: &'static str,
    pub(super) current: Option<String>,
    pub(super) head: Option<String>,
    pub(super) applied: Option<usize>,
    pub(super) pending: Option<Vec<String>>,
    pub(super) held_back: Option<Vec<HeldDocument>>,
    pub(super) missing: Option<Vec<String>>,
    pub(super) ahead: Option<Vec<String>>,
    pub(super) renamed: Option<Vec<RenamedDocument>>,
    pub(super) out_of_order: Option<Vec<String>>,
    pub(super) edited: Option<Vec<String>>,
    pub(super) stopped_midway: Option<Vec<BegunDocument>>,
    pub(super) lock: Option<Holder>,
    pub(super) externals: Vec<ExternalDocument>,
    pub(super) elsewhere: Vec<TwinDocument>,
    /// With `--check`: what the applied migrations left in the schema and is not there any more.
    pub(super) broken: Option<Vec<String>>,
    pub(super) error: Option<error::Told>,
    #[serde(skip)]
    pub(super) exit: Exit,
}

/// A migration that was begun and not finished.
#[derive(Serialize)]
pub(super) struct BegunDocument {
    pub(super) migration: String,
    pub(super) direction: &'static str,
}

/// A migration that is applied under another name.
#[derive(Serialize)]
pub(super) struct RenamedDocument {
    pub(super) applied: String,
    pub(super) pending: String,
}

/// A migration that is held back.
#[derive(Serialize)]
pub(super) struct HeldDocument {
    pub(super) migration: String,
    pub(super) reason: String,
    pub(super) until: Option<String>,
}

/// A table of somebody else.
#[derive(Serialize)]
pub(super) struct ExternalDocument {
    pub(super) table: String,
    pub(super) owner: String,
    pub(super) present: Option<bool>,
}

/// A table elsewhere that an empty service may have had before.
#[derive(Serialize)]
pub(super) struct TwinDocument {
    pub(super) table: String,
    pub(super) has_rows: Option<bool>,
    #[serde(skip)]
    pub(super) shown: String,
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
            HoldReason::Soaking { until } if begun => (words::reason(&held.reason), Some(timestamp(until))),
            HoldReason::Soaking { .. } => {
                ("its soak time begins when what is pending is applied".to_owned(), None)
            }
            HoldReason::ContractNotAsked => ("due now: `up --contract` applies it".to_owned(), None),
            HoldReason::RequiresHeldBack { .. } => (words::reason(&held.reason), None),
        };
        Self { migration: held.id.name.to_string(), reason, until }
    }
}

impl ServiceDocument {
    pub(super) fn of(deployment: &Deployment, survey: &Survey, status: &ServiceStatus) -> Option<Self> {
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
            broken: None,
            error: facts.unread.as_ref().map(|error| error::tell(error.as_ref())),
            exit: facts.unread.as_ref().map_or(Exit::Done, |error| Exit::of_survey(error)),
        })
    }

    /// Notes what is not there any more. While a migration runs, or has stopped midway, much may be on its way.
    pub(super) fn look_at(&mut self, verification: &ServiceVerification) {
        if verification.holder.is_some() || !verification.begun.is_empty() {
            return;
        }
        match &verification.results {
            Ok(results) => {
                let broken = results.iter().filter(|result| !result.holds);
                self.broken = Some(broken.map(|result| result.says.clone()).collect());
                if let Some(unanswered) = results.iter().find(|result| !result.answered) {
                    self.exit = Exit::Connection;
                    self.error.get_or_insert_with(|| error::Told::of_check(unanswered));
                }
            }
            Err(error) => {
                self.exit = Exit::of_survey(error);
                self.error.get_or_insert_with(|| error::tell(error.as_ref()));
            }
        }
    }

    /// What the table has no column for.
    pub(super) fn remarks(&self) -> Vec<String> {
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
            format!("empty here, and elsewhere there is {}: `up` refuses to make new tables beside it without `--new-beside`", twin.shown)
        }));
        if let Some(broken) = self.broken.as_deref().filter(|broken| !broken.is_empty()) {
            let more = match broken.len().saturating_sub(SHOWN) {
                0 => String::new(),
                n_more => format!("; and {n_more} more"),
            };
            let shown = broken[..broken.len().min(SHOWN)].join("; ");
            remarks.push(format!("no longer as applied migrations left it: {shown}{more}"));
            remarks.push(format!(
                "`verify {}` shows what was found; to take migrations back, use `down`",
                self.name
            ));
        }
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
