//! `repair`: what is wrong with the history of each service, in plain words, and the ways on; and mending one thing as
//! the operator decided.

use migration_coordinator::{
    Cancellation, Condition, Decision, Mended, RunError, RunOptions, conditions, mend,
};
use migration_plan::and_more;
use migration_report::{Class, Diagnostic, Found, each_once};
use serde::Serialize;

use super::databases::is_embedded;
use super::locks::held;
use super::run::caller;
use super::{connect, name, names, services};
use crate::arguments::RepairArguments;
use crate::context::Context;
use crate::database::Connected;
use crate::output::{Answer, Paint, Text};
use crate::words::OurWords;

mod compared;
mod explained;

use self::explained::Trouble;

/// How much that is wrong with one service is said to people; JSON has all.
const SHOWN: usize = 10;

/// What was found, or mended.
#[derive(Debug, Clone, Serialize)]
struct Document {
    dry_run: bool,
    /// What was changed, or would be.
    mended: Vec<String>,
    services: Vec<Patient>,
}

/// A service and what is wrong with it.
#[derive(Debug, Clone, Serialize)]
struct Patient {
    service: String,
    running: Option<String>,
    troubles: Vec<Trouble>,
}

pub(super) async fn repair(
    context: &Context,
    asked: &RepairArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let chosen = names(&connected, &asked.services)?;
    let paint = context.output.paint;
    match decided(&connected, asked)? {
        None => {
            let explained = cancellation.unless_cancelled(explain(&connected, &chosen, paint)).await;
            explained.unwrap_or_else(|| Err(RunError::Interrupted.into()))
        }
        Some((service, decision)) => {
            let is_rewriting = decision == Decision::RewriteJournal;
            if is_rewriting {
                let comparing = compared::as_applied(context, &connected, &service);
                let compared = cancellation.unless_cancelled(Box::pin(comparing)).await;
                compared.unwrap_or_else(|| Err(RunError::Interrupted.into()))?;
            }
            let options =
                RunOptions::new(caller()).with_wait(asked.wait).with_cancellation(cancellation.clone());
            let mending = mend(&connected.deployment, &service, &decision, &options, asked.dry_run);
            let Mended { changes, done } = mending.await?;
            let mut text = Text::default();
            for change in &changes {
                text.line(format!("{service}: {change}"));
            }
            let after = format!(
                "`repair {service}` shows what else is wrong, `verify {service}` whether the schema fits"
            );
            text.line(if done { paint.strong("done") } else { "nothing was changed: a dry run".to_owned() });
            if done {
                text.note(format!("{}  {after}", paint.warn("note")));
            }
            if is_rewriting {
                let unknown = "the schema is as the applied migrations make it; whether one stopped midway over rows alone, or                                was edited since it was applied, is not known";
                text.note(format!("{}  {unknown}", paint.warn("note")));
            }
            let mended = changes.iter().map(|change| format!("{service}: {change}")).collect();
            let body = Document { dry_run: asked.dry_run, mended, services: Vec::new() };
            Ok(Answer::of("repair", Found::whole(body), text)?)
        }
    }
}

/// The one thing that was decided, if anything was.
fn decided(
    connected: &Connected,
    asked: &RepairArguments,
) -> anyhow::Result<Option<(migration_kit::ServiceName, Decision)>> {
    let decisions = asked.decisions.clone();
    let (service, decision) = if let Some(service) = &decisions.drop_invalid_indexes {
        (name(connected, service)?, Decision::DropInvalidIndexes)
    } else if let Some(service) = &decisions.restore_rows {
        (name(connected, service)?, Decision::RestoreRows)
    } else if let Some(service) = &decisions.rewrite_journal {
        (name(connected, service)?, Decision::RewriteJournal)
    } else if let Some((id, now)) = decisions.renamed {
        (id.service, Decision::Rename { applied: id.name, now })
    } else if let Some(id) = decisions.accept_edit {
        (id.service, Decision::AcceptEdit(id.name))
    } else if let Some(id) = decisions.forget {
        (id.service, Decision::Forget(id.name))
    } else if let Some(id) = decisions.squashed {
        (id.service, Decision::Squash(id.name))
    } else {
        return Ok(None);
    };
    let service = connected.deployment.catalog().named(&service)?.name.clone();
    Ok(Some((service, decision)))
}

async fn explain(
    connected: &Connected,
    chosen: &[migration_kit::ServiceName],
    paint: Paint,
) -> anyhow::Result<Answer> {
    let found = conditions(&connected.deployment, chosen).await;
    let unread = found.iter().filter_map(|condition| condition.unread.as_deref());
    let errors = each_once(unread.map(|error| Diagnostic::of(error, &OurWords)));
    let mut patients: Vec<Patient> = found.iter().map(Patient::of).collect();
    let is_private = is_embedded(connected);
    for patient in &mut patients {
        let placed =
            connected.deployment.services().find(|(service, ..)| service.name().as_str() == patient.service);
        if placed.is_some_and(|(.., database)| is_private(&connected.deployment.databases()[database])) {
            patient.troubles.iter_mut().for_each(Trouble::on_a_private_server);
        }
    }
    let mut text = Text::default();
    for (patient, condition) in patients.iter().zip(&found) {
        patient.say(condition, paint, &mut text);
    }
    errors.iter().cloned().for_each(|error| text.error(error));
    let n_troubles: usize = patients.iter().map(|patient| patient.troubles.len()).sum();
    let broken = (n_troubles > 0).then_some(Class::Integrity);
    let class = Class::worst(errors.iter().map(|error| error.class).chain(broken));
    if class.is_ok() {
        text.line(paint.strong(&format!("nothing to repair in {}", services(patients.len()))));
    }
    let body = Document { dry_run: false, mended: Vec::new(), services: patients };
    Ok(Answer::of("repair", Found { class, errors, body }, text)?)
}

impl Patient {
    fn of(condition: &Condition) -> Self {
        let service = &condition.service;
        Self {
            service: service.to_string(),
            running: condition.holder.as_ref().map(held),
            troubles: condition.troubles.iter().map(|trouble| Trouble::of(service, trouble)).collect(),
        }
    }

    /// Says what is wrong and what helps; of a service that is well, nothing but what runs.
    fn say(&self, condition: &Condition, paint: Paint, text: &mut Text) {
        if let Some(running) = &self.running {
            text.line(format!("{}: {running}; look again when it is over", self.service));
        }
        if condition.unread.is_some() && self.troubles.is_empty() {
            text.line(format!("{}: {}", self.service, paint.bad("could not be read")));
        }
        for trouble in self.troubles.iter().take(SHOWN) {
            text.line(format!("{}: {}", paint.bad(&self.service), trouble.says));
            for way in &trouble.ways {
                text.line(match &way.command {
                    Some(command) => format!("    {}: `{command}`", way.does),
                    None => format!("    {}", way.does),
                });
            }
        }
        if let Some(more) = and_more(self.troubles.len(), SHOWN) {
            text.line(format!("{}: {more}", paint.bad(&self.service)));
        }
    }
}
