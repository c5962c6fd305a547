//! Old and new application code at once, between expand and contract: what old code writes is linked as it is written.

use migration_testing::Scratch;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::{EXPANDED, base, dirty, rejects};

async fn expanded() -> Scratch {
    let scratch = base().await;
    scratch.execute("INSERT INTO course (course_id, bot_name) VALUES ('c', 'bot')").await;
    scratch.up().await;
    scratch
}

const RUNS: &str = "SELECT run_id, bot.bot_name, course_deployment.course_id, run.is_active, run.ended_at IS NOT NULL \
                    FROM run LEFT JOIN bot USING (bot_id) LEFT JOIN course_deployment USING (deployment_id) ORDER BY 1";

#[tokio::test]
async fn a_run_of_old_code_is_linked_and_bots_are_made() {
    let scratch = expanded().await;
    scratch
        .execute("INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot', 'c'), (1, 'new bot', 'c'), (1, '', 'c'), (1, 'bot', 'unknown')")
        .await;
    assert_eq!(scratch.rows(RUNS).await, ["1|bot|c|f|f", "2|new bot|c|t|f", "3|∅|∅|t|f", "4|bot|∅|t|f"]);
    scratch.verify().await;
}

#[tokio::test]
async fn a_second_run_of_old_code_ends_the_first_one() {
    let scratch = expanded().await;
    for _ in 0..3 {
        scratch.execute("INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot', 'c')").await;
    }
    scratch
        .execute("INSERT INTO run (chat_id, botname, course_id, is_ended) VALUES (1, 'bot', 'c', TRUE)")
        .await;
    assert_eq!(
        scratch.rows("SELECT run_id, is_active FROM run ORDER BY 1").await,
        ["1|f", "2|f", "3|t", "4|f"]
    );
    // Ended, and begun again: the newest of those that are not ended is the active one.
    scratch.execute("UPDATE run SET is_ended = TRUE WHERE run_id = 3").await;
    scratch.execute("UPDATE run SET is_ended = FALSE WHERE run_id = 4").await;
    scratch.execute("UPDATE run SET is_ended = FALSE WHERE run_id = 3").await;
    assert_eq!(
        scratch.rows("SELECT run_id, is_active, ended_at IS NULL FROM run ORDER BY 1").await,
        ["1|f|t", "2|f|t", "3|f|t", "4|t|t"]
    );
    scratch.verify().await;
}

