//! A move on trial: what the service consists of is made there, without rows, and compared; it is taken away here; and all of it is
//! rolled back. What stops a move in its last commit, after hours of copying, stops it before anybody is kept from writing.
//!
//! Two servers may write the same definition in two ways, such as a view. So the text that the server here writes is given to the server
//! there: where that makes of it what is there already, both mean the same. What the server there has written on trial is what it has to
//! write once the rows are there too.

use std::collections::BTreeSet;
use std::fmt::Display;

use migration_coordinator::{Applied, MoveMark, RunError};
use migration_kit::{ServiceName, quote_identifier};
use postgres_sandbox::Clients;
use postgres_schema::{Change, Difference, Kind, Object, Properties, PropertyChange, Repair, Schema};
use sqlx::PgConnection;

use super::departure::{depart, reveal};
use super::places::{Found, Places};
use super::schemas;
use crate::BackupError;
use crate::aside::{Aside, this_moment};
use crate::dump::Extent;
use crate::error::read;
use crate::left_out::completed;
use crate::needs;
use crate::owned::{Owned, send};
use crate::restore::replace::execute;

/// What is made beside another object, on trial.
const BESIDE: &str = "migrate: on trial";

/// What a service consists of, as both servers write it.
pub(super) struct Tried {
    here: Vec<(String, Schema)>,
    there: Vec<(String, Schema)>,
    /// Of each of its schemas, the owner here.
    owners: Vec<(String, String)>,
    /// Who may do what, and who owns what; nothing if that is left out.
    rights: BTreeSet<String>,
    majors: (u32, u32),
}

/// Tries it, with the migration lock in both places.
///
/// # Errors
/// [`BackupError::NotAccepted`] if a server refuses something, [`BackupError::Different`] if it comes out otherwise.
pub(super) async fn carry_out(
    places: &Places<'_>,
    clients: &Clients,
    found: &Found,
    here: &mut PgConnection,
    there: &mut PgConnection,
) -> Result<Tried, BackupError> {
    let Places { service, options, .. } = *places;
    let at = this_moment();
    let leaving = async |connection: &mut PgConnection| {
        let owned =
            Owned::read(connection, places.here, service, Applied::Something).await.map_err(read(service))?;
        let owners = needs::schema_owners(connection, &owned).await.map_err(read(service))?;
        let rights = places.rights(connection, found.majors).await?;
        let kept_in = Aside::Moved.schemas(service, owned.schemas.len());
        let mark = MoveMark::Gone { at: at.clone(), to: found.prospect.to.clone() };
        let renamed = (&owned.schemas[..], &kept_in[..]);
        depart(connection, (places.here, service), renamed, (Aside::Moved, &mark)).await?;
        Ok((owners, rights))
    };
    let left = Box::pin(rolled_back(here, service, leaving)).await;
    let (owners, rights) = left.map_err(|error| refused(error, "here", options.no_owner))?;
    let nothing = |_: crate::Progress<'_>| {};
    let dumping = places.dump(found.facts.clone(), clients, Extent::Definitions, &nothing, async |_| Ok(()));
    let dumped = options.cancellation.unless_cancelled(Box::pin(dumping)).await;
    let ((), dumped) = dumped.ok_or(RunError::Interrupted)??;
    let restored = places.restored(dumped.manifest.clone(), found.n_set_aside);
    let restoring = places.restoring();
    let archive = dumped.archive();
    let work = places.work(&archive, &restored, clients, &restoring);
    let mut tried =
        Tried { here: dumped.schemas.clone(), there: Vec::new(), owners, rights, majors: found.majors };
    let arriving = async |connection: &mut PgConnection| {
        work.within(connection).await?;
        places.give_owners(connection, &tried).await?;
        let there = places.schemas_there(connection).await?;
        tried.are_rights_there(places, connection).await?;
        let schemas = schemas(places.there, service);
        let hidden = Aside::Arriving.schemas_at(service, &at, schemas.len());
        let mark = MoveMark::Arriving { at: at.clone(), from: found.prospect.from.clone() };
        let renamed = (&schemas[..], &hidden[..]);
        depart(connection, (places.there, service), renamed, (Aside::Arriving, &mark)).await?;
        reveal(connection, (places.there, service), renamed, |found| *found == mark).await?;
        for ((name, there), (_, here)) in there.iter().zip(&tried.here) {
            means_the_same(connection, service, name, (here, there)).await?;
        }
        Ok(there)
    };
    let arrived = Box::pin(rolled_back(there, service, arriving)).await;
    match arrived.map_err(|error| refused(error, "there", options.no_owner)) {
        Ok(schemas) => tried.there = schemas,
        Err(error) => return Err(with_options(places, here, error).await),
    }
    Ok(tried)
}

