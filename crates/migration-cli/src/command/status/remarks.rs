//! What is reported to people of one service that the table has no column for.

use migration_plan::{Direction, ServiceState, few_lines, few_sentences, few_words};
use migration_report::{ExternalReport, ServiceReport};

use crate::command::locks;

/// How many migrations of one kind are named to people; JSON has all.
const SHOWN: usize = 10;

/// What the table has no column for; of a service that was asked for by name, also what is as it should be.
pub(super) fn remarks(service: &ServiceReport, is_asked_for: bool) -> Vec<String> {
    let held_back = service.held_back.iter().flatten();
    let held_back = held_back.map(|held| format!("`{}` is held back: {}", held.migration, held.reason));
    let mut remarks = few_lines(held_back, SHOWN);
    let list = |names: &[String]| few_words(names.iter().map(|name| format!("`{name}`")), SHOWN);
    for (what, names) in [
        ("applied, and missing in this build", &service.missing),
        ("applied, and newer than this build", &service.ahead),
        ("edited after it was applied", &service.edited),
        ("pending, and older than what is applied", &service.out_of_order),
    ] {
        if let Some(names) = names.as_deref().filter(|names| !names.is_empty()) {
            remarks.push(format!("{what}: {}", list(names)));
        }
    }
    let renamed = service.renamed.iter().flatten().map(|renamed| {
        format!("`{}` is applied, and is called `{}` in this build", renamed.applied, renamed.pending)
    });
    remarks.extend(few_lines(renamed, SHOWN));
    let is_any = |names: &Option<Vec<String>>| names.as_ref().is_some_and(|names| !names.is_empty());
    if is_any(&service.missing)
        || is_any(&service.edited)
        || service.renamed.as_ref().is_some_and(|renamed| !renamed.is_empty())
    {
        remarks.push(format!("`repair {}` says what that means, and what mends it", service.name));
    }
    remarks.extend(service.stopped_midway.iter().flatten().map(|begun| {
        let doing = if begun.direction == Direction::Apply { "applied" } else { "reverted" };
        format!(
            "`{}` stopped midway while it was {doing}: `up {service}` applies it, `down {service}@-1` reverts it",
            begun.migration,
            service = service.name
        )
    }));
    if let Some(holder) = &service.lock {
        remarks.push(locks::held(holder));
    }
    remarks.extend(service.elsewhere.iter().map(|twin| {
        format!("empty here, and elsewhere there is {}: `up` refuses to make new tables beside it without `--new-beside`", twin.shown)
    }));
    if let Some(taken) = &service.taken_shown {
        remarks.push(format!("{taken}: `up` refuses to begin"));
    }
    if let Some(tables) = &service.unrecorded_shown {
        remarks.push(without_history(&service.name, tables));
    }
    if let Some(refused) = &service.refused {
        remarks.push(format!("`up` refuses to begin: {}", refused.on_one_line()));
    }
    if let Some(broken) = service.broken.as_deref().filter(|broken| !broken.is_empty()) {
        let shown = few_sentences(broken, SHOWN);
        remarks.push(format!("no longer as applied migrations left it: {shown}"));
        remarks.push(format!(
            "`verify {name}` shows what was found; `drift {name} --repair` prints what brings it back; to take migrations back, use `down`",
            name = service.name
        ));
    }
    remarks.extend(externals(&service.externals, false));
    if is_asked_for {
        remarks.extend(externals(&service.externals, true));
    }
    if service.state != ServiceState::Unreachable && service.applied.is_some() && service.error.is_some() {
        remarks.push("whether a migration was edited or stopped midway is not known".to_owned());
    }
    remarks
}

/// What to do about tables without a history that a migration takes over if they are as it expects.
pub(in crate::command) fn without_history(service: &str, tables: &str) -> String {
    format!(
        "there without a history: {tables}: `up` takes over what is as the migration that makes it expects, and fails if it is not; \
         `adopt {service} --from schema` records what was applied before the history was lost"
    )
}

/// The tables of others that are there, or are not, a line for each owner.
fn externals(externals: &[ExternalReport], present: bool) -> Vec<String> {
    let mut owners: Vec<(&str, Vec<String>)> = Vec::new();
    for external in externals.iter().filter(|external| external.present == Some(present)) {
        let table = match &external.taken_by {
            None => format!("`{}`", external.table),
            Some(service) => format!("`{}` (the one that is there belongs to {service})", external.table),
        };
        match owners.iter_mut().find(|(owner, _)| *owner == external.owner) {
            Some((_, tables)) => tables.push(table),
            None => owners.push((&external.owner, vec![table])),
        }
    }
    let are = if present { "are there" } else { "are not there" };
    owners
        .into_iter()
        .map(|(owner, tables)| format!("tables of {owner} that {are}: {}", few_words(tables, SHOWN)))
        .collect()
}
