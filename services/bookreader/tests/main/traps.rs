//! What went wrong with the scripts that these migrations replace: each a test that it cannot go wrong here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bookreader_migration::{Migrator, migrations, service};
use migration_kit::ServiceMigration;
use migration_testing::Scratch;
use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use crate::data::{self, REALISTIC};
use crate::{BACKFILL, BASE, CONTRACT, HEAD};

const OPTIMIZE: &str = "m20250824_162000_optimize_queries";
const RATING: &str = "m20250824_143000_add_book_rating";

/// The documented scripts ran `CREATE INDEX CONCURRENTLY` inside a transaction.
#[tokio::test]
async fn concurrent_builds_stand_outside_transactions() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    let tx = scratch.db().begin().await.unwrap();
    let documented = "CREATE INDEX CONCURRENTLY idx_books_title_too ON books (title)";
    let error = tx.execute_unprepared(documented).await.unwrap_err();
    assert!(error.to_string().contains("cannot run inside a transaction block"), "{error}");
    tx.rollback().await.unwrap();
    for migration in migrations() {
        let before = indexes(&scratch).await;
        scratch.up_to(migration.name()).await;
        let new = indexes(&scratch).await.into_iter().filter(|(name, _)| !before.contains_key(name));
        let on_existing_tables = new.filter(|(name, _)| name.starts_with("idx_")).count();
        if on_existing_tables > 0 {
            assert_eq!(migration.use_transaction(), Some(false), "`{}`", migration.name());
        }
    }
}

/// An interrupted build leaves an invalid index, and the next run tripped over it.
#[tokio::test]
async fn an_invalid_index_is_built_again() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::realistic(&scratch).await;
    let builds = [("idx_books_rating", BASE, RATING), ("idx_books_fulltext", BACKFILL, OPTIMIZE)];
    for (index, before, migration) in builds {
        scratch.up_to(before).await;
        let failing = format!("CREATE UNIQUE INDEX CONCURRENTLY {index} ON books (genre)");
        let failed = scratch.db().execute_unprepared(&failing).await.unwrap_err().to_string();
        assert!(failed.contains("could not create unique index"), "{failed}");
        let valid = format!("SELECT indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass");
        assert_eq!(scratch.rows(&valid).await, ["f"]);
        scratch.up_to(migration).await;
        assert_eq!(scratch.rows(&valid).await, ["t"]);
    }
    assert_eq!(
        indexes(&scratch).await["idx_books_rating"],
        "CREATE INDEX idx_books_rating ON bookreader.books USING btree (rating)"
    );
}

/// Two revisions created the same index.
#[tokio::test]
async fn no_index_is_made_twice() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let mut definitions = BTreeMap::new();
    for (name, definition) in indexes(&scratch).await {
        let what = definition.replace("UNIQUE ", "").replace(&name, "");
        let others: &mut Vec<String> = definitions.entry(what).or_default();
        others.push(name);
    }
    // `ix_<table>_id` repeats the primary key: production has it.
    let doubled: Vec<_> = definitions.into_values().filter(|names| names.len() > 1).collect();
    let is_known = |names: &[String]| {
        names.len() == 2
            && names.iter().any(|name| name.ends_with("_pkey"))
            && names.iter().any(|name| name.starts_with("ix_") && name.ends_with("_id"))
    };
    assert!(doubled.iter().all(|names| is_known(names)), "{doubled:?}");
    assert_eq!(doubled.len(), 7);
}

/// A revision file was deleted, and the chain was broken for four days.
#[test]
fn every_file_is_listed_and_every_old_revision_is_replaced_once() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: BTreeSet<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|stem| stem.starts_with('m') && stem.contains('_'))
        .collect();
    let names: Vec<String> = migrations().iter().map(|migration| migration.name().to_owned()).collect();
    assert!(names.is_sorted());
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), files);
    let replaced: Vec<_> = migrations().iter().flat_map(|migration| migration.details().replaces).collect();
    assert_eq!(
        replaced,
        [
            "4de5528c20b4",
            "66ac03dc5ab6",
            "abc123def456",
            "def456ghi789",
            "ghi789jkl012",
            "8ca7de033db9",
            "e94cab18247f"
        ]
    );
}

