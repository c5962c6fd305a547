//! `verify`: whether everything that applied migrations promised still holds. Reads only.

use migration_coordinator::{CheckResult, ServiceVerification, verify as verify_now};
use serde::Serialize;

use super::{connect, names};
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
    error: Option<error::Told>,
}

pub(super) async fn verify(context: &Context, services: &[String]) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let chosen = names(&connected, services)?;
    let verifications = verify_now(&connected.deployment, &chosen).await;
    let exit = Exit::worst(verifications.iter().map(exit));
    if context.output.is_human() {
        for verification in &verifications {
            print(context, verification);
        }
    } else {
        let services = verifications.into_iter().map(|verification| ServiceDocument {
            service: verification.service.to_string(),
            error: verification.results.as_ref().err().map(|error| error::tell(error)),
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
        Err(_) => Exit::Connection,
        Ok(results) if results.iter().any(|result| !result.answered) => Exit::Connection,
        Ok(results) if results.iter().any(|result| !result.holds) => Exit::Integrity,
        Ok(_) => Exit::Done,
    }
}

fn print(context: &Context, verification: &ServiceVerification) {
    let (output, paint) = (&context.output, context.output.paint);
    let service = &verification.service;
    match &verification.results {
        Err(error) => error::write(&error::tell(error), output),
        Ok(results) => {
            let n_unanswered = results.iter().filter(|result| !result.answered).count();
            let n_failed = results.iter().filter(|result| !result.holds).count() - n_unanswered;
            let n_checks = results.iter().filter(|result| !result.report).count();
            let verdict = match (n_failed, n_unanswered) {
                (0, 0) => paint.good(&format!("{n_checks} checks hold")),
                (0, unknown) => paint.bad(&format!("{unknown} of {n_checks} checks could not be asked")),
                (failed, 0) => paint.bad(&format!("{failed} of {n_checks} checks do not hold")),
                (failed, unknown) => paint
                    .bad(&format!("{failed} of {n_checks} checks do not hold, {unknown} could not be asked")),
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
        }
    }
}
