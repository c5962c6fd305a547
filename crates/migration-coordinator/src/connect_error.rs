//! Why there is no connection, and what to do then. Who connects is another module's part.

use std::borrow::Cow;

use migration_plan::{Hint, Offer};
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgDatabaseError;

use crate::database::{DatabaseUrl, tls};
use crate::engine::{self, Unfit};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing answers at the address.
    #[error("cannot reach `{database}`")]
    Unreachable {
        /// The database, without its password.
        database: String,
        /// The name by which a person knows where the address is.
        named: Option<String>,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// The server answers, and refuses: password, role, database or number of connections.
    #[error("`{database}` refuses the connection")]
    Refused {
        /// The database, without its password.
        database: String,
        /// The name by which a person knows where the address is.
        named: Option<String>,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// Something between us and the server shares or changes the session: a lock would not be ours.
    #[error("`{database}` is behind a proxy that {does}: a migration lock taken there would not be ours")]
    Proxied {
        /// The database, without its password.
        database: String,
        /// What the proxy does.
        does: &'static str,
    },
    /// The server is not PostgreSQL, although it speaks its protocol.
    #[error("`{database}` is {engine}, where migrations cannot run: {reason}")]
    OtherEngine {
        /// The database, without its password.
        database: String,
        /// What it is.
        engine: String,
        /// What is missing there.
        reason: &'static str,
    },
    /// It is a node of Citus, and not the coordinator.
    #[error(
        "`{database}` is a worker of Citus: it does not know all histories, a migration lock taken there keeps no other run out, \
         and what migrations change there does not reach the other nodes"
    )]
    Worker {
        /// The database, without its password.
        database: String,
        /// Where the nodes know the coordinator: host and port.
        coordinator: Option<String>,
    },
    /// The server is too old.
    #[error("`{database}` is PostgreSQL {version}; version 15 or later is needed")]
    TooOld {
        /// The database, without its password.
        database: String,
        /// Its version, as it writes it.
        version: String,
    },
}

impl ConnectError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Hint {
        let address = |named: &Option<String>| match named {
            Some(name) => Hint::from(format!("`{name}`")),
            None => Hint::from(Offer::Address),
        };
        if let Self::Unreachable { named, source, .. } | Self::Refused { named, source, .. } = self
            && let Some(hint) = tls::hint(source, || address(named))
        {
            return hint;
        }
        match self {
            Self::Unreachable { named, .. } => {
                Hint::from("check that the server runs and that host and port of ")
                    + address(named)
                    + " are right"
            }
            Self::Refused { named, source, .. } => match code(source).as_deref() {
                Some(TOO_MANY_CONNECTIONS) => {
                    let (who, raised) = match routine(source) {
                        Some("InitializeSessionUserId") => {
                            ("role", "raise its limit with `ALTER ROLE … CONNECTION LIMIT`")
                        }
                        Some("CheckMyDatabase") => {
                            ("database", "raise its limit with `ALTER DATABASE … CONNECTION LIMIT`")
                        }
                        _ => ("server", "raise its `max_connections`"),
                    };
                    Hint::from(format!("the {who} has no connection left: end some, use "))
                        + Offer::OneAtATime
                        + format!(", or {raised}")
                }
                Some(CANNOT_CONNECT_NOW) => {
                    "the server is starting up or shutting down: try again in a moment".into()
                }
                Some("55000") => {
                    "the database is set to accept no connections: `ALLOW_CONNECTIONS` of `ALTER DATABASE`"
                        .into()
                }
                Some("0A000") => {
                    "restore a dump of the database into one whose encoding PostgreSQL converts to UTF-8, best UTF8 itself".into()
                }
                Some("42501") => "the role may not connect to the database: have `CONNECT` granted".into(),
                _ => Hint::from("check user, password and database name of ") + address(named),
            },
            Self::Proxied { .. } => {
                "use a URL that leads directly to the server, not through PgBouncer or its like".into()
            }
            Self::OtherEngine { .. } => {
                "use a server of PostgreSQL itself, its own or one that is offered as a service".into()
            }
            Self::Worker { coordinator: Some(coordinator), .. } => {
                format!("use the address of the coordinator, which its nodes know as {coordinator}").into()
            }
            Self::Worker { .. } => "use the address of the coordinator".into(),
            Self::TooOld { .. } => "upgrade the server".into(),
        }
    }

    /// What PgBouncer says of a transaction if it pools statements; PostgreSQL itself has no reason to complain of it.
    pub(crate) fn of_proxy(database: &DatabaseUrl, error: &sqlx::Error) -> Option<Self> {
        let is_proxys = code(error).as_deref() == Some(PROTOCOL_VIOLATION);
        is_proxys.then(|| Self::proxied(database, "pools statements and refuses transactions"))
    }

    /// Refuses what is not PostgreSQL of a supported version, by what it says of itself.
    pub(crate) fn judge(url: &DatabaseUrl, version: &str) -> Result<(), Self> {
        let database = url.to_string();
        engine::judge(&url.host(), version).map_err(|unfit| match unfit {
            Unfit::Other { engine, reason } => Self::OtherEngine { database, engine, reason },
            Unfit::TooOld { version } => Self::TooOld { database, version },
        })
    }

    pub(crate) fn proxied(database: &DatabaseUrl, does: &'static str) -> Self {
        Self::Proxied { database: database.to_string(), does }
    }

    pub(crate) fn classify(url: &DatabaseUrl, source: sqlx::Error) -> Self {
        let code = code(&source);
        let (database, named) = (url.to_string(), url.name().map(str::to_owned));
        match code.as_deref() {
            // `unsupported startup parameter: options`, PgBouncer's answer in every mode of pooling.
            Some(PROTOCOL_VIOLATION) => Self::proxied(url, "refuses start-up options"),
            Some(_) => Self::Refused { database, named, source },
            None => Self::Unreachable { database, named, source },
        }
    }
}

/// SQLSTATE of `protocol_violation`, by which PgBouncer refuses what it does not do.
const PROTOCOL_VIOLATION: &str = "08P01";

/// SQLSTATE of `too_many_connections`. A connection of ours that was just closed may still count.
pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";

/// SQLSTATE of `cannot_connect_now`: the server is starting up or shutting down.
pub(crate) const CANNOT_CONNECT_NOW: &str = "57P03";

/// Whether a lock of others was not given up in time.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(migration_kit::LOCK_NOT_AVAILABLE)
}

/// Whether the server says that a table, column, function, type or schema that was named does not exist.
pub(crate) fn is_undefined(error: &sqlx::Error) -> bool {
    const UNDEFINED: [&str; 5] = ["42P01", "42703", "42883", "42704", "3F000"];
    code(error).is_some_and(|code| UNDEFINED.contains(&code.as_str()))
}

/// The place in the server's source that reported an error: the same whatever language it speaks.
fn routine(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.routine()
}

/// The SQLSTATE that the server gives.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Cow::into_owned)
}