/// A generated revision dropped the hand-made indexes.
#[tokio::test]
async fn the_hand_made_indexes_are_there_at_head() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let mut made = indexes(&scratch).await;
    made.retain(|name, _| name.starts_with("idx_"));
    let expected = [
        "CREATE INDEX idx_books_fulltext ON bookreader.books USING gin (to_tsvector('russian'::regconfig, \
         (((title)::text || ' '::text) || (COALESCE(author, ''::character varying))::text)))",
        "CREATE INDEX idx_books_high_rating ON bookreader.books USING btree (rating) \
         WHERE (rating >= (4.0)::double precision)",
        "CREATE INDEX idx_books_rating ON bookreader.books USING btree (rating)",
        "CREATE INDEX idx_books_unparsed ON bookreader.books USING btree (user_id, created_at) WHERE (is_parsed = false)",
        "CREATE INDEX idx_books_user_created ON bookreader.books USING btree (user_id, created_at)",
        "CREATE INDEX idx_descriptions_chapter_priority ON bookreader.descriptions USING btree (chapter_id, priority_score)",
        "CREATE INDEX idx_images_completed ON bookreader.generated_images USING btree (description_id, created_at) \
         WHERE ((status)::text = 'completed'::text)",
        "CREATE INDEX idx_reading_progress_cfi ON bookreader.reading_progress \
         USING btree (book_id, user_id, reading_location_cfi)",
    ];
    assert_eq!(made.into_values().collect::<Vec<_>>(), expected);
}

/// The queries that the indexes were made for use them.
#[tokio::test]
async fn the_full_text_index_serves_its_query() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::realistic(&scratch).await;
    scratch.up().await;
    scratch.execute("ANALYZE books").await;
    let plan = scratch
        .rows(
            "EXPLAIN SELECT id FROM books WHERE to_tsvector('russian', title || ' ' || COALESCE(author, '')) \
             @@ plainto_tsquery('russian', 'автор №42')",
        )
        .await
        .join("\n");
    assert!(plan.contains("idx_books_fulltext"), "{plan}");
}

/// The same revision dropped the default of `scroll_offset_percent`: old application code could no longer insert.
#[tokio::test]
async fn application_code_of_every_age_can_insert_at_head() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::realistic(&scratch).await;
    scratch.up().await;
    // Every column that the base schema knows and no other, as code from before the later migrations writes them.
    scratch.execute("DELETE FROM reading_progress").await;
    scratch
        .execute(
            "INSERT INTO reading_progress (id, user_id, book_id, current_chapter, current_page, current_position, \
             reading_time_minutes, reading_speed_wpm, created_at, updated_at, last_read_at) \
             SELECT gen_random_uuid(), user_id, id, 1, 1, 0, 0, 200, now(), now(), now() FROM books LIMIT 1",
        )
        .await;
    data::users(&scratch, "late", &REALISTIC, 1).await;
    assert_eq!(
        scratch.rows("SELECT scroll_offset_percent, reading_location_cfi FROM reading_progress").await,
        ["0|∅"]
    );
    scratch.verify().await;
    let out_of_range = "UPDATE reading_progress SET scroll_offset_percent = 100.5";
    let error = scratch.db().execute_unprepared(out_of_range).await.unwrap_err();
    assert!(error.to_string().contains("check_scroll_offset_range"), "{error}");
}

/// An unnamed constraint could not be dropped on downgrade: every constraint has the name it should have.
#[tokio::test]
async fn every_constraint_has_its_name() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    // From PostgreSQL 18 on, NOT NULL is a constraint with a name too.
    let constraints = scratch
        .rows(
            "SELECT conname FROM pg_constraint WHERE connamespace = 'bookreader'::regnamespace \
             AND conrelid::regclass::text NOT LIKE '%migration%' AND contype <> 'n' ORDER BY conname COLLATE \"C\"",
        )
        .await;
    assert_eq!(
        constraints,
        [
            "books_pkey",
            "books_user_id_fkey",
            "chapters_book_id_fkey",
            "chapters_pkey",
            "check_scroll_offset_range",
            "descriptions_chapter_id_fkey",
            "descriptions_pkey",
            "generated_images_description_id_fkey",
            "generated_images_pkey",
            "generated_images_user_id_fkey",
            "reading_progress_book_id_fkey",
            "reading_progress_pkey",
            "reading_progress_user_id_fkey",
            "subscriptions_pkey",
            "subscriptions_user_id_fkey",
            "uq_user_preferences_user_id",
            "user_preferences_pkey",
            "user_preferences_user_id_fkey",
            "users_pkey",
        ]
    );
    scratch.down_to("m20251019_234800_add_reading_location_cfi").await;
    let left = "SELECT count(*) FROM pg_constraint WHERE conname = 'check_scroll_offset_range'";
    assert_eq!(scratch.rows(left).await, ["0"]);
}

