//! What to do when a connection fails for its encryption.

use std::io;

use migration_plan::Hint;
use sea_orm::sqlx;

/// What to do next if encryption is the reason, or may be it; `address` is what the address is known by.
pub(crate) fn hint(error: &sqlx::Error, address: impl FnOnce() -> Hint) -> Option<Hint> {
    match error {
        // A certificate that is not accepted is an error of the connection's bytes.
        sqlx::Error::Tls(_) => Some(modes(address())),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Some(modes(address())),
        // The name of the file is in the message in every language.
        sqlx::Error::Database(server)
            if server.code().as_deref() == Some("28000") && server.message().contains("pg_hba.conf") =>
        {
            Some(Hint::from(NO_LINE) + address())
        }
        _ => None,
    }
}

fn modes(address: Hint) -> Hint {
    Hint::from("check `sslmode` and `sslrootcert` of ") + address + MODES
}

const MODES: &str = ": `require` encrypts and verifies nothing, `verify-ca` and `verify-full` verify, `disable` does not \
                     encrypt";

const NO_LINE: &str = "the server's pg_hba.conf has no line for this user, database and host, encrypted as it is: check them, \
                       and try `sslmode=require` in ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_accepted_is_answered_with_what_verifies_it() {
        let refused = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        let address = || Hint::from("`A_DATABASE_URL`");
        let hint = hint(&sqlx::Error::Io(refused), address).unwrap().to_string();
        assert!(hint.contains("`sslmode` and `sslrootcert` of `A_DATABASE_URL`"), "{hint}");
        assert!(super::hint(&sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into()), address).is_none());
    }
}
