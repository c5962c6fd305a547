//! Checks, foreign keys, unique constraints and primary keys.

use migration_kit::{OnDelete, Online};
use sea_orm::DbErr;

use super::helpers::{execute, failed, objects, refused, session, steps};
use crate::support::Scratch;

const TABLES: &str = "CREATE TABLE bot (bot_id int PRIMARY KEY, \"Name\" text); \
     CREATE TABLE run (id int PRIMARY KEY, bot_id int, score int); \
     INSERT INTO bot SELECT n, 'b' || n FROM generate_series(1, 3) n; \
     INSERT INTO run SELECT n, n % 3 + 1, n FROM generate_series(1, 9) n";

async fn check(online: &Online) -> Result<(), DbErr> {
    online.add_check("run", "run_score", "score >= 0 AND score IN (1, 2, 3, 4, 5, 6, 7, 8, 9)").run().await
}

async fn foreign_key(online: &Online) -> Result<(), DbErr> {
    let key = online.add_foreign_key("run_bot", ("run", ["bot_id"]), ("bot", ["bot_id"]));
    key.on_delete(OnDelete::Cascade).run().await
}

#[tokio::test]
async fn a_check_is_complete_after_any_crash() {
    let by_hand = [
        "ALTER TABLE run ADD CONSTRAINT run_score CHECK (score >= 0 AND score IN (1, 2, 3, 4, 5, 6, 7, 8, 9)) NOT VALID",
        "ALTER TABLE run VALIDATE CONSTRAINT run_score",
    ];
    let whole = Scratch::with(TABLES).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(TABLES).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        check(&steps(&scratch).await).await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
    }
}

#[tokio::test]
async fn another_check_under_the_name_is_refused() {
    let scratch = Scratch::with(TABLES).await;
    scratch.psql("ALTER TABLE run ADD CONSTRAINT run_score CHECK (score > 0)");
    let online = steps(&scratch).await;
    assert_eq!(
        refused(online.add_check("run", "run_score", "score > 1").run().await),
        "`run` has a constraint `run_score` already, with another definition: it is `CHECK ((score > 0))`, \
         not `CHECK ((score > 1))`"
    );
    assert_eq!(
        refused(online.validate_constraint("run", "nothing").await),
        "table `run` has no constraint `nothing`"
    );
    online.drop_constraint("run", "run_score").await.unwrap();
    online.drop_constraint("run", "run_score").await.unwrap();
}

#[tokio::test]
async fn a_check_that_rows_break_fails_and_can_be_resumed() {
    let scratch = Scratch::with(TABLES).await;
    scratch.psql("UPDATE run SET score = -1 WHERE id = 5");
    let online = steps(&scratch).await;
    assert_eq!(failed(check(&online).await), "23514");
    scratch.psql("UPDATE run SET score = 1 WHERE id = 5");
    check(&online).await.unwrap();
}

#[tokio::test]
async fn a_rejecting_check_lists_rows_and_holds_for_new_ones() {
    let scratch = Scratch::with(TABLES).await;
    scratch.psql("UPDATE run SET score = -1 WHERE id IN (5, 6)");
    let online = steps(&scratch).await;
    for _ in 0..2 {
        online
            .add_check("run", "run_score", "score >= 0")
            .rejecting("score", "negative")
            .run()
            .await
            .unwrap();
        let listed = "SELECT table_name, row_key, field, value, reason, row_data ->> 'bot_id' \
                      FROM migration_reject_shop ORDER BY row_key ->> 'id'";
        assert_eq!(
            scratch.psql(listed),
            "run|{\"id\": 5}|score|-1|negative|3\nrun|{\"id\": 6}|score|-1|negative|1"
        );
    }
    let valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'run_score'";
    assert_eq!(scratch.psql(valid), "f");
    let mut application = session(&scratch).await;
    execute(&mut application, "INSERT INTO run VALUES (10, 1, -1)").await.unwrap_err();
    scratch.psql("UPDATE run SET score = 0 WHERE score < 0");
    online.add_check("run", "run_score", "score >= 0").rejecting("score", "negative").run().await.unwrap();
    assert_eq!(scratch.psql(valid), "t");
}

#[tokio::test]
async fn rows_that_break_a_check_can_stay_updatable() {
    let scratch = Scratch::with(TABLES).await;
    scratch.psql("UPDATE run SET score = -1 WHERE id IN (5, 6)");
    let online = steps(&scratch).await;
    let check =
        || online.add_check("run", "run_score", "score >= 0").rejecting_but_updatable("score", "negative");
    let state = "SELECT (SELECT string_agg(convalidated::text, ',') FROM pg_constraint WHERE conname = 'run_score'), \
                 (SELECT count(*) FROM pg_trigger WHERE tgname = 'run_score')";
    for _ in 0..2 {
        check().run().await.unwrap();
        assert_eq!(scratch.psql(state), "|1");
        assert_eq!(scratch.psql("SELECT count(*) FROM migration_reject_shop"), "2");
    }
    let mut application = session(&scratch).await;
    execute(&mut application, "UPDATE run SET bot_id = bot_id, score = score").await.unwrap();
    for refused in ["INSERT INTO run VALUES (10, 1, -1)", "UPDATE run SET score = -2 WHERE id = 5"] {
        let error = execute(&mut application, refused).await.unwrap_err().to_string();
        assert!(
            error.contains("new row for relation \"run\" violates check constraint \"run_score\""),
            "{error}"
        );
    }
    scratch.psql("UPDATE run SET score = 0 WHERE score < 0");
    check().run().await.unwrap();
    assert_eq!(scratch.psql(state), "true|0");
}

