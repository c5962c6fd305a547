//! `roles`: an owner and an application role for each service.

use migration_coordinator::{Cancellation, RoleOptions, RoleScript, RunOptions, provide_roles};
use migration_report::Found;
use serde::Serialize;

use super::run::caller;
use super::{connect, names};
use crate::arguments::RolesArguments;
use crate::context::Context;
use crate::output::{Answer, Text};

/// What was executed, or would be.
#[derive(Debug, Clone, Serialize)]
struct Document {
    dry_run: bool,
    services: Vec<ServiceDocument>,
}

/// The roles of a service.
#[derive(Debug, Clone, Serialize)]
struct ServiceDocument {
    service: String,
    owner: String,
    application: String,
    statements: Vec<String>,
    done: bool,
}

pub(super) async fn roles(
    context: &Context,
    asked: &RolesArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let mut chosen = names(&connected, &asked.services)?;
    if chosen.is_empty() {
        chosen = connected.deployment.services().map(|(service, ..)| service.name().clone()).collect();
    }
    let options = RunOptions::new(caller()).with_wait(asked.wait).with_cancellation(cancellation.clone());
    let roles = RoleOptions {
        prefix: asked.prefix.clone(),
        migrators: asked.migrator.clone(),
        applications: asked.application.clone(),
    };
    let mut text = Text::default();
    let mut services = Vec::new();
    for service in chosen {
        let providing = provide_roles(&connected.deployment, &service, &roles, &options, asked.dry_run);
        let RoleScript { owner, application, statements, done } = Box::pin(providing).await?;
        if statements.is_empty() {
            text.note(format!(
                "{service}: nothing is missing: `{owner}` owns it, `{application}` reads and writes"
            ));
        } else {
            text.line(format!("-- {service}"));
            statements.iter().for_each(|statement| text.line(format!("{statement};")));
        }
        services.push(ServiceDocument { service: service.to_string(), owner, application, statements, done });
    }
    let body = Document { dry_run: asked.dry_run, services };
    Ok(Answer::of("roles", Found::whole(body), text)?)
}
