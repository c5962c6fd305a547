//! `graph`: the migrations and what they require, for drawing. Asks no database.

use std::fmt::Write;

use migration_kit::Service;
use migration_plan::{Catalog, Phase};
use migration_report::{Found, Graph, GraphMigration};

use crate::arguments::GraphFormat;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Text};

pub(super) fn graph(context: &Context, notation: Option<GraphFormat>) -> anyhow::Result<Answer> {
    if !context.output.is_human() && notation.is_some_and(|notation| notation != GraphFormat::Json) {
        let hint = "leave out one of the two; `graph --notation json` is what `--json` prints";
        return Err(Failure::usage("`--json` is a notation of its own", hint).into());
    }
    let notation = notation.unwrap_or(GraphFormat::Mermaid);
    let services = context.program.services()?;
    let catalog = Catalog::new(services.iter().map(Service::known).collect())?;
    let graph = Graph::of(&catalog);
    let drawing = match notation {
        _ if !context.output.is_human() => None,
        GraphFormat::Json => None,
        GraphFormat::Mermaid => Some(mermaid(&graph)),
        GraphFormat::Dot => Some(dot(&graph)),
    };
    match drawing {
        Some(drawing) => Ok(Answer::script(drawing)),
        None => Ok(Answer { text: None, ..Answer::of("graph", Found::whole(graph), Text::default())? }),
    }
}

/// Pairs of migrations of one service that follow each other.
fn successions(graph: &Graph) -> impl Iterator<Item = (String, String)> {
    graph.services.iter().flat_map(|service| {
        let id = |migration: &GraphMigration| format!("{}:{}", service.name, migration.name);
        service.migrations.windows(2).map(move |pair| (id(&pair[0]), id(&pair[1]))).collect::<Vec<_>>()
    })
}

fn is_contract(migration: &GraphMigration) -> bool {
    matches!(migration.phase, Phase::Contract { .. })
}

fn mermaid(graph: &Graph) -> String {
    let node = |id: &str| id.replace(':', "__");
    let mut text = "flowchart TD\n".to_owned();
    let mut line = |indent: usize, content: String| {
        writeln!(text, "{:indent$}{content}", "").expect("writing to a string cannot fail");
    };
    for service in &graph.services {
        line(2, format!("subgraph {}", service.name));
        for migration in &service.migrations {
            let id = node(&format!("{}:{}", service.name, migration.name));
            let (open, close) = if is_contract(migration) { ("{{", "}}") } else { ("[", "]") };
            line(4, format!("{id}{open}{}{close}", migration.name));
        }
        line(2, "end".to_owned());
    }
    for (before, after) in successions(graph) {
        line(2, format!("{} --> {}", node(&before), node(&after)));
    }
    for requirement in &graph.requirements {
        line(2, format!("{} -.-> {}", node(&requirement.requires), node(&requirement.migration)));
    }
    text
}

fn dot(graph: &Graph) -> String {
    let mut text = "digraph migrations {\n  rankdir = TB;\n  node [shape = box];\n".to_owned();
    let mut line = |indent: usize, content: String| {
        writeln!(text, "{:indent$}{content}", "").expect("writing to a string cannot fail");
    };
    for service in &graph.services {
        line(2, format!("subgraph \"cluster_{}\" {{", service.name));
        line(4, format!("label = \"{}\";", service.name));
        for migration in &service.migrations {
            let shape = if is_contract(migration) { ", shape = hexagon" } else { "" };
            line(
                4,
                format!("\"{}:{}\" [label = \"{}\"{shape}];", service.name, migration.name, migration.name),
            );
        }
        line(2, "}".to_owned());
    }
    for (before, after) in successions(graph) {
        line(2, format!("\"{before}\" -> \"{after}\";"));
    }
    for requirement in &graph.requirements {
        line(2, format!("\"{}\" -> \"{}\" [style = dashed];", requirement.requires, requirement.migration));
    }
    line(0, "}".to_owned());
    text
}
