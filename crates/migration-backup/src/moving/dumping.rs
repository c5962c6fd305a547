//! The archive by which a service goes, and how it is restored.

use std::path::Path;

use migration_coordinator::{Applied, Moment, ServiceFacts};
use postgres_sandbox::Clients;

use super::places::Places;
use crate::aside::Aside;
use crate::dump::{Dump, Dumped, Extent};
use crate::error::read;
use crate::manifest::Server;
use crate::restore::replace::Work;
use crate::{BackupError, BackupOptions, Manifest, Progress, RestoreOptions, Restored, Verify};

impl Places<'_> {
    /// Dumps the service at one moment, and asks something else at the same moment before. The caller has its migration lock.
    pub(super) async fn dump<T>(
        &self,
        facts: ServiceFacts,
        clients: &Clients,
        extent: Extent,
        progress: &dyn Fn(Progress<'_>),
        before: impl AsyncFnOnce(&mut Moment<'_>) -> Result<T, BackupError>,
    ) -> Result<(T, Dumped), BackupError> {
        let Places { here, service, options, .. } = *self;
        let failed = read(service);
        let database = here.service(service).map_or(0, |(_, _, database)| database);
        let opened = Moment::open(&here.databases()[database], vec![facts.clone()], options.wait).await?;
        let mut moment = opened.map_err(&failed)?;
        let before = before(&mut moment).await?;
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
        let dump = Dump { deployment: here, service, facts, server: &server, clients, options: &how, extent };
        let dumped = dump.carry_out(&mut moment, database, progress).await?;
        moment.close().await;
        match dumped {
            Some(dumped) => Ok((before, dumped)),
            None => {
                let why = "nothing of it is here".to_owned();
                Err(BackupError::NotMovable { service: service.clone(), why, hint: None })
            }
        }
    }

    /// What is restored there.
    pub(super) fn restored(&self, manifest: Manifest, n_set_aside: usize) -> Restored {
        Restored {
            manifest,
            kept_in: Aside::BeforeMove.schemas(self.service, n_set_aside),
            tables: Vec::new(),
            pending_again: Vec::new(),
            absent_tablespaces: Vec::new(),
            done: false,
        }
    }

    /// The restore of this archive there.
    pub(super) fn work<'w>(
        &'w self,
        archive: &'w Path,
        restored: &'w Restored,
        clients: &'w Clients,
        options: &'w RestoreOptions,
    ) -> Work<'w> {
        Work {
            deployment: self.there,
            service: self.service,
            applied: Applied::Something,
            file: archive,
            archive: archive.to_owned(),
            restored,
            clients,
            options,
            consent: "moved",
            aside: Aside::BeforeMove,
        }
    }

    /// How it is restored there.
    pub(super) fn restoring(&self) -> RestoreOptions {
        let options = self.options;
        RestoreOptions {
            wait: options.wait,
            replace: true,
            no_owner: options.no_owner,
            from_elsewhere: true,
            dry_run: false,
            search: options.search.clone(),
            caller: options.caller.clone(),
            own: None,
            cancellation: options.cancellation.clone(),
        }
    }
}
