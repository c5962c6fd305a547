//! What the service's document promised and did not keep, held against a real server.

use assessments_migration::service;
use migration_testing::Scratch;

use crate::{ADD_COLUMNS, CREATE_QUESTIONS, before};

/// Notes for every statement of DDL whether it read `question_history` while it locked everybody out of it.
const WATCH: [&str; 5] = [
    "CREATE TABLE public.scan (tag text)",
    "CREATE FUNCTION public.n_scans() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(seq_scan), 0) \
     FROM pg_stat_xact_user_tables WHERE relname = 'question_history' $$",
    "CREATE FUNCTION public.before_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
     PERFORM set_config('test.n_scans', public.n_scans()::text, false); END $$",
    "CREATE FUNCTION public.after_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF public.n_scans() > current_setting('test.n_scans')::bigint AND EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() \
         AND relation = 'assessments.question_history'::regclass AND mode = 'AccessExclusiveLock') \
     THEN INSERT INTO public.scan VALUES (tg_tag); END IF; END $$",
    "CREATE EVENT TRIGGER before_ddl ON ddl_command_start EXECUTE FUNCTION public.before_ddl()",
];

async fn watched() -> Scratch {
    let scratch = before().await;
    for sql in WATCH {
        scratch.execute(sql).await;
    }
    scratch
        .execute("CREATE EVENT TRIGGER after_ddl ON ddl_command_end EXECUTE FUNCTION public.after_ddl()")
        .await;
    scratch
}

#[tokio::test]
async fn the_documents_script_reads_the_table_while_it_locks_everybody_out() {
    let scratch = watched().await;
    scratch
        .execute("ALTER TABLE question_history ADD COLUMN score INTEGER CHECK (score BETWEEN 1 AND 5)")
        .await;
    assert_eq!(scratch.rows("SELECT tag FROM public.scan").await, ["ALTER TABLE"]);
}

#[tokio::test]
async fn ours_never_does() {
    let scratch = watched().await;
    scratch.up_to(ADD_COLUMNS).await;
    scratch.up_contract().await;
    scratch.down_to(CREATE_QUESTIONS).await;
    assert_eq!(scratch.rows("SELECT tag FROM public.scan").await, [""; 0]);
}

#[tokio::test]
async fn the_documents_check_query_names_a_column_that_never_was() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let columns = "question_text, score, is_correct, understanding_depth, feedback, knowledge_gaps";
    let asked = format!("SELECT {columns} FROM question_history ORDER BY asked_at DESC LIMIT 5");
    assert_eq!(scratch.rows(&asked).await, [""; 0]);
    let named = scratch
        .rows("SELECT attname FROM pg_attribute WHERE attrelid = 'question_history'::regclass AND attname = 'created_at'")
        .await;
    assert_eq!(named, [""; 0]);
}
