//! What a migration touched that is not its service's, asked of the server before the migration commits.
//!
//! Tables: PostgreSQL keeps every lock until the transaction ends, so `pg_locks` knows each table that was written
//! (`ROW EXCLUSIVE`) or altered (anything stronger), a dropped one included; a savepoint that was rolled back gave its
//! locks up. The few changes that take no lock on a table (`GRANT`, functions, types, schemas, extensions) show as
//! catalog rows that we see although the transaction that wrote them is still in progress: it is this one. Neither needs
//! a superuser or an event trigger, and a session beside us cannot be mistaken for us.
//!
//! What the database's own event triggers do for a statement of the migration cannot be told from what the migration
//! does. Drawing a number from a sequence counts as nothing; objects that they write to are allowed by the deployment.
//!
//! Most migrations touch nothing else, so it is first asked whether there may be anything at all; only then what.
//!
//! It says what was touched; how the server is asked is in the file beside it, and rolling back is the caller's part. Statements
//! outside a transaction are not seen. In a run that is all or nothing, what an earlier step of another service touched
//! cannot be told from what a later one touches again in the same way.

mod question;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use migration_kit::MigrationName;
use sea_orm::sqlx::Row;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, RuntimeErr};

use crate::belongings::Thing;
use crate::bookkeeping::statement;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;

