//! Whether the version tables fit what the program knows. It judges names and order only; whether an applied
//! migration was edited afterwards takes the journal and is the coordinator's part.

use crate::facts::Facts;
use crate::renamed::Numbered;
use crate::{Catalog, Hint, History, MigrationId, MigrationName, Offer, ServiceName, UnknownApplied};

/// One way in which a version table does not fit the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// Applied, not known here, and not newer than what is known here: its file was removed or renamed, or the
    /// database belongs to another branch.
    #[error("migration `{id}` is applied but missing here")]
    Missing {
        /// The migration.
        id: MigrationId,
    },
    /// Applied, not known here, and newer than all that is known here: the database is ahead of this build.
    #[error("migration `{id}` is applied but newer than this build")]
    Ahead {
        /// The migration.
        id: MigrationId,
    },
    /// Applied under another name than the one that it has here: applying it again would do it twice.
    #[error("migration `{id}` is applied, and is called `{now}` here")]
    Renamed {
        /// The migration, as it is applied.
        id: MigrationId,
        /// Its name here, under which it is pending.
        now: MigrationName,
    },
    /// Applied although something that it requires is not.
    #[error("migration `{id}` is applied but `{requirement}`, which it requires, is not")]
    BeforeRequirement {
        /// The migration.
        id: MigrationId,
        /// What it requires.
        requirement: MigrationId,
    },
    /// Begun, not finished, and not known here: how to finish it is not known either.
    #[error("migration `{id}` was begun and not finished, and is missing here")]
    BegunElsewhere {
        /// The migration.
        id: MigrationId,
    },
    /// It has several rows in the version table, whose key is missing then.
    #[error("migration `{id}` is in the version table more than once")]
    Doubled {
        /// The migration.
        id: MigrationId,
    },
}

impl IntegrityError {
    /// The service whose version table it is about.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::Missing { id }
            | Self::Ahead { id }
            | Self::Renamed { id, .. }
            | Self::BeforeRequirement { id, .. }
            | Self::BegunElsewhere { id }
            | Self::Doubled { id } => &id.service,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Hint {
        match self {
            Self::Missing { id } => {
                let way = format!(
                    "use the build that has `{id}`, or bring its file back; if it was removed on purpose, "
                );
                Hint::from(way) + Offer::Repair(id.service.clone()) + " shows how to go on"
            }
            Self::Ahead { id } => {
                Hint::from(format!(
                    "use the build that applied `{id}`, or a newer one; if the older application runs on purpose, say "
                )) + Offer::AllowAhead
            }
            Self::Renamed { id, now } => {
                let way =
                    format!("name the file `{}` again; or, once every build calls it `{now}`, ", id.name);
                Hint::from(way) + Offer::Repair(id.service.clone()) + " shows how to rename its row"
            }
            Self::BeforeRequirement { requirement, .. } => {
                Hint::from("apply the requirement alone: ") + Offer::apply_to(requirement)
            }
            Self::BegunElsewhere { id } => {
                let way = format!(
                    "finish or revert `{id}` with the build that began it; if there is none any more, "
                );
                Hint::from(way) + Offer::Repair(id.service.clone()) + " shows how to go on"
            }
            Self::Doubled { .. } => {
                "delete all of its rows but one, and give the version table its primary key on `version` back"
                    .into()
            }
        }
    }
}

/// All ways in which the version tables do not fit the program, service by service.
///
/// Requirements of services that were not read are not judged.
#[must_use]
pub fn integrity(catalog: &Catalog, history: &History) -> Vec<IntegrityError> {
    let facts = Facts::new(catalog, history);
    (0..catalog.n_services()).flat_map(|service| integrity_of(catalog, history, &facts, service)).collect()
}

/// The same for one service.
pub(crate) fn integrity_of(
    catalog: &Catalog,
    history: &History,
    facts: &Facts<'_>,
    service: usize,
) -> Vec<IntegrityError> {
    let id_of = |name: &MigrationName| MigrationId {
        service: catalog.service_name(service).clone(),
        name: name.clone(),
    };
    let doubled = facts.doubled(service).iter().map(|name| IntegrityError::Doubled { id: id_of(name) });
    let mut errors: Vec<_> = doubled.collect();
    if !facts.unknown(service).is_empty() {
        let known = Numbered::new(catalog, facts, service);
        errors.extend(facts.unknown(service).iter().map(|&name| {
            let id = id_of(name);
            match known.renamed(name) {
                Some(now) => IntegrityError::Renamed { id, now: now.clone() },
                None if known.is_behind(name) => IntegrityError::Ahead { id },
                None => IntegrityError::Missing { id },
            }
        }));
    }
    errors.extend(
        facts.unknown_begun(service).iter().map(|name| IntegrityError::BegunElsewhere { id: id_of(name) }),
    );
    for migration in catalog.numbers_of(service).filter(|&migration| facts.is_applied(migration)) {
        let inside = catalog.requires(migration).iter().copied().filter(|&n| !facts.is_applied(n));
        let inside = inside.map(|requirement| catalog.id(requirement));
        let outside = catalog.requires_outside(migration).iter().filter(|id| !history.is_applied(id));
        for requirement in inside.chain(outside).filter(|id| history.was_read(&id.service)) {
            let (id, requirement) = (catalog.id(migration).clone(), requirement.clone());
            errors.push(IntegrityError::BeforeRequirement { id, requirement });
        }
    }
    errors
}

/// Whether an apply may pass over the difference.
pub(crate) fn is_passed_over(error: &IntegrityError, unknown: UnknownApplied) -> bool {
    match error {
        IntegrityError::Ahead { .. } => unknown != UnknownApplied::Refuse,
        IntegrityError::Missing { .. } | IntegrityError::BegunElsewhere { .. } => {
            unknown == UnknownApplied::AllowAny
        }
        IntegrityError::Renamed { .. }
        | IntegrityError::BeforeRequirement { .. }
        | IntegrityError::Doubled { .. } => false,
    }
}
