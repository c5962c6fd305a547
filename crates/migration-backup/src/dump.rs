//! Making backups: all services of one database at one moment, each as an archive and, once that is whole, its manifest.
//! It is long because what is said of a backup, how it is made and what becomes of it are read together.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use migration_coordinator::{
    Access, Cancellation, Deployment, Moment, RunError, ServiceFacts, at_one_moment, no_collision,
};
use migration_kit::ServiceName;
use migration_plan::Utc;
use postgres_sandbox::{Clients, Search};
use postgres_schema::Schema;

mod program;

use crate::BackupError;
use crate::archive::{self, Temporary, fingerprint};
use crate::attached::has_its_partitions;
use crate::connections::Needed;
use crate::error::read;
use crate::external;
use crate::left_out::LeftOut;
use crate::manifest::{Kind, Manifest, Server, Verification};
use crate::needs;
use crate::outside::outside;
use crate::owned::{Owned, surroundings};
use crate::place::sweep;
use crate::recorded::{Described, Recorded};
use crate::stream::Pipe;
use crate::verify::{Trial, Verify};

/// How backups are made.
#[derive(Clone)]
pub struct BackupOptions {
    /// Where they go; it is made if it is missing.
    pub directory: PathBuf,
    /// A command that keeps them instead. Nothing is written to this machine, so nothing is restored on trial, and they are no
    /// directories.
    pub pipe: Option<Pipe>,
    /// A command that makes one backup of all services in place of `pg_dump`. It finds its name and the services in
    /// `MIGRATE_BACKUP_NAME` and `MIGRATE_BACKUP_SERVICES`; only manifests are written.
    pub external: Option<Pipe>,
    /// How many tables are dumped side by side, each over a connection of its own, into a directory; `None`: into a file, one
    /// after the other.
    pub jobs: Option<u16>,
    /// How long to wait for a migration lock, and for a table lock of others.
    pub wait: Duration,
    /// Whether each is restored on trial.
    pub verify: Verify,
    /// From how many bytes on a service is large: [`Progress::Large`] says so.
    pub large_bytes: u64,
    /// Where PostgreSQL's programs are.
    pub search: Search,
    /// What the manifests say of the tool.
    pub tool: String,
    /// Stops it.
    pub cancellation: Cancellation,
}

