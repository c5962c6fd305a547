//! Why a text is not the address of a database.

/// Why a text is not the address of a PostgreSQL database. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUrlError {
    /// The scheme is not `postgres` or `postgresql`.
    #[error("the database URL does not begin with `postgres://` or `postgresql://`")]
    Scheme,
    /// It is in quotes that nobody removed.
    #[error("the database URL is in quotes")]
    Quoted,
    /// A character that separates parts of a URL is in one of its parts.
    #[error(
        "the database URL has a special character that is not percent-encoded in user, password or database name"
    )]
    Unencoded,
    /// A percent sign encodes nothing, or what the sequence encodes is not text.
    #[error(
        "the database URL has a `%` that does not encode a character, or encodes one that cannot be in an address"
    )]
    Encoding,
    /// The host cannot be one.
    #[error("the host of the database URL is neither a name nor an IP address")]
    Host,
    /// Several hosts or ports.
    #[error("the database URL names several hosts")]
    Hosts,
    /// The port is not one.
    #[error(
        "the port is not a number from 1 to 65535, or special characters in user or password are not percent-encoded"
    )]
    Port,
    /// No database is named.
    #[error("the database URL names no database")]
    NoDatabase,
    /// No user is named.
    #[error("the database URL names no user")]
    NoUser,
    /// A parameter is there twice.
    #[error("the parameter `{name}` of the database URL is given twice")]
    Repeated {
        /// The parameter.
        name: String,
    },
    /// A parameter or a variable has a value that is not one of its values.
    #[error("`{name}` has a value that it cannot have")]
    Value {
        /// The parameter of the URL, or the variable that stands in for it.
        name: String,
        /// What to write.
        expected: &'static str,
    },
    /// A parameter asks for something that is not done. It is refused since a connection without it is another one.
    #[error("the parameter `{name}` of the database URL is not supported")]
    Unsupported {
        /// The parameter.
        name: String,
        /// What to write.
        instead: &'static str,
    },
}

impl DatabaseUrlError {
    /// What to write instead, where the message does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Scheme | Self::NoDatabase | Self::NoUser => {
                Some("write `postgres://user:password@host:5432/database`")
            }
            Self::Quoted => Some(
                "leave the quotes out: what set the variable did not remove them, as `docker --env-file` does not",
            ),
            Self::Unencoded | Self::Encoding | Self::Port => {
                Some("write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23 and `%` as %25")
            }
            Self::Host => Some(
                "write an IPv6 address in brackets (`[::1]`), a socket as `?host=/directory`, and percent-encode \
                 special characters in user and password",
            ),
            Self::Hosts => Some("name one host: the server that accepts writes"),
            Self::Repeated { .. } => Some("leave one of the two"),
            Self::Value { expected: hint, .. } | Self::Unsupported { instead: hint, .. } => Some(hint),
        }
    }
}
