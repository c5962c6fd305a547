//! The error for a table that is not there, as a type that survives the way through sea-orm.
//!
//! A migration's errors are sea-orm's, whose own variants carry text. What it keeps as it is, is the driver's error, and that can
//! be one of ours.

use std::error::Error;
use std::sync::Arc;

use sea_orm::sqlx;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::{DbErr, RuntimeErr};

use crate::session::driver_error;

/// A table that a step works on is not there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct MissingTable {
    message: String,
}

impl MissingTable {
    /// The error of a step.
    pub(crate) fn error(table: &str, schema: &str) -> DbErr {
        let missing = Self { message: format!("there is no table `{table}` in schema `{schema}`") };
        DbErr::Query(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Database(Box::new(missing)))))
    }
}

/// Whether a step of the kit refused because its table is not there.
#[must_use]
pub fn is_missing_table(error: &DbErr) -> bool {
    let reported = driver_error(error).and_then(sqlx::Error::as_database_error);
    reported.is_some_and(|reported| reported.try_downcast_ref::<MissingTable>().is_some())
}

impl DatabaseError for MissingTable {
    fn message(&self) -> &str {
        &self.message
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