impl BackupOptions {
    /// Into this directory, with a minute of patience; up to 1 GiB is verified, and from 50 GiB on a service is large.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            pipe: None,
            external: None,
            jobs: None,
            wait: Duration::from_secs(60),
            verify: Verify::UpTo(1 << 30),
            large_bytes: 50 << 30,
            search: Search::from_environment(),
            tool: concat!("migration-backup ", env!("CARGO_PKG_VERSION")).to_owned(),
            cancellation: Cancellation::default(),
        }
    }
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'p> {
    /// So many bytes are to be dumped, which takes long, and longer to restore.
    Large(&'p ServiceName, u64),
    /// These columns have this option, which a server of another build does not know: it could not restore the backup.
    Option(&'p ServiceName, &'p str, &'p str),
    /// This is in no dump of it. Whether migrations that were begun and not finished may have left it there.
    LeftOut(&'p ServiceName, &'p LeftOut, bool),
    /// A command makes the backup of this name.
    Commanded(&'p str),
    /// Its rows are counted, and its archive is written: so many bytes until now.
    Written(&'p ServiceName, u64),
    /// It is restored on trial.
    Verifying(&'p ServiceName),
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The archive, with its manifest beside it; of an external one, the manifest.
    pub archive: PathBuf,
    /// What the manifest says.
    pub manifest: Manifest,
}

/// What became of backups.
#[derive(Debug)]
pub struct Made {
    /// Those that are whole.
    pub done: Vec<Backup>,
    /// Services that have nothing to back up yet.
    pub empty: Vec<ServiceName>,
    /// Of those of them whose names others have taken in their schema, what is there.
    pub of_others: Vec<RunError>,
    /// What was removed because earlier backups, whose process was killed, had left it.
    pub swept: Vec<PathBuf>,
    /// Why there are no more.
    pub failure: Option<BackupError>,
}

/// A service's archive, before it is proved.
pub(crate) struct Dumped {
    service: ServiceName,
    /// None if a command has it.
    temporary: Option<Temporary>,
    pub(crate) manifest: Manifest,
    owned: Owned,
    pub(crate) schemas: Vec<(String, Schema)>,
}

/// Backs up services, those of one database at one moment. Each is whole or is not there; the first that fails ends it.
pub async fn backup(
    deployment: &Deployment,
    services: &[ServiceName],
    options: &BackupOptions,
    progress: &dyn Fn(Progress<'_>),
) -> Made {
    let swept = if options.pipe.is_some() { Vec::new() } else { sweep(&options.directory) };
    let mut made = Made { done: Vec::new(), empty: Vec::new(), of_others: Vec::new(), swept, failure: None };
    if let Some(command) = &options.external {
        let backing_up = external::backup(deployment, services, (command, options), progress, &mut made);
        made.failure = Box::pin(backing_up).await.err();
        made
    } else {
        of_each_database(deployment, services, options, progress, made).await
    }
}

async fn of_each_database(
    deployment: &Deployment,
    services: &[ServiceName],
    options: &BackupOptions,
    progress: &dyn Fn(Progress<'_>),
    mut made: Made,
) -> Made {
    for (database, services) in deployment.by_database(services) {
        if let Err(error) = of_database(deployment, (database, &services), options, progress, &mut made).await
        {
            made.failure = Some(error);
            break;
        }
    }
    made
}

async fn of_database(
    deployment: &Deployment,
    (database, services): (usize, &[ServiceName]),
    options: &BackupOptions,
    progress: &dyn Fn(Progress<'_>),
    made: &mut Made,
) -> Result<(), BackupError> {
    if options.pipe.is_none() {
        fs::create_dir_all(&options.directory).map_err(BackupError::writing(&options.directory))?;
    }
    let mut dumped = Vec::new();
    let asking = Needed::by_backup(options.jobs).may_be_had(&deployment.databases()[database], &services[0]);
    options.cancellation.unless_cancelled(asking).await.ok_or(RunError::Interrupted)??;
    let work = async |moment: &mut Moment<'_>| {
        let first = &services[0];
        let server = moment.ask(Server::read).await.map_err(read(first))?;
        let major = server.major();
        let found = options.search.clone().clients(major);
        let clients =
            found.map_err(|missing| BackupError::NoClients { major, missing: Box::new(missing) })?;
        for (service, facts) in services.iter().zip(moment.facts().to_vec()) {
            if let Some(unread) = facts.unread.clone() {
                return Err(BackupError::from(RunError::Survey(unread)));
            }
            // In a schema of its own they are its tables, whose history is gone.
            if deployment.shares_schema(service)
                && let Err(of_others) = no_collision(deployment, &facts)
            {
                made.of_others.push(of_others);
                made.empty.push(service.clone());
                continue;
            }
            let dump = Dump {
                deployment,
                service,
                facts,
                server: &server,
                clients: &clients,
                options,
                extent: Extent::Everything,
            };
            match dump.carry_out(moment, database, progress).await? {
                Some(whole) => dumped.push(whole),
                None => made.empty.push(service.clone()),
            }
        }
        Ok((clients, major))
    };
    let done = at_one_moment(deployment, services, options.wait, &options.cancellation, work).await?;
    let Some(done) = done else { return Ok(()) };
    let (clients, major) = done?;
    // The locks are free again: what follows concerns the archives alone.
    for mut whole in dumped {
        let (Some(temporary), None) = (&whole.temporary, &options.pipe) else {
            made.done.push(whole.send(options).await?);
            continue;
        };
        progress(Progress::Verifying(&whole.service));
        let trial = Trial {
            service: &whole.service,
            archive: temporary.path(),
            manifest: &whole.manifest,
            owned: &whole.owned,
            schemas: &whole.schemas,
            jobs: options.jobs,
        };
        let proving = trial.carry_out(options.verify, &clients, &options.search, major);
        let proved = options.cancellation.unless_cancelled(Box::pin(proving)).await;
        whole.manifest.verification = proved.unwrap_or(Err(RunError::Interrupted.into()))?;
        made.done.push(whole.keep(&options.directory)?);
    }
    Ok(())
}

/// How much of a service is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Everything,
    /// All but rows, and nothing of its history is known.
    Definitions,
}

/// One service to be written out.
pub(crate) struct Dump<'d> {
    pub(crate) deployment: &'d Deployment,
    pub(crate) service: &'d ServiceName,
    pub(crate) facts: ServiceFacts,
    pub(crate) server: &'d Server,
    pub(crate) clients: &'d Clients,
    pub(crate) options: &'d BackupOptions,
    pub(crate) extent: Extent,
}

impl Dump<'_> {
    /// Writes it out; `None` if there is nothing of it.
    pub(crate) async fn carry_out(
        self,
        moment: &mut Moment<'_>,
        database: usize,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<Option<Dumped>, BackupError> {
        let Self { deployment, service, server, options, extent, .. } = self;
        let failed = read(service);
        if !self.facts.schema_exists {
            return Ok(None);
        }
        let applied = self.facts.anything_applied().map_err(RunError::Survey)?;
        let owned = moment.ask(|connection| Owned::read(connection, deployment, service, applied)).await;
        let owned = owned.map_err(&failed)?;
        let names_nothing =
            deployment.service(service).is_none_or(|(service, _, _)| service.tables().is_empty());
        if owned.shares && names_nothing {
            return Err(BackupError::NotApart { service: service.clone(), schema: owned.schemas[0].clone() });
        }
        if owned.own().next().is_none() && self.facts.access != Access::Read {
            return Ok(None);
        }
        moment.ask(|connection| has_its_partitions(connection, service, &owned)).await?;
        let size = moment.ask(|connection| owned.size(connection)).await.map_err(&failed)?;
        if size >= options.large_bytes {
            progress(Progress::Large(service, size));
        }
        if extent == Extent::Everything {
            let options = moment.ask(|connection| owned.column_options(connection)).await;
            if let Some((columns, option)) = options.map_err(&failed)? {
                progress(Progress::Option(service, &columns, &option));
            }
        }
        progress(Progress::Written(service, 0));
        let mut tables = Vec::new();
        if extent == Extent::Everything {
            tables = moment.ask(|connection| owned.count(connection)).await.map_err(&failed)?;
            moment.ask(|connection| owned.try_sequences(connection)).await.map_err(&failed)?;
        }
        let outside = moment.ask(|connection| outside(connection, &owned)).await.map_err(&failed)?;
        let owners = moment.ask(|connection| needs::roles(connection, &owned)).await.map_err(&failed)?;
        let tablespaces = moment.ask(|connection| needs::tablespaces(connection, &owned)).await;
        let around = moment.ask(|connection| surroundings(connection, &owned.schemas)).await;
        let around = around.map_err(&failed)?;
        let (mut schemas, mut left_out) = (Vec::new(), LeftOut::default());
        for name in &owned.schemas {
            let found = moment.ask(|connection| Schema::read_within(connection, name)).await;
            let found = found.map_err(|source| BackupError::Schema { service: service.clone(), source })?;
            let (carried, left) = owned.carried(found);
            left_out.extend(left);
            schemas.push((name.clone(), carried));
        }
        let collisions = &self.facts.collisions;
        let is_lost = !collisions.objects.is_empty() || !collisions.adoptable.is_empty();
        if is_lost && self.facts.applied.is_empty() {
            let lost = "which migrations were applied: its tables are there without a history";
            left_out.others.push(lost.to_owned());
        }
        let recorded = match extent {
            Extent::Everything => &Recorded::of(deployment, &self.facts),
            Extent::Definitions => &Recorded::default(),
        };
        if extent == Extent::Everything && !left_out.is_empty() {
            progress(Progress::LeftOut(service, &left_out, !recorded.unfinished.is_empty()));
        }
        let taken_at = now();
        let free = free_moment(&options.directory, from_ref(service), taken_at);
        let stem = format!("{service}-{free}");
        let (temporary, size_bytes, sha256, files) = match &options.pipe {
            Some(pipe) => {
                let (size_bytes, sha256) =
                    self.stream(moment, database, &owned, (pipe, &stem), progress).await?;
                (None, size_bytes, sha256, Vec::new())
            }
            None => {
                let temporary = self.write(moment, database, &owned, &stem, progress).await?;
                let path = temporary.path();
                let (size_bytes, sha256, files) = fingerprint(path).map_err(BackupError::reading(path))?;
                (Some(temporary), size_bytes, sha256, files)
            }
        };
        let clients = self.clients;
        let tool = options.tool.as_str();
        let described = Described { service, recorded, owned: &owned, around, server, taken_at, tool };
        let manifest = Manifest {
            kind: Kind::Archive,
            archive: format!("{stem}.dump"),
            size_bytes,
            sha256,
            files,
            tables,
            left_out: left_out.words(),
            owners: owners.into_iter().collect(),
            tablespaces: tablespaces.map_err(&failed)?,
            outside,
            pg_dump: Some(clients.version().to_string()),
            ..described.manifest()
        };
        Ok(Some(Dumped { service: service.clone(), temporary, manifest, owned, schemas }))
    }
}

impl Dumped {
    /// Has the command keep the manifest too, which says that the archive is whole.
    async fn send(mut self, options: &BackupOptions) -> Result<Backup, BackupError> {
        let archive = PathBuf::from(&self.manifest.archive);
        self.manifest.verification = Verification::Skipped("a command keeps it".to_owned());
        if let Some(pipe) = &options.pipe {
            let name = archive.with_extension("json");
            pipe.keep_text(&name.to_string_lossy(), &self.manifest.sealed(), &options.cancellation).await?;
        }
        Ok(Backup { archive, manifest: self.manifest })
    }

    /// The archive, as long as it has no name of its own; nothing if a command has it.
    pub(crate) fn archive(&self) -> PathBuf {
        self.temporary.as_ref().map_or_else(PathBuf::new, |temporary| temporary.path().to_owned())
    }

    /// Gives the archive its name, and then writes the manifest.
    pub(crate) fn keep(self, directory: &Path) -> Result<Backup, BackupError> {
        let archive = directory.join(&self.manifest.archive);
        let place = archive.with_extension("json");
        let text = self.manifest.sealed();
        let new = directory.join(format!(".{}.json.part", self.manifest.archive));
        let written = Temporary::make(new.clone()).and_then(|temporary| {
            OpenOptions::new().write(true).open(&new)?.write_all(text.as_bytes())?;
            self.temporary.map_or(Ok(()), |dumped| dumped.keep(&archive))?;
            temporary.keep(&place)
        });
        if let Err(source) = written {
            // Without its manifest it is none.
            drop(archive::remove(&archive));
            return Err(BackupError::writing(&place)(source));
        }
        Ok(Backup { archive, manifest: self.manifest })
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}

/// `20251120T184900Z`, with a number behind it if one of these services has a backup of that name, or one is being made.
pub(crate) fn free_moment(directory: &Path, services: &[ServiceName], taken_at: i64) -> String {
    let time = Utc(taken_at).rfc3339().replace(['-', ':'], "");
    let moments = std::iter::once(time.clone()).chain((2..).map(|n| format!("{time}-{n}")));
    let is_there = |name: String| directory.join(name).exists();
    let is_free = |moment: &String| {
        let names = services.iter().flat_map(|service| {
            let stem = format!("{service}-{moment}");
            [
                format!("{stem}.dump"),
                format!("{stem}.json"),
                format!(".{stem}.dump.part"),
                format!(".{stem}.json.part"),
            ]
        });
        !names.into_iter().any(is_there)
    };
    moments.into_iter().find(is_free).expect("the numbers do not end")
}
