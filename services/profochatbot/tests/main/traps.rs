//! What went wrong with the documented scripts, one test each: ours does it.

use profochatbot_migration::{Migrator, service};
use sea_orm_migration::MigratorTrait;

use crate::support::{BASE, base, digests, dirty, rejects};

#[tokio::test]
async fn trap_1_the_key_of_courses_has_its_unique_constraint() {
    let scratch = base().await;
    scratch.up_contract().await;
    let referring = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated \
                     AND confrelid = 'course'::regclass AND conindid = 'course_course_id_account_id_key'::regclass \
                     ORDER BY 1";
    assert_eq!(
        scratch.rows(referring).await,
        ["course_deployment_course_fkey", "course_element_course_fkey", "courseparticipants_course_fkey"]
    );
}

#[tokio::test]
async fn trap_2_many_bots_have_no_token_yet() {
    let scratch = base().await;
    scratch.execute("INSERT INTO run (chat_id, botname) VALUES (1, 'a'), (1, 'b'), (1, 'c')").await;
    scratch.up_contract().await;
    assert_eq!(scratch.rows("SELECT bot_name, bot_token FROM bot ORDER BY 1").await, ["a|∅", "b|∅", "c|∅"]);
}

#[tokio::test]
async fn trap_3_courses_are_indexed_by_the_column_that_there_is() {
    let scratch = base().await;
    scratch.up().await;
    assert_eq!(
        scratch.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_course_created'").await,
        [
            "CREATE INDEX idx_course_created ON profochatbot.course USING btree (account_id, date_created DESC)"
        ]
    );
}

#[tokio::test]
async fn trap_4_a_second_run_finds_its_indexes() {
    let scratch = base().await;
    scratch.up().await;
    let schema = scratch.dump_schema().await;
    scratch
        .execute(
            "DELETE FROM seaql_migrations_profochatbot WHERE version ~ '_index_' OR version ~ '_check_'; \
             UPDATE migration_journal_profochatbot SET outcome = 'running' WHERE migration ~ '_index_' OR migration ~ '_check_'",
        )
        .await;
    scratch.up().await;
    assert_eq!(scratch.dump_schema().await, schema);
}

#[tokio::test]
async fn trap_5_a_failure_is_one() {
    let scratch = base().await;
    scratch.execute("CREATE TABLE course_deployment (somebody_elses INTEGER)").await;
    let error = scratch.try_up_to("m20260106_000001_create_tenant_tables").await.unwrap_err();
    assert!(error.to_string().contains("m20260106_000001_create_tenant_tables"), "{error}");
    // The migration is a transaction: nothing of it is left, and what came before it stays.
    assert_eq!(scratch.rows("SELECT to_regclass('bot'), to_regclass('account')").await, ["∅|account"]);
    scratch.execute("DROP TABLE course_deployment").await;
    scratch.up_contract().await;
}

#[tokio::test]
async fn trap_6_no_row_is_deleted_without_a_word() {
    let scratch = dirty().await;
    let kept = "SELECT (SELECT count(*) FROM conversation) + (SELECT count(*) FROM run) + (SELECT count(*) FROM course) \
                + (SELECT count(*) FROM waiting_element) + (SELECT count(*) FROM course_element) \
                + (SELECT count(*) FROM courseparticipants) + (SELECT count(*) FROM bannedparticipants) \
                + (SELECT count(*) FROM gen_settings)";
    let before = scratch.rows(kept).await;
    scratch.up_contract().await;
    let moved = "(SELECT count(*) FROM migration_reject_profochatbot WHERE moved AND row_data IS NOT NULL AND reason <> '')";
    assert_eq!(scratch.rows(&format!("{kept} + {moved}")).await, before);
    assert!(rejects(&scratch, "moved").await.len() > 10);
}

/// Half of the rows are in the new shape already, as new application code writes them; some of their links are wrong.
#[tokio::test]
async fn trap_6_rows_in_the_new_shape_are_kept_and_wrong_links_found_anew() {
    let scratch = dirty().await;
    scratch.up_to("m20260108_000002_create_link_functions").await;
    scratch
        .execute(
            "INSERT INTO bot (bot_id, account_id, bot_name, display_name) VALUES (500, 1, 'bot-1', 'kept');
             INSERT INTO course_deployment (deployment_id, course_id, account_id, bot_id) VALUES (600, 'course-1', 1, 500);
             UPDATE run SET bot_id = 500, deployment_id = 600 WHERE run_id = 10009;
             UPDATE run SET bot_id = 12345, deployment_id = 12346, token_id = 12347 WHERE run_id = 10010;
             UPDATE run SET deployment_id = 600 WHERE run_id = 10012;
             UPDATE run SET bot_id = 500, is_active = FALSE WHERE run_id = 10006;
             UPDATE bannedparticipants SET bot_id = 12345 WHERE chat_id = 79;
             UPDATE gen_settings SET bot_id = 500 WHERE id = 0;",
        )
        .await;
    scratch.up().await;
    scratch.verify().await;
    assert_eq!(
        scratch
            .rows(
                "SELECT run_id, bot_id = 500, deployment_id = 600, token_id, is_active FROM run \
                 WHERE run_id IN (10006, 10009, 10010, 10012) ORDER BY 1",
            )
            .await,
        ["10006|t|t|∅|f", "10009|t|t|∅|f", "10010|t|t|∅|t", "10012|f|f|∅|t"]
    );
    assert_eq!(scratch.rows("SELECT display_name FROM bot WHERE bot_name = 'bot-1'").await, ["kept"]);
    assert_eq!(
        rejects(&scratch, "reason ~ 'points to nothing'").await,
        [
            "bannedparticipants|208|bot_id|points to nothing that belongs to the row",
            "run|10010|bot_id|points to nothing that belongs to the row",
            "run|10010|deployment_id|points to nothing that belongs to the row",
            "run|10012|deployment_id|points to nothing that belongs to the row",
            "run|10010|token_id|points to nothing that belongs to the row"
        ]
    );
    scratch.up_contract().await;
    scratch.verify().await;
}

