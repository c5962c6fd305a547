//! Texts of old rows that are too long for an index: nothing stops midway over one, and none is lost.

use crate::support::{BASE, TABLES, base, digests, rejects};

/// So many bytes that PostgreSQL cannot compress.
fn text_of(size: usize) -> String {
    format!("(SELECT left(string_agg(md5(n::text), ''), {size}) FROM generate_series(1, 400) AS n)")
}

/// What a row of each table has to have.
const NEEDED: [(&str, &[(&str, &str)]); 8] = [
    ("conversation", &[]),
    ("run", &[]),
    ("waiting_element", &[("chat_id", "1")]),
    ("course", &[("course_id", "'c'"), ("bot_name", "'b'")]),
    ("course_element", &[("course_id", "'c'")]),
    ("courseparticipants", &[("course_id", "'c'"), ("username", "'u'")]),
    ("bannedparticipants", &[("botname", "'b'"), ("chat_id", "1")]),
    ("gen_settings", &[("id", "(SELECT count(*) FROM gen_settings)"), ("bot_name", "'b'"), ("s_key", "'k'")]),
];

/// A row with a long text in this column. Where the text is a key, other rows have others.
fn row(table: &str, column: &str, text: &str) -> String {
    let (_, needed) = NEEDED.iter().find(|(name, _)| *name == table).unwrap();
    let others = needed.iter().filter(|(name, _)| *name != column);
    let (mut columns, mut values) = (vec![column], vec![text.to_owned()]);
    for (name, value) in others {
        columns.push(name);
        let is_key = table == "course" && *name == "bot_name";
        values.push(if is_key { format!("'b of {column}'") } else { (*value).to_owned() });
    }
    format!("INSERT INTO {table} ({}) SELECT {}", columns.join(", "), values.join(", "))
}

/// Indexes of the single-tenant application's own do not take more.
const NEVER_THERE: [(&str, &str); 5] = [
    ("bannedparticipants", "botname"),
    ("course", "bot_name"),
    ("course", "course_id"),
    ("courseparticipants", "course_id"),
    ("courseparticipants", "username"),
];
/// Indexes get these where they are.
const REFUSED: [(&str, &str); 7] = [
    ("conversation", "course_id"),
    ("conversation", "element_id"),
    ("conversation", "role"),
    ("course_element", "course_id"),
    ("course_element", "element_type"),
    ("gen_settings", "s_key"),
    ("run", "course_id"),
];

/// Each text of the single-tenant application: no index has it, it becomes a reject, or its row is named before anything is changed.
#[tokio::test]
async fn each_text_of_any_length_goes_through_or_is_named_before_anything_is_changed() {
    for size in [3_000, 10_000] {
        let scratch = base().await;
        let mut columns = Vec::new();
        for table in TABLES {
            let texts = format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'profochatbot' \
                 AND table_name = '{table}' AND data_type = 'text' ORDER BY 1"
            );
            columns.extend(scratch.rows(&texts).await.into_iter().map(|column| (table, column)));
        }
        assert!(columns.len() > NEVER_THERE.len() + REFUSED.len() + 15, "{columns:?}");
        for (table, column) in &columns {
            let inserted = row(table, column, &text_of(size));
            if NEVER_THERE.contains(&(*table, column)) {
                assert!(
                    scratch.database().psql(&format!("SET search_path = profochatbot; {inserted}")).is_err()
                );
            } else {
                scratch.execute(&inserted).await;
            }
        }
        let before = digests(&scratch).await;

        let error = scratch.try_up().await.unwrap_err().to_string();
        assert!(error.contains("m20260105_000001_create_account` is refused"), "{error}");
        for (table, column) in REFUSED {
            let said = error.split("; ").any(|failed| {
                failed.contains(&format!("no row of `{table}` has"))
                    && failed.contains(&format!("`{column}`"))
            });
            assert!(said, "{table}.{column}\n{error}");
        }
        assert_eq!(scratch.rows("SELECT max(version) FROM seaql_migrations_profochatbot").await, [BASE]);
        assert_eq!(digests(&scratch).await, before);

        for (table, column) in REFUSED {
            scratch
                .execute(&format!("UPDATE {table} SET {column} = 'c' WHERE length({column}) = {size}"))
                .await;
        }
        let before = digests(&scratch).await;
        scratch.up_contract().await;
        scratch.verify().await;
        scratch.down_to(BASE).await;
        assert_eq!(digests(&scratch).await, before, "{size}");
    }
}

/// A row that is written after the first look is named before the index is built.
#[tokio::test]
async fn what_old_code_writes_meanwhile_is_named_before_the_index_is_built() {
    for (table, column) in REFUSED {
        let scratch = base().await;
        scratch.up_to("m20260108_000004_backfill_runs").await;
        scratch.execute(&row(table, column, &text_of(3_000))).await;
        let error = scratch.try_up().await.unwrap_err().to_string();
        assert!(error.contains("which an index does not take"), "{table}.{column}: {error}");
        scratch.execute(&format!("UPDATE {table} SET {column} = 'c'")).await;
        scratch.up().await;
    }
}

/// Names that the keys of the single-tenant application take, and those of today do not.
#[tokio::test]
async fn a_name_that_only_the_former_key_takes_leaves_with_the_contract_steps() {
    let scratch = base().await;
    let old_code: Vec<String> = [2_640, 2_680, 2_687]
        .iter()
        .flat_map(|size| {
            let name = format!("{} || lpad(count(*)::text, 3, '0')", text_of(*size));
            [
                format!("INSERT INTO course (course_id, bot_name) SELECT {name}, 'b' FROM course"),
                format!("INSERT INTO course (course_id, bot_name) SELECT {name}, '' FROM course"),
            ]
        })
        .collect();
    let old_code: Vec<&str> = old_code.iter().map(String::as_str).collect();
    scratch.expand_beside_application(&old_code).await;
    scratch.verify().await;
    let participant =
        format!("INSERT INTO courseparticipants (course_id, username) SELECT 'c', {}", text_of(2_680));
    scratch
        .execute(&format!("INSERT INTO course (course_id, bot_name) VALUES ('c', 'b'); {participant}"))
        .await;
    let before = digests(&scratch).await;
    let n_courses = scratch.rows("SELECT count(*) FROM course WHERE length(course_id) > 2600").await;
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows("SELECT course_id FROM course").await, ["c"]);
    let left = "SELECT count(*) FROM migration_reject_profochatbot WHERE table_name = 'course' AND moved";
    assert_eq!(scratch.rows(left).await, n_courses);
    let reasons = "SELECT DISTINCT table_name, field, reason FROM migration_reject_profochatbot \
                   WHERE field = 'course_id' OR moved ORDER BY 1, 2";
    assert_eq!(
        scratch.rows(reasons).await,
        [
            "course||has a name that is too long for an index",
            "course|course_id|has a name of more than 2600 bytes, which no key takes: the course has no deployment",
            "courseparticipants||the names of its course and its user are too long for an index together",
        ]
    );
    scratch.down_to(crate::support::EXPANDED).await;
    assert_eq!(rejects(&scratch, "moved").await, [""; 0]);
    assert_eq!(digests(&scratch).await, before);
}