#[tokio::test]
async fn a_foreign_key_is_complete_after_any_crash() {
    let by_hand = [
        "ALTER TABLE run ADD CONSTRAINT run_bot FOREIGN KEY (bot_id) REFERENCES bot (bot_id) ON DELETE CASCADE NOT VALID",
        "ALTER TABLE run VALIDATE CONSTRAINT run_bot",
    ];
    let whole = Scratch::with(TABLES).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(TABLES).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        let online = steps(&scratch).await;
        foreign_key(&online).await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
        online.drop_constraint("run", "run_bot").await.unwrap();
        online.drop_constraint("run", "run_bot").await.unwrap();
    }
}

#[tokio::test]
async fn a_foreign_key_refuses_another_one_a_missing_table_and_orphans() {
    let scratch = Scratch::with(TABLES).await;
    let online = steps(&scratch).await;
    let nothing = online.add_foreign_key("x", ("run", ["bot_id"]), ("nothing", ["id"])).run().await;
    assert_eq!(refused(nothing), "there is no table `nothing` in schema `shop`");
    scratch.psql("UPDATE run SET bot_id = 99 WHERE id = 1");
    assert_eq!(failed(foreign_key(&online).await), "23503");
    scratch.psql("UPDATE run SET bot_id = 1 WHERE id = 1");
    foreign_key(&online).await.unwrap();
    let other = online.add_foreign_key("run_bot", ("run", ["bot_id"]), ("bot", ["bot_id"])).run().await;
    assert_eq!(
        refused(other),
        "`run` has a constraint `run_bot` already, with another definition: it is `FOREIGN KEY (bot_id) REFERENCES \
         bot(bot_id) ON DELETE CASCADE`, not `FOREIGN KEY (bot_id) REFERENCES bot(bot_id)`"
    );
}

#[tokio::test]
async fn a_foreign_key_to_its_own_table_and_odd_names_work() {
    let scratch =
        Scratch::with("CREATE TABLE \"Odd Table\" (\"Id\" int PRIMARY KEY, \"The Parent\" int)").await;
    let online = steps(&scratch).await;
    for _ in 0..2 {
        let key = online.add_foreign_key("the \"key\"", ("Odd Table", ["The Parent"]), ("Odd Table", ["Id"]));
        key.on_delete(OnDelete::SetNull).run().await.unwrap();
        online.create_index("odd USING index", "Odd Table", ["\"The Parent\""]).run().await.unwrap();
        online.add_check("Odd Table", "Odd Check", "\"Id\" > 0").run().await.unwrap();
        online.add_unique("Odd Table", "Odd Unique", ["The Parent", "Id"]).await.unwrap();
    }
    assert_eq!(
        scratch.psql("SELECT conname, convalidated FROM pg_constraint WHERE conrelid = '\"Odd Table\"'::regclass AND contype <> 'n' ORDER BY conname COLLATE \"C\""),
        "Odd Check|t\nOdd Table_pkey|t\nOdd Unique|t\nthe \"key\"|t"
    );
    assert_eq!(
        scratch.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = '\"odd USING index\"'::regclass"),
        "t"
    );
}

#[tokio::test]
async fn a_unique_constraint_is_complete_after_any_crash() {
    let by_hand = [
        "CREATE UNIQUE INDEX bot_name ON bot (\"Name\")",
        "ALTER TABLE bot ADD CONSTRAINT bot_name UNIQUE USING INDEX bot_name",
    ];
    let whole = Scratch::with(TABLES).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(TABLES).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        let online = steps(&scratch).await;
        online.add_unique("bot", "bot_name", ["Name"]).await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
        let other = refused(online.add_unique("bot", "bot_name", ["bot_id"]).await);
        assert!(other.ends_with("it is `UNIQUE (\"Name\")`, not `UNIQUE (bot_id)`"), "{other}");
    }
}

#[tokio::test]
async fn a_primary_key_is_complete_after_any_crash() {
    let table = "CREATE TABLE pair (a int, b int, note text); INSERT INTO pair VALUES (1, 1), (1, 2)";
    let by_hand = [
        "ALTER TABLE pair ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE pair ALTER COLUMN b SET NOT NULL",
        "CREATE UNIQUE INDEX pair_pkey ON pair (a, b)",
        "ALTER TABLE pair ADD CONSTRAINT pair_pkey PRIMARY KEY USING INDEX pair_pkey",
    ];
    let whole = Scratch::with(table).await;
    whole.psql(&by_hand.join(";"));
    for n_done in 0..=by_hand.len() {
        let scratch = Scratch::with(table).await;
        scratch.psql(&by_hand[..n_done].join(";"));
        steps(&scratch).await.add_primary_key("pair", "pair_pkey", ["a", "b"]).await.unwrap();
        assert_eq!(objects(&scratch), objects(&whole), "after {n_done} statements");
    }
}

#[tokio::test]
async fn a_unique_constraint_of_a_partitioned_table_is_refused() {
    let scratch = Scratch::with("CREATE TABLE event (at int) PARTITION BY RANGE (at)").await;
    let message = refused(steps(&scratch).await.add_unique("event", "event_at", ["at"]).await);
    assert!(message.starts_with("`event` is partitioned"), "{message}");
}