/// Neither sees the other's run; without taking turns one of them would fail at the unique index.
#[tokio::test]
async fn two_runs_of_a_chat_that_start_at_once_both_start() {
    let scratch = expanded().await;
    scratch.execute("INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot', 'c')").await;
    let insert = "INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot', 'c')";
    let (first, second) = (scratch.db().begin().await.unwrap(), scratch.db().begin().await.unwrap());
    first.execute_unprepared(insert).await.unwrap();
    let waiting = tokio::spawn(async move {
        second.execute_unprepared(insert).await.unwrap();
        second.commit().await.unwrap();
    });
    wait_for(&scratch, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    // Who starts a run in another chat waits for nobody.
    scratch.execute("INSERT INTO run (chat_id, botname, course_id) VALUES (2, 'bot', 'c')").await;
    first.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(
        scratch
            .rows(
                "SELECT chat_id, count(*), count(*) FILTER (WHERE is_active) FROM run GROUP BY 1 ORDER BY 1"
            )
            .await,
        ["1|3|1", "2|1|1"]
    );
    scratch.verify().await;
}

async fn wait_for(scratch: &Scratch, condition: &str) {
    while scratch.rows(condition).await != ["t"] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_old_code_changes_is_linked_anew() {
    let scratch = expanded().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('d', 'other');
             INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot', 'c');
             INSERT INTO waiting_element (chat_id, botname, course_id) VALUES (1, 'bot', 'c'), (1, 'bot', 'd');
             INSERT INTO bannedparticipants (chat_id, botname) VALUES (1, 'bot');
             INSERT INTO gen_settings (id, bot_name, s_key) VALUES (1, 'bot', 'k');",
        )
        .await;
    let links = "SELECT (SELECT bot_name FROM bot WHERE bot.bot_id = run.bot_id), deployment_id IS NOT NULL, \
                 (SELECT string_agg(COALESCE(bot_name || waiting_element.run_id, bot_name || '-'), ',' ORDER BY waiting_element_id) \
                  FROM waiting_element JOIN bot USING (bot_id)), \
                 (SELECT bot.bot_name FROM bannedparticipants JOIN bot USING (bot_id)), \
                 (SELECT bot.bot_name FROM gen_settings JOIN bot USING (bot_id)) FROM run";
    assert_eq!(scratch.rows(links).await, ["bot|t|bot1,bot-|bot|bot"]);
    scratch
        .execute(
            "UPDATE run SET botname = 'other', course_id = 'd';
             UPDATE waiting_element SET botname = 'other' WHERE course_id = 'd';
             UPDATE bannedparticipants SET botname = 'third';
             UPDATE gen_settings SET bot_name = 'other';",
        )
        .await;
    assert_eq!(scratch.rows(links).await, ["other|t|bot1,other1|third|other"]);
    scratch.verify().await;
}

#[tokio::test]
async fn a_course_that_comes_after_its_runs_finds_them() {
    let scratch = expanded().await;
    scratch
        .execute("INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'a', 'late'), (2, 'b', 'late'), (3, '', 'late')")
        .await;
    scratch.execute("INSERT INTO course (course_id, bot_name) VALUES ('late', 'c')").await;
    assert_eq!(scratch.rows(RUNS).await, ["1|a|late|t|f", "2|b|late|t|f", "3|∅|∅|t|f"]);
    let deployed =
        "SELECT bot_name FROM course_deployment JOIN bot USING (bot_id) WHERE course_id = 'late' ORDER BY 1";
    assert_eq!(scratch.rows(deployed).await, ["a", "b", "c"]);
    scratch.verify().await;
}

#[tokio::test]
async fn what_new_code_links_stays_as_it_says() {
    let scratch = expanded().await;
    scratch
        .execute(
            "INSERT INTO account (name, slug) VALUES ('Second', 'second');
             INSERT INTO bot (bot_id, account_id, bot_name) VALUES (50, 2, 'bot');
             INSERT INTO course (course_id, bot_name, account_id) VALUES ('second c', 'bot', 2);
             INSERT INTO course_deployment (deployment_id, course_id, account_id, bot_id, environment)
             VALUES (60, 'second c', 2, 50, 'trial');
             INSERT INTO run (account_id, chat_id, bot_id, deployment_id, botname, course_id, is_active)
             VALUES (2, 1, 50, 60, 'bot', 'second c', FALSE), (2, 1, 50, 60, NULL, NULL, TRUE);
             UPDATE run SET is_active = FALSE;",
        )
        .await;
    let runs = "SELECT account_id, bot_id, deployment_id, is_active FROM run ORDER BY run_id";
    assert_eq!(scratch.rows(runs).await, ["2|50|60|f", "2|50|60|f"]);
    scratch.up_contract().await;
    assert_eq!(scratch.rows(runs).await, ["2|50|60|f", "2|50|60|f"]);
    scratch.verify().await;
}

/// Old code knows no foreign keys: what it wrote and deleted meanwhile is swept before they come.
#[tokio::test]
async fn the_contract_steps_sweep_what_old_code_left() {
    let scratch = dirty().await;
    scratch.up().await;
    scratch
        .execute(
            "INSERT INTO run (run_id, chat_id, botname, course_id) VALUES (20001, 91, 'bot-1', 'course-1'), (20002, 92, '', NULL), (20003, NULL, 'bot-1', 'course-1');
             INSERT INTO waiting_element (chat_id, botname, course_id) VALUES (91, 'bot-1', 'course-1');
             INSERT INTO conversation (run_id, course_id) VALUES (20001, 'course-1');
             DELETE FROM run WHERE run_id = 20001;
             INSERT INTO enrollment_token (token_id, deployment_id, token)
             SELECT 70, deployment_id, 'secret' FROM course_deployment WHERE course_id = 'course-20';
             UPDATE run SET token_id = 70 WHERE course_id = 'course-20';
             DELETE FROM course WHERE course_id = 'course-20';
             INSERT INTO course (course_id, bot_name, yaml) VALUES ('twin', 'bot-c', 'a: 3');
             INSERT INTO bannedparticipants (botname, chat_id, excluded) VALUES ('bot-1', 77, 0);
             INSERT INTO courseparticipants (course_id, username) VALUES ('course-1', 'twice'), ('course-20', 'late');",
        )
        .await;
    let runs = scratch.table_digest("run").await;
    let tables = [
        "course",
        "courseparticipants",
        "bannedparticipants",
        "conversation",
        "course_deployment",
        "enrollment_token",
    ];
    let mut rows = Vec::new();
    for table in tables {
        rows.push(scratch.table_digest(table).await);
    }
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(
        scratch
            .rows("SELECT count(*) FROM run WHERE course_id = 'course-20' AND deployment_id IS NOT NULL")
            .await,
        ["0"]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT table_name, COALESCE(row_data ->> 'token', row_data ->> 'course_id'), field, reason \
                 FROM migration_reject_profochatbot WHERE migration > 'm202602' \
                 AND table_name IN ('course_deployment', 'enrollment_token', 'waiting_element') ORDER BY 1",
            )
            .await,
        [
            "course_deployment|course-20||its course does not exist",
            "enrollment_token|secret||the course of its deployment does not exist",
            "waiting_element|course-1|run_id|points to nothing that belongs to the row",
        ]
    );

    assert_eq!(
        rejects(&scratch, "table_name = 'run' AND (row_key ->> 'run_id')::int > 20000").await,
        [
            "run|20002|botname|names no bot: the run escapes the rule of one active run",
            "run|20003|chat_id|names no chat: the run escapes the rule of one active run",
            "run|20002|course_id|names no course: the run has no deployment",
        ]
    );

    scratch.down_to(EXPANDED).await;
    scratch.verify().await;
    assert_eq!(scratch.table_digest("run").await, runs);
    for (table, digest) in tables.iter().zip(rows) {
        assert_eq!(scratch.table_digest(table).await, digest, "{table}");
    }
}

