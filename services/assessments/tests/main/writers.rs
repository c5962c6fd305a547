//! Old code that writes while the backfill runs: no row stays behind.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use migration_testing::Scratch;

use crate::{BACKFILL, before, data};

/// Writes as old code does until told to stop: new rows, new evaluations of old rows, and other columns.
async fn write(scratch: &Scratch, stop: &AtomicBool, n_written: &AtomicUsize) {
    let evaluations = data::odd_evaluations();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let evaluation = &evaluations[round % evaluations.len()];
        let row = format!("id = md5('clean' || {})::uuid", 1 + (round * 7919) % data::N_CLEAN);
        for sql in [
            data::insert(evaluation, "NULL"),
            format!("UPDATE question_history SET ai_evaluation = '{evaluation}' WHERE {row}"),
            format!(
                "UPDATE question_history SET is_correct = NOT is_correct, time_spent_seconds = 1 WHERE {row}"
            ),
        ] {
            scratch.execute(&sql).await;
        }
        n_written.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn no_row_written_meanwhile_is_forgotten() {
    let scratch = before().await;
    let (stop, n_written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let migrate = async {
        scratch.up_to(BACKFILL).await;
        scratch.up().await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(migrate, write(&scratch, &stop, &n_written), write(&scratch, &stop, &n_written));
    assert!(n_written.load(Ordering::Relaxed) > 0);
    scratch.verify().await;
    let unfilled = scratch
        .rows(
            "SELECT id FROM question_history WHERE ai_evaluation->>'score' IN ('1', '2', '3', '4', '5') AND score IS NULL \
             OR jsonb_typeof(ai_evaluation->'feedback') = 'string' AND feedback IS NULL",
        )
        .await;
    assert_eq!(unfilled, [""; 0]);
}
