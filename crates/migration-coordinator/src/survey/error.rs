//! Why a database, or a table of the bookkeeping, could not be read, and what to do next.

use migration_kit::table_lock::TableLockError;
use migration_kit::{MigrationName, ServiceName, qualified, quote_identifier};
use migration_plan::{Hint, Offer, few_words};
use sea_orm::sqlx;

use crate::connect_error::{ConnectError, code, is_locked};
use crate::move_mark::MoveMark;

/// SQLSTATE of `connection_failure`: what Citus reports of another node.
const CONNECTION_FAILURE: &str = "08006";

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not answer.
    #[error("`{database}` could not be read")]
    Query {
        /// The database, without its password.
        database: String,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// There is a table, and our role may not read it: what it holds is not known.
    #[error("`{service}`: role `{user}` may not read `{table}`")]
    Forbidden {
        /// The service.
        service: ServiceName,
        /// Version table or journal, with its schema.
        table: String,
        /// The role.
        user: String,
    },
    /// The server cannot read a table as what it should be.
    #[error("`{service}`: `{table}` could not be read")]
    Table {
        /// The service.
        service: ServiceName,
        /// Version table or journal, with its schema.
        table: String,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// Another transaction keeps a table locked for longer than it was waited for.
    #[error("`{service}`: `{table}` is locked by another transaction")]
    Locked {
        /// The service.
        service: ServiceName,
        /// Version table or journal, with its schema.
        table: String,
        /// How long it was waited for, and which transaction holds it.
        #[source]
        source: TableLockError,
    },
    /// Something else bears the name of a table.
    #[error("`{service}`: `{table}` is {kind}, not a table")]
    NotATable {
        /// The service.
        service: ServiceName,
        /// Version table or journal, with its schema.
        table: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// The service was moved to another server.
    #[error("`{service}` is not here: it was moved to `{to}` at {at}")]
    Gone {
        /// The service.
        service: ServiceName,
        /// Where to, without a password.
        to: String,
        /// When its move was begun, in UTC.
        at: String,
    },
    /// Here is a copy of the service whose move has not ended.
    #[error("`{service}` is not here yet: its move from `{from}` has not ended, and what is here is a copy")]
    Arriving {
        /// The service.
        service: ServiceName,
        /// When its move was begun, in UTC.
        at: String,
        /// Where it comes from, without a password.
        from: String,
    },
    /// A table holds what cannot be in it.
    #[error("`{service}`: `{table}` is damaged: {what}")]
    Malformed {
        /// The service.
        service: ServiceName,
        /// Version table or journal, with its schema.
        table: String,
        /// What is wrong.
        what: String,
    },
    /// A migration has several rows in the version table, whose key is missing then.
    #[error("`{service}`: migration `{name}` is in `{table}` more than once")]
    Doubled {
        /// The service.
        service: ServiceName,
        /// The version table, with its schema.
        table: String,
        /// The first such migration.
        name: MigrationName,
    },
    /// What an applied migration promised could not be asked.
    #[error("`{service}`: {says}")]
    Unanswered {
        /// The service.
        service: ServiceName,
        /// What should hold, and why the server did not answer.
        says: String,
        /// Whether another transaction kept a table locked.
        is_locked: bool,
    },
    /// The version table is gone, and the journal says that migrations were applied.
    #[error(
        "`{service}`: version table `{table}` is missing, although the journal records applied migrations"
    )]
    Lost {
        /// The service.
        service: ServiceName,
        /// The version table, with its schema.
        table: String,
        /// The journal, as an SQL identifier.
        journal: String,
    },
    /// Rows of the version table are gone, the journal says that their migrations were applied, and what those made is there.
    #[error(
        "`{service}`: version table `{table}` has no row of {}, although the journal records that {} applied and what {} made is there",
        few_words(names.iter().map(|name| format!("`{name}`")), 5),
        if names.len() == 1 { "it was" } else { "they were" },
        if names.len() == 1 { "it" } else { "they" }
    )]
    RowsLost {
        /// The service.
        service: ServiceName,
        /// The version table, with its schema.
        table: String,
        /// The migrations, in the order of the list; at least one.
        names: Vec<MigrationName>,
    },
    /// The journal has fewer lines than it had.
    #[error(
        "`{service}`: journal `{journal}` {}: whether a migration stopped midway, or was edited, cannot be known from it",
        if *is_there { format!("has lost {n_lost} of its lines") } else { "is gone".to_owned() }
    )]
    JournalLost {
        /// The service.
        service: ServiceName,
        /// The journal, with its schema.
        journal: String,
        /// How many lines are missing at least.
        n_lost: i64,
        /// Whether the table is there.
        is_there: bool,
    },
    /// The version table has no rows, the journal says that migrations were applied, and what they made is there.
    #[error(
        "`{service}`: version table `{table}` is empty, although the journal records applied migrations and their tables are there"
    )]
    Emptied {
        /// The service.
        service: ServiceName,
        /// The version table, with its schema.
        table: String,
        /// The journal, as an SQL identifier.
        journal: String,
    },
}

