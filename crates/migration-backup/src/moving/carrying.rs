//! The way of a service behind its fence: the dump, the restore, the proof, and the commits by which it changes its place.

use migration_coordinator::{Applied, Moment, MoveMark, RunError, ServiceFacts, promises};
use postgres_sandbox::Clients;
use postgres_schema::Schema;
use sqlx::PgConnection;

use super::contents::{Contents, align_sequences};
use super::places::{Found, Places};
use super::trial::{Tried, changed_here, different, refused, schema};
use super::{MoveProgress, Moved, departure, end, fence, meanwhile};
use crate::aside::{Aside, this_moment};
use crate::dump::Extent;
use crate::error::read;
use crate::owned::Owned;
use crate::restore::replace::{Work, execute};
use crate::{Backup, BackupError, Progress};

/// A move behind its fence.
pub(super) struct Moving<'m> {
    pub(super) places: &'m Places<'m>,
    pub(super) clients: &'m Clients,
    pub(super) tried: &'m Tried,
    pub(super) owned: &'m Owned,
    pub(super) progress: &'m dyn Fn(MoveProgress),
}

/// What left.
struct Left {
    backup: Backup,
    contents: Contents,
    schemas: Vec<(String, Schema)>,
}

impl Moving<'_> {
    pub(super) async fn carry_out(
        &self,
        fence: &mut PgConnection,
        copy: &mut PgConnection,
        found: Found,
    ) -> Result<Moved, BackupError> {
        let Places { here, there, service, options, .. } = *self.places;
        let Found { prospect, facts, n_set_aside, .. } = found;
        let clients = self.clients;
        let leaving = fence::keeping(fence, service, Box::pin(self.leave(facts, clients)));
        let left = options.cancellation.unless_cancelled(leaving).await.ok_or(RunError::Interrupted)??;
        let at = this_moment();
        let schemas = &self.owned.schemas;
        let kept_in = Aside::Moved.schemas_at(service, &at, schemas.len());
        let restored = self.places.restored(left.backup.manifest.clone(), n_set_aside);
        let restoring = self.places.restoring();
        let work = self.places.work(&left.backup.archive, &restored, clients, &restoring);
        (self.progress)(MoveProgress::Restoring);
        let arriving = Box::pin(async {
            work.begin(copy).await?;
            self.arrive(copy, &work, &left).await
        });
        let arrived = fence::keeping(fence, service, arriving).await;
        let n_checks = arrived.map_err(|error| refused(error, "there", options.no_owner))?;
        align_sequences(fence, copy, service, self.owned).await?;
        work.write_down(copy).await?;
        let hidden = Aside::Arriving.schemas_at(service, &at, schemas.len());
        let mark = MoveMark::Arriving { at: at.clone(), from: prospect.from.clone() };
        departure::depart(copy, (there, service), (schemas, &hidden), (Aside::Arriving, &mark)).await?;
        self.still_as(fence, &left).await?;
        let mark = MoveMark::Gone { at: at.clone(), to: prospect.to.clone() };
        departure::depart(fence, (here, service), (schemas, &kept_in), (Aside::Moved, &mark)).await?;
        let set_aside = [restored.kept_in, self.commit(fence, copy, &at).await?].concat();
        Ok(Moved {
            archive: Some(left.backup.archive),
            tables: left.backup.manifest.tables,
            n_checks,
            kept_in,
            set_aside,
            ..Moved::ended(prospect)
        })
    }

    /// Dumps the service behind its fence, and reads what is in it.
    async fn leave(&self, facts: ServiceFacts, clients: &Clients) -> Result<Left, BackupError> {
        let Places { service, options, .. } = *self.places;
        let show = |progress: Progress<'_>| {
            if let Progress::Written(_, bytes) = progress {
                (self.progress)(MoveProgress::Dumped(bytes));
            }
        };
        let contents = async |moment: &mut Moment<'_>| {
            let contents = moment.ask(|connection| Contents::read(connection, self.owned)).await;
            contents.map_err(read(service))
        };
        let (contents, dumped) =
            Box::pin(self.places.dump(facts, clients, Extent::Everything, &show, contents)).await?;
        let schemas = dumped.schemas.clone();
        Ok(Left { backup: dumped.keep(&options.directory)?, contents, schemas })
    }

    /// Restores it there and proves that it is the same, within the transaction there. Gives how many checks were asked.
    async fn arrive(
        &self,
        copy: &mut PgConnection,
        work: &Work<'_>,
        left: &Left,
    ) -> Result<usize, BackupError> {
        let Places { there, service, .. } = *self.places;
        let failed = read(service);
        work.within(copy).await?;
        self.places.give_owners(copy, self.tried).await?;
        (self.progress)(MoveProgress::Comparing);
        self.tried.is_still_here(service, &left.schemas)?;
        self.tried.is_there(self.places, copy).await?;
        let owned = Owned::read(copy, there, service, Applied::Something).await.map_err(&failed)?;
        let contents = Contents::read(copy, &owned).await.map_err(&failed)?;
        if let Some(difference) = left.contents.difference(&contents) {
            return Err(different(service, difference));
        }
        let results = promises(there, service, &left.backup.manifest.migrations, copy).await;
        let results = results.map_err(failed)?;
        if let Some(broken) = results.iter().find(|result| !result.holds) {
            return Err(different(service, format!("a check does not hold there: {broken}")));
        }
        Ok(results.iter().filter(|result| !result.report).count())
    }

    /// Whether it is here as it was when it was dumped. The fence keeps rows from changing, but not all that can be made or dropped.
    async fn still_as(&self, fence: &mut PgConnection, left: &Left) -> Result<(), BackupError> {
        let service = self.places.service;
        if let Some(making) = meanwhile::making(fence, &self.owned.schemas).await.map_err(read(service))? {
            return Err(changed_here(service, &making));
        }
        for (name, before) in &left.schemas {
            let now = schema(fence, service, name).await?;
            if let Some(difference) = before.differences(&self.owned.of(now)).first() {
                return Err(changed_here(service, difference));
            }
        }
        Ok(())
    }

    /// Commits there, then here, and gives the copy its name, or the service its own again. In between, nobody can write in either
    /// place. Gives the schemas into which was put what was made meanwhile in the copy's place.
    async fn commit(
        &self,
        fence: &mut PgConnection,
        copy: &mut PgConnection,
        at: &str,
    ) -> Result<Vec<String>, BackupError> {
        let service = self.places.service;
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
        match end(self.places, fence, copy, at).await {
            Err(changed @ BackupError::Different { .. }) => Err(changed),
            ended => ended.map_err(|_| unknown("all was done but to give the copy its name")),
        }
    }
}
