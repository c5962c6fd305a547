//! Contract, phases 4 and 7. One course of an account is one row, and what refers to a course refers to one that exists.
//!
//! It is a contract step because old code reads the copy of a course that stands under its own bot. Of several copies
//! one stays (the one with a bot name, then with content, then the newest, then the first bot name); the others leave
//! for the rejects, and their elements with them where the copy that stays has elements of its own. Elements and
//! participants of courses that do not exist leave too, and so do deployments whose course old code has deleted since.
//!
//! Batches that lock the rows that leave; `ACCESS EXCLUSIVE` on `course` for the moment that a unique constraint takes
//! when its index stands, `SHARE ROW EXCLUSIVE` for each key, validated beside reading and writing. `down` puts every
//! row back, and the links of runs; a row whose key was taken since stays a reject, and so does a link to such a row.

use std::time::Duration;

use migration_kit::rejects::WHOLE_ROW;
use migration_kit::{
    Check, Details, ForeignKey, Online, OnlineMigration, ServiceMigration, literal, online_migration,
};
use sea_orm_migration::prelude::*;

use crate::links::backfill::{self, RUN_KEY};
use crate::lists::{cascading, is_too_long};
use crate::{NAME, SOAK_DAYS};

/// Makes a course of an account unique, and adds the foreign keys to it.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UNIQUE: &str = "course_course_id_account_id_key";

const FOREIGN_KEYS: [ForeignKey; 3] = [
    cascading("course_element_course_fkey", "course_element", &["course_id", "account_id"], "course"),
    cascading("course_deployment_course_fkey", "course_deployment", &["course_id", "account_id"], "course"),
    cascading("courseparticipants_course_fkey", "courseparticipants", &["course_id", "account_id"], "course"),
];

/// Copies of the course `source` that stay rather than it: an order without ties, so that exactly one copy stays.
const BETTER_COPY: &str = "SELECT FROM course AS better \
    WHERE better.course_id = source.course_id AND better.account_id = source.account_id \
    AND (btrim(better.bot_name) <> '', better.yaml IS NOT NULL, COALESCE(better.date_created, '-infinity'), \
         source.bot_name COLLATE \"C\") \
      > (btrim(source.bot_name) <> '', source.yaml IS NOT NULL, COALESCE(source.date_created, '-infinity'), \
         better.bot_name COLLATE \"C\")";

const NO_COURSE: &str = "source.course_id IS NOT NULL AND NOT EXISTS (SELECT FROM course \
    WHERE course.course_id = source.course_id AND course.account_id = source.account_id)";

/// The deployment of `source` has lost its course.
const LOST_DEPLOYMENT: &str = "EXISTS (SELECT FROM course_deployment AS deployment \
    WHERE deployment.deployment_id = source.deployment_id AND NOT EXISTS (SELECT FROM course \
    WHERE course.course_id = deployment.course_id AND course.account_id = deployment.account_id))";

/// The token of `source` belongs to a deployment that has lost its course; `source` itself may have another deployment, or
/// none.
fn lost_token() -> String {
    format!(
        "EXISTS (SELECT FROM enrollment_token AS token WHERE token.token_id = source.token_id AND {})",
        LOST_DEPLOYMENT.replace("source.", "token."),
    )
}

/// Courses that have copies: which one stays, what becomes of the others, and of their elements.
fn copies() -> String {
    const ELEMENTS: &str = "(SELECT count(*) FROM course_element AS element WHERE element.course_id = source.course_id \
        AND element.account_id = source.account_id AND element.bot_name = source.bot_name)";
    format!(
        "WITH copy AS (SELECT source.course_id, source.account_id, source.bot_name, {ELEMENTS} AS n_elements, \
           NOT EXISTS ({BETTER_COPY}) AS stays FROM course AS source) \
         SELECT format('course %s of account %s: that of bot %s stays (elements: %s); %s', best.course_id, \
           best.account_id, best.bot_name, best.n_elements, string_agg(format('that of bot %s leaves for the rejects%s', \
           other.bot_name, CASE WHEN other.n_elements = 0 THEN '' WHEN best.n_elements > 0 \
           THEN format(' with its elements (%s)', other.n_elements) ELSE format(', its elements (%s) stay', other.n_elements) END), \
           ', ' ORDER BY other.bot_name COLLATE \"C\")) \
         FROM copy AS best JOIN copy AS other USING (course_id, account_id) \
         WHERE best.stays AND NOT other.stays GROUP BY best.course_id, best.account_id, best.bot_name, best.n_elements \
         ORDER BY best.account_id, best.course_id",
    )
}

