//! `verify`: whether everything that applied migrations promised still holds. Reads only.

use migration_coordinator::{CheckResult, Scope, verify as verify_now};
use migration_plan::{counted, few_lines};
use migration_report::{ServiceChecks, Verifications};

use super::locks::held;
use super::{connect, names, services};
use crate::context::Context;
use crate::output::{Answer, Paint, Text};
use crate::words::OurWords;

/// How many migrations of one kind are named to people; JSON has all.
const SHOWN: usize = 10;

pub(super) async fn verify(context: &Context, services: &[String]) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let verified = verify_now(&connected.deployment, &chosen, Scope::Everything).await;
    let found = Verifications::of(verified, &OurWords);
    let paint = context.output.paint;
    let mut text = Text::default();
    for service in &found.body.services {
        of_service(service, paint, &mut text);
    }
    found.errors.iter().cloned().for_each(|error| text.error(error));
    let sum = sum(&found.body.services);
    let is_good = found.class.is_ok() && found.body.services.iter().any(|service| n_checks(service) > 0);
    text.line(if is_good { paint.strong(&sum) } else { sum });
    Ok(Answer::of("verify", found, text)?)
}

/// Checks that are to answer yes or no; a report always holds.
fn n_checks(service: &ServiceChecks) -> usize {
    service.checks.iter().filter(|check| !check.report || !check.holds).count()
}

pub(super) fn of_service(verification: &ServiceChecks, paint: Paint, text: &mut Text) {
    let service = &verification.service;
    if verification.error.is_some() {
        text.line(format!("{service:<14}{}", paint.bad("could not be read")));
        return;
    }
    let results: &[CheckResult] = &verification.checks;
    let n_unanswered = results.iter().filter(|result| !result.answered).count();
    let n_failed = results.iter().filter(|result| !result.holds).count() - n_unanswered;
    let n_checks = n_checks(verification);
    let checks = counted(n_checks, "check", "checks");
    let not_held = |n_failed| if n_failed == 1 { "does not hold" } else { "do not hold" };
    let verdict = match (n_failed, n_unanswered) {
        _ if verification.n_migrations == 0 => paint.faint("no applied migration to check"),
        (0, 0) if n_checks == 0 => {
            paint.faint("its applied migrations promise nothing that could be checked")
        }
        (0, 0) => paint.good(&counted(n_checks, "check holds", "checks hold")),
        (0, unknown) => paint.bad(&format!("{unknown} of {checks} could not be asked")),
        (failed, 0) => paint.bad(&format!("{failed} of {checks} {}", not_held(failed))),
        (failed, unknown) => {
            paint.bad(&format!("{failed} of {checks} {}, {unknown} could not be asked", not_held(failed)))
        }
    };
    text.line(format!("{service:<14}{verdict}"));
    for result in results {
        if !result.holds {
            text.line(format!(
                "  {} {}: {} ({})",
                paint.bad(if result.answered { "✗" } else { "?" }),
                result.says,
                result.found,
                result.migration
            ));
        } else if result.report || result.accepted {
            text.line(format!("  {} {}: {}", paint.faint("·"), result.says, result.found));
        }
    }
    if let Some(holder) = &verification.holder {
        let line = format!("{}: what it has not finished may not hold yet", held(holder));
        text.line(format!("  {} {line}", paint.warn("·")));
    }
    if verification.lost_journal.is_some() {
        let line =
            "its journal has lost lines: whether a migration stopped midway, or was edited, is not known";
        text.line(format!("  {} {line}", paint.bad("?")));
    }
    let begun = verification.begun.iter().filter(|_| verification.holder.is_none());
    let begun = begun.map(|name| {
        let line = format!("`{name}` was begun and not finished: what it changes may not hold until it is");
        format!("{} {line}", paint.warn("·"))
    });
    let unknown = verification
        .unknown
        .iter()
        .map(|name| format!("{} not checked: `{name}` is applied and not known here", paint.bad("?")));
    let edited = verification.edited.iter().map(|name| {
        let line = format!("`{name}` was edited after it was applied: what it promised then was not asked");
        format!("{} {line}", paint.bad("✗"))
    });
    let further = few_lines(unknown, SHOWN).into_iter().chain(few_lines(edited, SHOWN));
    for line in few_lines(begun, SHOWN).into_iter().chain(further) {
        text.line(format!("  {line}"));
    }
}

/// What was looked at. Only a look at everything that was asked for is a good one.
fn sum(verified: &[ServiceChecks]) -> String {
    let (unread, read): (Vec<_>, Vec<_>) = verified.iter().partition(|service| service.error.is_some());
    let looked_at = read.into_iter().map(n_checks).filter(|n_checks| *n_checks > 0);
    let (n_checks, n_services) = looked_at.fold((0, 0), |(checks, services), n| (checks + n, services + 1));
    let (checks, services) = (counted(n_checks, "check", "checks"), services(n_services));
    match (n_checks, unread.len()) {
        (0, 0) => "nothing was checked".to_owned(),
        (_, 0) => format!("{checks} of {services}"),
        (_, n_unread) => format!("{checks} of {services}; {n_unread} could not be read"),
    }
}
