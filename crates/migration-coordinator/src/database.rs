//! Where a database is: an address that never shows its password.
//!
//! Addresses come from the command line or an application; nothing here reads the environment.

use std::fmt;
use std::str::FromStr;

use sea_orm::sqlx::postgres::PgConnectOptions;

/// Address of one database. `Debug` and `Display` show neither password nor parameters.
#[derive(Clone)]
pub struct DatabaseUrl {
    options: PgConnectOptions,
}

/// Why a text is not the address of a PostgreSQL database. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The scheme is not `postgres` or `postgresql`.
    #[error("the database URL does not begin with `postgres://` or `postgresql://`")]
    Scheme,
    /// The text is not a URL.
    #[error("the database URL is malformed: expected `postgres://user:password@host:5432/database`")]
    Malformed,
    /// No database is named.
    #[error("the database URL names no database: expected `postgres://user:password@host:5432/database`")]
    NoDatabase,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    /// Reads a URL. The driver suffix that SQLAlchemy adds (`postgresql+asyncpg://`) is accepted.
    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(DatabaseUrlError::Scheme)?;
        let (dialect, _driver) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!(dialect, "postgres" | "postgresql") {
            return Err(DatabaseUrlError::Scheme);
        }
        let options: PgConnectOptions =
            format!("postgres://{rest}").parse().map_err(|_| DatabaseUrlError::Malformed)?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoDatabase);
        }
        Ok(Self { options })
    }
}

impl DatabaseUrl {
    /// Name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_default()
    }

    /// Host name, or the directory of the Unix socket.
    #[must_use]
    pub fn host(&self) -> String {
        match self.options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => self.options.get_host().to_owned(),
        }
    }

    /// TCP port, which also names the Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.options.get_port()
    }

    /// User that connects.
    #[must_use]
    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// What tells one database from another, as far as the address can.
    pub(crate) fn identity(&self) -> (String, u16, String, String) {
        (self.host(), self.port(), self.database().to_owned(), self.user().to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.database(), self.host(), self.port())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let url: DatabaseUrl = "postgres://ada:s3cret@db:6432/shop?options=-c%20x%3Ds3cret".parse().unwrap();
        assert_eq!(format!("{url}"), "shop@db:6432");
        assert_eq!(format!("{url:?}"), "DatabaseUrl(shop@db:6432)");
    }

    #[test]
    fn bad_addresses_are_refused_without_being_repeated() {
        for (text, error) in [
            ("mysql://u:s3cret@h/d", DatabaseUrlError::Scheme),
            ("s3cret", DatabaseUrlError::Scheme),
            ("postgres://u:s3cret@h:port/d", DatabaseUrlError::Malformed),
            ("postgres://u:s3cret@h:5432", DatabaseUrlError::NoDatabase),
            ("postgres://u:s3cret@h:5432/", DatabaseUrlError::NoDatabase),
        ] {
            let found = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn an_address_with_a_driver_suffix_is_accepted() {
        let url: DatabaseUrl = "postgresql+asyncpg://u@h:5432/d".parse().unwrap();
        assert_eq!(url.to_string(), "d@h:5432");
    }
}