impl Migration {
    /// Moves the copies of courses, each with its elements first: which copy an element belongs to is seen as long as
    /// the copy stands.
    async fn remove_copies(online: &Online) -> Result<(), DbErr> {
        online
            .move_to_rejects(
                "course_element",
                format!(
                    "EXISTS (SELECT FROM course AS copy WHERE copy.course_id = source.course_id \
                 AND copy.account_id = source.account_id AND copy.bot_name = source.bot_name \
                 AND EXISTS ({better_than_copy})) \
                 AND EXISTS (SELECT FROM course AS best JOIN course_element AS kept \
                 ON kept.course_id = best.course_id AND kept.account_id = best.account_id \
                 AND kept.bot_name = best.bot_name \
                 WHERE best.course_id = source.course_id AND best.account_id = source.account_id \
                 AND NOT EXISTS ({better_than_best}))",
                    better_than_copy = BETTER_COPY.replace("source.", "copy."),
                    better_than_best = BETTER_COPY.replace("source.", "best."),
                ),
                "belongs to a copy of a course that stands under another bot",
            )
            .run()
            .await?;
        let same = format!(
            "EXISTS ({BETTER_COPY} AND better.yaml IS NOT DISTINCT FROM source.yaml AND NOT EXISTS ({better_than_better}))",
            better_than_better = BETTER_COPY.replace("better", "best").replace("source.", "better."),
        );
        for (copies, reason) in [
            (same, "a copy of a course that stands under another bot, with the same content"),
            (
                format!("EXISTS ({BETTER_COPY})"),
                "a copy of a course that stands under another bot, with other content",
            ),
        ] {
            online.move_to_rejects("course", copies, reason).run().await?;
        }
        Ok(())
    }

    /// Takes the deployments of deleted courses away from the runs and tokens that used them, then moves them.
    async fn remove_lost_deployments(online: &Online) -> Result<(), DbErr> {
        let lost = [
            ("deployment_id", LOST_DEPLOYMENT.to_owned(), "the course of its deployment does not exist"),
            ("token_id", lost_token(), "the course of its token's deployment does not exist"),
        ];
        let listed = lost.each_ref().map(|(column, condition, reason)| {
            format!(
                "SELECT {RUN_KEY} AS key, {} AS field, source.{column}::text AS value, {} AS reason, \
                 {WHOLE_ROW} FROM run AS source WHERE {{batch}} AND {condition}",
                literal(column),
                literal(reason),
            )
        });
        let emptied = lost.each_ref().map(|(column, condition, _)| {
            format!("{column} = CASE WHEN {condition} THEN NULL ELSE source.{column} END")
        });
        let any = lost.each_ref().map(|(_, condition, _)| condition.as_str());
        online
            .backfill("run")
            .rejects(listed.join(" UNION ALL "))
            .statement(format!(
                "UPDATE run AS source SET {} WHERE {{batch}} AND ({})",
                emptied.join(", "),
                any.join(" OR "),
            ))
            .run()
            .await?;
        for (table, lost, reason) in [
            ("enrollment_token", LOST_DEPLOYMENT, "the course of its deployment does not exist"),
            ("course_deployment", NO_COURSE, "its course does not exist"),
        ] {
            online.move_to_rejects(table, lost, reason).run().await?;
        }
        Ok(())
    }

    /// Gives runs back what [`Self::remove_lost_deployments`] took away, and takes that off the list.
    async fn restore_lost_deployments(&self, online: &Online) -> Result<(), DbErr> {
        online.restore_rejects("course_deployment").await?;
        online.restore_rejects("enrollment_token").await?;
        let listed = format!(
            "listed.migration = {} AND listed.table_name = 'run' AND listed.row_key = {RUN_KEY}",
            literal(self.name()),
        );
        let filled = |column: &str, table: &str| {
            format!(
                "UPDATE run AS source SET {column} = listed.value::integer FROM migration_reject_{NAME} AS listed \
                 WHERE {{batch}} AND source.{column} IS NULL AND {listed} AND listed.field = {} \
                 AND EXISTS (SELECT FROM {table} AS target WHERE target.{column} = listed.value::integer)",
                literal(column),
            )
        };
        online
            .backfill("run")
            .statement(filled("deployment_id", "course_deployment"))
            .statement(filled("token_id", "enrollment_token"))
            .statement(format!(
                "DELETE FROM migration_reject_{NAME} AS listed USING run AS source WHERE {{batch}} AND {listed} \
                 AND listed.value = CASE listed.field WHEN 'deployment_id' THEN source.deployment_id::text \
                 WHEN 'token_id' THEN source.token_id::text END"
            ))
            .run()
            .await?;
        Ok(())
    }
}

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        // Each copy leaves a deployment by its bot behind.
        backfill::courses(online).await?;
        Self::remove_copies(online).await?;
        let too_long = "has a name that is too long for an index";
        online.move_to_rejects("course", is_too_long("source", &["course_id"]), too_long).run().await?;
        online.add_unique("course", UNIQUE, ["course_id", "account_id"]).await?;
        for table in ["course_element", "courseparticipants"] {
            online.move_to_rejects(table, NO_COURSE, "its course does not exist").run().await?;
        }
        Self::remove_lost_deployments(online).await?;
        online.add_foreign_keys(&FOREIGN_KEYS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_foreign_keys(FOREIGN_KEYS.iter().rev()).await?;
        online.drop_constraint("course", UNIQUE).await?;
        self.restore_lost_deployments(online).await?;
        for table in ["course", "course_element", "courseparticipants"] {
            online.restore_rejects(table).await?;
        }
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(Duration::from_secs(SOAK_DAYS * 24 * 60 * 60))
            .one_node(crate::links::ONE_NODE)
            .preview("copies of courses, of which one stays", copies())
            .verify_all(&FOREIGN_KEYS)
            .verify(Check::constraint("course", UNIQUE))
    }
}
