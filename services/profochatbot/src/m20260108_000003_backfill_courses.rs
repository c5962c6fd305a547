//! Expand, phases 2 and 3. Makes a bot of every name that a course gives, and a deployment of every course by its bot.
//!
//! `SHARE ROW EXCLUSIVE` on `course` for the moment that a trigger takes; then batches that read courses. Copies of a
//! course that stand under several bots become one deployment each; the copies themselves stay until the contract steps,
//! because old code reads them. A course whose bot name is empty is listed as a reject. `down` drops the trigger; bots
//! and deployments go with their tables.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::{backfill, trigger};
use crate::{NAME, check};

/// Makes bots and deployments of courses, now and as old code writes them.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_triggers([&trigger::COURSE]).await?;
        backfill::courses(online).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_triggers([&trigger::COURSE]).await?;
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify(Check::from(&trigger::COURSE).until(check::TRIGGERS_GO))
            .verify(check::courses_have_deployments().kept().until(check::TRIGGERS_GO))
    }
}
