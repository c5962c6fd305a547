//! Connections for the parts of a backfill that work side by side, beyond the one that the migration has.
//!
//! They are connections like those of the migration's pool. Where that pool must never connect again, because its one
//! session holds a lock, its owner says here how to connect beside it. Nothing else about a pool is kept here, and
//! nothing for longer than the pool lives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sea_orm::DbErr;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::sqlx::{Connection, PgConnection};

use crate::session::{self, BOOKKEEPING, db_err};
use crate::{literal, quote_identifier};

/// Makes the server look twice a second, while it works, whether its client still lives: if this process is killed, what
/// is under way should end too. No start-up option, since a server on a system that cannot look would refuse the session.
pub const CONNECTION_CHECK: &str = "/* migrate */ SET client_connection_check_interval = '500ms'";

/// How to connect beside a pool.
struct Entry {
    // Invariant: the pool's own options, by which it is known; they live as long as it does.
    pool: Weak<PgConnectOptions>,
    options: PgConnectOptions,
}

/// Process-wide, because a migration is given a connection and nothing else.
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// Says how workers of backfills connect that run over `pool`, instead of by the pool's own options.
pub fn connect_with(pool: &PgPool, options: PgConnectOptions) {
    let mut entries = entries();
    entries.retain(|entry| entry.pool.strong_count() > 0);
    entries.push(Entry { pool: Arc::downgrade(&pool.connect_options()), options });
}

/// Opens a connection for one more worker.
pub(crate) async fn connect(pool: &PgPool, schema: &str) -> Result<PgConnection, DbErr> {
    let own = pool.connect_options();
    let registered = entries()
        .iter()
        .find(|entry| entry.pool.as_ptr() == Arc::as_ptr(&own))
        .map(|entry| entry.options.clone());
    let options = registered.unwrap_or_else(|| (*own).clone());
    let mut connection = PgConnection::connect_with(&options).await.map_err(db_err)?;
    let schema = literal(&quote_identifier(schema));
    let search_path = format!("{BOOKKEEPING}SELECT set_config('search_path', {schema}, false)");
    session::execute(&mut connection, search_path).await?;
    drop(session::execute(&mut connection, CONNECTION_CHECK).await);
    Ok(connection)
}

fn entries() -> MutexGuard<'static, Vec<Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}
