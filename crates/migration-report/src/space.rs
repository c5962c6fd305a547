//! How much space a service's tables take.

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
}
