//! Why a run did not begin, or ended early, and what to do next.

use std::collections::BTreeSet;

use migration_kit::{MigrationId, MigrationName, ServiceName};
use migration_plan::{Direction, Hint, Offer, PlanError, few_words};
use sea_orm::{DbErr, sqlx};

use crate::attached::Attached;
use crate::connect_error::{ConnectError, is_locked};
use crate::lock::LockError;
use crate::run::{Acceptance, RevertLoss, TakeOver};
use crate::step::StepError;
use crate::survey::{Collisions, SurveyError, Twin};
use crate::verify::Difference;

/// Why a run did not begin, or ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A database could not be read.
    #[error("cannot read the version tables")]
    Survey(#[source] std::sync::Arc<SurveyError>),
    /// What a table is like could not be read, because another transaction holds its lock, within the patience for table locks.
    #[error("another transaction in `{database}` keeps a table locked, so that the run could not begin")]
    TableLocked {
        /// The database, without its password.
        database: String,
    },
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The migration lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A migration was not applied or reverted.
    #[error(transparent)]
    Step(#[from] StepError),
    /// An applied migration is not what it was when it was applied.
    #[error("`{service}`: {} was edited after it was applied", names(migrations))]
    Edited {
        /// The service.
        service: ServiceName,
        /// The migrations whose SQL differs.
        migrations: Vec<MigrationName>,
    },
    /// A migration would lose data for good.
    #[error("migration `{id}` loses data for good: {what}")]
    DataLoss {
        /// The migration.
        id: MigrationId,
        /// What is lost.
        what: String,
    },
    /// Reverting would lose rows for good.
    #[error("{}", losses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    RevertLoss {
        /// The migrations, in the order in which they would be reverted; at least one.
        losses: Vec<RevertLoss>,
    },
    /// An earlier system may have left the service's tables elsewhere, and the run would make empty ones.
    #[error(
        "`{service}` is empty in schema `{schema}`, and elsewhere in the database there is {}",
        tables(twins)
    )]
    Twins {
        /// The first such service.
        service: ServiceName,
        /// Its schema.
        schema: String,
        /// The tables; at least one.
        twins: Vec<Twin>,
        /// How they are taken over.
        take_over: TakeOver,
    },
    /// A migration needs the service's tables where it runs, and they are on another node of Citus.
    #[error(
        "migration `{id}` cannot be {} where Citus has the service's tables on another node: {reason}",
        match direction { Direction::Apply => "applied", Direction::Revert => "reverted" }
    )]
    OneNode {
        /// The first such migration.
        id: MigrationId,
        /// What was wanted of it.
        direction: Direction,
        /// Why, in the migration's words.
        reason: String,
    },
    /// Names that a service would make are taken in its schema, and nothing of the service is applied.
    #[error(
        "`{service}` has nothing applied in schema `{schema}`, and names that it makes are taken there: {collisions}"
    )]
    Collisions {
        /// The first such service.
        service: ServiceName,
        /// Its schema.
        schema: String,
        /// What is there; at least one object.
        collisions: Collisions,
    },
    /// A table that a migration would take over is not as that promises: it would fail.
    #[error(
        "migration `{id}` takes over a table that is there without a history, if it is as it makes it: {}",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    NotAsExpected {
        /// The migration.
        id: MigrationId,
        /// What differs; at least one.
        differences: Vec<Difference>,
    },
    /// Tables of others inherit from those of a service, or are partitions of them: a migration would change them too.
    #[error("`{service}`: {}, so that a migration would change it and its rows too", few_words(tables, 3))]
    Attached {
        /// The service.
        service: ServiceName,
        /// The tables; at least one.
        tables: Vec<Attached>,
    },
    /// Migrations that are recorded as applied are not what they promise: they were recorded by hand, or what they made was
    /// taken away.
    #[error(
        "`{service}` is not as its applied migrations make it: {}",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Base {
        /// The service.
        service: ServiceName,
        /// What differs; at least one.
        differences: Vec<Difference>,
    },
    /// Something is to be accepted whose name no check of the service knows.
    #[error("`{}` has no `{}` that is checked", acceptance.service, acceptance.object)]
    UnknownObject {
        /// What is to be accepted.
        acceptance: Acceptance,
        /// A known object of a similar name.
        nearest: Option<String>,
    },
    /// Something is to be accepted that is as its migrations make it.
    #[error("there is nothing to accept in `{acceptance}`: it is as its migrations make it, or not made yet")]
    NothingToAccept {
        /// What is to be accepted.
        acceptance: Acceptance,
    },
    /// Something is to be accepted that is missing altogether: the application, and later migrations, rely on it.
    #[error(
        "`{acceptance}` {difference}, and what is missing cannot be accepted: later migrations and the application use it"
    )]
    NotAcceptable {
        /// What is to be accepted.
        acceptance: Acceptance,
        /// How it differs.
        difference: String,
    },
    /// What was accepted could not be recorded.
    #[error("that `{acceptance}` is accepted could not be recorded")]
    Accept {
        /// What was to be accepted.
        acceptance: Acceptance,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// Two services live in one schema of one database, and their addresses do not show it.
    #[error(
        "`{}` and `{}` share the schema `{schema}`: `{}` and `{}` are one database",
        services[0], services[1], addresses[0], addresses[1]
    )]
    Addresses {
        /// The services.
        services: [ServiceName; 2],
        /// The schema.
        schema: String,
        /// The address of each, without user and password.
        addresses: [String; 2],
    },
    /// The role may not do what the plan needs.
    #[error("`{service}`: role `{user}` may not {missing}")]
    Rights {
        /// The service.
        service: ServiceName,
        /// The role.
        user: String,
        /// What it may not do.
        missing: String,
    },
    /// An extension that a service needs could not be made.
    #[error("`{service}` needs the extension `{extension}`, which could not be made in `{database}`")]
    Extension {
        /// The service.
        service: ServiceName,
        /// The extension.
        extension: String,
        /// The database.
        database: String,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// The server lacks the files of an extension that a service needs.
    #[error("`{service}` needs the extension `{extension}`, which the server of `{database}` does not have")]
    NoExtension {
        /// The service.
        service: ServiceName,
        /// The extension.
        extension: String,
        /// The database.
        database: String,
    },
    /// Nothing can be written there.
    #[error("`{database}` is read-only: a standby, or set so")]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// The database takes bytes that are no text.
    #[error(
        "`{database}` has the encoding SQL_ASCII, which takes bytes that are no text, and migrations fail over them"
    )]
    Encoding {
        /// The database.
        database: String,
    },
    /// The tables of the bookkeeping could not be made.
    #[error("`{service}`: its version table could not be made")]
    Install {
        /// The service.
        service: ServiceName,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// One transaction for all is not possible.
    #[error("one transaction for all migrations is not possible: {why}")]
    Atomic {
        /// Why.
        why: String,
    },
    /// What is to be taken back is not what was done: others have changed it since.
    #[error("`{service}` was changed by others since, and what they did is not taken back: {}", what.join("; "))]
    DoneByOthers {
        /// The service.
        service: ServiceName,
        /// What they did; at least one.
        what: Vec<String>,
    },
    /// What was to be reverted changed while this run waited.
    #[error("the history changed while this run waited for the migration lock")]
    Moved,
    /// The run was stopped before its next migration.
    #[error("the run was interrupted")]
    Interrupted,
}

