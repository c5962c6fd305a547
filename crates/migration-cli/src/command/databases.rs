//! What is said of the databases that a command uses, for people and machines.

use migration_coordinator::Survey;
use serde::Serialize;

use crate::database::{Connected, Source};
use crate::output::{Output, error};

/// One database.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DatabaseDocument {
    host: String,
    port: u16,
    name: String,
    user: String,
    embedded: bool,
    reachable: bool,
    server_version: Option<String>,
    read_only: Option<bool>,
    error: Option<String>,
    #[serde(skip)]
    told: Option<error::Told>,
    #[serde(skip)]
    directory: Option<(String, &'static str)>,
}

impl DatabaseDocument {
    /// The databases of a deployment and what they said.
    pub(super) fn all(connected: &Connected, survey: &Survey) -> Vec<Self> {
        let urls = connected.deployment.databases().iter();
        urls.zip(&survey.databases)
            .map(|(url, answer)| {
                let facts = answer.as_ref().ok();
                let told = answer.as_ref().err().map(|error| error::tell(error.as_ref()));
                let directory = match &connected.source {
                    Source::Embedded { directory, reason } if url.host().starts_with('/') => {
                        Some((directory.clone(), *reason))
                    }
                    _ => None,
                };
                Self {
                    host: url.host(),
                    port: url.port(),
                    name: url.database().to_owned(),
                    user: facts.map_or_else(|| url.user().to_owned(), |facts| facts.user.clone()),
                    embedded: directory.is_some(),
                    reachable: facts.is_some(),
                    server_version: facts.map(|facts| facts.version.clone()),
                    read_only: facts.map(|facts| facts.read_only),
                    error: told.as_ref().map(error::Told::on_one_line),
                    told,
                    directory,
                }
            })
            .collect()
    }

    /// Whether it answered.
    pub(super) fn is_reachable(&self) -> bool {
        self.reachable
    }

    /// Says on stderr what is used, or why it cannot be.
    pub(super) fn print(&self, output: &Output) {
        match &self.told {
            Some(told) => error::write(told, output),
            None => output.note(format!("{}  {}", output.paint.faint("database"), self.for_people())),
        }
    }

    fn for_people(&self) -> String {
        let version =
            self.server_version.as_ref().map_or_else(String::new, |version| format!("PostgreSQL {version}"));
        match &self.directory {
            Some((directory, reason)) => format!("embedded {version} in {directory} ({reason})"),
            None => {
                let host = if self.host.contains(':') && !self.host.starts_with('/') {
                    format!("[{}]", self.host)
                } else {
                    self.host.clone()
                };
                format!("`{}` at {host}:{}, {version}, as `{}`", self.name, self.port, self.user)
            }
        }
    }
}
