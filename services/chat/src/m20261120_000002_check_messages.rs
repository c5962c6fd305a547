//! Holds new messages to what the application assumes: a role of `user` or `assistant`, and no negative length.
//!
//! Expand: the application writes nothing else. Each check is added `NOT VALID` under `ACCESS EXCLUSIVE` for
//! milliseconds, taken by the lock policy; then the table is read once under `SHARE UPDATE EXCLUSIVE`, with reads and
//! writes going on.
//!
//! Rows that break a check stay as they are and are listed as rejects. PostgreSQL would refuse every `UPDATE` of such a row,
//! its soft delete too, so a trigger of the check's name stands in for it: it refuses new rows that break the rule and
//! changes that break it, and lets everything else pass. Once the rows are corrected, reverting and applying this
//! migration again puts the validated check in its place.
//!
//! `down` drops checks and triggers under `ACCESS EXCLUSIVE` for milliseconds, and the list of rejects. No message changes.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, literal, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// One rule for the rows of `messages`.
struct Rule {
    /// Name of its constraint.
    constraint: &'static str,
    /// Column that it judges, which a reject names as its field.
    field: &'static str,
    /// What must be true of a row.
    expression: &'static str,
    /// What is wrong with a row that breaks it.
    reason: &'static str,
}

const RULES: [Rule; 2] = [
    Rule {
        constraint: "messages_role_check",
        field: "role",
        expression: "role IN ('user', 'assistant')",
        reason: "neither `user` nor `assistant`",
    },
    Rule {
        constraint: "messages_message_length_check",
        field: "message_length",
        expression: "message_length >= 0",
        reason: "negative",
    },
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        for rule in &RULES {
            online
                .add_check("messages", rule.constraint, rule.expression)
                .rejecting_but_updatable(rule.field, rule.reason)
                .run()
                .await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        for rule in RULES.iter().rev() {
            online.drop_constraint("messages", rule.constraint).await?;
            online.drop_trigger("messages", rule.constraint).await?;
        }
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        RULES.iter().fold(Details::expand(), |details, rule| {
            details.verify(rule.exists()).verify(rule.validated_or_listed(self.name())).verify(rule.figure())
        })
    }
}

impl Rule {
    /// Its constraint exists, or the trigger that stands in for it: it holds for what is written from now on.
    fn exists(&self) -> Check {
        Check::holds(
            format!("`{}` holds for new rows of `messages`", self.constraint),
            format!(
                "SELECT EXISTS ({}) OR EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('messages') \
                 AND tgname = {} AND tgenabled IN ('O', 'A'))",
                self.pg_constraint("true"),
                literal(self.constraint),
            ),
        )
    }

    /// No row breaks it unseen. A validated constraint answers for every row, and the table is not read.
    fn validated_or_listed(&self, migration: &str) -> Check {
        Check::none(
            format!("every message that breaks `{}` is listed as a reject", self.constraint),
            format!(
                // Apart and first: where the rows are spread over nodes, no table on the coordinator can be joined with them,
                // and the key has a further column.
                "WITH listed AS MATERIALIZED (SELECT reject.row_key FROM migration_reject_{NAME} AS reject \
                 WHERE reject.migration = {migration} AND reject.table_name = 'messages' AND reject.field = {quoted_field}) \
                 SELECT message.id, message.{field} FROM messages AS message \
                 WHERE NOT EXISTS ({validated}) AND NOT ({expression}) AND NOT EXISTS (\
                 SELECT 1 FROM listed WHERE listed.row_key @> jsonb_build_object('id', message.id)) ORDER BY message.id",
                field = self.field,
                validated = self.pg_constraint("convalidated"),
                expression = self.expression,
                migration = literal(migration),
                quoted_field = literal(self.field),
            ),
        )
    }

    /// How far it is, for the reader.
    fn figure(&self) -> Check {
        Check::report(
            format!("state of `{}`", self.constraint),
            format!(
                "SELECT CASE WHEN EXISTS ({}) THEN 'validated' ELSE format('a trigger stands in for it, rows that break it: %s', \
                 (SELECT count(*) FROM messages WHERE NOT ({}))) END",
                self.pg_constraint("convalidated"),
                self.expression,
            ),
        )
    }

    fn pg_constraint(&self, condition: &str) -> String {
        format!(
            "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass('messages') AND conname = {} AND {condition}",
            literal(self.constraint),
        )
    }
}
