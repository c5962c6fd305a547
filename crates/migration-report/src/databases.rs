//! The databases that services are in.

use std::sync::Arc;

use migration_coordinator::{DatabaseUrl, Deployment, Surroundings, Survey, SurveyError};
use serde::Serialize;

use crate::{Diagnostic, Words};

/// One database, and what it said. What is not known is `null`.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseReport {
    /// Host, or the directory of its socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The database's name.
    pub name: String,
    /// Our role there, as the server calls it if it answered.
    pub user: String,
    /// Whether it is a private server of the program.
    pub embedded: bool,
    /// Whether it answered.
    pub reachable: bool,
    /// The server's version, as it writes it.
    pub server_version: Option<String>,
    /// Whether nothing can be written.
    pub read_only: Option<bool>,
    /// Why it did not answer, on one line.
    pub error: Option<String>,
    /// What surrounds the services there, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
    /// Why it, or what surrounds the services, could not be asked.
    #[serde(skip)]
    pub diagnostic: Option<Diagnostic>,
}

impl DatabaseReport {
    /// The databases of a deployment and what they said; `embedded` says which are private servers.
    #[must_use]
    pub fn all(
        deployment: &Deployment,
        survey: &Survey,
        embedded: impl Fn(&DatabaseUrl) -> bool,
        words: &dyn Words,
    ) -> Vec<Self> {
        let answered = deployment.databases().iter().zip(&survey.databases);
        let report = |(url, answer): (&DatabaseUrl, &Result<_, Arc<SurveyError>>)| {
            let facts = answer.as_ref().ok();
            let diagnostic = answer.as_ref().err().map(|error| Diagnostic::of(error.as_ref(), words));
            Self {
                host: url.host(),
                port: url.port(),
                name: url.database().to_owned(),
                user: facts.map_or_else(
                    || url.user().to_owned(),
                    |facts: &migration_coordinator::ServerFacts| facts.user.clone(),
                ),
                embedded: embedded(url),
                reachable: facts.is_some(),
                server_version: facts.map(|facts| facts.version.clone()),
                read_only: facts.map(|facts| facts.read_only),
                error: diagnostic.as_ref().map(Diagnostic::on_one_line),
                surroundings: None,
                diagnostic,
            }
        };
        answered.map(report).collect()
    }

    /// Takes in what was found around the services.
    pub fn surround(&mut self, found: Option<Result<Surroundings, Arc<SurveyError>>>, words: &dyn Words) {
        match found {
            Some(Ok(surroundings)) => self.surroundings = Some(surroundings),
            Some(Err(error)) if self.diagnostic.is_none() => {
                self.diagnostic = Some(Diagnostic::of(error.as_ref(), words));
            }
            Some(Err(_)) | None => {}
        }
    }
}
