//! For an application that carries one service: bringing it to head when it starts, and asking where it stands.

use std::fmt;

use migration_kit::{MigrationName, Service};
use migration_plan::{ContractSteps, Direction, ServiceState, UnknownApplied, statuses};

use crate::caller::Caller;
use crate::database::{DatabaseUrl, DatabaseUrlError};
use crate::deployment::{Deployment, DeploymentError, Placement};
use crate::edited::edited_migrations;
use crate::holder::Holder;
use crate::run::{Goal, Report, RunError, RunOptions, run};
use crate::state::service_state;
use crate::survey::{Survey, SurveyError};

/// Why a service was not brought to head.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The address is no address.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    /// The service cannot be in the schema.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// The run did not begin, or ended early.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Brings a service to its head, in its default schema, before the application serves: one of several instances migrates,
/// the others wait up to a minute for it. At head it takes no lock and writes nothing. Contract steps are applied in a first
/// install, and otherwise left to whoever knows that no old application runs any more; migrations that are newer than this
/// build are passed over.
///
/// # Errors
/// [`EmbedError`]: a malformed address, a service that cannot be deployed, a run that failed.
pub async fn bring_to_head(service: Service, url: &str, caller: Caller) -> Result<Report, EmbedError> {
    let deployment = alone(service, url)?;
    let goal = Goal::Apply {
        selections: Vec::new(),
        contract: ContractSteps::default(),
        unknown: UnknownApplied::AllowAhead,
    };
    let mut report = Box::pin(run(&deployment, &goal, &RunOptions::new(caller).with_jobs(1))).await?;
    match report.failures.pop() {
        Some(failure) => Err(failure.into()),
        None => Ok(report),
    }
}

fn alone(service: Service, url: &str) -> Result<Deployment, EmbedError> {
    let (schema, url): (String, DatabaseUrl) = (service.default_schema().to_owned(), url.parse()?);
    Ok(Deployment::new(vec![Placement { service, schema, url }])?)
}

/// Looks where a service stands, and changes nothing: for an application that is not to migrate by itself, and for its
/// health check.
pub struct Guard {
    deployment: Deployment,
}

/// Where a service stands, as far as its application is concerned.
#[derive(Debug)]
#[non_exhaustive]
pub enum Standing {
    /// All that this build needs is applied.
    Current,
    /// Migrations that this build may rely on are not applied.
    Behind {
        /// What is pending, in the order of the list.
        pending: Vec<MigrationName>,
    },
    /// Newer migrations are applied than this build knows, as while replicas are replaced.
    Ahead {
        /// Those that are newer, by time of application.
        newer: Vec<MigrationName>,
    },
    /// What is applied is not what this build knows: missing, renamed or edited migrations.
    Diverged {
        /// The migrations.
        migrations: Vec<MigrationName>,
    },
    /// A migration was begun and not finished, and no run is at work on it.
    Unfinished {
        /// The migrations, each with its last direction.
        begun: Vec<(MigrationName, Direction)>,
    },
    /// A run is under way.
    Running {
        /// The session that holds the migration lock.
        holder: Holder,
    },
    /// The role may not read the version table or the journal.
    Forbidden {
        /// Why.
        error: std::sync::Arc<SurveyError>,
    },
    /// The database cannot be asked, or its answer cannot be understood.
    Unreachable {
        /// Why.
        error: std::sync::Arc<SurveyError>,
    },
}

impl Guard {
    /// A guard of a service in its default schema.
    ///
    /// # Errors
    /// [`EmbedError`]: a malformed address, a service that cannot be deployed.
    pub fn new(service: Service, url: &str) -> Result<Self, EmbedError> {
        Ok(Self { deployment: alone(service, url)? })
    }

    /// Asks, in a `READ ONLY` transaction on a connection of its own.
    pub async fn check(&self) -> Standing {
        let survey = Survey::take(&self.deployment).await;
        let status = statuses(self.deployment.catalog(), &survey.history(), survey.now()).pop();
        let (Some(facts), Some(status)) = (survey.services.first(), status) else {
            return Standing::Current;
        };
        let edited = edited_migrations(&self.deployment, facts);
        match (service_state(facts, &status), &facts.unread, &facts.holder) {
            (ServiceState::Forbidden, Some(error), _) => Standing::Forbidden { error: error.clone() },
            (_, Some(error), _) => Standing::Unreachable { error: error.clone() },
            (_, None, Some(holder)) => Standing::Running { holder: holder.clone() },
            (ServiceState::Dirty, ..) => Standing::Unfinished { begun: status.begun },
            (ServiceState::Diverged, ..) => {
                let renamed = status.renamed.into_iter().map(|(applied, _)| applied);
                Standing::Diverged {
                    migrations: status.missing.into_iter().chain(renamed).chain(edited).collect(),
                }
            }
            _ if !edited.is_empty() => Standing::Diverged { migrations: edited },
            (ServiceState::Ahead, ..) => Standing::Ahead { newer: status.ahead },
            _ if !status.pending.is_empty() => Standing::Behind { pending: status.pending },
            _ => Standing::Current,
        }
    }
}

impl Standing {
    /// Whether this build can serve: all that it needs is applied, and nothing else is known to be wrong.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self, Self::Current | Self::Ahead { .. })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[MigrationName]| {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Current => f.write_str("current"),
            Self::Behind { pending } => write!(f, "behind: {} pending", list(pending)),
            Self::Ahead { newer } => write!(f, "ahead: {} applied and newer than this build", list(newer)),
            Self::Diverged { migrations } => write!(f, "diverged: {} not as in this build", list(migrations)),
            Self::Unfinished { begun } => {
                let names: Vec<_> = begun.iter().map(|(name, _)| name.clone()).collect();
                write!(f, "unfinished: {} begun and not finished", list(&names))
            }
            Self::Running { holder } => {
                write!(f, "running: pid {} on {} holds the migration lock", holder.pid, holder.host)
            }
            Self::Forbidden { error } => write!(f, "forbidden: {error}"),
            Self::Unreachable { error } => write!(f, "unreachable: {error}"),
        }
    }
}
