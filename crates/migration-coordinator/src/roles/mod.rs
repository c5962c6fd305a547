//! Roles of the database for a service: an owner, as which its migrations run, so that PostgreSQL itself refuses what is not the
//! service's, and one for its application, which writes rows and alters nothing.
//!
//! What is missing is a list of statements, made from what is there; where nothing is missing it is empty. An owner is known by a
//! comment, whatever it is called, and by owning the service's version table or its schema.

mod found;

use std::time::{Duration, Instant};

use futures_timer::Delay;
use migration_kit::ServiceName;
use migration_kit::table_lock::{is_retryable, of_lock_statement};
use sea_orm::TransactionTrait;

use self::found::Found;
use crate::belongings::Applied;
use crate::bookkeeping::execute;
use crate::deployment::Deployment;
use crate::lock::LockedSession;
use crate::reading::Reading;
use crate::run::RunOptions;
use crate::upkeep::{self, UpkeepError};

/// What the roles of services are called, and who is a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleOptions {
    /// What precedes `SERVICE_owner` and `SERVICE_app`: roles belong to all databases of a server.
    pub prefix: String,
    /// Roles that run migrations: they become members of the owner. The one that is connected does in any case.
    pub migrators: Vec<String>,
    /// Roles of applications: they become members of the application's role.
    pub applications: Vec<String>,
}

/// What makes the roles of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleScript {
    /// The role that owns what the service has.
    pub owner: String,
    /// The role for its application.
    pub application: String,
    /// The statements that are missing, in their order.
    pub statements: Vec<String>,
    /// Whether they were executed.
    pub done: bool,
}

/// The names of a service's roles.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    owner: String,
    application: String,
}

/// Makes the roles of a service, as far as they are missing, in one transaction under its migration lock; only looks what is
/// missing if `dry_run`.
///
/// # Errors
/// [`UpkeepError`], with nothing changed; [`UpkeepError::Roles`] if a name is not possible or a role that is named is missing;
/// [`UpkeepError::OfOthers`] if what bears the service's names is not its own.
pub async fn provide_roles(
    deployment: &Deployment,
    service: &ServiceName,
    asked: &RoleOptions,
    options: &RunOptions,
    dry_run: bool,
) -> Result<RoleScript, UpkeepError> {
    let placed = upkeep::find(deployment, service)?;
    let names = Names::new(service, &asked.prefix)?;
    let [owner, application] = [names.owner.clone(), names.application.clone()];
    let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
    if dry_run {
        let applied = upkeep::look_whose(deployment, placed).await?;
        let mut reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
        reading.begin().await.map_err(failed)?;
        upkeep::judge_place(service, reading.rows(&placed.site.mark_question()).await)?;
        let mut found = Found::default();
        for question in found::questions(deployment, placed, &names, asked) {
            let rows = reading.rows(&question).await.map_err(failed)?;
            found.take(rows);
        }
        reading.close().await;
        let statements = found.statements(deployment, (placed, applied), &names)?.0;
        return Ok(RoleScript { owner, application, statements, done: false });
    }
    let work = async |locked: &LockedSession<'_>, applied: Applied| {
        let statements = make((deployment, applied), locked, &names, asked, options).await?;
        Ok(RoleScript { owner, application, statements, done: true })
    };
    Box::pin(upkeep::own(deployment, placed, options.wait, &options.cancellation, work)).await?
}

/// Executes what is missing. It never waits for a table lock: whoever came after it would wait too.
async fn make(
    (deployment, applied): (&Deployment, Applied),
    locked: &LockedSession<'_>,
    names: &Names,
    asked: &RoleOptions,
    options: &RunOptions,
) -> Result<Vec<String>, UpkeepError> {
    const PAUSE: Duration = Duration::from_millis(200);
    let (placed, begun) = (locked.placed(), Instant::now());
    let service = placed.name();
    let failed = |source| UpkeepError::Database { service: service.clone(), source };
    loop {
        let mut found = Found::default();
        for question in found::questions(deployment, placed, names, asked) {
            found.take(locked.session().rows(&question).await.map_err(upkeep::driver).map_err(failed)?);
        }
        let (statements, tables) = found.statements(deployment, (placed, applied), names)?;
        if statements.is_empty() {
            return Ok(statements);
        }
        let tx = locked.writer().db().begin().await.map_err(failed)?;
        if !tables.is_empty() {
            let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", tables.join(", "));
            match execute(&tx, &lock).await.map_err(of_lock_statement) {
                Err(error) if is_retryable(&error) && begun.elapsed() < options.wait => {
                    drop(tx.rollback().await);
                    Delay::new(PAUSE).await;
                    continue;
                }
                locked => locked.map_err(failed)?,
            }
        }
        for statement in &statements {
            execute(&tx, statement).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        return Ok(statements);
    }
}

impl Names {
    fn new(service: &ServiceName, prefix: &str) -> Result<Self, UpkeepError> {
        /// `NAMEDATALEN` less one.
        const LONGEST: usize = 63;
        let name = |suffix| format!("{prefix}{service}_{suffix}");
        let names = Self { owner: name("owner"), application: name("app") };
        let message = if names.owner.len() > LONGEST {
            format!("`{}` is longer than 63 bytes, where PostgreSQL cuts names", names.owner)
        } else if names.owner.starts_with("pg_") {
            format!("`{}` begins with `pg_`, as only the server's own roles do", names.owner)
        } else {
            return Ok(names);
        };
        Err(UpkeepError::Roles { service: service.clone(), message })
    }
}
