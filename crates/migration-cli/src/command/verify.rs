//! `verify`: whether everything that applied migrations promised still holds. Reads only.

use migration_coordinator::{CheckResult, Scope, ServiceVerification, verify as verify_now};
use serde::Serialize;

use super::locks::held;
use super::{connect, names, services};
use crate::exit::Exit;
use crate::output::error;
use crate::program::Context;

/// What `verify --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    ok: bool,
    exit_code: u8,
    services: Vec<ServiceDocument>,
}

/// What verifying one service found.
#[derive(Serialize)]
struct ServiceDocument {
    service: String,
    checks: Vec<CheckResult>,
    unknown: Vec<String>,
    begun: Vec<String>,
    running: bool,
    error: Option<error::Told>,
}

pub(super) async fn verify(context: &Context, services: &[String]) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let verifications = verify_now(&connected.deployment, &chosen, Scope::Everything).await;
    let exit = Exit::worst(verifications.iter().map(exit));
    if context.output.is_human() {
        for verification in &verifications {
            print(context, verification);
        }
        print_sum(context, &verifications, exit);
    } else {
        let services = verifications.into_iter().map(|verification| ServiceDocument {
            service: verification.service.to_string(),
            unknown: verification.unknown.iter().map(ToString::to_string).collect(),
            begun: verification.begun.iter().map(ToString::to_string).collect(),
            running: verification.holder.is_some(),
            error: verification.results.as_ref().err().map(|error| error::tell(error.as_ref())),
            checks: verification.results.unwrap_or_default(),
        });
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "verify",
            ok: exit == Exit::Done,
            exit_code: exit.code(),
            services: services.collect(),
        })?;
    }
    Ok(exit)
}

fn exit(verification: &ServiceVerification) -> Exit {
    match &verification.results {
        Err(error) => Exit::of_survey(error),
        Ok(results) if results.iter().any(|result| !result.answered) => Exit::Connection,
        Ok(_) if !verification.unknown.is_empty() => Exit::Integrity,
        Ok(results) if results.iter().any(|result| !result.holds) => Exit::Integrity,
        Ok(_) => Exit::Done,
    }
}

/// Checks that are to answer yes or no; a report always holds.
fn n_checks(results: &[CheckResult]) -> usize {
    results.iter().filter(|result| !result.report).count()
}

fn print(context: &Context, verification: &ServiceVerification) {
    let (output, paint) = (&context.output, context.output.paint);
    let service = &verification.service;
    let Ok(results) = &verification.results else {
        output.line(format!("{service:<14}{}", paint.bad("could not be read")));
        return;
    };
    let n_unanswered = results.iter().filter(|result| !result.answered).count();
    let n_failed = results.iter().filter(|result| !result.holds).count() - n_unanswered;
    let n_checks = n_checks(results);
    let verdict = match (n_failed, n_unanswered) {
        _ if verification.n_migrations == 0 => paint.faint("no applied migration to check"),
        (0, 0) if n_checks == 0 => {
            paint.faint("its applied migrations promise nothing that could be checked")
        }
        (0, 0) => paint.good(&format!("{n_checks} checks hold")),
        (0, unknown) => paint.bad(&format!("{unknown} of {n_checks} checks could not be asked")),
        (failed, 0) => paint.bad(&format!("{failed} of {n_checks} checks do not hold")),
        (failed, unknown) => {
            paint.bad(&format!("{failed} of {n_checks} checks do not hold, {unknown} could not be asked"))
        }
    };
    output.line(format!("{service:<14}{verdict}"));
    for result in results {
        if !result.holds {
            output.line(format!(
                "  {} {}: {} ({})",
                paint.bad(if result.answered { "✗" } else { "?" }),
                result.says,
                result.found,
                result.migration
            ));
        } else if result.report {
            output.line(format!("  {} {}: {}", paint.faint("·"), result.says, result.found));
        }
    }
    if let Some(holder) = &verification.holder {
        let line = format!("{}: what it has not finished may not hold yet", held(holder));
        output.line(format!("  {} {line}", paint.warn("·")));
    }
    for name in verification.begun.iter().filter(|_| verification.holder.is_none()) {
        let line = format!("`{name}` was begun and not finished: what it changes may not hold until it is");
        output.line(format!("  {} {line}", paint.warn("·")));
    }
    for name in &verification.unknown {
        output.line(format!("  {} not checked: `{name}` is applied and not known here", paint.bad("?")));
    }
}

/// Says what was looked at. Only a look at everything that was asked for is a good one.
fn print_sum(context: &Context, verifications: &[ServiceVerification], exit: Exit) {
    let (output, paint) = (&context.output, context.output.paint);
    let looked_at = verifications.iter().filter_map(|v| v.results.as_ref().ok()).map(|r| n_checks(r));
    let (n_checks, n_services) =
        looked_at.filter(|n| *n > 0).fold((0, 0), |(checks, services), n| (checks + n, services + 1));
    let unread: Vec<_> = verifications.iter().filter_map(|v| v.results.as_ref().err()).collect();
    error::write_each(unread.iter().map(AsRef::as_ref), output);
    let services = services(n_services);
    let line = match (n_checks, unread.len()) {
        (0, 0) => "nothing was checked".to_owned(),
        (_, 0) => format!("{n_checks} checks of {services}"),
        (_, n_unread) => {
            format!("{n_checks} checks of {services}; {n_unread} could not be read")
        }
    };
    output.line(if exit == Exit::Done && n_checks > 0 { paint.strong(&line) } else { line });
}