impl SurveyError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Connect(error) => Some(error.hint()),
            Self::Query { source, .. } | Self::Table { source, .. } => {
                let is_of_a_node = code(source).as_deref() == Some(CONNECTION_FAILURE);
                is_of_a_node.then(|| {
                    "a node of Citus does not answer, or does not let this role in: nodes connect to each other as the current role, \
                     which needs `LOGIN`"
                        .into()
                })
            }
            Self::Locked { .. } | Self::Unanswered { is_locked: true, .. } => {
                Some("try again when that transaction is over".into())
            }
            Self::Unanswered { .. } => None,
            Self::Forbidden { table, .. } => {
                Some(format!("it needs USAGE on the schema and SELECT on `{table}`").into())
            }
            Self::NotATable { table, .. } => {
                Some(format!("move what is called `{table}` out of the way").into())
            }
            Self::Gone { service, .. } => {
                Some(Hint::from("set ") + Offer::AddressOf(service.clone()) + " to where it is")
            }
            Self::Arriving { service, .. } => Some(
                Hint::from(Offer::Move(service.clone()))
                    + ", from where it was, ends the move or begins it anew; until then it is in use there",
            ),
            Self::Malformed { .. } => Some("correct the row".into()),
            Self::Doubled { table, .. } => {
                let table =
                    table.split_once('.').map_or_else(|| quote_identifier(table), |(s, t)| qualified(s, t));
                let way = format!(
                    "`DELETE FROM {table} AS a USING {table} AS b WHERE a.version = b.version AND a.ctid > b.ctid` leaves one row of \
                     each, and `ALTER TABLE {table} ADD PRIMARY KEY (version)` keeps it so"
                );
                Some(way.into())
            }
            Self::JournalLost { service, .. } => Some(
                Hint::from("restore it from a backup; where there is none, ")
                    + Offer::Repair(service.clone())
                    + " shows how to write it anew",
            ),
            Self::Emptied { service, .. } | Self::RowsLost { service, .. } => Some(
                Hint::from(Offer::Repair(service.clone()))
                    + " shows how to restore its rows from the journal",
            ),
            Self::Lost { service, journal, .. } => {
                let start_over = format!(
                    " shows how to restore it from the journal; only if the service's tables are gone too, `DROP TABLE \
                     {journal}` lets it start over"
                );
                Some(Hint::from(Offer::Repair(service.clone())) + start_over)
            }
        }
    }

    /// Why a service is not to be used where its version table is marked so.
    #[must_use]
    pub fn of_mark(service: ServiceName, mark: MoveMark) -> Self {
        match mark {
            MoveMark::Gone { at, to } => Self::Gone { service, to, at },
            MoveMark::Arriving { at, from } => Self::Arriving { service, at, from },
        }
    }

    /// Whether a table could not be read because another transaction kept it locked.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Unanswered { is_locked, .. } => *is_locked,
            Self::Query { source, .. } | Self::Table { source, .. } => is_locked(source),
            _ => false,
        }
    }

    /// Whether the service was read, and is in another place.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Arriving { .. })
    }

    /// Whether the database was read, and is not what it should be.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::NotATable { .. }
                | Self::Malformed { .. }
                | Self::Doubled { .. }
                | Self::Lost { .. }
                | Self::Emptied { .. }
                | Self::JournalLost { .. }
                | Self::RowsLost { .. }
        )
    }

    /// The migrations whose rows are gone from the version table, where others are there.
    #[must_use]
    pub fn lost_rows(&self) -> Option<&[MigrationName]> {
        match self {
            Self::RowsLost { names, .. } => Some(names),
            _ => None,
        }
    }

    /// Whether the journal has fewer lines than it had; the version table was read.
    #[must_use]
    pub fn is_lost_journal(&self) -> bool {
        matches!(self, Self::JournalLost { .. })
    }
}
