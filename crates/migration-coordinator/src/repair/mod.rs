//! What is wrong with the history of a service, each trouble as a value, and mending one of them by a decision.
//!
//! Looking reads only, and says nothing of how a program spells what helps. Nothing is mended without one.

mod decision;
mod mend;

use std::collections::HashSet;
use std::sync::Arc;

use migration_kit::{BOOKKEEPING, MigrationName, ServiceName, literal};
use migration_plan::{Direction, IntegrityError, integrity};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

pub use self::decision::{Change, Decision};
pub use self::mend::{Mended, mend};

use crate::belongings::{Applied, Thing, name_of};
use crate::check_result::CheckResult;
use crate::deployment::{Deployment, Placed};
use crate::edited::edited_migrations;
use crate::holder::Holder;
use crate::reading::Reading;
use crate::survey::{Access, ServiceFacts, Survey, SurveyError};
use crate::verify::{Scope, verify_surveyed};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The version table is gone, or lacks rows, and the journal records what was applied.
    RowsLost {
        /// The migrations whose rows are missing, where others are there.
        migrations: Vec<MigrationName>,
    },
    /// The journal has fewer lines than it had.
    JournalLost {
        /// What is lost.
        says: String,
    },
    /// A migration in steps was begun and not finished.
    StoppedMidway {
        /// The migration.
        migration: MigrationName,
        /// In which direction it was begun.
        direction: Direction,
    },
    /// The same of a migration that this build does not have.
    BegunElsewhere {
        /// The migration.
        migration: MigrationName,
    },
    /// A concurrent build left an index that costs every write and serves no query.
    InvalidIndex {
        /// The index.
        index: String,
        /// Its table.
        table: String,
        /// Whether another session may be building it at this moment.
        is_busy: bool,
    },
    /// An applied migration is not what it was when it was applied.
    Edited {
        /// The migration.
        migration: MigrationName,
    },
    /// A migration is applied under another name.
    Renamed {
        /// Its name in the version table.
        applied: MigrationName,
        /// Its name in this build.
        now: MigrationName,
    },
    /// Applied migrations were made into one, which is not recorded.
    Squashed {
        /// The migration that replaces them.
        migration: MigrationName,
        /// The migrations that are applied.
        replaced: Vec<MigrationName>,
    },
    /// A migration is applied and not in this build, which is not older than it.
    Missing {
        /// The migration.
        migration: MigrationName,
        /// Pending migrations of this build, which it may be under another name.
        pending: Vec<MigrationName>,
    },
    /// A migration is applied that is newer than this build.
    Ahead {
        /// The migration.
        migration: MigrationName,
    },
    /// Anything else that does not fit in the version table.
    History(IntegrityError),
    /// Something that an applied migration left in the schema is not as it left it.
    NotKept(CheckResult),
}

impl Trouble {
    /// Whether rows of the version table are gone.
    fn is_of_rows(&self) -> bool {
        matches!(self, Self::RowsLost { .. })
    }
}

/// How a service is.
#[derive(Debug)]
pub struct Condition {
    /// The service.
    pub service: ServiceName,
    /// The session that holds its migration lock: what it has not finished is no trouble yet.
    pub holder: Option<Holder>,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// What could not be read.
    pub unread: Option<Arc<SurveyError>>,
}

/// Looks what is wrong with the histories of these services (all, if none are named). Reads only.
pub async fn conditions(deployment: &Deployment, services: &[ServiceName]) -> Vec<Condition> {
    let survey = Survey::take(deployment).await;
    let all = integrity(deployment.catalog(), &survey.history());
    let mut conditions = Vec::new();
    for (placed, facts) in deployment.placements().iter().zip(&survey.services) {
        if !services.is_empty() && !services.contains(placed.name()) {
            continue;
        }
        let mut condition = Condition {
            service: placed.name().clone(),
            holder: facts.holder.clone(),
            troubles: Vec::new(),
            unread: facts.unread.clone(),
        };
        if facts.access == Access::Lost {
            // It is known what is wrong with it.
            let error = condition.unread.take();
            let migrations = error.as_ref().and_then(|error| error.lost_rows()).unwrap_or_default();
            condition.troubles.push(Trouble::RowsLost { migrations: migrations.to_vec() });
        } else if facts.is_history_known() {
            if facts.has_lost_its_journal() {
                let says = condition.unread.take().map(|error| error.to_string());
                condition.troubles.extend(says.map(|says| Trouble::JournalLost { says }));
            }
            let own = all.iter().filter(|error| error.service() == placed.name());
            condition.troubles.extend(of_history(deployment, placed, facts, own));
        }
        if facts.schema_exists && facts.holder.is_none() {
            match invalid(deployment, placed, facts).await {
                Ok(invalid) => condition.troubles.extend(invalid),
                Err(error) => condition.unread = condition.unread.or(Some(Arc::new(error))),
            }
        }
        conditions.push(condition);
    }
    for verification in verify_surveyed(deployment, &survey, services, Scope::Schema).await {
        let is_of = |condition: &&mut Condition| condition.service == verification.service;
        let Some(condition) = conditions.iter_mut().find(is_of) else { continue };
        // What runs, or has stopped midway, may be about to make it.
        if verification.holder.is_some() || !verification.begun.is_empty() {
            continue;
        }
        match verification.results {
            Ok(results) => {
                let unanswered = results.iter().find_map(|result| result.unanswered(&verification.service));
                condition.unread = condition.unread.take().or(unanswered.map(Arc::new));
                let broken = results.into_iter().filter(CheckResult::is_broken);
                condition.troubles.extend(broken.map(Trouble::NotKept));
            }
            Err(_) if condition.troubles.iter().any(Trouble::is_of_rows) => {}
            Err(error) => condition.unread = condition.unread.take().or(Some(error)),
        }
    }
    conditions
}

