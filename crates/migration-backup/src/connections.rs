//! How many connections a dump takes at once, asked for before anything is locked: what a role may not have fails halfway, in words
//! that name no way on.

use migration_coordinator::{DatabaseUrl, connection_limits};
use migration_kit::ServiceName;

use crate::BackupError;
use crate::error::read;

/// How many connections a backup takes at once: the session with the migration locks, the one with the snapshot, and that of `pg_dump`.
pub const CONNECTIONS: i32 = 3;

/// How many connections something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    /// All of the role's.
    pub(crate) of_role: i32,
    /// Those of them in the database.
    pub(crate) in_database: i32,
}

impl Needed {
    /// What a backup takes of which so many tables are dumped side by side, each over a connection of its own.
    pub(crate) fn by_backup(jobs: Option<u16>) -> Self {
        let needed = CONNECTIONS + jobs.map_or(0, i32::from);
        Self { of_role: needed, in_database: needed }
    }

    /// What a move takes where the service is: its fence, and the same. Where it goes to another database of that server, the session there
    /// is one of the role's too.
    pub(crate) fn by_move(here: &DatabaseUrl, there: &DatabaseUrl) -> Self {
        let of = |url: &DatabaseUrl| (url.host(), url.port(), url.user().to_owned());
        let needed = CONNECTIONS;
        Self { of_role: needed + i32::from(of(here) == of(there)), in_database: needed }
    }

    /// Refuses where a limit is lower.
    ///
    /// # Errors
    /// [`BackupError::Connections`]; [`BackupError::Connect`] and [`BackupError::Read`] if it could not be asked.
    pub(crate) async fn may_be_had(
        self,
        url: &DatabaseUrl,
        service: &ServiceName,
    ) -> Result<(), BackupError> {
        let limits = connection_limits(url).await?.map_err(read(service))?;
        for limit in limits {
            let needed = if limit.is_roles { self.of_role } else { self.in_database };
            if limit.limit < needed {
                return Err(BackupError::Connections {
                    service: service.clone(),
                    database: url.to_string(),
                    change: limit.raised_to(needed),
                    limit: limit.limit,
                    needed,
                });
            }
        }
        Ok(())
    }
}
