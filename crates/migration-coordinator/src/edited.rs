//! Which applied migrations are not what was applied, by the checksums in the journal and in the lock file.

use migration_kit::MigrationName;

use crate::deployment::{Deployment, Placed};
use crate::survey::ServiceFacts;

/// Applied migrations whose SQL is not what the journal says was applied.
#[must_use]
pub fn edited_migrations(deployment: &Deployment, facts: &ServiceFacts) -> Vec<MigrationName> {
    deployment.placed(&facts.service).map(|placed| edited(placed, facts)).unwrap_or_default()
}

/// The same of one service.
pub(crate) fn edited(placed: &Placed, facts: &ServiceFacts) -> Vec<MigrationName> {
    let mut next = 0;
    let mut differs = |name: &MigrationName| {
        let then =
            facts.journal.get_expected(&mut next, name).and_then(|journal| journal.checksum.as_deref());
        then.is_some_and(|then| placed.lock_file.checksum(name).is_some_and(|now| now != then))
    };
    let applied = facts.applied.iter().map(|applied| &applied.name);
    applied.filter(|name| differs(name)).cloned().collect()
}