/// A run that has no bot yet gets the one that it names, so its deployment must be that bot's.
#[tokio::test]
async fn trap_6_a_deployment_of_another_bot_than_the_named_one_is_found_anew() {
    let scratch = base().await;
    scratch.up_to("m20260108_000002_create_link_functions").await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('c', 'bot-1');
             INSERT INTO bot (bot_id, account_id, bot_name) VALUES (500, 1, 'bot-1');
             INSERT INTO course_deployment (deployment_id, course_id, account_id, bot_id) VALUES (600, 'c', 1, 500);
             INSERT INTO run (run_id, chat_id, botname, course_id, bot_id, deployment_id) VALUES
                 (1, 1, 'bot-1', 'c', NULL, 600), (2, 2, 'bot-2', 'c', NULL, 600), (3, 3, NULL, 'c', NULL, 600),
                 (4, 4, 'bot-2', 'c', 12345, 600);",
        )
        .await;
    scratch.up().await;
    scratch.verify().await;
    let links =
        "SELECT run_id, bot_name, deployment_id = 600 FROM run LEFT JOIN bot USING (bot_id) ORDER BY 1";
    assert_eq!(scratch.rows(links).await, ["1|bot-1|t", "2|bot-2|f", "3|∅|t", "4|bot-2|f"]);
    let listed = [
        "run|4|bot_id|points to nothing that belongs to the row",
        "run|2|deployment_id|points to nothing that belongs to the row",
        "run|4|deployment_id|points to nothing that belongs to the row",
    ];
    assert_eq!(rejects(&scratch, "reason ~ 'points to nothing'").await, listed);
    scratch.up_contract().await;
    scratch.verify().await;
    // What was emptied stands nowhere else: its entries outlive their migration.
    scratch.down_to("m20260108_000002_create_link_functions").await;
    assert_eq!(rejects(&scratch, "true").await, listed);
    scratch.up_contract().await;
}

#[tokio::test]
async fn trap_7_settings_find_their_bot_by_account() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        scratch.rows("SELECT count(*) FROM gen_settings WHERE account_id IS NULL OR bot_id IS NULL AND bot_name <> ''").await,
        ["0"]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT s_value FROM gen_settings JOIN bot USING (account_id, bot_id) \
                 WHERE bot.bot_name = 'bot-3' AND s_key = 'key1'",
            )
            .await,
        ["value 8"]
    );
}

#[tokio::test]
async fn trap_8_runs_without_a_bot_are_listed() {
    let scratch = dirty().await;
    scratch.up().await;
    assert_eq!(
        rejects(&scratch, "table_name = 'run' AND field = 'botname'").await,
        [
            "run|10001|botname|names no bot: the run escapes the rule of one active run",
            "run|10002|botname|names no bot: the run escapes the rule of one active run",
            "run|10003|botname|names no bot: the run escapes the rule of one active run"
        ]
    );
}

#[tokio::test]
async fn trap_9_duplicates_and_orphans_do_not_stop_it() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    scratch.verify().await;
    for index in ["run_one_active_per_bot_chat", "courseparticipants_unique", "bannedparticipants_unique"] {
        let valid =
            format!("SELECT indisunique AND indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass");
        assert_eq!(scratch.rows(&valid).await, ["t"], "{index}");
    }
}

#[tokio::test]
async fn trap_10_going_back_leaves_nothing_in_the_way_of_the_next_upgrade() {
    let scratch = dirty().await;
    let (rows, schema) = (digests(&scratch).await, scratch.dump_schema().await);
    for _ in 0..2 {
        scratch.up_contract().await;
        scratch.down_to(BASE).await;
        assert_eq!(digests(&scratch).await, rows);
        assert_eq!(scratch.dump_schema().await, schema);
    }
    Migrator::up(scratch.db(), None).await.unwrap();
    let applied = scratch.rows("SELECT count(*) FROM seaql_migrations_profochatbot").await;
    assert_eq!(applied, [service().migrations().count().to_string()]);
}
