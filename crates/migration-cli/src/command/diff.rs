//! `diff`: the sea-orm entities of services against the schema that their migrations make, on a server of its own. Connects to
//! no other database, and writes nothing.

use migration_kit::{Service, ServiceName};
use migration_plan::{Catalog, counted};
use migration_rehearsal::{Choices, EntityChange, EntityDiff, EntityDifference};
use migration_report::{Class, Found};
use serde::Serialize;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::known;
use super::object::ObjectDocument;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Text};

/// What `diff --json` prints.
#[derive(Serialize)]
struct Document {
    services: Vec<ServiceDocument>,
}

/// How the entities of one service differ.
#[derive(Serialize)]
struct ServiceDocument {
    service: String,
    entities: usize,
    migrations: usize,
    differences: Vec<DifferenceDocument>,
    /// Tables and columns that no entity mentions.
    unmentioned: Vec<ObjectDocument>,
}

#[derive(Serialize)]
struct DifferenceDocument {
    #[serde(flatten)]
    object: ObjectDocument,
    change: &'static str,
    phase: &'static str,
    says: String,
    /// Columns that a new one may be under another name.
    perhaps: Vec<String>,
}

pub(super) async fn diff(context: &Context, services: &[String]) -> anyhow::Result<Answer> {
    let all = context.program.services()?;
    let wanted = wanted(&all, services)?;
    // What happens in the databases beside is nobody's news.
    let choices = Choices::default();
    let compared = migration_rehearsal::diff(all, &wanted, &choices).with_subscriber(NoSubscriber::new());
    let mut diffs = Box::pin(compared).await?;
    diffs.sort_by_key(|diff| wanted.iter().position(|name| *name == diff.service));
    let differs = diffs.iter().any(|diff| !diff.differences.is_empty());
    let class = if differs { Class::Integrity } else { Class::Done };
    let mut text = Text::default();
    say(&diffs, context.output.paint, &mut text);
    if differs {
        text.note("hint: `generate SERVICE NAME --from-entities` writes the migration that closes it");
    }
    let body = Document { services: diffs.iter().map(ServiceDocument::of).collect() };
    Ok(Answer::of("diff", Found { class, errors: Vec::new(), body }, text)?)
}

/// The services that are named, each with entities; all that have some, if none is named.
fn wanted(all: &[Service], named: &[String]) -> anyhow::Result<Vec<ServiceName>> {
    let catalog = Catalog::new(all.iter().map(Service::known).collect())?;
    let with_entities: Vec<&ServiceName> =
        all.iter().filter(|service| !service.entities().is_empty()).map(Service::name).collect();
    let mut wanted = named.iter().map(|name| known(&catalog, name)).collect::<Result<Vec<_>, _>>()?;
    const HINT: &str = "declare them with `Service::with_entities`";
    if let Some(without) = wanted.iter().find(|name| !with_entities.contains(name)) {
        return Err(Failure::usage(format!("`{without}` has no entities to compare"), HINT).into());
    }
    if wanted.is_empty() {
        wanted = with_entities.into_iter().cloned().collect();
    }
    if wanted.is_empty() {
        return Err(Failure::usage("no service has entities to compare", HINT).into());
    }
    Ok(wanted)
}

fn say(diffs: &[EntityDiff], paint: Paint, text: &mut Text) {
    for diff in diffs {
        let entities = counted(diff.n_entities, "entity", "entities");
        let made = counted(diff.n_migrations, "migration makes", "migrations make");
        let verdict = match diff.differences.len() {
            0 => paint.good(&format!("{entities} as {made} their tables")),
            n => {
                let differences = counted(n, "difference", "differences");
                paint.bad(&format!("{differences} between {entities} and what {made}"))
            }
        };
        text.line(format!("{:<14}{verdict}", diff.service.as_str()));
        for difference in &diff.differences {
            let waits = if difference.is_contract() { paint.faint(" (contract)") } else { String::new() };
            text.line(format!("  {difference}{waits}"));
            for earlier in perhaps(difference) {
                let table = difference.object.parent.as_deref().unwrap_or_default();
                let line = format!("it may be {table}.{earlier} under another name: that is in no entity");
                text.line(format!("    {} {line}", paint.warn("?")));
            }
        }
        for object in &diff.unmentioned {
            text.line(format!("  {} {object} is in no entity, and stays", paint.faint("·")));
        }
    }
}

/// The columns that a new one may be under another name.
fn perhaps(difference: &EntityDifference) -> &[String] {
    match &difference.change {
        EntityChange::NewColumn(column) => &column.perhaps,
        _ => &[],
    }
}

impl ServiceDocument {
    fn of(diff: &EntityDiff) -> Self {
        let difference = |difference: &EntityDifference| DifferenceDocument {
            object: ObjectDocument::of(&difference.object),
            change: if difference.is_new() { "added" } else { "changed" },
            phase: if difference.is_contract() { "contract" } else { "expand" },
            says: difference.to_string(),
            perhaps: perhaps(difference).to_vec(),
        };
        Self {
            service: diff.service.to_string(),
            entities: diff.n_entities,
            migrations: diff.n_migrations,
            differences: diff.differences.iter().map(difference).collect(),
            unmentioned: diff.unmentioned.iter().map(ObjectDocument::of).collect(),
        }
    }
}
