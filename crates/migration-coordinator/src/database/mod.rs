//! Where a database is: an address that never shows its password.
//!
//! Addresses come from the command line or an application; nothing here reads the environment. What an address leaves
//! out comes from [`Defaults`], which are empty unless the caller fills them. The driver adds three things by itself
//! that nothing can withhold from it: a client's certificate and its key (`PGSSLCERT`, `PGSSLKEY`) and start-up options
//! (`PGOPTIONS`); the settings that a session pins come after those options and win.

mod error;
mod libpq;
mod parameter;
mod parse;
pub(crate) mod tls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

pub use error::DatabaseUrlError;
pub use libpq::LibpqEnvironment;
pub use parse::Defaults;

/// Address of one database. `Debug` and `Display` show neither password nor parameters.
#[derive(Clone)]
pub struct DatabaseUrl {
    host: Host,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    tls: Tls,
    settings: Vec<(String, String)>,
    notes: Vec<String>,
    options: PgConnectOptions,
    named: Option<String>,
}

/// Where the server listens.
#[derive(Clone, PartialEq, Eq)]
enum Host {
    /// A name or an address; an IPv6 address without its brackets.
    Tcp(String),
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// How the connection is encrypted.
#[derive(Clone)]
struct Tls {
    mode: PgSslMode,
    root_certificates: Roots,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Whom a verifying connection trusts.
#[derive(Clone)]
enum Roots {
    /// The public authorities that are compiled in.
    Public,
    /// Those of this file as well.
    File(PathBuf),
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        Self::parse(text, &Defaults::default())
    }
}

impl DatabaseUrl {
    /// Reads a URL, and takes from `defaults` what it leaves out. The driver suffix that SQLAlchemy adds
    /// (`postgresql+asyncpg://`) is accepted. In parameters, as for libpq, a `+` is itself.
    ///
    /// # Errors
    /// [`DatabaseUrlError`], which repeats no part of the text but the names of parameters.
    pub fn parse(text: &str, defaults: &Defaults) -> Result<Self, DatabaseUrlError> {
        parse::parse(text, defaults)
    }

    /// Name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Host name or address, or the directory of the Unix socket.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Tcp(host) => host.clone(),
            Host::Socket(directory) => directory.display().to_string(),
        }
    }

    /// TCP port, which also names the Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User that connects.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The same address with this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.options = self.options.password(password);
        self.password = Some(password.to_owned());
        self
    }

    /// Says by which name a person knows where the address is: that of a variable or of an option.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.named = Some(name.to_owned());
        self
    }

    /// The name by which a person knows where the address is.
    pub(crate) fn name(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// Parameters that have no effect, a sentence each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The files that the connection will read, with the parameters that name them.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let roots = match &self.tls.root_certificates {
            Roots::Public => None,
            Roots::File(file) => Some(file),
        };
        let (certificate, key) = (self.tls.certificate.as_ref(), self.tls.key.as_ref());
        let files = [("sslrootcert", roots), ("sslcert", certificate), ("sslkey", key)];
        files.into_iter().filter_map(|(name, file)| Some((name, file?.as_path())))
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// What tells one database from another, as far as the address can.
    pub(crate) fn address(&self) -> (String, u16, String) {
        (self.host(), self.port(), self.database().to_owned())
    }

    /// What tells the sessions of one database and role from others.
    pub(crate) fn identity(&self) -> ((String, u16, String), String) {
        (self.address(), self.user().to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, port) = (&self.database, self.port);
        match &self.host {
            Host::Tcp(address) if address.contains(':') => write!(f, "{database}@[{address}]:{port}"),
            Host::Tcp(name) => write!(f, "{database}@{name}:{port}"),
            Host::Socket(directory) => write!(f, "{database}@{}:{port}", directory.display()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests;
