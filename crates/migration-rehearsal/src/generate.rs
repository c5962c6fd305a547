//! From what the sandbox has seen to the text of the files.

use std::collections::HashMap;
use std::fmt::Write;

use migration_kit::table_lock::{LockMode, Reference, TableLock, referenced_first};
use migration_kit::{LockEntry, LockFile, MigrationId, MigrationName, RecordedLock, Service, ServiceName};
use migration_plan::{Direction, KnownMigration};
use sha2::{Digest, Sha256};

use crate::hazards::{Declared, Hazard, Rules, judge};
use crate::{Rehearsal, RehearsalError, Traced, rehearse};

/// The generated files of one service, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    /// The service.
    pub service: ServiceName,
    /// `migrations.lock`.
    pub lock_file: String,
    /// `schema.sql`.
    pub schema: String,
    /// What is wrong with its migrations, one sentence each.
    pub faults: Vec<String>,
    /// How its entities differ from its tables, one sentence each.
    pub differing_entities: Vec<String>,
    /// What its migrations do to applications, and do not accept.
    pub hazards: Vec<Hazard>,
}

/// Rehearses all migrations of all services, makes the services' files, and judges the migrations by these rules. All of them run: one
/// may require migrations of another.
///
/// # Errors
/// [`RehearsalError`]: there is no server, or a migration fails.
pub async fn artifacts(services: Vec<Service>, rules: Rules) -> Result<Vec<Artifacts>, RehearsalError> {
    let declared = |service: &Service| -> HashMap<MigrationName, Declared> {
        service.migrations().map(|listed| (listed.name().clone(), Declared::of(listed.details()))).collect()
    };
    let known: Vec<_> = services
        .iter()
        .map(|service| (service.known(), service.version_table().to_owned(), declared(service)))
        .collect();
    let seen = Box::pin(rehearse(services)).await?;
    let mut artifacts = Vec::new();
    for (service, version_table, declared) in known {
        let (mut entries, mut faults, mut hazards) = (Vec::new(), Vec::new(), Vec::new());
        for migration in &service.migrations {
            let entry = entry(&seen, &service.name, &version_table, migration)?;
            let does_nothing = |checksum: &str| checksum == self::checksum(&[]);
            if entry.revert_checksum.as_deref().is_some_and(does_nothing) && !does_nothing(&entry.checksum) {
                faults.push(format!(
                    "`{}:{}`: `down` does nothing: undo what `up` does, or declare it `irreversible`",
                    service.name, migration.name
                ));
            }
            if let Some(applied) = find(&seen, &service.name, &migration.name, Direction::Apply)
                && let Some(declared) = declared.get(&migration.name)
            {
                let (found, wrong) = judge(applied, declared, rules);
                hazards.extend(found);
                faults.extend(
                    wrong.iter().map(|says| format!("`{}:{}`: {says}", service.name, migration.name)),
                );
            }
            entries.push((&migration.name, entry));
        }
        artifacts.push(Artifacts {
            lock_file: LockFile::render(entries.iter().map(|(name, entry)| (*name, entry))),
            schema: schema(&seen, &service.name),
            faults,
            differing_entities: entities(&seen, &service.name).to_vec(),
            hazards,
            service: service.name,
        });
    }
    Ok(artifacts)
}

fn entry(
    seen: &Rehearsal,
    service: &ServiceName,
    version_table: &str,
    migration: &KnownMigration,
) -> Result<LockEntry, RehearsalError> {
    let applied = find(seen, service, &migration.name, Direction::Apply).ok_or_else(|| {
        RehearsalError::NoTrace { id: MigrationId { service: service.clone(), name: migration.name.clone() } }
    })?;
    let reverted = find(seen, service, &migration.name, Direction::Revert);
    Ok(LockEntry {
        phase: migration.phase.into(),
        transactional: migration.transactional,
        checksum: checksum(&applied.statements),
        does: None,
        revert_checksum: reverted.map(|reverted| checksum(&reverted.statements)),
        apply: locks(applied, version_table),
        revert: reverted.map(|reverted| locks(reverted, version_table)).unwrap_or_default(),
    })
}

