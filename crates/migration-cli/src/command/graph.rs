//! `graph`: the migrations and what they require, for drawing. Asks no database.

use std::fmt::Write;

use migration_plan::{Catalog, Phase};
use serde::Serialize;

use crate::arguments::GraphFormat;
use crate::exit::Exit;
use crate::program::Context;

/// What `graph --notation json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    services: Vec<ServiceDocument>,
    requirements: Vec<RequirementDocument>,
}

/// A service and its migrations in order.
#[derive(Serialize)]
struct ServiceDocument {
    name: String,
    migrations: Vec<MigrationDocument>,
}

/// One migration.
#[derive(Serialize)]
struct MigrationDocument {
    name: String,
    phase: &'static str,
    transactional: bool,
}

/// A migration that needs another one first.
#[derive(Serialize)]
struct RequirementDocument {
    migration: String,
    requires: String,
}

pub(super) fn graph(context: &Context, notation: GraphFormat) -> anyhow::Result<Exit> {
    let services = context.program.services()?;
    let catalog = Catalog::new(services.iter().map(migration_kit::Service::known).collect())?;
    let document = Document::of(&catalog);
    match notation {
        GraphFormat::Json => context.output.document(&document)?,
        _ if !context.output.is_human() => context.output.document(&document)?,
        GraphFormat::Mermaid => context.output.raw(mermaid(&document)),
        GraphFormat::Dot => context.output.raw(dot(&document)),
    }
    Ok(Exit::Done)
}

impl Document {
    fn of(catalog: &Catalog) -> Self {
        let services = catalog.services().map(|service| ServiceDocument {
            name: service.name.to_string(),
            migrations: service
                .migrations
                .iter()
                .map(|migration| MigrationDocument {
                    name: migration.name.to_string(),
                    phase: if migration.phase == Phase::Expand { "expand" } else { "contract" },
                    transactional: migration.transactional,
                })
                .collect(),
        });
        let requirements = catalog.requirements().map(|requirement| RequirementDocument {
            migration: requirement.dependent.to_string(),
            requires: requirement.required.to_string(),
        });
        Self {
            schema: "migrate/v1",
            command: "graph",
            services: services.collect(),
            requirements: requirements.collect(),
        }
    }

    /// Pairs of migrations of one service that follow each other.
    fn successions(&self) -> impl Iterator<Item = (String, String)> {
        self.services.iter().flat_map(|service| {
            let id = |migration: &MigrationDocument| format!("{}:{}", service.name, migration.name);
            service.migrations.windows(2).map(move |pair| (id(&pair[0]), id(&pair[1]))).collect::<Vec<_>>()
        })
    }
}

fn mermaid(document: &Document) -> String {
    let node = |id: &str| id.replace(':', "__");
    let mut text = "flowchart TD\n".to_owned();
    let mut line = |indent: usize, content: String| {
        writeln!(text, "{:indent$}{content}", "").expect("writing to a string cannot fail");
    };
    for service in &document.services {
        line(2, format!("subgraph {}", service.name));
        for migration in &service.migrations {
            let id = node(&format!("{}:{}", service.name, migration.name));
            let (open, close) = if migration.phase == "contract" { ("{{", "}}") } else { ("[", "]") };
            line(4, format!("{id}{open}{}{close}", migration.name));
        }
        line(2, "end".to_owned());
    }
    for (before, after) in document.successions() {
        line(2, format!("{} --> {}", node(&before), node(&after)));
    }
    for requirement in &document.requirements {
        line(2, format!("{} -.-> {}", node(&requirement.requires), node(&requirement.migration)));
    }
    text
}

fn dot(document: &Document) -> String {
    let mut text = "digraph migrations {\n  rankdir = TB;\n  node [shape = box];\n".to_owned();
    let mut line = |indent: usize, content: String| {
        writeln!(text, "{:indent$}{content}", "").expect("writing to a string cannot fail");
    };
    for service in &document.services {
        line(2, format!("subgraph \"cluster_{}\" {{", service.name));
        line(4, format!("label = \"{}\";", service.name));
        for migration in &service.migrations {
            let shape = if migration.phase == "contract" { ", shape = hexagon" } else { "" };
            line(
                4,
                format!("\"{}:{}\" [label = \"{}\"{shape}];", service.name, migration.name, migration.name),
            );
        }
        line(2, "}".to_owned());
    }
    for (before, after) in document.successions() {
        line(2, format!("\"{before}\" -> \"{after}\";"));
    }
    for requirement in &document.requirements {
        line(2, format!("\"{}\" -> \"{}\" [style = dashed];", requirement.requires, requirement.migration));
    }
    line(0, "}".to_owned());
    text
}