/// A run may have a token of a deployment that it has not, or not any more.
#[tokio::test]
async fn a_token_of_a_lost_deployment_leaves_every_run() {
    let scratch = expanded().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('d', 'bot');
             INSERT INTO enrollment_token (token_id, deployment_id, token)
             SELECT CASE course_id WHEN 'd' THEN 70 ELSE 71 END, deployment_id, 'secret of ' || course_id FROM course_deployment;
             INSERT INTO run (run_id, chat_id, botname, course_id, token_id) VALUES
                 (1, 1, 'bot', 'd', 70), (2, 2, 'bot', 'd', 70), (3, 3, 'bot', 'd', 70), (4, 4, 'bot', 'c', 71), (5, 5, 'bot', 'd', 71);
             UPDATE run SET course_id = 'c' WHERE run_id = 2;
             UPDATE run SET course_id = 'unknown' WHERE run_id = 3;
             DELETE FROM course WHERE course_id = 'd';",
        )
        .await;
    let links = "SELECT run_id, deployment_id IS NOT NULL, token_id FROM run ORDER BY 1";
    assert_eq!(scratch.rows(links).await, ["1|t|70", "2|t|70", "3|f|70", "4|t|71", "5|t|71"]);
    let runs = scratch.table_digest("run").await;
    let tokens = scratch.table_digest("enrollment_token").await;

    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(links).await, ["1|f|∅", "2|t|∅", "3|f|∅", "4|t|71", "5|f|71"]);
    let listed = "table_name = 'run' AND field IN ('deployment_id', 'token_id')";
    assert_eq!(
        rejects(&scratch, listed).await,
        [
            "run|1|deployment_id|the course of its deployment does not exist",
            "run|5|deployment_id|the course of its deployment does not exist",
            "run|1|token_id|the course of its token's deployment does not exist",
            "run|2|token_id|the course of its token's deployment does not exist",
            "run|3|token_id|the course of its token's deployment does not exist",
        ]
    );

    scratch.down_to(EXPANDED).await;
    assert_eq!(scratch.table_digest("run").await, runs);
    assert_eq!(scratch.table_digest("enrollment_token").await, tokens);
    assert_eq!(rejects(&scratch, listed).await, [""; 0]);
}

/// Going back makes the runs active again that the rule made inactive, and none that new code did.
#[tokio::test]
async fn what_new_code_made_inactive_stays_so() {
    let before = "m20260109_000003_index_chats";
    let scratch = base().await;
    scratch
        .execute("INSERT INTO run (chat_id, botname) VALUES (1, 'bot'), (1, 'bot'), (2, 'bot'), (2, 'bot')")
        .await;
    scratch.up_to(before).await;
    scratch.execute("UPDATE run SET is_active = FALSE WHERE run_id = 3").await;
    let active = "SELECT run_id FROM run WHERE is_active ORDER BY 1";
    assert_eq!(scratch.rows(active).await, ["1", "2", "4"]);
    scratch.up().await;
    assert_eq!(scratch.rows(active).await, ["2", "4"]);
    scratch.down_to(before).await;
    assert_eq!(scratch.rows(active).await, ["1", "2", "4"]);
}

#[tokio::test]
async fn at_the_end_a_forgotten_tenant_fails() {
    let scratch = expanded().await;
    scratch.execute("INSERT INTO run (chat_id, botname) VALUES (1, 'bot')").await;
    scratch.up_contract().await;
    let forgotten =
        scratch.db().execute_unprepared("INSERT INTO run (chat_id, botname) VALUES (2, 'bot')").await;
    assert!(forgotten.unwrap_err().to_string().contains("account_id"));
    scratch.execute("INSERT INTO run (chat_id, account_id) VALUES (2, 1)").await;
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'profochatbot'::regnamespace";
    assert_eq!(scratch.rows(left).await, ["0"]);
}
