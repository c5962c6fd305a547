//! What is said of the databases that a command uses, for people and machines.

use migration_coordinator::Survey;
use serde::Serialize;

use crate::database::{Connected, Source};
use crate::output::error;

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
    directory: Option<String>,
}

impl DatabaseDocument {
    /// The databases of a deployment and what they said.
    pub(super) fn all(connected: &Connected, survey: &Survey) -> Vec<Self> {
        let urls = connected.deployment.databases().iter();
        urls.zip(&survey.databases)
            .map(|(url, answer)| {
                let facts = answer.as_ref().ok();
                let directory = match &connected.source {
                    Source::Embedded { directory } if url.host().starts_with('/') => Some(directory.clone()),
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
                    error: answer.as_ref().err().map(|error| error_text(error.as_ref())),
                    directory,
                }
            })
            .collect()
    }

    /// One line for people.
    pub(super) fn for_people(&self) -> String {
        let version =
            self.server_version.as_ref().map_or_else(String::new, |version| format!("PostgreSQL {version}"));
        if let Some(error) = &self.error {
            return format!("`{}` at {}:{}: {error}", self.name, self.host, self.port);
        }
        match &self.directory {
            Some(directory) => format!("embedded {version} in {directory} (no DATABASE_URL set)"),
            None => format!("`{}` at {}:{}, {version}, as `{}`", self.name, self.host, self.port, self.user),
        }
    }
}

fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let told = error::tell(error);
    std::iter::once(told.message).chain(told.causes).collect::<Vec<_>>().join(": ")
}
