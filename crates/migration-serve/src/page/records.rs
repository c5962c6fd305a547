//! What has been: rows that could not be carried over, and the latest runs.

use maud::{Markup, html};
use migration_coordinator::{Direction, JournalLine, Outcome};
use migration_report::settled;

use super::View;
use super::services::nothing;
use super::text::{counted, moment, number, said, took};

/// How many lines of history are shown.
const SHOWN: usize = 30;

pub(super) fn rejects(view: &View<'_>) -> Markup {
    let rejects = &view.recent.rejects;
    html! {
        @if !rejects.is_empty() || !view.unread.is_empty() {
            section aria-labelledby="h-rejects" {
                h2 #h-rejects { "Rejects" }
                @for reason in &view.unread { p.card.padded.why { "Not known: " (said(reason)) } }
                @if !rejects.is_empty() {
                    div.card.table.tall tabindex="0" role="region" aria-labelledby="h-rejects" {
                        table {
                            thead { tr {
                                th scope="col" { "Service" }
                                th.number scope="col" { "Entries" }
                                th scope="col" { "Where" }
                                th scope="col" { "Why" }
                                th scope="col" { "Migration" }
                            } }
                            tbody {
                                @for (service, counts) in rejects {
                                    @for count in &counts.counts {
                                        tr {
                                            th scope="row" { (service) }
                                            td.number { (number(i64::try_from(count.n_rejects).unwrap_or(i64::MAX))) }
                                            td {
                                                code { (count.table) @if !count.field.is_empty() { "." (count.field) } }
                                                @if count.moved { p.faint { "rows kept in the reject table" } }
                                            }
                                            td {
                                                (said(&count.reason))
                                                @if count.harmless { p.faint { "changed by a rule; nothing is lost" } }
                                            }
                                            td { code { (count.migration) } }
                                        }
                                    }
                                    @if counts.n_deleted > 0 {
                                        tr {
                                            th scope="row" { (service) }
                                            td.number { (number(i64::try_from(counts.n_deleted).unwrap_or(i64::MAX))) }
                                            td.faint colspan="3" { "about rows that have been deleted since" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn history(view: &View<'_>) -> Markup {
    let lines = settled(&view.recent.lines);
    html! {
        section aria-labelledby="h-history" {
            h2 #h-history { "History" }
            @if view.look.status.summary.unknown > 0 {
                p.card.padded.faint { "Not known of services that could not be read." }
            }
            @if lines.is_empty() {
                @if view.look.status.summary.unknown == 0 && view.unread.is_empty() {
                    p.card.padded.faint { "No run is recorded." }
                }
            } @else {
                div.card.table.tall tabindex="0" role="region" aria-labelledby="h-history" {
                    table {
                        thead { tr {
                            th scope="col" { "Started" }
                            th scope="col" { "Service" }
                            th scope="col" { "Migration" }
                            th scope="col" { "Outcome" }
                            th.number scope="col" { "Took" }
                            th scope="col" { "By" }
                        } }
                        tbody { @for line in lines.iter().rev().take(SHOWN) { (of_journal(line)) } }
                    }
                }
                @if lines.len() > SHOWN {
                    p.faint { (counted(lines.len() - SHOWN, "earlier line is", "earlier lines are")) " not shown." }
                }
            }
        }
    }
}

fn of_journal(line: &JournalLine) -> Markup {
    let class = match line.outcome {
        Outcome::Succeeded | Outcome::Accepted => "healthy",
        Outcome::Running => "running",
        Outcome::Interrupted => "warning",
        _ => "error",
    };
    let word = match (line.outcome, line.direction) {
        (Outcome::Succeeded, Direction::Apply) => "applied",
        (Outcome::Succeeded, Direction::Revert) => "reverted",
        (Outcome::Running, Direction::Apply) => "applying",
        (Outcome::Running, Direction::Revert) => "reverting",
        (outcome, _) => outcome.as_str(),
    };
    html! {
        tr {
            td.when { (moment(&line.started_at)) }
            th scope="row" { (line.service) }
            td {
                code { (line.migration) }
                @if let Some(error) = &line.error { p.why { (said(error)) } }
                @if let Some(consent) = &line.consent { p.faint { "agreed to: " (consent) } }
            }
            td { span class={ "state " (class) } { (word) } }
            td.number { @match line.elapsed_ms { Some(ms) => (took(ms)), None => (nothing()) } }
            td.faint { (line.role) "@" (line.host) }
        }
    }
}