impl Places<'_> {
    /// Gives the schemas there the owners that they have here.
    pub(super) async fn give_owners(
        &self,
        copy: &mut PgConnection,
        tried: &Tried,
    ) -> Result<(), BackupError> {
        for (schema, owner) in tried.owners.iter().filter(|_| !self.options.no_owner) {
            let (schema, owner) = (quote_identifier(schema), quote_identifier(owner));
            execute(copy, self.service, &format!("ALTER SCHEMA {schema} OWNER TO {owner}")).await?;
        }
        Ok(())
    }

    async fn rights(
        &self,
        connection: &mut PgConnection,
        (here, there): (u32, u32),
    ) -> Result<BTreeSet<String>, BackupError> {
        if self.options.no_owner {
            return Ok(BTreeSet::new());
        }
        let schemas = schemas(self.here, self.service);
        needs::rights(connection, &schemas, here == there).await.map_err(read(self.service))
    }

    /// The schemas there, as the server there writes them.
    async fn schemas_there(&self, copy: &mut PgConnection) -> Result<Vec<(String, Schema)>, BackupError> {
        let owned = Owned::read(copy, self.there, self.service, Applied::Something)
            .await
            .map_err(read(self.service))?;
        let mut found = Vec::new();
        for name in schemas(self.there, self.service) {
            let schema = schema(copy, self.service, &name).await?;
            found.push((name, owned.of(schema)));
        }
        Ok(found)
    }
}

impl Tried {
    /// Whether it is here as it was when it was tried.
    pub(super) fn is_still_here(
        &self,
        service: &ServiceName,
        now: &[(String, Schema)],
    ) -> Result<(), BackupError> {
        let differences = self.here.iter().zip(now).flat_map(|((_, tried), (_, now))| tried.differences(now));
        match differences.into_iter().next() {
            Some(difference) => Err(changed_here(service, &difference)),
            None => Ok(()),
        }
    }

    /// Whether it is there as it was when it was tried, with its owners and rights.
    pub(super) async fn is_there(
        &self,
        places: &Places<'_>,
        copy: &mut PgConnection,
    ) -> Result<(), BackupError> {
        let now = places.schemas_there(copy).await?;
        let differences =
            self.there.iter().zip(&now).flat_map(|((_, tried), (_, now))| tried.differences(now));
        if let Some(difference) = differences.into_iter().next() {
            return Err(different(places.service, difference.to_string()));
        }
        self.are_rights_there(places, copy).await
    }

    async fn are_rights_there(
        &self,
        places: &Places<'_>,
        copy: &mut PgConnection,
    ) -> Result<(), BackupError> {
        let there = places.rights(copy, self.majors).await?;
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            let lines: Vec<&str> = one.difference(other).map(String::as_str).collect();
            (!lines.is_empty()).then(|| few(&lines))
        };
        let (why, hint) = match (only(&there, &self.rights), only(&self.rights, &there)) {
            (Some(added), _) => (
                format!("more would be allowed there than here: {added}"),
                "default privileges there give it: take them back with `ALTER DEFAULT PRIVILEGES … REVOKE`",
            ),
            (None, Some(lost)) => (
                format!("less would be allowed there than here: {lost}"),
                "connect there as a role that may give it",
            ),
            (None, None) => return Ok(()),
        };
        Err(BackupError::NotMovable { service: places.service.clone(), why, hint: Some(hint) })
    }
}

/// Whether what the server here writes means what the server there has made of it.
async fn means_the_same(
    connection: &mut PgConnection,
    service: &ServiceName,
    name: &str,
    (here, there): (&Schema, &Schema),
) -> Result<(), BackupError> {
    let here = &completed(here, there);
    let differences = here.differences(there);
    let Some(first) = differences.first() else { return Ok(()) };
    // Names without a schema are of this one, and functions may call what is made after them.
    schema(connection, service, name).await?;
    send(connection, "SET LOCAL check_function_bodies = off").await.map_err(read(service))?;
    let mut wanted = here.clone();
    for Difference { object, change } in &differences {
        let (Some(written), Some(made)) = (here.get(object), there.get(object)) else { continue };
        let Change::Changed(changes) = change else { continue };
        let [PropertyChange { property, .. }] = &changes[..] else { continue };
        let Some(beside) = Beside::of(object, property, written) else { continue };
        attempt(connection, service, &beside.make, first).await?;
        let now = schema(connection, service, name).await?;
        if now.get(&beside.object).and_then(|beside| beside.get(property)) != made.get(property) {
            return Err(different(service, first.to_string()));
        }
        attempt(connection, service, &beside.drop, first).await?;
        wanted = wanted.with(object.clone(), made.clone());
    }
    for repair in there.repair(&wanted) {
        match repair {
            Repair::Statement(sql) | Repair::Demands(sql) | Repair::Loses(sql) => {
                attempt(connection, service, &sql, first).await?;
            }
            _ => return Err(different(service, first.to_string())),
        }
    }
    let again = schema(connection, service, name).await?.without("grants").without("owner");
    match there.differences(&again.retain(|object| object.kind != Kind::Schema)).is_empty() {
        true => Ok(()),
        false => Err(different(service, first.to_string())),
    }
}