/// An object outside of what the service owns, and what the migration did to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Kind of the object: `table`, `function`, `type`, `schema`, …
    pub kind: String,
    /// Name with its schema, as one would write it.
    pub object: String,
    /// What was done: `altered`, `written to`, `dropped`, `created or replaced`.
    pub did: String,
    /// Who owns it: a service, a team, or a role of the database.
    pub owner: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` of {} was {}", self.kind, self.object, self.owner, self.did)
    }
}

/// What a transaction touched, and which transaction it is.
pub(crate) struct Touched {
    /// [`BEGUN_AT`](crate::bookkeeping::BEGUN_AT): another transaction than expected has another time.
    pub(crate) begun_at: i64,
    /// What is not the service's, and was not declared.
    pub(crate) violations: Vec<Violation>,
}

/// The connection from which a transaction is seen from outside: made when it is first needed, and kept.
#[derive(Default)]
pub(crate) struct Outside<'d>(Mutex<Option<Reading<'d>>>);

impl<'d> Outside<'d> {
    fn take(&self) -> Option<Reading<'d>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, reading: Reading<'d>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }
}

/// What earlier steps of a transaction touched: numbers of the server's, as the text of an array.
pub(crate) struct Seen(String);

impl Default for Seen {
    /// Nothing: the transaction has just begun.
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

/// Asks what this transaction touched until now.
pub(crate) async fn seen<C: ConnectionTrait>(tx: &C) -> Result<Seen, DbErr> {
    let row = tx.query_one_raw(statement(&question::seen(), [])).await?;
    row.map_or_else(|| Ok(Seen::default()), |row| row.try_get_by_index(0).map(Seen))
}

/// Asks what this transaction touched since then outside of what the service owns or declared, and sets `search_path` back to
/// the service's schema: the migration may have changed it, and its checks run next.
pub(crate) async fn touched<'d, C: ConnectionTrait>(
    tx: &C,
    deployment: &'d Deployment,
    placed: &Placed,
    migration: &MigrationName,
    outside: &Outside<'d>,
    seen: &Seen,
) -> Result<Touched, DbErr> {
    let (schema, search_path, whole_schema) =
        (placed.site.schema.clone(), placed.site.search_path(), !placed.site.shares_schema());
    if whole_schema {
        let asked = statement(&question::suspicion(&schema, &search_path), []);
        if let Some(row) = tx.query_one_raw(asked).await?
            && !row.try_get_by::<bool, _>("is_suspicious")?
        {
            return Ok(Touched { begun_at: row.try_get_by("begun_at")?, violations: Vec::new() });
        }
    }
    let values = [schema.into(), whole_schema.into(), seen.0.as_str().into()];
    let rows = tx.query_all_raw(statement(&question::inside(&search_path), values)).await?;
    let begun_at = rows.first().map_or(Ok(0), |row| row.try_get_by("begun_at"))?;
    let mut objects = Vec::with_capacity(rows.len());
    for row in &rows {
        objects.extend(Object::read(row)?);
    }
    let objects = seen_from_outside(objects, deployment, placed, outside).await?;
    let declared = placed.service.migration(migration).map_or(&[][..], |m| &m.details().touches);
    let violations = objects.into_iter().filter_map(|object| judge(object, deployment, placed, declared));
    Ok(Touched { begun_at, violations: violations.collect() })
}

/// The event triggers of the database that run for a migration's statements too, by name.
pub(crate) async fn event_triggers<C: ConnectionTrait>(tx: &C) -> Result<Vec<String>, DbErr> {
    let rows = tx.query_all_raw(statement(question::EVENT_TRIGGERS, [])).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// An object that the transaction touched and that may not be the service's.
struct Object {
    kind: String,
    schema: String,
    name: String,
    /// `None` for an object that is gone: only its number is left.
    role: Option<String>,
    did: String,
    catalog: i64,
    oid: i64,
    /// What says whose it is, where it was looked up.
    thing: Option<Thing>,
}

impl Object {
    fn read(row: &QueryResult) -> Result<Option<Self>, DbErr> {
        let Some(kind) = row.try_get_by::<Option<String>, _>("kind")? else { return Ok(None) };
        Ok(Some(Self {
            kind,
            schema: row.try_get_by("schema")?,
            name: row.try_get_by("name")?,
            role: row.try_get_by("role")?,
            did: row.try_get_by("did")?,
            catalog: row.try_get_by("catalog")?,
            oid: row.try_get_by("oid")?,
            thing: None,
        }))
    }
}

/// Looks objects up from a second session, which sees the state before the migration until it commits. This names objects
/// that were dropped; in a schema that the service shares, and for extensions, it tells what the migration created from
/// what it renamed.
async fn seen_from_outside<'d>(
    objects: Vec<Object>,
    deployment: &'d Deployment,
    placed: &Placed,
    outside: &Outside<'d>,
) -> Result<Vec<Object>, DbErr> {
    let (unclear, mut clear): (Vec<Object>, Vec<Object>) = objects.into_iter().partition(|object| {
        object.role.is_none()
            || object.kind == "extension"
            || (placed.site.shares_schema() && object.schema == placed.site.schema)
    });
    if unclear.is_empty() {
        return Ok(clear);
    }
    let url = &deployment.databases()[placed.site.database];
    let kept = outside.take();
    let mut reading = match kept {
        Some(reading) => reading,
        None => Reading::open(url).await.map_err(|e| DbErr::Custom(e.to_string()))?,
    };
    let numbers: Vec<(i64, i64)> = unclear.iter().map(|object| (object.catalog, object.oid)).collect();
    let failed = |e| DbErr::Query(RuntimeErr::SqlxError(Arc::new(e)));
    reading.begin().await.map_err(failed)?;
    let rows = reading.rows(&question::outside(&numbers)).await.map_err(failed)?;
    let mut things = BTreeMap::new();
    if placed.site.shares_schema() {
        for row in reading.rows(&deployment.things_of(placed, Some(&numbers))).await.map_err(failed)? {
            let (number, thing) = Thing::read(&row).map_err(failed)?;
            things.insert(number, thing);
        }
    }
    reading.end().await;
    outside.keep(reading);
    for object in unclear {
        let is_it = |row: &&_| {
            Row::get::<i64, _>(*row, 0) == object.catalog && Row::get::<i64, _>(*row, 1) == object.oid
        };
        let Some(row) = rows.iter().find(is_it) else { continue };
        // What is gone has lost its kind with its name.
        let kind = if object.role.is_none() { row.get(2) } else { object.kind };
        let thing = things.remove(&(object.catalog, object.oid));
        clear.push(Object {
            kind,
            schema: row.get(3),
            name: row.get(4),
            role: Some(row.get(5)),
            thing,
            ..object
        });
    }
    Ok(clear)
}

fn judge(object: Object, deployment: &Deployment, placed: &Placed, declared: &[String]) -> Option<Violation> {
    // An extension belongs to the database, but for one that lies in a service's schema, where a migration made it.
    let belongs_to_none = matches!(object.kind.as_str(), "schema" | "extension");
    let name = if object.schema.is_empty() || belongs_to_none {
        object.name.clone()
    } else {
        format!("{}.{}", object.schema, object.name)
    };
    let owner = if object.kind == "schema" {
        deployment.owner_of_schema(placed.site.database, &object.name)
    } else if object.kind == "extension" {
        deployment.owner_of_whole_schema(placed.site.database, &object.schema)
    } else if object.schema == placed.site.schema && placed.site.is_bookkeeping(&object.name) {
        Some(placed.name())
    } else {
        let thing = object.thing.unwrap_or_else(|| Thing::of_kind(&object.kind, &object.name));
        deployment.owner_of(placed.site.database, &object.schema, &thing)
    };
    if declared.contains(&name) || deployment.allows(&name) || owner == Some(placed.name()) {
        return None;
    }
    let is_external = |e: &&migration_kit::External| e.schema == object.schema && e.table == object.name;
    let owner = match (placed.service.externals().iter().find(is_external), owner) {
        (Some(external), _) => external.owner.clone(),
        (None, Some(service)) => format!("service `{service}`"),
        (None, None) => format!("role `{}`", object.role.as_deref().unwrap_or("unknown")),
    };
    Some(Violation { kind: object.kind, object: name, did: object.did, owner })
}