impl RunError {
    /// A database could not be asked.
    pub(crate) fn unread(database: &impl ToString, source: sqlx::Error) -> Self {
        let database = database.to_string();
        if is_locked(&source) {
            return Self::TableLocked { database };
        }
        Self::Survey(std::sync::Arc::new(SurveyError::Query { database, source }))
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Connect(error) => error.hint(),
            Self::Survey(error) => return error.hint(),
            Self::Plan(error) => return error.hint(),
            Self::Lock(error) => return error.hint(),
            Self::Install { .. } | Self::Accept { .. } => return None,
            Self::Step(error) => error.hint(),
            Self::Edited { service, .. } => {
                let way = "an applied migration is never edited: restore it, and put the change into a new one; ";
                Hint::from(way) + Offer::Repair(service.clone()) + " shows the ways on"
            }
            Self::OneNode { .. } => {
                "a backup of the service that is restored is on the coordinator, where it can be done".into()
            }
            Self::DataLoss { .. } | Self::RevertLoss { .. } => {
                Hint::from("make a backup, then say ") + Offer::AllowDataLoss
            }
            Self::Twins { service, take_over, .. } => {
                let set = |schema: &String| {
                    Hint::from("to take it over, set ")
                        + Offer::PlaceIn(service.clone(), schema.clone())
                        + " and run "
                };
                let way = match take_over {
                    TakeOver::ByItself { schema } => set(schema) + Offer::apply(service) + ", which adopts it; ",
                    TakeOver::Compared { schema, version_table: Some(table) } => {
                        set(schema) + Offer::AdoptFrom(service.clone(), table.clone()) + "; "
                    }
                    TakeOver::Compared { schema, version_table: None } => {
                        set(schema) + Offer::Adopt(service.clone()) + "; "
                    }
                    TakeOver::Nothing => Hint::from("tables of its names are not beside it; "),
                };
                way + "if it is another team's, " + Offer::NewBeside + " makes new tables"
            }
            Self::Collisions { service, .. } => {
                Hint::from("nothing was changed; what an earlier system made for the service, ")
                    + Offer::Adopt(service.clone())
                    + " takes over; if it belongs to another application, set "
                    + Offer::Schema(service.clone())
                    + " to another schema"
            }
            Self::NotAsExpected { id, .. } => {
                Hint::from("if more was applied before the history was lost, ")
                    + Offer::Adopt(id.service.clone())
                    + " records it"
            }
            Self::Attached { tables, .. } => {
                let remedy = tables.first().map_or("", |table| table.remedy.as_str());
                Hint::from(format!("nothing was changed; {remedy}; "))
                    + Offer::AllowedObjects
                    + " names what migrations may change all the same"
            }
            Self::Base { service, differences } => {
                let hint = Hint::from("nothing was changed; ")
                    + Offer::RepairSchema(service.clone())
                    + " prints the statements that make what is missing; if an earlier system made this database, "
                    + Offer::Adopt(service.clone())
                    + " finds and records what it has applied";
                let acceptable = differences.iter().filter(|found| !found.is_absence());
                let objects: BTreeSet<&str> = acceptable.map(|found| found.object.as_str()).collect();
                match objects.first() {
                    Some(object) => {
                        hint + "; what does not matter is accepted by name with "
                            + Offer::Accept(format!("{service}:{object}"))
                    }
                    None => hint,
                }
            }
            Self::NotAcceptable { acceptance, .. } => {
                Hint::from("make it; or, if an earlier system has removed it as a later migration does, ")
                    + Offer::Adopt(acceptance.service.clone())
                    + " finds and records that"
            }
            Self::UnknownObject { acceptance, nearest: Some(nearest) } => {
                format!("did you mean `{}:{nearest}`?", acceptance.service).into()
            }
            Self::UnknownObject { .. } => {
                "accepted is what a check names: `TABLE.COLUMN`, `TABLE.CONSTRAINT`, or an index".into()
            }
            Self::NothingToAccept { .. } => "leave it out".into(),
            Self::Addresses { services: [first, second], .. } => format!(
                "nothing was changed; write the address of `{second}` as that of `{first}`, or give `{second}` a schema of its own"
            )
            .into(),
            Self::TableLocked { .. } => "nothing was changed; try again when that transaction is over".into(),
            Self::Rights { .. } => "connect as the owner of the schema, or have the right granted".into(),
            Self::Extension { extension, .. } => format!(
                "nothing was changed; have a role that may do so run `CREATE EXTENSION \"{extension}\"` there, in a schema \
                 that every role may use"
            )
            .into(),
            Self::NoExtension { .. } => {
                "nothing was changed; install the package that contains it on the server, such as `postgresql-contrib`"
                    .into()
            }
            Self::ReadOnly { .. } => "connect to the primary".into(),
            Self::Encoding { .. } => {
                Hint::from(
                    "nothing was changed; restore a dump of it, made with the option of pg_dump that names the encoding of its text, \
                     into a database made with `ENCODING 'UTF8' TEMPLATE template0`; where you know that all text in it is UTF-8, set ",
                ) + Offer::AnyBytes
            }
            Self::Atomic { .. } => {
                Hint::from("leave ") + Offer::Atomic + " out: each migration is then its own transaction"
            }
            Self::DoneByOthers { service, .. } => {
                Hint::from(format!("`{service}` is as they left it; look at "))
                    + Offer::History(service.clone())
                    + ", then take back by hand what is to go, or repair it forwards"
            }
            Self::Moved => Hint::from("look at ") + Offer::Status(None) + " and run it again",
            Self::Interrupted => "run it again to continue".into(),
        })
    }
}

fn names(migrations: &[MigrationName]) -> String {
    few_words(migrations.iter().map(|name| format!("`{name}`")), 10)
}

fn tables(twins: &[Twin]) -> String {
    few_words(twins, 5)
}
