//! What a plan was made from, in a form that can be kept: which database, and of each service that it concerns its history,
//! its migrations and its objects as digests. What is the same has the same fingerprint; it says nothing else. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use migration_kit::{BOOKKEEPING, MigrationName, literal};
use migration_plan::{Direction, KnownMigration};
use sea_orm::sqlx::{self, Row};
use sha2::{Digest, Sha256};

use crate::belongings;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::run::{Planned, RunError};
use crate::site::text_array;
use crate::survey::ServiceFacts;

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// Each service that the plan concerns.
    pub services: BTreeMap<String, ServiceFingerprint>,
}

/// What a plan was made from, of one service.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServiceFingerprint {
    /// The server's own number, which no other server has, unless it is a copy of its files.
    pub server: String,
    /// The database on it.
    pub database: String,
    /// The schema.
    pub schema: String,
    /// Digest of what is applied, and of what was begun and not finished.
    pub history: String,
    /// Digest of the migrations that the program has, with their checksums.
    pub migrations: String,
    /// Digest of what is in the schema: tables with their columns, constraints, indexes and triggers, types and functions.
    pub objects: String,
}

/// How what is there now differs from what a plan was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It is another database.
    Elsewhere,
    /// It is another schema of the database.
    Schema,
    /// The program has other migrations.
    Migrations,
    /// Other migrations are applied.
    History,
    /// The objects of the schema are others.
    Objects,
}

impl Fingerprint {
    /// How what is there now differs: service by service, the most that can be said of each.
    #[must_use]
    pub fn moves(&self, now: &Self) -> Vec<(String, Move)> {
        let services: BTreeSet<&String> = self.services.keys().chain(now.services.keys()).collect();
        let of = |service: &String| match (self.services.get(service), now.services.get(service)) {
            (Some(then), Some(now)) => then.moved(now),
            _ => Some(Move::History),
        };
        services.into_iter().filter_map(|service| Some((service.clone(), of(service)?))).collect()
    }
}

impl ServiceFingerprint {
    fn moved(&self, now: &Self) -> Option<Move> {
        if (&self.server, &self.database) != (&now.server, &now.database) {
            Some(Move::Elsewhere)
        } else if self.schema != now.schema {
            Some(Move::Schema)
        } else if self.migrations != now.migrations {
            Some(Move::Migrations)
        } else if self.history != now.history {
            Some(Move::History)
        } else if self.objects != now.objects {
            Some(Move::Objects)
        } else {
            None
        }
    }
}

impl Planned<'_> {
    /// What the plan was made from.
    ///
    /// # Errors
    /// [`RunError::Survey`] if a catalog cannot be read.
    pub async fn fingerprint(&self) -> Result<Fingerprint, RunError> {
        let mut services = BTreeMap::new();
        for (index, url) in self.deployment().databases().iter().enumerate() {
            let placed = self.plan().services().into_iter().filter_map(|name| self.deployment().placed(name));
            let placed: Vec<&Placed> = placed.filter(|placed| placed.site.database == index).collect();
            if placed.is_empty() {
                continue;
            }
            let unread = |source| RunError::unread(url, source);
            let mut reading = Reading::open(url).await?;
            reading.begin().await.map_err(unread)?;
            for placed in placed {
                let Some(facts) = self.survey().service(placed.name()) else { continue };
                let read =
                    of_service(&mut reading, self.deployment(), placed, facts).await.map_err(unread)?;
                services.insert(placed.name().to_string(), read);
            }
            reading.close().await;
        }
        Ok(Fingerprint { services })
    }
}

async fn of_service(
    reading: &mut Reading<'_>,
    deployment: &Deployment,
    placed: &Placed,
    facts: &ServiceFacts,
) -> Result<ServiceFingerprint, sqlx::Error> {
    let rows = reading.rows(&objects(placed, deployment.bookkeeping_tables(placed.name()))).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(ServiceFingerprint {
        server: row.try_get(0)?,
        database: row.try_get(1)?,
        schema: placed.site.schema.clone(),
        history: history(facts),
        migrations: migrations(placed),
        objects: row.try_get(2)?,
    })
}

fn history(facts: &ServiceFacts) -> String {
    let applied = facts.applied.iter().map(|row| format!("{} {}", row.name, row.applied_at));
    let mut lines: Vec<String> = applied.chain(facts.begun().map(|name| format!("{name} begun"))).collect();
    lines.sort_unstable();
    digest(&lines)
}

