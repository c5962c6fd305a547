//! `citus`: on which node each service is, and putting it on one or another.

use migration_coordinator::{
    ByColumn, Cancellation, Citus, CitusNode, CitusService, Policy, RowPlan, UpkeepError, citus, citus_of,
    distributable, distribute, distribute_rows, movable, move_to, row_plan,
};
use migration_kit::ServiceName;
use migration_plan::counted;
use migration_report::{Class, Diagnostic, Found};
use serde::Serialize;

use super::space::bytes;
use super::{connect, name, names};
use crate::arguments::CitusCommand;
use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;
use crate::output::{Answer, Table, Text};
use crate::words::OurWords;

/// What there is, and what was done.
#[derive(Debug, Clone, Serialize)]
struct Document {
    databases: Vec<DatabaseDocument>,
    done: bool,
    /// What spreading rows comes to, where that is what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<RowPlan>,
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
        CitusCommand::Distribute { service, by, whole, yes, wait, lock_patience } => {
            let service = name(&connected, service)?;
            let policy = Policy::default().with_patience(*lock_patience);
            if let Some(column) = by {
                let by = ByColumn { column: column.clone(), whole: whole.clone() };
                let (at, plan) = row_plan(&connected.deployment, &service, &by).await?;
                if !yes || plan.is_refused() || plan.is_done() {
                    return rows(&connected, &service, at, plan);
                }
                let deployment = &connected.deployment;
                let done = distribute_rows(deployment, &service, (&at, &by), *wait, policy, cancellation);
                return finished(&connected, &service, Box::pin(done).await?);
            }
            if !yes {
                let at = citus_of(&connected.deployment, &service).await?;
                distributable(&connected.deployment, &service, &at)?;
                return preview(&connected, &service, at, None);
            }
            let done = distribute(&connected.deployment, &service, *wait, policy, cancellation);
            finished(&connected, &service, Box::pin(done).await?)
        }
        CitusCommand::Move { service, node, yes, wait } => {
            let service = name(&connected, service)?;
            if !yes {
                let at = citus_of(&connected.deployment, &service).await?;
                movable(&connected.deployment, &service, &at, node).await?;
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
                let unread = citus.iter().flat_map(|citus| &citus.unread);
                let unread = unread.map(|error| Diagnostic::of(error.as_ref(), &OurWords));
                for diagnostic in
                    unread.chain(citus.iter().flat_map(|citus| citus.nodes.iter().filter_map(silent)))
                {
                    text.error(diagnostic.clone());
                    errors.push(diagnostic);
                }
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
    let body = Document { databases, done: false, rows: None };
    Ok(Answer::of("citus", Found { class, errors, body }, text)?)
}

/// That a node does not answer: what is on it is not known.
fn silent(node: &CitusNode) -> Option<Diagnostic> {
    let problem = node.problem.as_ref()?;
    let failure = Failure {
        class: Class::Connection,
        message: format!("node {} of Citus does not answer: {problem}", node.address()),
        hint: Some("until it does, what is on it is not known, and no schema can be changed, on whichever node it is".to_owned()),
    };
    Some(Diagnostic::of(&failure, &OurWords))
}

/// What would be done, and what it costs.
fn preview(
    connected: &Connected,
    service: &ServiceName,
    at: Citus,
    node: Option<&str>,
) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    for CitusService { n_tables, size_bytes, triggers, .. } in &at.services {
        let size = size_bytes.map_or_else(|| "of unknown size".to_owned(), size);
        let tables = format!("{}, {size}", counted(*n_tables, "table", "tables"));
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
    text.line(match node {
        Some(node) => format!("nothing was changed: `--yes` moves `{service}` to {node}"),
        None => format!("nothing was changed: `--yes` puts `{service}` on a node"),
    });
    let databases = vec![DatabaseDocument { database: address(connected, service), citus: Some(at) }];
    Ok(Answer::of("citus", Found::whole(Document { databases, done: false, rows: None }), text)?)
}

/// What spreading rows would come to, and what keeps it from being done.
fn rows(connected: &Connected, service: &ServiceName, at: Citus, plan: RowPlan) -> anyhow::Result<Answer> {
    let column = &plan.column;
    let mut text = Text::default();
    let mut errors = Vec::new();
    if plan.is_refused() {
        for obstacle in &plan.obstacles {
            text.line(format!("✗ {}: {}", obstacle.object, obstacle.reason));
        }
        if !plan.statements.is_empty() {
            text.line("");
            text.line("These statements clear what a statement can, in this order. They belong in migrations of the service,");
            text.line("and a column that is added needs its values before keys get it:");
            text.line("BEGIN;");
            for statement in &plan.statements {
                text.line(format!("{statement};"));
            }
            text.line("COMMIT;");
        }
        if !plan.lost.is_empty() {
            text.line("");
            text.line(format!("foreign keys that they drop for good: {}", plan.lost.join(", ")));
        }
        let obstacles = counted(plan.obstacles.len(), "obstacle", "obstacles");
        let message = format!("its rows cannot be spread by `{column}`: {obstacles}");
        let refused = UpkeepError::Relocation { service: service.clone(), message };
        let diagnostic = Diagnostic::of(&refused, &OurWords);
        text.error(diagnostic.clone());
        errors.push(diagnostic);
    } else {
        let of = |tables: &[String]| if tables.is_empty() { "none".to_owned() } else { tables.join(", ") };
        text.line(if plan.is_done() {
            format!("the rows of `{service}` are spread by `{column}`: nothing to do")
        } else {
            format!("would spread the rows of `{service}` over all nodes by `{column}`")
        });
        text.line(format!("  by rows             {}", of(&plan.spread)));
        text.line(format!("  whole on each node  {}", of(&plan.whole)));
        text.line(format!("  so already          {}", of(&plan.done)));
        text.line(format!("  on the coordinator  {}", of(&plan.on_coordinator)));
        if !plan.is_done() {
            text.line("nobody writes to them until it is done, about a second for 20 MB");
            text.line("nothing was changed: say `--yes`");
        }
    }
    let databases = vec![DatabaseDocument { database: address(connected, service), citus: Some(at) }];
    let body = Document { databases, done: false, rows: Some(plan) };
    Ok(Answer::of("citus", Found::despite(errors, body), text)?)
}

fn finished(connected: &Connected, service: &ServiceName, now: Citus) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    for at in &now.services {
        match (&at.spread_by, at.node.as_deref()) {
            (Some(column), _) => {
                text.line(format!("the rows of `{service}` are spread by `{column}`"));
                text.line(
                    "the old copy of each table stays on the coordinator's disk until `truncate_local_data_after_distributing_table`",
                );
                if !at.left.is_empty() {
                    text.line(format!(
                        "tables that are on the coordinator all the same: {}",
                        at.left.join(", ")
                    ));
                }
            }
            (None, node) => {
                text.line(format!("`{service}` is on {}", node.unwrap_or("the coordinator")));
            }
        }
    }
    let databases = vec![DatabaseDocument { database: address(connected, service), citus: Some(now) }];
    Ok(Answer::of("citus", Found::whole(Document { databases, done: true, rows: None }), text)?)
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
        let node = match (at.exists, at.is_distributed, &at.node, &at.spread_by) {
            (false, ..) => "not there yet".to_owned(),
            (true, false, _, Some(column)) => format!("all, by {column}"),
            (true, false, _, None) => "coordinator, not distributed".to_owned(),
            (true, true, None, _) => "distributed, no table yet".to_owned(),
            (true, true, Some(node), _) => node.clone(),
        };
        services.row([
            at.service.clone(),
            at.schema.clone(),
            node,
            at.n_tables.to_string(),
            at.size_bytes.map_or_else(|| "unknown".to_owned(), size),
        ]);
    }
    text.table(services);
    for at in citus.services.iter().filter(|at| !at.left.is_empty()) {
        text.line(format!(
            "of `{}` on the coordinator, while its other rows are spread: {}",
            at.service,
            at.left.join(", ")
        ));
    }
}

fn size(size_bytes: i64) -> String {
    bytes(u64::try_from(size_bytes).unwrap_or(0))
}
