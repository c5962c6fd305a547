//! The services: where each is, what is pending, what is held back and until when.

use maud::{Markup, html};
use migration_plan::ServiceState;
use migration_report::{Diagnostic, HeldReport, ServiceReport, timestamp};

use super::View;
use super::text::{bar, counted, moment, said};
use crate::health::{Verdict, judged};

/// How many names are listed before the rest is folded away.
const LISTED: usize = 3;

pub(super) fn of(view: &View<'_>) -> Markup {
    let services = &view.look.status.services;
    let shows_databases = view.look.status.databases.len() > 1;
    html! {
        section aria-labelledby="h-services" {
            h2 #h-services { "Services" }
            div.card.table tabindex="0" role="region" aria-labelledby="h-services" {
                table.services {
                    thead { tr {
                        th scope="col" { "Service" }
                        th scope="col" { "State" }
                        th scope="col" { "Applied" }
                        th scope="col" { "Pending" }
                        th scope="col" { "Held back" }
                        th scope="col" { "Last applied" }
                    } }
                    tbody { @for service in services { (row(view, service, shows_databases)) } }
                }
            }
        }
    }
}

fn row(view: &View<'_>, service: &ServiceReport, shows_database: bool) -> Markup {
    let n_known = view
        .histories
        .migrations
        .iter()
        .filter(|of| of.service == service.name && of.phase.is_some())
        .count();
    let last = view.look.last_applied.get(&service.name).copied().flatten();
    let (verdict, message) = judged(service, view.look);
    let class = match (verdict, service.state) {
        (Verdict::Error, _) => "error",
        _ if !broken(view, &service.name).is_empty() => "error",
        (_, ServiceState::Running) => "running",
        (Verdict::Warning, _) => "warning",
        (Verdict::Healthy, _) => "healthy",
    };
    let notes = notes(view, service, (verdict == Verdict::Error).then_some(message));
    let (pending, held) = (service.pending.as_deref(), service.held_back.as_deref());
    html! {
        tr {
            th scope="row" {
                (service.name)
                @if service.schema != service.name { p.faint { "schema " code { (service.schema) } } }
                @if shows_database {
                    @if let Some(database) = view.look.status.databases.get(service.database) {
                        p.faint { code { (database.host) ":" (database.port) "/" (database.name) } }
                    }
                }
            }
            td.how {
                span class={ "state " (class) } { (service.state.as_str()) }
                @if !notes.is_empty() { ul.notes { @for note in &notes { li { (said(note)) } } } }
            }
            td.applied data-label="Applied" {
                @match service.applied {
                    Some(n) => {
                        span.number { (n) " of " (n_known) }
                        (applied_bar(n, pending.map_or(0, <[_]>::len), n_known))
                    },
                    None => (unknown()),
                }
            }
            td.wide data-label="Pending" { (names(&service.name, pending)) }
            td.wide data-label="Held back" { (held_back(&service.name, held)) }
            td.when data-label="Last applied" {
                @match last {
                    Some(at) => (moment(&timestamp(at))),
                    None if service.applied.is_some() => (nothing()),
                    None => (unknown()),
                }
            }
        }
    }
}

fn applied_bar(n_applied: usize, n_pending: usize, n_known: usize) -> Markup {
    let share = |n: usize| i64::try_from(n * 100 / n_known.max(1)).unwrap_or(0);
    bar(&[("good", share(n_applied)), ("warn", share(n_pending))])
}

fn names(service: &str, names: Option<&[String]>) -> Markup {
    let list = |names: &[String]| html! { ul.plain { @for name in names { li { code { (name) } } } } };
    html! {
        @match names {
            None => (unknown()),
            Some([]) => (nothing()),
            Some(few) if few.len() <= LISTED => (list(few)),
            Some(many) => {
                details id={ "pending-" (service) } {
                    summary { (counted(many.len(), "migration", "migrations")) }
                    (list(many))
                }
            },
        }
    }
}

fn held_back(service: &str, held: Option<&[HeldReport]>) -> Markup {
    let list = |held: &[HeldReport]| {
        html! {
            ul.plain { @for one in held {
                li {
                    code { (one.migration) }
                    p.faint { @match &one.until { Some(until) => { "due " (moment(until)) }, None => (said(&one.reason)) } }
                }
            } }
        }
    };
    html! {
        @match held {
            None => (unknown()),
            Some([]) => (nothing()),
            Some(few) if few.len() <= LISTED => (list(few)),
            Some(many) => {
                details id={ "held-" (service) } {
                    summary {
                        (counted(many.len(), "migration", "migrations"))
                        @if let Some(first) = many.iter().filter_map(|one| one.until.as_ref()).min() {
                            p.faint { "the first due " (moment(first)) }
                        }
                    }
                    (list(many))
                }
            },
        }
    }
}

/// What is wrong with it, and what people may want to know, a sentence each.
fn notes(view: &View<'_>, service: &ServiceReport, wrong: Option<String>) -> Vec<String> {
    // The headline says why a database does not answer.
    if service.state == ServiceState::Unreachable {
        return Vec::new();
    }
    let mut notes: Vec<String> = service.error.iter().map(Diagnostic::on_one_line).collect();
    let lists = [
        ("missing in this build", &service.missing),
        ("edited since it was applied", &service.edited),
        ("newer than this build", &service.ahead),
        ("pending, and listed before what is applied", &service.out_of_order),
    ];
    for (what, names) in lists {
        notes.extend(names.iter().flatten().map(|name| format!("`{name}`: {what}")));
    }
    let renamed = service.renamed.iter().flatten();
    notes.extend(renamed.map(|of| format!("`{}`: applied as `{}`", of.pending, of.applied)));
    let midway = service.stopped_midway.iter().flatten();
    notes.extend(midway.map(|of| format!("`{}`: {} begun and not finished", of.migration, of.direction)));
    notes.extend(service.elsewhere.iter().map(|twin| format!("elsewhere there is {}", twin.shown)));
    notes.extend(broken(view, &service.name));
    if notes.is_empty() {
        notes.extend(wrong);
    }
    notes
}

/// What its applied migrations left in the schema and is not there any more. While it is being migrated, much is on its way.
pub(super) fn broken(view: &View<'_>, service: &str) -> Vec<String> {
    let promises = view.promises.iter().filter(|of| of.service.as_str() == service);
    let settled = promises.filter(|of| of.holder.is_none() && of.begun.is_empty());
    let results = settled.filter_map(|of| of.results.as_ref().ok()).flatten();
    let broken = results.filter(|result| result.is_broken());
    broken.map(|result| format!("no longer so: {} (`{}`)", result.says, result.migration)).collect()
}

/// Nothing, as a dash that is read as such.
pub(super) fn nothing() -> Markup {
    html! { span.none { span aria-hidden="true" { "–" } span.unseen { "none" } } }
}

/// What could not be read.
fn unknown() -> Markup {
    html! { span.unknown title="not known" { span aria-hidden="true" { "?" } span.unseen { "not known" } } }
}
