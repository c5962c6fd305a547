//! Moving one service to another server: nobody writes meanwhile, what came there is proved to be what was here, and then what was here
//! gets another name, so that nothing is written to it any more. Before that last commit everything is as it was.
//!
//! In this order, under the migration lock in both places: a fence around the tables here, the dump, the restore there in one
//! transaction, the proof, the renaming here but for its commit; then the commit there, with a mark that the copy is not in use, the
//! commit here, and the end of the mark. Whatever stops it, a run that looks at both places knows how far it was.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use migration_coordinator::{
    Caller, Cancellation, Deployment, Moment, MoveMark, RunError, promises, under_lock,
};
use migration_kit::table_lock::Policy;
use migration_kit::{ServiceName, literal, qualified, quote_identifier};
use migration_plan::Utc;
use postgres_sandbox::{Clients, Search};
use postgres_schema::Schema;
use sqlx::PgConnection;

mod contents;
mod departure;
mod fence;
mod needs;
mod places;

use self::contents::{Contents, align_sequences};
use self::places::{Found, Places};
use crate::dump::{Dump, now};
use crate::error::read;
use crate::manifest::Server;
use crate::owned::{Owned, send};
use crate::restore::replace::{Work, execute};
use crate::restore::{BEFORE_RESTORE, MOVED, aside};
use crate::{Backup, BackupError, BackupOptions, Progress, RestoreOptions, Restored, TableRows, Verify};

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
    /// For how long nobody could write.
    pub stopped: Duration,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveProgress {
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
    here: &Deployment,
    there: &Deployment,
    service: &ServiceName,
    options: &MoveOptions,
) -> Result<Prospect, BackupError> {
    Ok(Places { here, there, service, options }.look().await?.prospect)
}

/// Moves a service from where one deployment has it to where the other has it.
///
/// # Errors
/// [`BackupError`], with the service where it was; [`BackupError::MoveUnknown`] if the end is not known.
pub async fn move_service(
    here: &Deployment,
    there: &Deployment,
    service: &ServiceName,
    options: &MoveOptions,
    progress: &dyn Fn(MoveProgress),
) -> Result<Moved, BackupError> {
    let places = Places { here, there, service, options };
    // Where it cannot be, nothing is locked for it.
    let found = places.look().await?;
    let (wait, cancellation) = (options.wait, &options.cancellation);
    if found.prospect.ends {
        let ending = under_lock(there, service, wait, cancellation, |db| async move {
            let mut connection = db.get_postgres_connection_pool().acquire().await.map_err(read(service))?;
            send(&mut connection, &mark(there, service, None)).await.map_err(read(service))
        });
        ending.await??;
        return Ok(Moved::ended(found.prospect));
    }
    // Both locks first: nobody is kept from writing while one is waited for.
    let moving = under_lock(here, service, wait, cancellation, |here| async move {
        let moving = under_lock(there, service, wait, cancellation, |there| async move {
            let mut fence = here.get_postgres_connection_pool().acquire().await.map_err(read(service))?;
            let mut copy = there.get_postgres_connection_pool().acquire().await.map_err(read(service))?;
            Box::pin(behind_the_fence(&places, &mut fence, &mut copy, progress)).await
        });
        Box::pin(moving).await?
    });
    Box::pin(moving).await?
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
    if found.prospect.ends {
        return Err(BackupError::MoveUnknown { service: service.clone(), what: "another run has moved it" });
    }
    progress(MoveProgress::Fencing);
    let owned = fence::raise(fence, here, service, options.table_locks).await?;
    let begun = Instant::now();
    let moving = Moving { places, owned: &owned, progress };
    let moved = Box::pin(moving.carry_out(fence, copy, found)).await;
    if moved.is_err() {
        fence::lower(copy).await;
        fence::lower(fence).await;
    }
    moved.map(|moved| Moved { stopped: begun.elapsed(), ..moved })
}

