//! Plain SQL files: what each does to a schema that was there before, and what is refused.

use migration_kit::literal;
use migration_rehearsal::{Base, RehearsalError, Rules, SqlFile, check_files};
use postgres_sandbox::Cluster;

const BASE: SqlFile<'_> = SqlFile {
    path: "schema.sql",
    text: "SET check_function_bodies = false; SELECT pg_catalog.set_config('search_path', '', false);\n\
           CREATE SCHEMA crm; CREATE TABLE public.item (id bigint PRIMARY KEY, name text, size int);\n\
           CREATE TABLE crm.client (id bigint PRIMARY KEY, name text);\n\
           COPY public.item (id, name) FROM stdin;\n1\tone\n\\.\n",
};

/// The rules and objects that are found in each file.
async fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    found_by(Rules::default(), files).await
}

async fn found_by(rules: Rules, files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let files: Vec<SqlFile<'_>> = files.iter().map(|(path, text)| SqlFile { path, text }).collect();
    let checked = check_files(Some(Base::File(BASE)), &files, rules).await.expect("the files can be applied");
    assert_eq!(checked.len(), files.len());
    let of = |file: &migration_rehearsal::CheckedFile| {
        let hazards = file.hazards.iter().map(|hazard| format!("{} {}", hazard.rule, hazard.object));
        hazards.chain(file.faults.iter().cloned()).collect()
    };
    checked.iter().map(of).collect()
}

#[tokio::test]
async fn each_file_is_judged_on_top_of_those_before_it() {
    let found = found(&[
        ("1_index.sql", "CREATE INDEX item_name ON item (name); -- the end"),
        ("2_index.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY client_name ON crm.client (name);"),
        (
            "3_rewrite.sql",
            "-- migrate:up\nALTER TABLE crm.client ADD COLUMN n int;\n-- migrate:down\nDROP TABLE item;",
        ),
        ("it's/up.sql", "BEGIN; ALTER TABLE item DROP COLUMN size; COMMIT;"),
        ("5.sql", "CREATE TABLE fresh (id bigserial PRIMARY KEY); CREATE INDEX fresh_2 ON fresh (id);"),
    ])
    .await;
    let none: &[&str] = &[];
    assert_eq!(found[0], ["index-blocks-writes item"]);
    assert_eq!(found[1], none);
    assert_eq!(found[2], none);
    assert_eq!(found[3], ["drop-in-expand item.size"]);
    assert_eq!(found[4], ["serial fresh.id"]);
}

#[tokio::test]
async fn the_rules_for_citus_judge_files_where_they_are_wanted() {
    let files = [
        (
            "1.sql",
            "CREATE TABLE a (id bigint PRIMARY KEY REFERENCES crm.client (id), no int GENERATED ALWAYS AS IDENTITY);",
        ),
        // The statements of a file are sent one by one.
        (
            "2.sql",
            "CREATE TABLE b (c text); ALTER TABLE b ADD UNIQUE (c); ALTER TABLE b REPLICA IDENTITY FULL;",
        ),
        (
            "3.sql",
            "-- accepts citus-refused-statement: it is applied before\nALTER TABLE a RENAME CONSTRAINT a_pkey TO a_key;",
        ),
        ("4.sql", "ALTER TABLE b ADD COLUMN n bigserial;"),
        ("5.sql", "CREATE TABLE k (id bigint PRIMARY KEY); ALTER TABLE k SET SCHEMA crm;"),
        ("6.sql", "ALTER TABLE a SET SCHEMA crm;"),
    ];
    let none: &[&str] = &[];
    let found = found_by(Rules { citus: true }, &files).await;
    let keyed = [
        "foreign-key-with-new-table crm.client, from a",
        "citus-foreign-key-elsewhere a.a_id_fkey, to crm.client",
        "citus-int-serial a.no",
    ];
    assert_eq!(found[0], keyed);
    assert_eq!([&found[1], &found[2]], [none, none]);
    assert_eq!(found[3], ["serial b.n", "table-rewrite b", "citus-added-sequence b.n"]);
    assert_eq!(found[4], none);
    assert!(
        found[5].contains(&"citus-refused-statement a: SET SCHEMA with a sequence".to_owned()),
        "{found:?}"
    );
    let found = self::found(&files).await;
    assert_eq!([&found[0], &found[2]], [&keyed[..1], none]);
    assert_eq!(found[3], ["serial b.n", "table-rewrite b"]);
}

#[tokio::test]
async fn a_file_accepts_a_rule_with_a_reason() {
    let found = found(&[
        ("1.sql", "-- accepts serial: the old code makes it so\nCREATE TABLE a (id bigserial);"),
        ("2.sql", "-- accepts serial\n-- accepts serial:\nCREATE TABLE b (id bigserial);"),
        ("3.sql", "-- accepts rename: no reason to\nSELECT 1;"),
    ])
    .await;
    assert_eq!(found[0], [""; 0]);
    assert_eq!(found[1], ["serial b.id", "it accepts `serial` and gives no reason"]);
    assert_eq!(found[2], ["it accepts `rename`, and does nothing of the kind"]);
}

#[tokio::test]
async fn a_file_that_uses_an_enum_value_too_early_is_found_and_those_after_it_are_not_checked() {
    let files = [
        ("1.sql", "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE person (id bigserial, mood mood);"),
        (
            "2.sql",
            "ALTER TYPE mood ADD VALUE 'glad';\nALTER TABLE person ALTER COLUMN mood SET DEFAULT 'glad';",
        ),
        ("3.sql", "SELECT 1"),
    ];
    let found = found(&files).await;
    assert_eq!(found[0], ["serial person.id"]);
    assert_eq!(found[1], ["enum-value-too-early \"glad\" of enum type mood"]);
    assert_eq!(found[2], ["it was not checked: `2.sql`, which is before it, cannot be applied"]);
}