fn of_history<'e>(
    deployment: &Deployment,
    placed: &Placed,
    facts: &ServiceFacts,
    errors: impl Iterator<Item = &'e IntegrityError>,
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if facts.holder.is_none() {
        let begun = facts.begun().filter(|name| placed.service.migration(name).is_some());
        troubles.extend(begun.filter_map(|name| {
            let direction = facts.journal.get(name)?.direction;
            Some(Trouble::StoppedMidway { migration: name.clone(), direction })
        }));
    }
    let edited = edited_migrations(deployment, facts).into_iter();
    troubles.extend(edited.map(|migration| Trouble::Edited { migration }));
    let squashed = decision::squashed(placed, facts);
    let is_squashed = |name: &MigrationName| squashed.iter().any(|(_, replaced)| replaced.contains(name));
    let applied: HashSet<&MigrationName> = facts.applied.iter().map(|row| &row.name).collect();
    let pending = || {
        let all = placed.service.migrations().map(migration_kit::Listed::name);
        all.filter(|name| !applied.contains(name)).cloned().collect()
    };
    for error in errors {
        troubles.push(match error.clone() {
            IntegrityError::Missing { id }
            | IntegrityError::Ahead { id }
            | IntegrityError::Renamed { id, .. }
                if is_squashed(&id.name) =>
            {
                continue;
            }
            IntegrityError::Missing { id } => Trouble::Missing { migration: id.name, pending: pending() },
            IntegrityError::Ahead { id } => Trouble::Ahead { migration: id.name },
            IntegrityError::Renamed { id, now } => Trouble::Renamed { applied: id.name, now },
            IntegrityError::BegunElsewhere { id } => Trouble::BegunElsewhere { migration: id.name },
            other => Trouble::History(other),
        });
    }
    troubles
        .extend(squashed.into_iter().map(|(migration, replaced)| Trouble::Squashed { migration, replaced }));
    troubles
}

/// The query for the service's invalid indexes, each with its table and whether another session may be building it: that
/// session holds a lock on the table that keeps other builds away.
fn invalid_sql(placed: &Placed) -> String {
    format!(
        "{BOOKKEEPING}SELECT c.relname::text, t.relname::text, EXISTS (\
           SELECT FROM pg_catalog.pg_locks l WHERE l.relation = t.oid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())), {} \
         FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relkind = 'i' AND NOT i.indisvalid ORDER BY 1",
        name_of("t"),
        literal(&placed.site.schema)
    )
}

fn read_invalid(
    deployment: &Deployment,
    facts: &ServiceFacts,
    rows: &[PgRow],
) -> Result<Vec<Trouble>, sqlx::Error> {
    // Where it is not known whether anything is applied, nothing of others is meddled with either.
    let applied = facts.anything_applied().unwrap_or(Applied::Nothing);
    let mut invalid = Vec::new();
    for row in rows {
        if deployment.has(&facts.service, applied, &Thing::relation(row.try_get(3)?)) {
            let (index, table, is_busy) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            invalid.push(Trouble::InvalidIndex { index, table, is_busy });
        }
    }
    Ok(invalid)
}

async fn invalid(
    deployment: &Deployment,
    placed: &Placed,
    facts: &ServiceFacts,
) -> Result<Vec<Trouble>, SurveyError> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open(url).await?;
    let found = async {
        reading.begin().await?;
        read_invalid(deployment, facts, &reading.rows(&invalid_sql(placed)).await?)
    }
    .await;
    reading.close().await;
    found.map_err(|source| SurveyError::Query { database: url.to_string(), source })
}