/// The statement that marks the copy there, or takes the mark away.
fn mark(there: &Deployment, service: &ServiceName, mark: Option<&MoveMark>) -> String {
    let (schema, tables) =
        (there.service(service).map_or("", |(_, schema, _)| schema), there.bookkeeping_tables(service));
    let text = mark.map_or_else(|| "NULL".to_owned(), |mark| literal(&mark.to_string()));
    format!("COMMENT ON TABLE {} IS {text}", qualified(schema, &tables[0]))
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

/// A move behind its fence.
struct Moving<'m> {
    places: &'m Places<'m>,
    owned: &'m Owned,
    progress: &'m dyn Fn(MoveProgress),
}

/// What left.
struct Left {
    backup: Backup,
    contents: Contents,
    schemas: Vec<(String, Schema)>,
}

impl Moving<'_> {
    async fn carry_out(
        &self,
        fence: &mut PgConnection,
        copy: &mut PgConnection,
        found: Found,
    ) -> Result<Moved, BackupError> {
        let Places { there, service, options, .. } = *self.places;
        let Found { prospect, facts, n_set_aside, owners, major } = found;
        let search = options.search.clone().clients(major);
        let clients =
            search.map_err(|missing| BackupError::NoClients { major, missing: Box::new(missing) })?;
        let leaving = fence::keeping(fence, service, Box::pin(self.leave(facts, &clients)));
        let left = options.cancellation.unless_cancelled(leaving).await.ok_or(RunError::Interrupted)??;
        let at = Utc(now()).rfc3339();
        let kept_in = aside(service, MOVED, self.owned.schemas.len());
        let restored = Restored {
            manifest: left.backup.manifest.clone(),
            kept_in: aside(service, BEFORE_RESTORE, n_set_aside),
            tables: Vec::new(),
            pending_again: Vec::new(),
            done: false,
        };
        let restoring = RestoreOptions {
            wait: options.wait,
            replace: true,
            no_owner: options.no_owner,
            from_elsewhere: true,
            dry_run: false,
            search: options.search.clone(),
            caller: options.caller.clone(),
            cancellation: options.cancellation.clone(),
        };
        let work = Work {
            deployment: there,
            service,
            file: &left.backup.archive,
            restored: &restored,
            clients: &clients,
            options: &restoring,
            consent: "moved",
        };
        (self.progress)(MoveProgress::Restoring);
        work.begin(copy).await?;
        let arriving = Box::pin(self.arrive(copy, &work, &left, &owners));
        let n_checks = fence::keeping(fence, service, arriving).await?;
        align_sequences(fence, copy, service, self.owned).await?;
        work.write_down(copy).await?;
        let arriving = MoveMark::Arriving { at: at.clone(), from: prospect.from.clone() };
        execute(copy, service, &mark(there, service, Some(&arriving))).await?;
        let gone = MoveMark::Gone { at, to: prospect.to.clone() };
        let tables = there.bookkeeping_tables(service);
        departure::depart(fence, service, (self.owned, &kept_in), &tables[0], &gone).await?;
        self.commit(fence, copy).await?;
        Ok(Moved {
            archive: Some(left.backup.archive),
            tables: left.backup.manifest.tables,
            n_checks,
            kept_in,
            set_aside: restored.kept_in,
            ..Moved::ended(prospect)
        })
    }

    /// Dumps the service behind its fence, and reads what is in it.
    async fn leave(
        &self,
        facts: migration_coordinator::ServiceFacts,
        clients: &Clients,
    ) -> Result<Left, BackupError> {
        let Places { here, service, options, .. } = *self.places;
        let failed = read(service);
        let database = here.service(service).map_or(0, |(_, _, database)| database);
        let opened = Moment::open(&here.databases()[database], vec![facts.clone()], options.wait).await?;
        let mut moment = opened.map_err(&failed)?;
        (self.progress)(MoveProgress::Dumped(0));
        let contents = moment.ask(|connection| Contents::read(connection, self.owned)).await;
        let contents = contents.map_err(&failed)?;
        let server = moment.ask(Server::read).await.map_err(failed)?;
        let how = BackupOptions {
            wait: options.wait,
            verify: Verify::Never,
            search: options.search.clone(),
            tool: options.caller.tool.clone(),
            cancellation: options.cancellation.clone(),
            ..BackupOptions::new(&options.directory)
        };
        std::fs::create_dir_all(&how.directory).map_err(BackupError::writing(&how.directory))?;
        let dump = Dump { deployment: here, service, facts, server: &server, clients, options: &how };
        let show = |progress: Progress<'_>| {
            if let Progress::Written(_, bytes) = progress {
                (self.progress)(MoveProgress::Dumped(bytes));
            }
        };
        let dumped = dump.carry_out(&mut moment, database, &show).await?;
        moment.close().await;
        let Some(dumped) = dumped else {
            let why = "nothing of it is here".to_owned();
            return Err(BackupError::NotMovable { service: service.clone(), why, hint: None });
        };
        let schemas = dumped.schemas.clone();
        Ok(Left { backup: dumped.keep(&how.directory)?, contents, schemas })
    }

    /// Restores it there and proves that it is the same, within the transaction there. Gives how many checks were asked.
    async fn arrive(
        &self,
        copy: &mut PgConnection,
        work: &Work<'_>,
        left: &Left,
        owners: &[(String, String)],
    ) -> Result<usize, BackupError> {
        let Places { there, service, options, .. } = *self.places;
        let failed = read(service);
        let different = |what: String| BackupError::Different { service: service.clone(), what };
        work.within(copy).await?;
        for (schema, owner) in owners.iter().filter(|_| !options.no_owner) {
            let (schema, owner) = (quote_identifier(schema), quote_identifier(owner));
            execute(copy, service, &format!("ALTER SCHEMA {schema} OWNER TO {owner}")).await?;
        }
        (self.progress)(MoveProgress::Comparing);
        for (name, here) in &left.schemas {
            let found = Schema::read_within(copy, name).await;
            let found = found.map_err(|source| BackupError::Schema { service: service.clone(), source })?;
            if let Some(difference) = here.differences(&self.owned.of(found)).first() {
                return Err(different(difference.to_string()));
            }
        }
        let owned = Owned::read(copy, there, service).await.map_err(&failed)?;
        let contents = Contents::read(copy, &owned).await.map_err(&failed)?;
        if let Some(difference) = left.contents.difference(&contents) {
            return Err(different(difference));
        }
        let results = promises(there, service, &left.backup.manifest.migrations, copy).await;
        let results = results.map_err(failed)?;
        if let Some(broken) = results.iter().find(|result| !result.holds) {
            return Err(different(format!("a check does not hold there: {broken}")));
        }
        Ok(results.iter().filter(|result| !result.report).count())
    }

    /// Commits there, then here, and takes the mark away. In between, the fence still stands.
    async fn commit(&self, fence: &mut PgConnection, copy: &mut PgConnection) -> Result<(), BackupError> {
        let Places { there, service, .. } = *self.places;
        let unknown = |what| BackupError::MoveUnknown { service: service.clone(), what };
        execute(fence, service, "SELECT 1").await?;
        match execute(copy, service, "COMMIT").await {
            Ok(()) => {}
            Err(BackupError::Lost { .. }) => {
                return Err(unknown(
                    "the connection was lost while the copy was committed; it is in use where it was",
                ));
            }
            Err(error) => return Err(error),
        }
        match execute(fence, service, "COMMIT").await {
            Ok(()) => {}
            Err(_) => {
                return Err(unknown("the connection was lost while it was taken away from where it was"));
            }
        }
        let ended = execute(copy, service, &mark(there, service, None)).await;
        ended.map_err(|_| unknown("the connection was lost when all but the mark on the copy was done"))
    }
}
