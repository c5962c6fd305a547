//! What runs: how far it is, how fast, whom it waits for, and when it did something last.

use maud::{Markup, html};
use migration_coordinator::{Holder, IndexBuild, OpenBackfill, Progress};
use migration_report::{ServiceReport, timestamp};

use super::View;
use super::text::{bar, moment, number, percent, span};
use crate::look::running_seconds;
use crate::pace;

/// After how many seconds without an event it is said that there was none.
const SILENT_AFTER: i64 = 30;

pub(super) fn of(view: &View<'_>) -> Markup {
    let running = view.look.status.services.iter();
    let running: Vec<(&ServiceReport, &Holder)> =
        running.filter_map(|service| Some((service, service.lock.as_ref()?))).collect();
    html! {
        @if !running.is_empty() {
            section aria-labelledby="h-run" {
                h2 #h-run { "Under way" }
                @for (service, holder) in running {
                    (run(view, service, holder, view.look.progress.iter().find(|of| of.service == service.name)))
                }
            }
        }
    }
}

fn run(view: &View<'_>, service: &ServiceReport, holder: &Holder, progress: Option<&Progress>) -> Markup {
    let now = view.look.now;
    let waits_for = progress.and_then(|of| of.waits_for.as_ref());
    let quiet =
        progress.and_then(|of| of.last_event_at).map(|at| now - at).filter(|quiet| *quiet >= SILENT_AFTER);
    let (class, word) = match (waits_for, quiet) {
        (Some(_), _) => ("warning", "blocked"),
        (None, Some(_)) => ("warning", "silent"),
        (None, None) => ("running", "running"),
    };
    html! {
        article.card.run {
            h3 {
                (service.name) " "
                span class={ "state " (class) } { (word) }
            }
            p {
                @match progress.and_then(|of| of.migration.as_deref()) {
                    Some(migration) => code { (migration) },
                    None => "between two migrations",
                }
            }
            @if let Some(progress) = progress {
                @for open in &progress.backfills { (backfill(view, service, open)) }
                @if let Some(index) = &progress.index { (build(index)) }
            }
            @if let Some(other) = waits_for {
                p.blocked {
                    strong { "Waits for " }
                    @if other.application.is_empty() { "a session without a name" } @else { code { (other.application) } }
                    @if other.pid > 0 { ", pid " (other.pid) }
                    ", whose transaction is " (span(other.age_ms / 1000)) " old"
                    @if let Some(table) = &other.table { " and uses " code { (table) } }
                    "."
                }
            }
            p.faint {
                @if progress.is_none_or(|of| of.migration.is_none()) { code { (holder.application) } ", " }
                "pid " (holder.pid)
                @if !holder.host.is_empty() { " from " (holder.host) }
                ", connected for " (span(running_seconds(holder, now)))
                @match (progress.and_then(|of| of.last_event_at), quiet) {
                    (_, Some(quiet)) => { ". " strong { "Its last event was " (span(quiet)) " ago." } },
                    (Some(at), None) => { " · last event " (moment(&timestamp(at))) },
                    (None, None) => " · when it did something last is not shown to this role",
                }
            }
        }
    }
}

fn backfill(view: &View<'_>, service: &ServiceReport, open: &OpenBackfill) -> Markup {
    let rate = view.rates.get(&pace::key(&service.name, open)).copied();
    let total = open.total.filter(|total| *total > 0);
    let rest = match (rate, total) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "an estimate")]
        (Some(rate), Some(total)) if rate >= 1.0 && total > open.rows => {
            Some(((total - open.rows) as f64 / rate).ceil() as i64)
        }
        _ => None,
    };
    html! {
        div.work {
            p.figures-of {
                span { "rows of " code { (open.table) } }
                span.number {
                    (number(open.rows))
                    @if let Some(total) = total { " of about " (number(total)) }
                    @if let Some(rate) = rate { " · " (number(rounded(rate))) " rows/s" }
                    @if let Some(rest) = rest { " · about " (span(rest)) " left" }
                }
            }
            @if let Some(total) = total { (bar(&[("run", percent(open.rows, total))])) }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a rate is far below what is cut")]
fn rounded(rate: f64) -> i64 {
    rate.round() as i64
}

fn build(index: &IndexBuild) -> Markup {
    html! {
        div.work {
            p.figures-of {
                span { "index on " code { (index.table) } ": " (index.phase) }
                @if index.total > 0 { span.number { (percent(index.done, index.total)) " %" } }
            }
            @if index.total > 0 { (bar(&[("run", percent(index.done, index.total))])) }
        }
    }
}
