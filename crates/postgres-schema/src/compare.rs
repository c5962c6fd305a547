//! The difference between two schemas, object by object.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Object, Properties, Schema};

/// An object that is not the same in both schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: Object,
    /// What is different.
    pub change: Change,
}

/// What is different about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the second schema has it.
    Added,
    /// Only the first schema has it.
    Removed,
    /// Both have it, with other properties.
    Changed(Vec<PropertyChange>),
}

/// A property that is not the same in both schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// Its name.
    pub property: String,
    /// Its value in the first schema, if it has one there.
    pub before: Option<String>,
    /// Its value in the second schema, if it has one there.
    pub after: Option<String>,
}

impl Schema {
    /// What has to change in this schema for it to become `other`. The order of columns is no difference.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let objects: BTreeSet<&Object> = self.objects.keys().chain(other.objects.keys()).collect();
        let changed = |object: &&Object| {
            let change = match (self.get(object), other.get(object)) {
                (Some(_), None) => Change::Removed,
                (None, _) => Change::Added,
                (Some(before), Some(after)) if before == after => return None,
                (Some(before), Some(after)) => Change::Changed(changes(before, after)),
            };
            Some(Difference { object: (*object).clone(), change })
        };
        objects.iter().filter_map(changed).collect()
    }
}

fn changes(before: &Properties, after: &Properties) -> Vec<PropertyChange> {
    let properties: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |property: &String| PropertyChange {
        property: property.clone(),
        before: before.get(property).cloned(),
        after: after.get(property).cloned(),
    };
    properties.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// `+ column note.text`, `- index note_text_idx`, `~ column note.id: type integer → bigint`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match &self.change {
            Change::Added => write!(f, "+ {object}"),
            Change::Removed => write!(f, "- {object}"),
            Change::Changed(changes) => {
                write!(f, "~ {object}: ")?;
                for (index, PropertyChange { property, before, after }) in changes.iter().enumerate() {
                    let [before, after] = [before, after].map(|value| value.as_deref().unwrap_or("nothing"));
                    let separator = if index > 0 { ", " } else { "" };
                    write!(f, "{separator}{property} {before} → {after}")?;
                }
                Ok(())
            }
        }
    }
}