fn migrations(placed: &Placed) -> String {
    let checksum = |name: &MigrationName, direction| match direction {
        Direction::Apply => placed.lock_file.checksum(name).unwrap_or_default().to_owned(),
        Direction::Revert => {
            placed.lock_file.entry(name).and_then(|entry| entry.revert_checksum.clone()).unwrap_or_default()
        }
    };
    let known = placed.service.known();
    let line = |migration: &KnownMigration| {
        let name = &migration.name;
        let [apply, revert] =
            [Direction::Apply, Direction::Revert].map(|direction| checksum(name, direction));
        format!("{name} {} {} {apply} {revert}", migration.phase, migration.transactional)
    };
    digest(&known.migrations.iter().map(line).collect::<Vec<_>>())
}

fn digest(lines: &[String]) -> String {
    let hash = Sha256::digest(lines.join("\n"));
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The question for a server, its database, and a digest of the rows of its catalogs that describe a service's objects. They
/// are numbers of this database, which is why no other one has the same digest. Of tables, only what no vacuum changes.
fn objects(placed: &Placed, bookkeeping: Vec<String>) -> String {
    let site = &placed.site;
    let is_its = if site.shares_schema() {
        format!("{} = ANY ({})", belongings::name_of("c"), text_array(placed.service.tables()))
    } else {
        "true".to_owned()
    };
    format!(
        "{BOOKKEEPING}WITH home AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema}), \
         tables AS MATERIALIZED (SELECT c.* FROM pg_catalog.pg_class c JOIN home ON c.relnamespace = home.oid \
           WHERE c.relkind <> 'i' AND NOT (c.relname = ANY ({bookkeeping})) AND {is_its}), \
         described AS ( \
           SELECT (c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.reloptions, c.relpersistence, c.relrowsecurity, \
                   c.relforcerowsecurity, c.relreplident)::text AS row FROM tables c \
           UNION ALL SELECT a::text FROM pg_catalog.pg_attribute a JOIN tables c ON c.oid = a.attrelid WHERE a.attnum > 0 \
           UNION ALL SELECT d::text FROM pg_catalog.pg_attrdef d JOIN tables c ON c.oid = d.adrelid \
           UNION ALL SELECT k::text FROM pg_catalog.pg_constraint k JOIN tables c ON c.oid = k.conrelid \
           UNION ALL SELECT (i.indexrelid, i.indrelid, i.indkey, i.indisunique, i.indisvalid, i.indexprs, i.indpred, \
                     pg_catalog.pg_get_indexdef(i.indexrelid))::text \
             FROM pg_catalog.pg_index i JOIN tables c ON c.oid = i.indrelid \
           UNION ALL SELECT t::text FROM pg_catalog.pg_trigger t JOIN tables c ON c.oid = t.tgrelid \
           UNION ALL SELECT p::text FROM pg_catalog.pg_proc p JOIN home ON p.pronamespace = home.oid WHERE NOT {shares} \
           UNION ALL SELECT t::text FROM pg_catalog.pg_type t JOIN home ON t.typnamespace = home.oid WHERE NOT {shares} \
             AND t.typrelid = 0 AND t.typelem = 0 \
           UNION ALL SELECT e::text FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid \
             JOIN home ON t.typnamespace = home.oid WHERE NOT {shares}) \
         SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), current_database()::text, \
                pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(pg_catalog.string_agg(row, '' ORDER BY row COLLATE \"C\"), ''), 'UTF8')), 'hex') \
         FROM described",
        schema = literal(&site.schema),
        bookkeeping = text_array(bookkeeping),
        shares = site.shares_schema(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_moved_is_named() {
        let then = ServiceFingerprint {
            server: "1".to_owned(),
            database: "d".to_owned(),
            schema: "s".to_owned(),
            history: "h".to_owned(),
            migrations: "m".to_owned(),
            objects: "o".to_owned(),
        };
        let changed = |change: &dyn Fn(&mut ServiceFingerprint)| {
            let mut now = then.clone();
            change(&mut now);
            then.moved(&now)
        };
        assert_eq!(changed(&|_| ()), None);
        assert_eq!(changed(&|now| now.server.push('2')), Some(Move::Elsewhere));
        assert_eq!(changed(&|now| now.database.push('2')), Some(Move::Elsewhere));
        assert_eq!(changed(&|now| now.schema.push('2')), Some(Move::Schema));
        assert_eq!(changed(&|now| now.migrations.push('2')), Some(Move::Migrations));
        assert_eq!(changed(&|now| now.history.push('2')), Some(Move::History));
        assert_eq!(changed(&|now| now.objects.push('2')), Some(Move::Objects));
    }
}
