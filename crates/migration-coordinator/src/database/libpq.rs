//! The address for another program: `psql`, `pg_dump` and all others that use libpq.

use std::process::Command;

use sea_orm::sqlx::postgres::PgSslMode;

use super::parameter::ssl_mode_name;
use super::{DatabaseUrl, Roots};

/// Every variable that libpq reads and that decides where it connects to, and how. Not among them: those that only say
/// how values look (`PGDATESTYLE`, `PGTZ`, `PGCLIENTENCODING`, `PGGEQO`, `PGLOCALEDIR`) or how long it waits.
///
/// See <https://www.postgresql.org/docs/current/libpq-envars.html>; some are of versions before 15.
const VARIABLES: [&str; 41] = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGDATABASE",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOAUTHCAFILE",
    "PGOAUTHDEBUG",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREALM",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLKEYLOGFILE",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTTY",
    "PGUSER",
];

/// The environment in which a program that uses libpq connects exactly as the tool does. It holds the password.
pub struct LibpqEnvironment {
    set: Vec<(&'static str, String)>,
}

impl DatabaseUrl {
    /// This address for a program that uses libpq, with further settings of its session: they come last and win.
    #[must_use]
    pub fn libpq_environment(&self, application: &str, settings: &[(&str, &str)]) -> LibpqEnvironment {
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options: Vec<String> = own
            .chain(settings.iter().copied())
            .map(|(name, value)| format!("-c {}={}", escape(name), escape(value)))
            .collect();
        let mut set = vec![
            ("PGHOST", self.host()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGSSLMODE", ssl_mode_name(self.tls.mode).to_owned()),
            ("PGGSSENCMODE", "disable".to_owned()),
            ("PGAPPNAME", application.to_owned()),
            ("PGOPTIONS", options.join(" ")),
        ];
        set.extend(self.password.clone().map(|password| ("PGPASSWORD", password)));
        let text = |path: &std::path::Path| path.display().to_string();
        match (&self.tls.root_certificates, self.tls.mode) {
            (Roots::File(file), _) => set.push(("PGSSLROOTCERT", text(file))),
            // Without it libpq looks for a file in the home directory, and fails if there is none.
            (Roots::Public, PgSslMode::VerifyFull) => set.push(("PGSSLROOTCERT", "system".to_owned())),
            (Roots::Public, _) => {}
        }
        set.extend(self.tls.certificate.as_deref().map(|file| ("PGSSLCERT", text(file))));
        set.extend(self.tls.key.as_deref().map(|file| ("PGSSLKEY", text(file))));
        LibpqEnvironment { set }
    }
}

impl LibpqEnvironment {
    /// The variables that libpq must find, and those that it must not find (`None`).
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let set =
            |name: &str| self.set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        VARIABLES.into_iter().map(move |name| (name, set(name)))
    }

    /// Gives them to a program, in place of what it would inherit.
    pub fn apply(&self, command: &mut Command) {
        for (name, value) in self.variables() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}

/// Escapes what the server would take for the end of a word.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        if character.is_ascii_whitespace() || character == '\\' {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}
