//! The comment on a version table that says where a service has gone, or that it is not here yet.
//!
//! A program that finds one does nothing to the service: it would make empty tables where the rows were, or write to a copy that
//! is not in use.

use std::fmt;

use migration_kit::{BOOKKEEPING, literal, qualified};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, PgConnection, Row};

use crate::session;

/// How the comment of a service begins that has gone.
const GONE: &str = "migrate: this service was moved at ";
/// How the comment of a copy begins.
const ARRIVING: &str = "migrate: a copy that is not in use, made at ";

/// Where a service is that is being moved, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveMark {
    /// It was here, and has moved.
    Gone {
        /// When its move was begun, in UTC.
        at: String,
        /// Where to, without a password.
        to: String,
    },
    /// It is copied to here, and its move has not ended.
    Arriving {
        /// When its move was begun, in UTC.
        at: String,
        /// Where it comes from, without a password.
        from: String,
    },
}

impl MoveMark {
    /// Reads a comment; `None` if it is about something else.
    #[must_use]
    pub fn read(comment: &str) -> Option<Self> {
        if let Some(rest) = comment.strip_prefix(GONE) {
            let (at, to) = rest.split_once(" to ")?;
            return Some(Self::Gone { at: at.to_owned(), to: to.to_owned() });
        }
        let (at, from) = comment.strip_prefix(ARRIVING)?.split_once(" from ")?;
        Some(Self::Arriving { at: at.to_owned(), from: from.to_owned() })
    }

    /// What a version table is marked with, or what is in its place.
    ///
    /// # Errors
    /// What the server says.
    pub async fn find(
        connection: &mut PgConnection,
        schema: &str,
        version_table: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        Self::answer(&session::rows(connection, &Self::question(schema, version_table)).await?)
    }

    /// The question of [`Self::find`].
    pub(crate) fn question(schema: &str, version_table: &str) -> String {
        format!(
            "{BOOKKEEPING}SELECT pg_catalog.obj_description(pg_catalog.to_regclass({})::pg_catalog.oid, 'pg_class')",
            literal(&qualified(schema, version_table))
        )
    }

    /// What its answer says.
    pub(crate) fn answer(rows: &[PgRow]) -> Result<Option<Self>, sqlx::Error> {
        let comment: Option<String> = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        Ok(comment.as_deref().and_then(Self::read))
    }
}

impl fmt::Display for MoveMark {
    /// The comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { at, to } => write!(f, "{GONE}{at} to {to}"),
            Self::Arriving { at, from } => write!(f, "{ARRIVING}{at} from {from}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MoveMark;

    #[test]
    fn what_is_written_is_read() {
        let [at, to] = ["2026-11-29T12:00:00Z", "chat@/a directory to nowhere:5432"].map(str::to_owned);
        let marks = [MoveMark::Gone { at: at.clone(), to: to.clone() }, MoveMark::Arriving { at, from: to }];
        for mark in marks {
            assert_eq!(MoveMark::read(&mark.to_string()), Some(mark));
        }
        assert_eq!(MoveMark::read("migrate: this service was moved at noon"), None);
        assert_eq!(MoveMark::read("the history of chat"), None);
    }
}
