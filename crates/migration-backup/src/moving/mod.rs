//! Moving one service to another server: nobody writes meanwhile, what came there is proved to be what was here, and then what was here
//! gets another name, so that nothing is written to it any more. Before that commit everything is as it was.
//!
//! In this order, under the migration lock in both places: a fence around the tables here, the dump, the restore there in one
//! transaction, the proof, and the renaming in both places but for its commit; then the commit there, of a copy that nobody finds under
//! the service's name, the commit here, and the copy gets its name. So nobody can write to a copy that may not be the one that
//! counts. Whatever stops it, a run that looks at both places knows how far it was.

use std::path::PathBuf;
use std::time::Duration;

use migration_coordinator::{Caller, Cancellation, Deployment, MoveMark, Place, under_lock};
use migration_kit::ServiceName;
use migration_kit::table_lock::Policy;
use postgres_sandbox::Search;
use sqlx::PgConnection;

mod carrying;
mod contents;
mod departure;
mod dumping;
mod fence;
mod hindrances;
mod meanwhile;
mod places;
mod trial;

use self::carrying::Moving;
pub(crate) use self::departure::marked;
use self::places::Places;
use crate::aside::Aside;
use crate::error::read;
use crate::restore::replace::execute;
use crate::{BackupError, TableRows};

/// The services with the one that moves in both of its places, where its schemas are all its own.
#[derive(Clone, Copy)]
pub struct MovePlaces<'m> {
    /// Where it is.
    pub here: &'m Deployment,
    /// Where it goes.
    pub there: &'m Deployment,
    /// Where it is, and what it names is its own: by this is looked whether anything else is in its schema.
    pub named: &'m Deployment,
}

/// How a service is moved.
#[derive(Clone)]
pub struct MoveOptions {
    /// Where the archive is written that it goes by; it stays there, as a backup of that moment.
    pub directory: PathBuf,
    /// How long to wait for the migration locks.
    pub wait: Duration,
    /// How the locks are taken that stop writing.
    pub table_locks: Policy,
    /// Whether owners and rights are left out.
    pub no_owner: bool,
    /// Where PostgreSQL's programs are.
    pub search: Search,
    /// Who moves it, for the journal.
    pub caller: Caller,
    /// Stops it.
    pub cancellation: Cancellation,
}

/// What a move would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// The database where the service is, without a password.
    pub from: String,
    /// The one where it goes.
    pub to: String,
    /// Whether an earlier move has done everything but to end: then it is ended, and nothing is copied.
    pub ends: bool,
    /// The tables, the largest first.
    pub tables: Vec<TableBytes>,
    /// What they take together.
    pub size_bytes: u64,
    /// What is worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// A table and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableBytes {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// What it takes with its indexes.
    pub bytes: u64,
}

/// A service that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What was looked at before.
    pub prospect: Prospect,
    /// The archive by which it went; `None` if only an earlier move was ended.
    pub archive: Option<PathBuf>,
    /// The tables and their rows, the same in both places.
    pub tables: Vec<TableRows>,
    /// How many checks of applied migrations were asked there; all hold.
    pub n_checks: usize,
    /// The schemas in which that is which was here.
    pub kept_in: Vec<String>,
    /// The schemas into which was put what an earlier move had left there.
    pub set_aside: Vec<String>,
    /// For how long nobody could write: from the locks here until it was in use there.
    pub stopped: Duration,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveProgress {
    /// Its definitions are tried there, and its leaving here; nobody is kept from writing yet.
    Trying,
    /// Writers are waited for.
    Fencing,
    /// Nobody writes any more: so many bytes of the archive are written.
    Dumped(u64),
    /// It is restored there.
    Restoring,
    /// Both places are compared.
    Comparing,
}

/// Looks what a move would be. Reads only, in both places.
///
/// # Errors
/// [`BackupError::NotMovable`], and whatever else would stop the move.
pub async fn look(
    places: MovePlaces<'_>,
    service: &ServiceName,
    options: &MoveOptions,
) -> Result<Prospect, BackupError> {
    let MovePlaces { here, there, named } = places;
    Ok(Places { here, there, named, service, options }.look().await?.prospect)
}

/// Moves a service from where one deployment has it to where the other has it.
///
/// # Errors
/// [`BackupError`], with the service where it was; [`BackupError::MoveUnknown`] if the end is not known.
pub async fn move_service(
    places: MovePlaces<'_>,
    service: &ServiceName,
    options: &MoveOptions,
    progress: &dyn Fn(MoveProgress),
) -> Result<Moved, BackupError> {
    let MovePlaces { here, there, named } = places;
    let places = Places { here, there, named, service, options };
    // Where it cannot be, nothing is locked for it.
    let found = places.look().await?;
    let (wait, cancellation) = (options.wait, &options.cancellation);
    // Both locks first: nobody is kept from writing while one is waited for.
    let moving = under_lock(Place::Any, here, service, wait, cancellation, |here| async move {
        let moving = under_lock(Place::Any, there, service, wait, cancellation, |there| async move {
            let mut fence = here.get_postgres_connection_pool().acquire().await.map_err(read(service))?;
            let mut copy = there.get_postgres_connection_pool().acquire().await.map_err(read(service))?;
            if let Some(at) = &found.ends {
                let set_aside = Box::pin(end(&places, &mut fence, &mut copy, at)).await?;
                return Ok(Moved { set_aside, ..Moved::ended(found.prospect) });
            }
            let moved = Box::pin(behind_the_fence(&places, &mut fence, &mut copy, progress)).await;
            match moved {
                // Until its commits nothing is done for good.
                Err(BackupError::Lost { .. }) => Err(lost(&places, &mut fence, &mut copy).await),
                moved => moved,
            }
        });
        Box::pin(moving).await?
    });
    Box::pin(moving).await?
}