#[tokio::test]
async fn tables_have_rows_and_what_no_row_passes_is_found() {
    let checked = "CREATE TABLE checked (id bigint PRIMARY KEY, of bigint REFERENCES item (id), kind text NOT NULL CHECK (kind IN ('a', 'b')), \
                   rank int NOT NULL CHECK (rank BETWEEN 1 AND 5), until date); CREATE INDEX checked_of ON checked (of);";
    let found = found(&[
        ("1.sql", checked),
        ("2.sql", "ALTER TABLE checked ADD COLUMN n text NOT NULL;"),
        ("3.sql", "-- migrate:up transaction:false\nALTER TABLE checked ADD COLUMN m text NOT NULL;"),
        ("4.sql", "SELECT 1 / count(*) FROM checked;"),
        (
            "5.sql",
            "-- accepts rows: it is empty everywhere\n-- accepts not-null-without-default: so\n-- accepts scan-under-lock: so\n\
             ALTER TABLE checked ADD COLUMN o text NOT NULL;",
        ),
    ])
    .await;
    let none: &[&str] = &[];
    assert_eq!(found[0], ["foreign-key-with-new-table item, from checked"]);
    let n = [
        "not-null-without-default checked.n",
        "scan-under-lock checked",
        "it cannot be applied to tables with rows: column \"n\" of relation \"checked\" contains null values",
    ];
    assert_eq!(found[1], n);
    assert_eq!(found[2], ["not-null-without-default checked.m", "scan-under-lock checked"]);
    assert_eq!(found[3], none, "tables have rows again");
    assert_eq!(found[4], none);
}

#[tokio::test]
async fn a_trigger_that_needs_rights_is_found_unless_its_owner_lends_them() {
    let trigger = |number: u8, with: &str, event: &str| {
        format!(
            "CREATE FUNCTION f{number}() RETURNS trigger LANGUAGE plpgsql {with} AS $$ \
             BEGIN INSERT INTO crm.client (id) VALUES (random() * 1000000); RETURN NULL; END $$; \
             CREATE TRIGGER t{number} AFTER {event} ON item FOR EACH ROW EXECUTE FUNCTION f{number}();"
        )
    };
    let safe = trigger(1, "SECURITY DEFINER SET search_path = pg_catalog, pg_temp", "INSERT");
    let accepted =
        format!("-- accepts trigger-needs-rights: it has them\n{}", trigger(2, "", "UPDATE OF name"));
    let own = "CREATE FUNCTION f4() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.size := 1; RETURN NEW; END $$; \
               CREATE TRIGGER t4 BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION f4();";
    let found = found(&[("1.sql", &safe), ("2.sql", own), ("3.sql", &trigger(3, "", "DELETE"))]).await;
    assert_eq!(found[0], [""; 0]);
    assert_eq!(found[1], [""; 0]);
    assert_eq!(found[2], ["trigger-needs-rights item: permission denied for schema crm"]);
    assert_eq!(self::found(&[("1.sql", &accepted)]).await[0], [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_applied_is_named() {
    let refused = async |base: Option<SqlFile<'_>>, text: &str| {
        let files = [SqlFile { path: "a.sql", text }];
        check_files(base.map(Base::File), &files, Rules::default()).await.unwrap_err()
    };
    let error = refused(None, "-- first\nSELECT 1;\n\nALTER TABLE item\n  ADD COLUMN n int;\nSELECT 2").await;
    assert_eq!(error.to_string(), "`a.sql`, line 4, could not be applied: relation \"item\" does not exist");
    let base = SqlFile { path: "base.sql", text: "SELECT 1;\nCREATE TABLE t (id no_type)" };
    let error = refused(Some(base), "SELECT 1").await;
    assert_eq!(
        error.to_string(),
        "`base.sql`, line 2, could not be applied: type \"no_type\" does not exist"
    );
    assert!(matches!(refused(None, "SELECT 'open").await, RehearsalError::Sql(_)));
}

#[tokio::test]
async fn a_schema_comes_from_a_live_database_or_names_roles_that_nobody_has() {
    let live = Cluster::shared().create_database().unwrap();
    live.psql(
        "CREATE SCHEMA \"odd name\"; CREATE TABLE \"odd name\".item (id bigint PRIMARY KEY, name text)",
    )
    .unwrap();
    let files = [SqlFile { path: "a.sql", text: "CREATE INDEX item_name ON \"odd name\".item (name)" }];
    let url = live.url().parse().unwrap();
    let checked = check_files(Some(Base::Live(&url)), &files, Rules::default()).await.unwrap();
    assert_eq!(checked[0].hazards[0].object, "odd name.item");
    assert_eq!(
        live.psql("SELECT count(*) FROM pg_indexes WHERE indexname = 'item_name'").unwrap().trim(),
        "0"
    );

    let role = "some one's";
    let text = format!("CREATE TABLE item (id bigint, name text); ALTER TABLE item OWNER TO \"{role}\";");
    let files = [SqlFile {
        path: "b.sql",
        text: &format!(
            "SELECT 1 / (pg_get_userbyid(relowner) = {})::int FROM pg_class WHERE relname = 'item'",
            literal(role)
        ),
    }];
    let checked =
        check_files(Some(Base::File(SqlFile { path: "s.sql", text: &text })), &files, Rules::default())
            .await
            .unwrap();
    assert_eq!(checked[0].hazards, []);
}