fn find<'s>(
    seen: &'s Rehearsal,
    service: &ServiceName,
    migration: &MigrationName,
    direction: Direction,
) -> Option<&'s Traced> {
    let is_it = |traced: &&Traced| {
        traced.service == *service && traced.migration == *migration && traced.direction == direction
    };
    seen.traced.iter().find(is_it)
}

/// SHA-256 in hexadecimal over the statements, each ended by a line feed.
fn checksum(statements: &[String]) -> String {
    let mut hash = Sha256::new();
    for statement in statements {
        hash.update(statement);
        hash.update("\n");
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The locks in the order in which everybody takes them, each table once in its strongest mode. Those that no statement
/// of an application conflicts with, or only a stronger lock does, are left out, and so is the version table.
fn locks(traced: &Traced, version_table: &str) -> Vec<RecordedLock> {
    // All tables are the service's, so the schema, which its user may choose, does not matter.
    let name = |table: &str| (String::new(), table.to_owned());
    let strong = traced
        .locks
        .iter()
        .filter(|(table, mode)| table != version_table && *mode >= LockMode::ShareUpdateExclusive);
    let locks = strong.map(|(table, mode)| TableLock::new("", table, *mode)).collect();
    let references: Vec<Reference> = traced
        .references
        .iter()
        .map(|(from, to)| Reference { referring: name(from), referenced: name(to) })
        .collect();
    let ordered = referenced_first(locks, &references);
    ordered.into_iter().map(|TableLock { relation, mode, .. }| RecordedLock { relation, mode }).collect()
}

fn entities<'s>(seen: &'s Rehearsal, service: &ServiceName) -> &'s [String] {
    seen.differing_entities.iter().find(|(name, _)| name == service).map_or(&[], |(_, differ)| differ)
}

fn schema(seen: &Rehearsal, service: &ServiceName) -> String {
    let dump = seen.schemas.iter().find(|(name, _)| name == service).map_or("", |(_, dump)| dump);
    format!(
        "-- Generated from the migrations. Commit it with them; do not edit it by hand.\n\
         -- The schema of `{service}` after all its migrations, contract steps included.\n\
         {VERSION}{}.\n\n{dump}",
        seen.major
    )
}

/// Opens the line that says which server wrote a `schema.sql`.
const VERSION: &str = "-- As pg_dump writes it for PostgreSQL ";

/// Major version of the server that wrote this `schema.sql`, if it says so. Others write some things differently.
pub(crate) fn major(schema: &str) -> Option<u32> {
    let line = schema.lines().find_map(|line| line.strip_prefix(VERSION))?;
    line.trim_end_matches('.').parse().ok()
}

/// The lines of a file, but for the one that says which server wrote it.
pub(crate) fn unversioned(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with(VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;

    fn traced(locks: &[(&str, LockMode)], references: &[(&str, &str)]) -> Traced {
        Traced {
            service: "a".parse().unwrap(),
            migration: "m20250101_000001_create_t".parse().unwrap(),
            direction: Direction::Apply,
            statements: Vec::new(),
            pieces: Vec::new(),
            facts: Facts::default(),
            locks: locks.iter().map(|(table, mode)| ((*table).to_owned(), *mode)).collect(),
            references: references.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect(),
        }
    }

    #[test]
    fn locks_are_recorded_referenced_tables_first_and_once() {
        let traced = traced(
            &[
                ("child", LockMode::ShareRowExclusive),
                ("child", LockMode::AccessExclusive),
                ("parent", LockMode::ShareRowExclusive),
                ("read", LockMode::RowExclusive),
                ("versions", LockMode::ShareRowExclusive),
            ],
            &[("child", "parent")],
        );
        let recorded: Vec<_> =
            locks(&traced, "versions").iter().map(|l| format!("{} {}", l.relation, l.mode)).collect();
        assert_eq!(recorded, ["parent SHARE ROW EXCLUSIVE", "child ACCESS EXCLUSIVE"]);
    }

    #[test]
    fn a_checksum_tells_where_a_statement_ends() {
        let one = checksum(&["SELECT 1".to_owned(), "SELECT 2".to_owned()]);
        assert_eq!(one.len(), 64);
        assert_ne!(one, checksum(&["SELECT 1SELECT 2".to_owned()]));
    }
}