/// An object with the text that the server here writes, made beside the one that is there: others use that.
struct Beside {
    object: Object,
    make: String,
    drop: String,
}

impl Beside {
    fn of(object: &Object, property: &str, written: &Properties) -> Option<Self> {
        let of = |property: &str| written.get(property).map_or("", String::as_str);
        let name = quote_identifier(BESIDE);
        let (make, drop) = match (object.kind, property) {
            (Kind::View, "definition") => {
                let text = of("definition").trim_end_matches(';');
                let (kind, end) = match of("materialized") {
                    "" => ("VIEW", ""),
                    _ => ("MATERIALIZED VIEW", " WITH NO DATA"),
                };
                (format!("CREATE {kind} {name} AS {text}{end}"), format!("DROP {kind} {name}"))
            }
            (Kind::Column, "generated") => {
                let table = quote_identifier(object.parent.as_deref()?);
                let (kind, text) = (of("type"), of("generated"));
                let make = format!(
                    "ALTER TABLE {table} ADD COLUMN {name} {kind} GENERATED ALWAYS AS ({text}) STORED"
                );
                (make, format!("ALTER TABLE {table} DROP COLUMN {name}"))
            }
            _ => return None,
        };
        Some(Self { object: Object { name: BESIDE.to_owned(), ..object.clone() }, make, drop })
    }
}

async fn attempt(
    connection: &mut PgConnection,
    service: &ServiceName,
    sql: &str,
    difference: &Difference,
) -> Result<(), BackupError> {
    match execute(connection, service, sql).await {
        Err(BackupError::Write { .. }) => Err(different(service, difference.to_string())),
        ended => ended,
    }
}

/// Does something in a transaction, and takes it back.
async fn rolled_back<T>(
    connection: &mut PgConnection,
    service: &ServiceName,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    execute(connection, service, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let done = work(connection).await;
    let ended = execute(connection, service, "ROLLBACK").await;
    done.and_then(|done| ended.map(|()| done))
}

pub(super) async fn schema(
    connection: &mut PgConnection,
    service: &ServiceName,
    name: &str,
) -> Result<Schema, BackupError> {
    let found = Schema::read_within(connection, name).await;
    found.map_err(|source| BackupError::Schema { service: service.clone(), source })
}

/// The first of several, and how many more there are.
fn few(lines: &[&str]) -> String {
    const SHOWN: usize = 4;
    let more = lines.len().saturating_sub(SHOWN);
    let shown = lines[..lines.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The service is not any more what it was here when it was looked at.
pub(super) fn changed_here(service: &ServiceName, what: &dyn Display) -> BackupError {
    different(service, format!("it was changed here meanwhile: {what}"))
}

pub(super) fn different(service: &ServiceName, what: String) -> BackupError {
    BackupError::Different { service: service.clone(), what }
}

/// The server says of an option that it does not know it, and not of which column.
async fn with_options(places: &Places<'_>, here: &mut PgConnection, error: BackupError) -> BackupError {
    const UNKNOWN: &str = "22023";
    let BackupError::NotAccepted { source, .. } = &error else { return error };
    if source.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() != Some(UNKNOWN) {
        return error;
    }
    let service = places.service;
    let Ok(owned) = Owned::read(here, places.here, service, Applied::Something).await else { return error };
    match owned.column_options(here).await {
        Ok(Some((columns, option))) => BackupError::NotMovable {
            service: service.clone(),
            why: format!("{columns} have the option `{option}`, which the server there does not know"),
            hint: Some("a `pg_dump` of the same package as the server here may leave it out"),
        },
        _ => error,
    }
}

/// What is refused of a move, which makes use of a restore, as an error of this crate.
pub(super) fn refused(error: BackupError, place: &'static str, no_owner: bool) -> BackupError {
    match error {
        BackupError::Write { service, source } => {
            BackupError::NotAccepted { service, place, no_owner, source }
        }
        BackupError::Unfit { service, why } => match service.parse() {
            Ok(service) => BackupError::NotMovable { service, why, hint: None },
            Err(_) => BackupError::Unfit { service, why },
        },
        other => other,
    }
}
