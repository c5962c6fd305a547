//! Two services: a sea-orm migrator and a folder of SQL files, each as it was written for its own tool.

pub mod migrator;

use migration_kit::{Service, ServiceError, sql_files};

/// The service of [`migrator`]; its second migration needs an extension.
pub fn tickets() -> Result<Service, ServiceError> {
    let service = Service::from_migrator::<migrator::Migrator>("tickets")?;
    Ok(service.with_extensions(["pg_trgm"]).with_lock_file(include_str!("../tickets/migrations.lock")))
}

/// The service of the SQL files in `ledger/sql`.
pub fn ledger() -> Result<Service, ServiceError> {
    let service = Service::from_sql_files("ledger", sql_files!("$CARGO_MANIFEST_DIR/ledger/sql"))?;
    Ok(service.with_lock_file(include_str!("../ledger/migrations.lock")))
}
