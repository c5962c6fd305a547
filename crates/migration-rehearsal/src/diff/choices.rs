//! What only a person can tell about columns that entities leave out or have anew.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{EntityChange, EntityDifference};
use crate::RehearsalError;

/// A column: its table and its name.
pub type ColumnName = (String, String);

/// What was decided about columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Columns that have another name in the entity.
    pub renamed: BTreeMap<ColumnName, String>,
    /// Columns of entities that are new, and none of those that no entity mentions under another name.
    pub new: BTreeSet<ColumnName>,
    /// Columns that no entity mentions and that are to be dropped.
    pub dropped: BTreeSet<ColumnName>,
}

impl Choices {
    /// Refuses a choice that nothing came of.
    pub(super) fn are_about(&self, differences: &[EntityDifference]) -> Result<(), RehearsalError> {
        let is_any = |column: &ColumnName, is_it: &dyn Fn(&EntityChange) -> bool| {
            differences.iter().any(|EntityDifference { object, change }| {
                (object.parent.as_ref(), &object.name) == (Some(&column.0), &column.1) && is_it(change)
            })
        };
        let refuse = |column: &ColumnName, why| RehearsalError::Choice {
            column: format!("{}.{}", column.0, column.1),
            why,
        };
        for (column, name) in &self.renamed {
            if !is_any(column, &|change| matches!(change, EntityChange::Renamed { to } if to == name)) {
                let why = "cannot be renamed: it is no column that entities leave out, or the other name is no new field";
                return Err(refuse(column, why));
            }
        }
        for column in &self.new {
            if !is_any(column, &|change| matches!(change, EntityChange::NewColumn(_))) {
                return Err(refuse(column, "is no field that lacks its column"));
            }
        }
        for column in &self.dropped {
            if !is_any(column, &|change| matches!(change, EntityChange::Dropped(_))) {
                return Err(refuse(column, "cannot be dropped: it is no column that entities leave out"));
            }
        }
        Ok(())
    }
}
