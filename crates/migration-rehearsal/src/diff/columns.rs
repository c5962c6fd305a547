//! Columns: those that are missing or other than their fields, and those that no entity mentions.

use std::collections::BTreeSet;

use postgres_schema::{Change, Kind, Object, Properties, Schema};

use super::change::{EntityChange, EntityDifference, NewColumn, Retyping};
use super::{Choices, ColumnName, types};
use crate::entities::{property, takes_null};

/// How the columns of a table differ from the fields of its entity, in the order of that, and the columns that are no fields.
pub(super) fn differences(
    (made, described): (&Schema, &Schema),
    table: &str,
    fields: &[String],
    choices: &Choices,
) -> (Vec<EntityDifference>, Vec<Object>) {
    let object = |name: &str| column(table, name);
    let is_in =
        |chosen: &BTreeSet<ColumnName>, name: &str| chosen.contains(&(table.to_owned(), name.to_owned()));
    let others: Vec<(&str, &Properties)> =
        made.columns(table).filter(|(name, _)| !fields.iter().any(|field| field == name)).collect();
    let mut differences = Vec::new();
    for name in fields {
        let Some(field) = described.get(&object(name)) else { continue };
        let changes = match made.get(&object(name)) {
            Some(column) => changes(made, described, &object(name), (column, field)),
            None => {
                let is_alike =
                    |column: &Properties| types::is_same(property(field, "type"), property(column, "type"));
                let alike = others.iter().filter(|(other, column)| {
                    is_alike(column) && !is_in(&choices.new, name) && !is_in(&choices.dropped, other)
                });
                let perhaps = alike.map(|(name, _)| (*name).to_owned()).collect();
                vec![EntityChange::NewColumn(NewColumn { perhaps, ..NewColumn::of(field) })]
            }
        };
        let of = |change| EntityDifference { object: object(name), change };
        differences.extend(changes.into_iter().map(of));
    }
    let mut unmentioned = Vec::new();
    for (name, column) in others {
        if is_in(&choices.dropped, name) {
            let change = EntityChange::Dropped(NewColumn::of(column));
            differences.push(EntityDifference { object: object(name), change });
        } else if !takes_null(column) && !is_filled(column) {
            differences.push(EntityDifference { object: object(name), change: EntityChange::Unfilled });
        } else {
            unmentioned.push(object(name));
        }
    }
    (differences, unmentioned)
}

/// A column of a table.
pub(super) fn column(table: &str, name: &str) -> Object {
    Object { kind: Kind::Column, parent: Some(table.to_owned()), name: name.to_owned() }
}

/// Whether the server has a value for a row that comes without one.
fn is_filled(column: &Properties) -> bool {
    ["default", "generated", "identity"].iter().any(|filled| column.contains_key(*filled))
}

/// What is other about a column than its field says.
fn changes(
    made: &Schema,
    described: &Schema,
    object: &Object,
    (column, field): (&Properties, &Properties),
) -> Vec<EntityChange> {
    let mut changes = Vec::new();
    let (from, to) = (property(column, "type"), property(field, "type"));
    if !types::is_same(to, from) {
        let (from, to) = (from.to_owned(), to.to_owned());
        changes.push(EntityChange::Retyped { from, to, how: Retyping::default() });
    }
    let type_ = if types::is_same(to, from) { from } else { to }.to_owned();
    match (takes_null(field), takes_null(column)) {
        (true, false) => changes.push(EntityChange::NullAllowed),
        (false, true) => changes.push(EntityChange::NullRefused { type_ }),
        (true, true) | (false, false) => {}
    }
    let is_server_made = column.contains_key("generated") || column.contains_key("identity");
    if let Some(default) = other_default(made, described, object).filter(|_| !is_server_made) {
        changes.push(EntityChange::Default { from: column.get("default").cloned(), to: default });
    }
    if field.contains_key("identity") && !is_filled(column) {
        let says = "its field leaves the value to the server, which has no default for it";
        changes.push(EntityChange::Other(says.to_owned()));
    }
    changes
}

/// The default of a field, if it has one and that of its column gives something else.
fn other_default(made: &Schema, described: &Schema, object: &Object) -> Option<String> {
    let only = |schema: &Schema| schema.clone().retain(|other| other == object);
    let difference = only(made).differences(&only(described)).into_iter().next()?;
    let Change::Changed(changes) = difference.change else { return None };
    changes.into_iter().find(|change| change.property == "default")?.after
}

impl NewColumn {
    /// As the server describes it.
    pub(super) fn of(field: &Properties) -> Self {
        let identity =
            field.get("identity").map(|kind| format!("GENERATED {} AS IDENTITY", kind.to_uppercase()));
        let computed =
            field.get("generated").map(|expression| format!("GENERATED ALWAYS AS ({expression}) STORED"));
        Self {
            type_: property(field, "type").to_owned(),
            not_null: !takes_null(field),
            default: field.get("default").cloned(),
            generated: identity.or(computed),
            rewrites: false,
            perhaps: Vec::new(),
        }
    }
}
