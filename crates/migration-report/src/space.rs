//! How much space a service's tables take.

use migration_coordinator::TableSpace;
use migration_kit::ServiceName;
use migration_kit::space::TableSize;
use serde::Serialize;

/// The tables of a service.
#[derive(Debug, Clone, Serialize)]
pub struct Space {
    /// The service.
    pub service: String,
    /// Its tables.
    pub tables: Vec<TableReport>,
}

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Its size before its space was given back, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<TableSize>,
    /// Its size.
    pub size: TableSize,
    /// About how many bytes could be given back; not known where its rows may not be read, or after it was done.
    pub reclaimable_bytes: Option<u64>,
}

/// A table that takes much more space than its rows need.
#[derive(Debug, Clone, Serialize)]
pub struct Roomy {
    /// The service.
    pub service: String,
    /// The table.
    pub table: String,
    /// About how many bytes could be given back.
    pub reclaimable_bytes: u64,
    /// How many it takes.
    pub total_bytes: u64,
}

impl Roomy {
    /// Those of a service's own tables of which a fifth, and at least a megabyte, could be given back.
    #[must_use]
    pub fn of(service: &ServiceName, tables: &[TableSpace]) -> Vec<Self> {
        const WORTH_IT: u64 = 1024 * 1024;
        let roomy = |space: &TableSpace| {
            let (total_bytes, reclaimable_bytes) = (space.size.total_bytes, space.reclaimable_bytes?);
            let is_worth_it = space.is_own && reclaimable_bytes >= WORTH_IT.max(total_bytes / 5);
            let (service, table) = (service.to_string(), space.table.clone());
            is_worth_it.then_some(Self { service, table, reclaimable_bytes, total_bytes })
        };
        tables.iter().filter_map(roomy).collect()
    }
}
