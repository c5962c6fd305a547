//! `wait`: until nothing is pending that this build needs. Reads only.

use std::time::Duration;

use migration_report::{Class, Found};
use migration_serve::{Look, Readiness, Ready};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::databases::is_embedded;
use super::{connect, names, services};
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::words::OurWords;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn wait(context: &Context, chosen: &[String], timeout: Duration) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let chosen: Vec<String> = names(&connected, chosen)?.iter().map(ToString::to_string).collect();
    let end = Instant::now() + timeout;
    let mut latest: Option<Look> = None;
    let mut said = Vec::new();
    loop {
        let next = Instant::now() + LOOK_EVERY;
        // Once in any case: a time-out of 0 asks once.
        let looking = Look::take(&connected.deployment, is_embedded(&connected), &OurWords);
        let look = if latest.is_none() { Some(looking.await) } else { timeout_at(end, looking).await.ok() };
        if let Some(look) = look.map(|look| look.narrowed(&chosen)) {
            // A copy is marked for a moment before it is in use: only what is so twice stays so.
            let is_elsewhere = latest.as_ref().is_some_and(is_elsewhere) && is_elsewhere(&look);
            if let Some(class) = ended(&look).or(is_elsewhere.then_some(Class::Refused)) {
                return Ok(answer(look, class, Vec::new())?);
            }
            let reasons = reasons(&look);
            if reasons != said {
                let mut text = Text::default();
                reasons.iter().for_each(|reason| text.note(format!("waiting: {reason}")));
                context.output.say(&text);
                said = reasons;
            }
            latest = Some(look);
        }
        if Instant::now() >= end {
            break;
        }
        sleep_until(next.min(end)).await;
    }
    let late = "nothing could be asked in time";
    let look =
        latest.ok_or_else(|| Failure { class: Class::Connection, message: late.to_owned(), hint: None })?;
    let is_unknown = look.status.services.iter().any(|service| Ready::of(service) == Ready::Unknown);
    let class = match (is_elsewhere(&look), is_unknown) {
        (true, _) => Class::Refused,
        (false, true) => Class::Connection,
        (false, false) => Class::Pending,
    };
    Ok(answer(look, class, said)?)
}

/// How it ends, if there is nothing more to wait for. What is diverged or damaged does not become current by itself.
fn ended(look: &Look) -> Option<Class> {
    let services = &look.status.services;
    let is_damaged = look.errors().iter().any(|error| error.class == Class::Integrity);
    if is_damaged || services.iter().any(|service| Ready::of(service) == Ready::Diverged) {
        return Some(Class::Integrity);
    }
    let is_current = |service: &migration_report::ServiceReport| {
        Ready::of(service) == Ready::Ready && service.pending.as_ref().is_some_and(Vec::is_empty)
    };
    services.iter().all(is_current).then_some(Class::Done)
}

/// Whether a service was read, and is in another place.
fn is_elsewhere(look: &Look) -> bool {
    look.errors().iter().any(|error| error.class == Class::Refused)
}

/// What is waited for, a sentence for each service.
fn reasons(look: &Look) -> Vec<String> {
    let mut reasons = Readiness::of(look).reasons;
    // A run over what is in use lets an application serve, and is waited for all the same.
    let running = look.status.services.iter().filter(|service| Ready::of(service) == Ready::Ready);
    reasons.extend(running.filter_map(|service| {
        let n_pending = service.pending.as_ref().filter(|pending| !pending.is_empty())?.len();
        Some(format!("`{}` is {}: {n_pending} pending", service.name, service.state))
    }));
    reasons
}

fn answer(look: Look, class: Class, waited_for: Vec<String>) -> serde_json::Result<Answer> {
    let errors = look.errors();
    let mut text = Text::of_errors(&errors);
    match class {
        Class::Done => text.line(format!("{} current", services(look.status.services.len()))),
        Class::Integrity => Readiness::of(&look).reasons.into_iter().for_each(|reason| text.line(reason)),
        _ => waited_for.into_iter().for_each(|reason| text.line(format!("gave up: {reason}"))),
    }
    Answer::of("wait", Found { class, errors, body: look.status }, text)
}
