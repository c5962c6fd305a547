//! Steps outside a transaction that fail in the middle: what was done stays, and the next run goes on.

use migration_testing::Scratch;

use crate::support::{BASE, digests, dirty, named_digests};

/// Makes changes of one row fail, as a lost connection would: the batches before it are committed.
async fn fail_at(scratch: &Scratch, table: &str, event: &str, row: &str) {
    scratch
        .execute(&format!(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'fault'; END$$;
             CREATE TRIGGER fault BEFORE {event} ON {table} FOR EACH ROW WHEN ({row}) EXECUTE FUNCTION fault();"
        ))
        .await;
}

async fn mend(scratch: &Scratch) {
    scratch.execute("DROP FUNCTION fault() CASCADE").await;
}

async fn fails_and_goes_on(table: &str, event: &str, row: &str, step: &str) {
    let whole = dirty().await;
    whole.up_contract().await;
    let scratch = dirty().await;
    let rows = digests(&scratch).await;
    fail_at(&scratch, table, event, row).await;
    let last = "m20260201_000004_drop_default_account";
    let error = scratch.try_up_to(last).await.expect_err("the fault stops it");
    assert!(error.to_string().contains(step), "{error}");
    mend(&scratch).await;
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(named_digests(&scratch).await, named_digests(&whole).await);
    assert_eq!(scratch.dump_schema().await, whole.dump_schema().await);
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
}

#[tokio::test]
async fn a_backfill_goes_on() {
    fails_and_goes_on("run", "UPDATE", "OLD.run_id = 2500", "m20260108_000004_backfill_runs").await;
}

#[tokio::test]
async fn a_move_of_duplicates_goes_on() {
    fails_and_goes_on("course", "DELETE", "OLD.bot_name = 'bot-4'", "m20260201_000001_normalize_courses")
        .await;
}

#[tokio::test]
async fn a_move_of_orphans_goes_on() {
    fails_and_goes_on("conversation", "DELETE", "OLD.run_id = 999998", "m20260201_000003_check_run_links")
        .await;
}

/// Old code writes a duplicate between the move and the index: the build fails, and the next run moves it first.
#[tokio::test]
async fn an_index_that_cannot_be_built_is_built_by_the_next_run() {
    let step = "m20260201_000002_normalize_participants";
    let scratch = dirty().await;
    scratch.up_to("m20260201_000001_normalize_courses").await;
    scratch
        .execute(
            "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
                 INSERT INTO profochatbot.courseparticipants (course_id, username) VALUES ('course-1', 'twice');
                 RETURN NULL;
             END$$;
             CREATE TRIGGER again AFTER DELETE ON bannedparticipants FOR EACH ROW EXECUTE FUNCTION again();",
        )
        .await;
    scratch.try_up_to(step).await.unwrap_err();
    scratch.execute("DROP FUNCTION again() CASCADE").await;
    scratch.up_to(step).await;
    let left = "SELECT count(*) FROM courseparticipants WHERE course_id = 'course-1' AND username = 'twice'";
    assert_eq!(scratch.rows(left).await, ["1"]);
}