/// A table was dropped and restored, and rows were lost: no table is ever made anew.
#[tokio::test]
async fn tables_are_the_same_tables_after_all_migrations_and_back() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    let tables = "SELECT relname, oid FROM pg_class WHERE relnamespace = 'bookreader'::regnamespace \
                  AND relkind = 'r' AND relname NOT LIKE '%migration%' ORDER BY relname";
    let before = scratch.rows(tables).await;
    scratch.up_contract().await;
    scratch.down_to(BASE).await;
    assert_eq!(scratch.rows(tables).await, before);
}

/// A unique index was added over duplicates: after the base schema only a new, empty table gets one.
#[tokio::test]
async fn no_unique_index_meets_existing_rows() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    let unique = "SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indrelid \
                  WHERE relnamespace = 'bookreader'::regnamespace AND indisunique \
                  AND relname NOT LIKE '%migration%' ORDER BY indexrelid::regclass::text COLLATE \"C\"";
    let before = scratch.rows(unique).await;
    scratch.up_contract().await;
    let mut after = scratch.rows(unique).await;
    after.retain(|index| !before.contains(index));
    assert_eq!(after, ["uq_user_preferences_user_id", "user_preferences_pkey"]);
}

/// The deploy script computed "nothing pending" from a text, wrongly in every state but one.
#[tokio::test]
async fn what_is_pending_is_known_in_every_state() {
    let scratch = Scratch::new(service()).await;
    let all: Vec<String> = migrations().iter().map(|migration| migration.name().to_owned()).collect();
    for (n_applied, name) in all.iter().enumerate() {
        assert_eq!(pending(&scratch).await, all[n_applied..]);
        scratch.up_to(name).await;
    }
    assert_eq!(pending(&scratch).await, Vec::<String>::new());
    scratch.down_to(BACKFILL).await;
    scratch.up().await;
    assert_eq!(pending(&scratch).await, [CONTRACT]);
    scratch.down_to(RATING).await;
    assert_eq!(pending(&scratch).await, all[2..]);
    assert_eq!(all.last().map(String::as_str), Some(HEAD));
}

/// What plain sea-orm sees as pending.
async fn pending(scratch: &Scratch) -> Vec<String> {
    let pending = Migrator::get_pending_migrations(scratch.db()).await.unwrap();
    pending.iter().map(|migration| migration.name().to_owned()).collect()
}

/// Name and definition of each index of the service.
async fn indexes(scratch: &Scratch) -> BTreeMap<String, String> {
    let rows = scratch
        .rows(
            "SELECT indexname, indexdef FROM pg_indexes \
             WHERE schemaname = 'bookreader' AND tablename NOT LIKE '%migration%'",
        )
        .await;
    rows.iter()
        .map(|row| row.split_once('|').map(|(name, def)| (name.to_owned(), def.to_owned())).unwrap())
        .collect()
}

/// Alembic writes `DEFAULT '0.0'`, which PostgreSQL keeps as `'0'::double precision`.
#[tokio::test]
async fn a_default_is_the_value_that_it_gives_however_it_is_written() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let details = bookreader_migration::m20251020_232800_add_scroll_offset_percent::Migration.details();
    let check = details.checks.iter().find(|check| check.says.contains("defaults to")).unwrap();
    for (default, holds) in [
        ("'0.0'", "t"),
        ("0", "t"),
        ("(0)::double precision", "t"),
        ("'-0.00'::numeric", "t"),
        ("1", "f"),
        ("random()", "f"),
        ("NULL", "f"),
    ] {
        let sql = "ALTER TABLE reading_progress ALTER COLUMN scroll_offset_percent SET DEFAULT";
        scratch.execute(&format!("{sql} {default}")).await;
        assert_eq!(scratch.rows(&check.sql).await, [holds], "{default}");
    }
}
