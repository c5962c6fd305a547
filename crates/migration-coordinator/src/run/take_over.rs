//! Which way works for what an earlier system has left of a service elsewhere.

use crate::deployment::Placed;
use crate::earlier_tool::EarlierTool;
use crate::survey::{Twin, VERSION_TABLES};

/// How what an earlier system left comes under this tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOver {
    /// Migrations of the service take the tables over by themselves, once it lives in this schema.
    ByItself {
        /// The schema.
        schema: String,
    },
    /// It is compared and recorded, once the service lives in this schema.
    Compared {
        /// The schema.
        schema: String,
        /// The version table there that may say what was applied.
        version_table: Option<String>,
    },
    /// There is nothing to take over: a version table alone.
    Nothing,
}

impl TakeOver {
    /// What works for this service.
    pub(super) fn of(placed: &Placed, twins: &[Twin]) -> Self {
        let places = || twins.iter().filter_map(|twin| twin.table.split_once('.'));
        let own = places().find(|(_, table)| !VERSION_TABLES.contains(table));
        let is_adoptable = |table: &str| placed.service.adoptable().any(|adoptable| adoptable == table);
        match own.or_else(|| places().next()) {
            Some((schema, table)) if is_adoptable(table) => Self::ByItself { schema: schema.to_owned() },
            Some((schema, _)) if own.is_some() || placed.service.adoptable().next().is_none() => {
                let has_predecessors =
                    placed.service.migrations().any(|listed| !listed.details().replaces.is_empty());
                let speaks = |table: &str| {
                    EarlierTool::of_table(table)
                        .is_some_and(|tool| has_predecessors || tool == EarlierTool::SeaOrm)
                };
                let version_table = places().find(|(place, table)| *place == schema && speaks(table));
                let version_table = version_table.map(|(_, table)| table.to_owned());
                Self::Compared { schema: schema.to_owned(), version_table }
            }
            _ => Self::Nothing,
        }
    }
}
