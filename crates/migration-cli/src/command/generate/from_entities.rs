//! From the difference between entities and schema to the steps of a migration that closes it.

use migration_author::{Column, Key, Step};
use migration_kit::{Service, ServiceName};
use migration_rehearsal::{Choices, EntityChange, EntityDifference, NewColumn, diff};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::arguments::GenerateOptions;
use crate::exit::Failure;
use crate::shell::word;

/// The steps that close the difference of a service, and what they leave, one sentence each.
pub(super) async fn steps(
    all: Vec<Service>,
    service: &ServiceName,
    options: &GenerateOptions,
) -> anyhow::Result<(Vec<Step>, Vec<String>)> {
    let has_entities = |one: &Service| one.name() == service && !one.entities().is_empty();
    if !all.iter().any(has_entities) {
        let hint = "declare them with `Service::with_entities`";
        return Err(Failure::usage(format!("`{service}` has no entities to write from"), hint).into());
    }
    let choices = Choices {
        renamed: options.rename.iter().cloned().collect(),
        new: options.new.iter().cloned().collect(),
        dropped: options.drop.iter().cloned().collect(),
    };
    let wanted = [service.clone()];
    // What happens in the databases beside is nobody's news.
    let compared = diff(all, &wanted, &choices).with_subscriber(NoSubscriber::new());
    let differences =
        Box::pin(compared).await?.into_iter().flat_map(|diff| diff.differences).collect::<Vec<_>>();
    differences.iter().try_for_each(is_no_other)?;
    let (mut steps, mut left) = (Vec::new(), Vec::new());
    for difference in &differences {
        if difference.is_contract() && !options.contract {
            left.push(format!("{difference}: `--contract` writes it"));
            continue;
        }
        let (of_it, remains) = of(difference, options.contract);
        steps.extend(of_it);
        left.extend(remains);
    }
    if steps.is_empty() {
        let (says, hint) = if left.is_empty() {
            (format!("the entities of `{service}` say nothing that its migrations do not make"), None)
        } else {
            (format!("there is nothing to write for `{service}`: {}", left.join("; ")), Some(()))
        };
        let hint = match hint {
            Some(()) => "what contracts belongs into a release of its own".to_owned(),
            None => format!("`diff {service}` compares them"),
        };
        return Err(Failure::usage(says, hint).into());
    }
    // Stable: within a rank they stay in the order of the entities.
    steps.sort_by_key(rank);
    Ok((steps, left))
}

/// Refuses a new column that may be another one under another name.
fn is_no_other(difference: &EntityDifference) -> anyhow::Result<()> {
    let EntityChange::NewColumn(NewColumn { perhaps, .. }) = &difference.change else { return Ok(()) };
    let Some(earlier) = perhaps.first() else { return Ok(()) };
    let table = difference.object.parent.as_deref().unwrap_or_default();
    let name = &difference.object.name;
    let says = format!("`{table}.{name}` may be `{table}.{earlier}` under another name");
    let (new, rename) = (word(&format!("{table}.{name}")), word(&format!("{table}.{earlier}={name}")));
    let hint = format!("say `--new {new}` if it is another column, `--rename {rename}` if it is that one");
    Err(Failure::usage(says, hint).into())
}

/// The order in which steps can follow each other.
fn rank(step: &Step) -> u8 {
    match step {
        Step::RenameColumn { .. } => 0,
        Step::CreateEnum { .. } | Step::AddLabel { .. } => 1,
        Step::CreateTable { .. } => 2,
        Step::AddColumn(_) => 3,
        Step::SetType { .. } => 4,
        Step::SetDefault { .. } => 5,
        Step::DropNotNull { .. } => 6,
        Step::SetNotNull { .. } => 7,
        Step::AddPrimaryKey(_) | Step::AddUnique(_) => 8,
        Step::CreateIndex(_) => 9,
        Step::AddForeignKey { .. } => 10,
        _ => 11,
    }
}

