//! Contract, phases 4 and 7. Conversations and waits refer to runs that exist.
//!
//! It is a contract step because old code may still read and write conversations of runs that it has deleted, and from
//! here on deleting a run deletes them. Conversations of runs that do not exist leave for the rejects; a wait loses the
//! run that old code has deleted since, and is listed. Conversations that name another course than their run stay and are
//! listed.
//!
//! Batches over `conversation`, the long table, that lock the rows that leave; `SHARE ROW EXCLUSIVE` on both tables of a
//! key for a moment, then a validation beside which reading and writing go on. `down` puts every conversation back; which
//! run a wait had lost stays in the rejects, because that run does not exist.

use std::time::Duration;

use migration_kit::rejects::WHOLE_ROW;
use migration_kit::{Details, ForeignKey, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::backfill;
use crate::lists::cascading;
use crate::{NAME, SOAK_DAYS, check};

/// Adds the foreign keys to `run`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const FOREIGN_KEYS: [ForeignKey; 2] = [
    cascading("conversation_run_id_fkey", "conversation", &["run_id"], "run"),
    cascading("waiting_element_run_id_fkey", "waiting_element", &["run_id"], "run"),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        let orphans =
            "source.run_id IS NOT NULL AND NOT EXISTS (SELECT FROM run WHERE run.run_id = source.run_id)";
        online.move_to_rejects("conversation", orphans, "its run does not exist").run().await?;
        online
            .backfill("conversation")
            .rejects(format!(
                "SELECT jsonb_build_object('conversation_id', source.conversation_id) AS key, 'course_id' AS field, \
                 source.course_id AS value, 'its run has another account or course' AS reason, \
                 {WHOLE_ROW} FROM conversation AS source JOIN run ON run.run_id = source.run_id \
                 WHERE {{batch}} AND (run.account_id <> source.account_id OR run.course_id <> source.course_id)",
            ))
            // It only reads, so nobody waits for a batch; a small one would spend its time on reading all runs again.
            .batch_rows(50_000)
            .target(Duration::from_secs(2))
            .run()
            .await?;
        backfill::waiting_elements(online).await?;
        online.add_foreign_keys(&FOREIGN_KEYS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_foreign_keys(FOREIGN_KEYS.iter().rev()).await?;
        online.restore_rejects("conversation").await?;
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(Duration::from_secs(SOAK_DAYS * 24 * 60 * 60))
            .one_node(crate::links::ONE_NODE)
            .verify_all(&FOREIGN_KEYS)
            .verify(check::conversations_unlike_runs())
    }
}