/// Which server was lost: that of the session that does not answer. Where both do, it was the dump's, which reads here.
async fn lost(places: &Places<'_>, fence: &mut PgConnection, copy: &mut PgConnection) -> BackupError {
    let is_there = fence::answers(fence).await && !fence::answers(copy).await;
    let deployment = if is_there { places.there } else { places.here };
    let service = places.service.clone();
    let placed = deployment.service(&service).map(|(_, _, database)| &deployment.databases()[database]);
    BackupError::MoveLost { service, database: placed.map(ToString::to_string).unwrap_or_default() }
}

/// Moves it with the migration lock in both places.
async fn behind_the_fence(
    places: &Places<'_>,
    fence: &mut PgConnection,
    copy: &mut PgConnection,
    progress: &dyn Fn(MoveProgress),
) -> Result<Moved, BackupError> {
    let Places { here, service, options, .. } = *places;
    // Another run may have changed the service, or moved it.
    let found = places.look().await?;
    if found.ends.is_some() {
        return Err(BackupError::MoveUnknown { service: service.clone(), what: "another run has moved it" });
    }
    let (_, major) = found.majors;
    let clients = options.search.clone().clients(major);
    let clients = clients.map_err(|missing| BackupError::NoClients { major, missing: Box::new(missing) })?;
    progress(MoveProgress::Trying);
    let tried = Box::pin(trial::carry_out(places, &clients, &found, fence, copy)).await?;
    progress(MoveProgress::Fencing);
    let (owned, begun) = fence::raise(fence, here, service, options.table_locks).await?;
    let moving = Moving { places, clients: &clients, tried: &tried, owned: &owned, progress };
    let moved = Box::pin(moving.carry_out(fence, copy, found)).await;
    if moved.is_err() {
        fence::lower(copy).await;
        fence::lower(fence).await;
    }
    moved.map(|moved| Moved { stopped: begun.elapsed(), ..moved })
}

/// Ends a move of this time: the copy there is in use, or the service is again in use here if something was made in it after it was
/// copied. Until then nobody can write in either place. Gives the schemas into which was put what was in the copy's place.
async fn end(
    places: &Places<'_>,
    here: &mut PgConnection,
    copy: &mut PgConnection,
    at: &str,
) -> Result<Vec<String>, BackupError> {
    let service = places.service;
    let schemas = schemas(places.there, service);
    let kept_in = Aside::Moved.schemas_at(service, at, schemas.len());
    let hidden = Aside::Arriving.schemas_at(service, at, schemas.len());
    let is_gone = |mark: &MoveMark| matches!(mark, MoveMark::Gone { at: marked, .. } if marked == at);
    let is_arriving = |mark: &MoveMark| matches!(mark, MoveMark::Arriving { at: marked, .. } if marked == at);
    if let Some(made) = meanwhile::made(here, copy, service, (&kept_in, &hidden)).await? {
        reveal(here, (places.here, service), (&schemas, &kept_in), is_gone).await?;
        return Err(trial::changed_here(service, &made));
    }
    reveal(copy, (places.there, service), (&schemas, &hidden), is_arriving).await
}

/// Gives a service its schemas under these names, in the one commit after which nothing is left to do.
async fn reveal(
    connection: &mut PgConnection,
    placed: (&Deployment, &ServiceName),
    schemas: (&[String], &[String]),
    is_its_mark: impl Fn(&MoveMark) -> bool,
) -> Result<Vec<String>, BackupError> {
    let service = placed.1;
    execute(connection, service, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let revealed = departure::reveal(connection, placed, schemas, is_its_mark).await;
    if revealed.is_err() {
        fence::lower(connection).await;
    }
    let set_aside = revealed?;
    execute(connection, service, "COMMIT AND NO CHAIN").await?;
    Ok(set_aside)
}

/// The schemas of a service, its own one first.
fn schemas(deployment: &Deployment, service: &ServiceName) -> Vec<String> {
    let placed = deployment.service(service);
    placed.map_or_else(Vec::new, |(service, schema, _)| {
        [schema.to_owned()].into_iter().chain(service.further_schemas().iter().cloned()).collect()
    })
}

impl Moved {
    fn ended(prospect: Prospect) -> Self {
        Self {
            prospect,
            archive: None,
            tables: Vec::new(),
            n_checks: 0,
            kept_in: Vec::new(),
            set_aside: Vec::new(),
            stopped: Duration::ZERO,
        }
    }
}