/// The steps that close a difference, and what remains of it.
fn of(difference: &EntityDifference, contract: bool) -> (Vec<Step>, Option<String>) {
    let name = difference.object.name.clone();
    let table = difference.object.parent.clone().unwrap_or_default();
    let key =
        |columns: &Vec<String>| Key { table: table.clone(), name: name.clone(), columns: columns.clone() };
    let step = match &difference.change {
        EntityChange::NewEnum { labels } => Step::CreateEnum { name, labels: labels.clone() },
        EntityChange::NewLabel { label } => Step::AddLabel { name, label: label.clone() },
        EntityChange::NewTable { create, columns, indexes, foreign_keys } => {
            let table = name;
            let key = |name: &String, columns: &Vec<String>| Key {
                table: table.clone(),
                name: name.clone(),
                columns: columns.clone(),
            };
            let create =
                Step::CreateTable { table: table.clone(), sql: create.clone(), columns: columns.clone() };
            let indexes = indexes.iter().map(|(name, columns)| Step::CreateIndex(key(name, columns)));
            let foreign_keys = foreign_keys.iter().map(|(name, foreign)| Step::AddForeignKey {
                key: key(name, &foreign.columns),
                referenced: foreign.table.clone(),
                columns: foreign.referenced.clone(),
                actions: foreign.actions.clone(),
            });
            return ([create].into_iter().chain(indexes).chain(foreign_keys).collect(), None);
        }
        EntityChange::NewColumn(new) => return new_column(difference, new, contract),
        EntityChange::Renamed { to } => Step::RenameColumn { table, from: name, to: to.clone() },
        EntityChange::Retyped { from, to, how } => Step::SetType {
            table,
            column: name,
            from: from.clone(),
            to: to.clone(),
            is_cast: [how.is_cast, how.is_cast_back],
            rounds: [difference.is_contract() && has_parts(from), has_parts(to)],
            rewrites: how.rewrites,
        },
        EntityChange::NullRefused { type_ } => Step::SetNotNull { table, column: name, type_: type_.clone() },
        EntityChange::NullAllowed | EntityChange::Unfilled => Step::DropNotNull { table, column: name },
        EntityChange::Dropped(column) => Step::DropColumn(shape(&table, &name, column)),
        EntityChange::Default { from, to } => {
            Step::SetDefault { table, column: name, from: from.clone(), to: to.clone() }
        }
        EntityChange::PrimaryKey { columns } => Step::AddPrimaryKey(key(columns)),
        EntityChange::Unique { columns } => Step::AddUnique(key(columns)),
        EntityChange::Index { columns } => Step::CreateIndex(key(columns)),
        EntityChange::ForeignKey { key: foreign, index } => {
            let index = index.iter().map(|index| {
                let columns = foreign.columns.clone();
                Step::CreateIndex(Key { table: table.clone(), name: index.clone(), columns })
            });
            let foreign = Step::AddForeignKey {
                key: key(&foreign.columns),
                referenced: foreign.table.clone(),
                columns: foreign.referenced.clone(),
                actions: foreign.actions.clone(),
            };
            return (index.chain([foreign]).collect(), None);
        }
        _ => return (Vec::new(), Some(format!("{difference}: no step can be derived"))),
    };
    (vec![step], None)
}

/// Whether a type has digits or moments that another one rounds.
fn has_parts(type_: &str) -> bool {
    ["numeric", "real", "double precision", "time", "interval"].iter().any(|name| type_.starts_with(name))
}

fn shape(table: &str, name: &str, column: &NewColumn) -> Column {
    Column {
        table: table.to_owned(),
        name: name.to_owned(),
        type_: column.type_.clone(),
        default: column.default.clone(),
        not_null: column.not_null,
    }
}

/// A column of an existing table: rows that exist may have no value for it.
fn new_column(difference: &EntityDifference, new: &NewColumn, contract: bool) -> (Vec<Step>, Option<String>) {
    let table = difference.object.parent.clone().unwrap_or_default();
    let name = &difference.object.name;
    if new.generated.is_some() {
        let why = "the server would fill it in all rows, which is for a person to write";
        return (Vec::new(), Some(format!("{difference}: {why}")));
    }
    let whole = shape(&table, name, new);
    let has_default = new.default.is_some() && !new.rewrites;
    let mut steps = Vec::new();
    match new.default.clone().filter(|_| new.rewrites) {
        // Each row would get a value of its own.
        Some(to) => {
            steps.push(Step::AddColumn(Column { default: None, ..whole }));
            steps.push(Step::SetDefault { table: table.clone(), column: name.clone(), from: None, to });
        }
        None => steps.push(Step::AddColumn(whole)),
    }
    if !new.not_null || has_default {
        return (steps, None);
    }
    if contract {
        steps.push(Step::SetNotNull { table, column: name.clone(), type_: new.type_.clone() });
        return (steps, None);
    }
    let left = format!("~ column {table}.{name}: give rows a value; then `--contract` makes it refuse null");
    (steps, Some(left))
}
