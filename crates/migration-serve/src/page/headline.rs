//! What comes first: how all of it is, in a sentence, and in numbers.

use maud::{Markup, html};
use migration_report::timestamp;

use super::text::{counted, moment, number, said};
use super::{View, services};
use crate::health::{Health, ServiceHealth, Verdict};

/// The part of the page.
pub(super) const PART: &str = "headline";

/// The title of the page, and its headline. Nothing in it changes with time alone: it is read aloud when it changes.
pub(super) fn of(view: &View<'_>) -> (String, Markup) {
    let health = Health::of(view.look);
    let all = &view.look.status.services;
    let running: Vec<&str> =
        all.iter().filter(|service| service.lock.is_some()).map(|service| service.name.as_str()).collect();
    let is_well = |service: &&ServiceHealth| {
        service.status != Verdict::Error && services::broken(view, &service.name).is_empty()
    };
    let not_well: Vec<&str> =
        health.services.iter().filter(|of| !is_well(of)).map(|of| of.name.as_str()).collect();
    let drift = view.drift.iter().flat_map(|(_, drift)| drift);
    let drifted: Vec<&str> =
        drift.filter(|of| of.n_differences().is_some_and(|n| n > 0)).map(|of| of.service.as_str()).collect();
    let summary = &view.look.status.summary;
    let (class, sentence) = match health.status {
        Verdict::Error if summary.unknown == all.len() => {
            ("error", "Nothing is known: no database answers as it should".to_owned())
        }
        _ if !not_well.is_empty() => {
            let need = counted(not_well.len(), "service needs", "services need");
            ("error", format!("{need} attention: {}", not_well.join(", ")))
        }
        _ if !running.is_empty() => ("running", format!("A run is under way: {}", running.join(", "))),
        Verdict::Warning if summary.pending > 0 => {
            ("warning", format!("{} pending", counted(summary.pending, "migration is", "migrations are")))
        }
        Verdict::Warning | Verdict::Error => ("warning", health.message.clone()),
        Verdict::Healthy if !drifted.is_empty() => ("warning", differ(&drifted)),
        Verdict::Healthy => match all.len() {
            1 => ("healthy", "The service is up to date".to_owned()),
            n => ("healthy", format!("All {n} services are up to date")),
        },
    };
    let more = html! {
        @for (n, database) in view.look.status.databases.iter().enumerate() {
            @if n > 0 { " · " }
            @if database.reachable {
                "PostgreSQL " (database.server_version.as_deref().unwrap_or("?")) ", "
                code { (database.name) } " at " code { (database.host) ":" (database.port) }
                @if database.read_only == Some(true) { ", read-only" }
            } @else {
                code { (database.name) } " at " code { (database.host) ":" (database.port) } " does not answer"
                @if let Some(error) = &database.error { ": " (said(error)) }
            }
        }
    };
    (format!("{sentence} · migrations"), banner(class, &sentence, &more))
}

fn differ(drifted: &[&str]) -> String {
    match drifted {
        [one] => format!("The live schema of {one} differs from what its migrations make"),
        many => format!("The live schemas of {} differ from what their migrations make", many.join(", ")),
    }
}

/// How many there are of what people ask for first. What is not known is no number.
pub(super) fn figures(view: &View<'_>) -> Markup {
    let (services, summary) = (&view.look.status.services, &view.look.status.summary);
    let n_running = services.iter().filter(|service| service.lock.is_some()).count();
    let n_rejects: u64 = view
        .recent
        .rejects
        .iter()
        .flat_map(|(_, counts)| &counts.counts)
        .filter(|count| !count.harmless)
        .map(|count| count.n_rejects)
        .sum();
    let unknown = summary.unknown > 0;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let figures = [
        ("services", Some(count(services.len())), ""),
        ("up to date", (summary.unknown < services.len()).then_some(count(summary.up_to_date)), ""),
        ("running", (summary.unknown < services.len()).then_some(count(n_running)), "running"),
        ("pending", (!unknown || summary.pending > 0).then_some(count(summary.pending)), "warning"),
        ("held back", (!unknown || summary.held_back > 0).then_some(count(summary.held_back)), ""),
        (
            "rejects",
            (!unknown && view.unread.is_empty()).then_some(i64::try_from(n_rejects).unwrap_or(i64::MAX)),
            "",
        ),
    ];
    html! {
        dl.figures {
            @for (label, value, class) in figures {
                div class=[value.filter(|value| *value > 0).map(|_| class)] {
                    dt { (label) }
                    dd { @match value { Some(value) => (number(value)), None => { span title="not known" { "?" } } } }
                }
            }
        }
    }
}

/// The headline where no answer came: since when is what is below known.
pub(super) fn unanswered(reason: &str, since: Option<i64>) -> Markup {
    banner(
        "error",
        reason,
        &html! {
            @match since.filter(|since| *since > 0) {
                Some(since) => { "what is below was found " (moment(&timestamp(since))) },
                None => "nothing has been found yet",
            }
        },
    )
}

fn banner(class: &str, sentence: &str, more: &Markup) -> Markup {
    let sign = match class {
        "healthy" => "✓",
        "running" => "▶",
        "warning" => "!",
        _ => "✕",
    };
    html! {
        div class={ "banner " (class) } {
            span.sign aria-hidden="true" { (sign) }
            div { p.sentence { (sentence) } p.more { (more) } }
        }
    }
}
