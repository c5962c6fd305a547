//! What is said of the databases that a command uses, for people and machines.

use std::sync::Arc;

use migration_coordinator::{Surroundings, Survey, SurveyError};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    surroundings: Option<Surroundings>,
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
                    surroundings: None,
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

    /// Takes in what was found around the services.
    pub(super) fn surround(&mut self, found: Option<Result<Surroundings, Arc<SurveyError>>>) {
        match found {
            Some(Ok(surroundings)) => self.surroundings = Some(surroundings),
            Some(Err(error)) if self.told.is_none() => self.told = Some(error::tell(error.as_ref())),
            Some(Err(_)) | None => {}
        }
    }

    /// What was found around the services, a line each.
    pub(super) fn surroundings(&self) -> Vec<String> {
        let Some(Surroundings {
            superuser,
            bypasses_row_security,
            event_triggers,
            overridden_settings,
            row_security,
        }) = &self.surroundings
        else {
            return Vec::new();
        };
        let database = &self.name;
        let role = match (superuser, bypasses_row_security) {
            (true, _) => "is a superuser, whom no right and no policy holds back",
            (false, true) => "bypasses row security",
            (false, false) => "is subject to row security, and stops where a policy would hide rows",
        };
        let mut lines = vec![format!("`{database}`: role `{}` {role}", self.user)];
        lines.extend(event_triggers.iter().map(|trigger| {
            format!(
                "`{database}`: event trigger `{}` calls `{}` at {}",
                trigger.name, trigger.function, trigger.event
            )
        }));
        lines.extend(overridden_settings.iter().map(|setting| {
            format!(
                "`{database}`: {} sets `{}` to `{}`; our sessions set `{}`: {}",
                setting.of, setting.name, setting.value, setting.ours, setting.reason
            )
        }));
        lines.extend(row_security.iter().map(|table| {
            let forced = if table.forced { ", for its owner too" } else { "" };
            format!("{}: table `{}` has row security{forced}", table.service, table.table)
        }));
        let absent: Vec<&str> = [
            (event_triggers.is_empty(), "no event trigger"),
            (overridden_settings.is_empty(), "no setting that our sessions override"),
            (row_security.is_empty(), "no table with row security"),
        ]
        .into_iter()
        .filter_map(|(is_absent, what)| is_absent.then_some(what))
        .collect();
        if !absent.is_empty() {
            lines.push(format!("`{database}`: {}", absent.join(", ")));
        }
        lines
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
