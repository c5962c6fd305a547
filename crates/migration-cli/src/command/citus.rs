//! `citus`: on which node each service is, and putting it on one or another.

use migration_coordinator::{
    Cancellation, Citus, CitusService, Policy, UpkeepError, citus, citus_of, distribute, move_to, obstacle,
};
use migration_kit::ServiceName;
use migration_report::{Class, Diagnostic, Found};
use serde::Serialize;

use super::space::bytes;
use super::{connect, name, names};
use crate::arguments::CitusCommand;
use crate::context::Context;
use crate::database::Connected;
use crate::output::{Answer, Table, Text};
use crate::words::OurWords;

/// What there is, and what was done.
#[derive(Debug, Clone, Serialize)]
struct Document {
    databases: Vec<DatabaseDocument>,
    done: bool,
}

/// A database, and what Citus says there.
#[derive(Debug, Clone, Serialize)]
struct DatabaseDocument {
    database: String,
    #[serde(flatten)]
    citus: Option<Citus>,
}

pub(super) async fn run(
    context: &Context,
    command: &CitusCommand,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    match command {
        CitusCommand::Status { services } => {
            let services = names(&connected, services)?;
            status(&connected, &services).await
        }
        CitusCommand::Distribute { service, yes, wait, lock_patience } => {
            let service = name(&connected, service)?;
            let at = citus_of(&connected.deployment, &service).await?;
            if !yes {
                return preview(&connected, &service, at, None);
            }
            let policy = Policy::default().with_patience(*lock_patience);
            let done = distribute(&connected.deployment, &service, *wait, policy, cancellation);
            finished(&connected, &service, Box::pin(done).await?)
        }
        CitusCommand::Move { service, node, yes, wait } => {
            let service = name(&connected, service)?;
            let at = citus_of(&connected.deployment, &service).await?;
            if !yes {
                return preview(&connected, &service, at, Some(node));
            }
            let done = move_to(&connected.deployment, &service, node, *wait, cancellation);
            finished(&connected, &service, Box::pin(done).await?)
        }
    }
}

async fn status(connected: &Connected, services: &[ServiceName]) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    let (mut databases, mut errors) = (Vec::new(), Vec::new());
    let urls = connected.deployment.databases().iter().map(ToString::to_string);
    for (database, found) in urls.zip(citus(&connected.deployment, services).await) {
        match found {
            None => {}
            Some(Ok(citus)) => {
                match &citus {
                    Some(citus) => show(&database, citus, &mut text),
                    None => text.line(format!("`{database}` is PostgreSQL on one node")),
                }
                databases.push(DatabaseDocument { database, citus });
            }
            Some(Err(error)) => {
                let diagnostic = Diagnostic::of(error.as_ref(), &OurWords);
                text.error(diagnostic.clone());
                errors.push(diagnostic);
            }
        }
    }
    let class = Class::worst(errors.iter().map(|error| error.class));
    let body = Document { databases, done: false };
    Ok(Answer::of("citus", Found { class, errors, body }, text)?)
}

/// What would be done, and what it costs.
fn preview(
    connected: &Connected,
    service: &ServiceName,
    at: Citus,
    node: Option<&str>,
) -> anyhow::Result<Answer> {
    if let Some(message) = obstacle(&connected.deployment, service, &at, node) {
        return Err(UpkeepError::Relocation { service: service.clone(), message }.into());
    }
    let mut text = Text::default();
    for CitusService { n_tables, size_bytes, triggers, .. } in &at.services {
        let size = size_bytes.map_or_else(|| "of unknown size".to_owned(), size);
        let tables = format!("{n_tables} {}, {size}", if *n_tables == 1 { "table" } else { "tables" });
        match node {
            Some(node) => {
                text.line(format!("would move `{service}` to {node}: {tables}"));
                text.line("they are read and written meanwhile; a write waits for a moment at the end");
            }
            None => {
                text.line(format!("would put `{service}` on a node that Citus chooses: {tables}"));
                text.line("nobody writes to them until it is done, about a second for 100 MB");
                if !triggers.is_empty() {
                    text.line(format!("triggers that are dropped and made again: {}", triggers.join(", ")));
                }
            }
        }
    }
    text.line("nothing was changed: say `--yes`");
    let databases = vec![DatabaseDocument { database: address(connected, service), citus: Some(at) }];
    Ok(Answer::of("citus", Found::whole(Document { databases, done: false }), text)?)
}

fn finished(connected: &Connected, service: &ServiceName, now: Citus) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    for at in &now.services {
        let node = at.node.as_deref().unwrap_or("the coordinator");
        text.line(format!("`{service}` is on {node}"));
    }
    let databases = vec![DatabaseDocument { database: address(connected, service), citus: Some(now) }];
    Ok(Answer::of("citus", Found::whole(Document { databases, done: true }), text)?)
}

fn address(connected: &Connected, service: &ServiceName) -> String {
    let deployment = &connected.deployment;
    let place = deployment.service(service).map(|(.., database)| database);
    place.map_or_else(String::new, |database| deployment.databases()[database].to_string())
}

fn show(database: &str, citus: &Citus, text: &mut Text) {
    text.line(format!("`{database}` is the coordinator of Citus {}", citus.version));
    let mut nodes = Table::new(&["NODE", "IS", "STATE", "TIME ZONE"]);
    for node in &citus.nodes {
        let is = match (node.is_coordinator, node.takes_schemas) {
            (true, true) => "coordinator, has services",
            (true, false) => "coordinator",
            (false, true) => "has services",
            (false, false) => "has no services",
        };
        let state = match (&node.problem, node.is_active) {
            (Some(problem), _) => format!("does not answer: {problem}"),
            (None, true) => "answers".to_owned(),
            (None, false) => "not in use".to_owned(),
        };
        nodes.row([node.address(), is.to_owned(), state, node.time_zone.clone().unwrap_or_default()]);
    }
    text.table(nodes);
    let mut services =
        Table::new(&["SERVICE", "SCHEMA", "NODE", "TABLES", "SIZE"]).right(&["TABLES", "SIZE"]);
    for at in &citus.services {
        let node = match (at.exists, at.is_distributed, &at.node) {
            (false, ..) => "not there yet",
            (true, false, _) => "coordinator, not distributed",
            (true, true, None) => "distributed, no table yet",
            (true, true, Some(node)) => node,
        };
        services.row([
            at.service.clone(),
            at.schema.clone(),
            node.to_owned(),
            at.n_tables.to_string(),
            at.size_bytes.map_or_else(|| "unknown".to_owned(), size),
        ]);
    }
    text.table(services);
}

fn size(size_bytes: i64) -> String {
    bytes(u64::try_from(size_bytes).unwrap_or(0))
}
