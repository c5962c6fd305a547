//! Expand, phases 2 and 3. Gives every run its bot and its deployment, and makes ended runs inactive.
//!
//! `SHARE ROW EXCLUSIVE` on `run` for the moment that a trigger takes; then batches of about 40 ms that lock the runs
//! they change. A run that names no bot, or a course that does not exist, stays as it is and is listed as a reject: no
//! course is invented for it. `down` drops the trigger; the filled columns go with their migration, and links that were
//! emptied stay in the rejects.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::{backfill, trigger};
use crate::{NAME, check};

/// Links runs to bots and deployments, now and as old code writes them.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_triggers([&trigger::RUN]).await?;
        backfill::runs(online).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_triggers([&trigger::RUN]).await?;
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify(Check::from(&trigger::RUN).until(check::TRIGGERS_GO))
            .verify(check::runs_have_bots().kept().until(check::TRIGGERS_GO))
            .verify(check::active_runs_have_deployments().kept().until(check::TRIGGERS_GO))
            .verify(check::ended_runs_are_inactive().kept().until(check::TRIGGERS_GO))
    }
}
