//! How many connections at once a role may have, by its own limit and by that of its database. Reads only.
//!
//! How many the server has left is another question: that changes from moment to moment.

use migration_kit::bookkeeping;
use sea_orm::sqlx::{self, Row};

use crate::connect_error::ConnectError;
use crate::database::DatabaseUrl;
use crate::reading::Reading;

/// A limit of the role that logged in, or of its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// Whose it is, as in SQL: `ROLE app`, `DATABASE shop`, with quotes where the name needs them.
    pub of: String,
    /// Whether it is the role's.
    pub is_roles: bool,
    /// How many connections there may be at once.
    pub limit: i32,
}

impl ConnectionLimit {
    /// The statement that allows so many.
    #[must_use]
    pub fn raised_to(&self, limit: i32) -> String {
        format!("ALTER {} CONNECTION LIMIT {limit}", self.of)
    }
}

/// The limits that hold for whoever connects there, the role's first. Superusers have none.
///
/// # Errors
/// [`ConnectError`] without a connection; within, what the server says.
pub async fn connection_limits(
    url: &DatabaseUrl,
) -> Result<Result<Vec<ConnectionLimit>, sqlx::Error>, ConnectError> {
    let mut reading = Reading::open(url).await?;
    let limits = async {
        reading.begin().await?;
        read(&mut reading).await
    }
    .await;
    reading.close().await;
    Ok(limits)
}

/// The same in a transaction that has begun.
pub(crate) async fn read(reading: &mut Reading<'_>) -> Result<Vec<ConnectionLimit>, sqlx::Error> {
    const LIMITS: &str = bookkeeping!(
        "SELECT pg_catalog.format('ROLE %I', r.rolname), true, r.rolconnlimit FROM pg_catalog.pg_roles r \
         WHERE r.rolname = session_user AND r.rolconnlimit >= 0 AND NOT r.rolsuper \
         UNION ALL \
         SELECT pg_catalog.format('DATABASE %I', d.datname), false, d.datconnlimit \
         FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.rolname = session_user \
         WHERE d.datname = pg_catalog.current_database() AND d.datconnlimit >= 0 AND NOT r.rolsuper"
    );
    let rows = reading.rows(LIMITS).await?;
    let limit = |row: &sqlx::postgres::PgRow| {
        let (of, is_roles) = (row.try_get(0)?, row.try_get(1)?);
        Ok(ConnectionLimit { of, is_roles, limit: row.try_get(2)? })
    };
    rows.iter().map(limit).collect()
}
