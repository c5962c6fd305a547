//! Folders of SQL files: which are taken as migrations, and which are refused with the file and the line.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use migration_kit::sql::{SqlError, from_directory, from_files};
use migration_kit::{Service, ServiceError, sql_files};

/// Files as `(path, text)`.
type Files<'f> = &'f [(&'f str, &'f str)];

/// Each migration as `name up[/down][ *]`, a star where it runs outside a transaction.
fn read(files: Files<'_>) -> Result<Vec<String>, String> {
    let files = files.iter().map(|(file, text)| (*file, text.as_bytes()));
    let migrations = from_files(files).map_err(|error| error.to_string())?;
    let shown = Service::from_sql_migrations("any", migrations).unwrap();
    Ok(shown
        .migrations()
        .map(|listed| {
            let down = if listed.details().irreversible.is_some() { "" } else { "/down" };
            let star = if listed.is_transactional() { "" } else { " *" };
            format!("{} up{down}{star}", listed.name())
        })
        .collect())
}

#[test]
fn the_layouts_of_other_tools_are_understood() {
    let cases: [(Files<'_>, &[&str]); 12] = [
        (&[("1_a.sql", "SELECT 1")], &["1_a up"]),
        (&[("1_a.down.sql", "SELECT 1"), ("1_a.up.sql", "SELECT 1")], &["1_a up/down"]),
        (&[("1_a/up.sql", "SELECT 1"), ("1_a/down.sql", "SELECT 1")], &["1_a up/down"]),
        (&[("1_a.sql", "-- migrate:up\nSELECT 1\n-- migrate:down\nSELECT 1")], &["1_a up/down"]),
        (&[("1_a.sql", "-- migrate:up transaction:false\nVACUUM\n-- migrate:down\n")], &["1_a up *"]),
        (&[("1_a.sql", "-- no-transaction\nVACUUM")], &["1_a up *"]),
        (&[("1_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 1")], &["1_a up/down"]),
        (
            &[(
                "1_a.sql",
                "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nDO $$ BEGIN; END $$;\n-- +goose StatementEnd\nVACUUM",
            )],
            &["1_a up *"],
        ),
        (
            &[("1_a.sql", "-- +migrate Up notransaction\nVACUUM;\n-- +migrate Down\nSELECT 1")],
            &["1_a up/down *"],
        ),
        (
            &[("1_a/up.sql", "VACUUM"), ("1_a/metadata.toml", "run_in_transaction  =  false # why")],
            &["1_a up *"],
        ),
        // A number counts as one, and what is no migration's file is nobody's business.
        (
            &[
                ("10_c.sql", ""),
                ("9_b.sql", ""),
                ("2019-11-15-182353_Add notes.sql", ""),
                ("README.md", "\\"),
                (".keep.sql", "'"),
            ],
            &["9_b up", "10_c up", "2019-11-15-182353_Add notes up"],
        ),
        (
            &[("beta.sql", ""), ("9_alpha.sql", ""), ("10_gamma.sql", "")],
            &["10_gamma up", "9_alpha up", "beta up"],
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(read(files).unwrap(), expected, "{files:?}");
    }
}

#[test]
fn what_is_unclear_is_refused_by_file_and_line() {
    let cases: [(Files<'_>, &str); 14] = [
        (
            &[("1_a.down.sql", "")],
            "`1_a.down.sql`: there is a file to revert the migration and none to apply it",
        ),
        (&[("1_a.sql", ""), ("1_a/up.sql", "")], "`1_a/up.sql`: another file says the same"),
        (
            &[("1_a.sql", "-- migrate:up\n-- migrate:down\nSELECT 1"), ("1_a.down.sql", "")],
            "another file says the same",
        ),
        (&[("1_a/more.sql", "")], "`1_a/more.sql`: expected `<name>.sql`"),
        (&[(".sql/.sql", ""), ("1_a/b/up.sql", "")], "`1_a/b/up.sql`: expected `<name>.sql`"),
        (
            &[("1_a.sql", "SELECT 1;\nCOMMIT;")],
            "`1_a.sql`, line 2: the statement begins or ends a transaction",
        ),
        (
            &[("1_a.sql", "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;")],
            "line 1: the statement begins or ends",
        ),
        (&[("1_a.sql", "\n-- +goose ENVSUB ON\nSELECT 1")], "line 2: the mark is not understood"),
        (&[("1_a.sql", "-- +migrate Up\n-- +migrate Up\n")], "line 2: the mark is out of place"),
        (&[("1_a.up.sql", "-- +goose Down\n")], "line 1: the mark is out of place"),
        (&[("1_a.sql", "SELECT 1;\n-- migrate:up\n")], "line 1: the statement comes before `-- migrate:up`"),
        (&[("1_a.up.sql", "-- migrate:down\n")], "line 1: the mark is out of place"),
        (&[("1_a.sql", "-- migrate:up\n-- migrate:up\n")], "line 2: the mark is out of place"),
        (&[("1_a.sql", "-- migrate:sideways\n")], "line 1: the mark is not understood"),
    ];
    for (files, expected) in cases {
        let error = read(files).unwrap_err();
        assert!(error.contains(expected), "{files:?}: {error}");
    }
    let bytes: [(&str, &[u8]); 1] = [("1_a.sql", b"SELECT\n'\xff'")];
    assert_eq!(from_files(bytes).unwrap_err().to_string(), "`1_a.sql`, line 2: the text is not UTF-8");
}

#[test]
fn a_folder_is_read_as_what_is_compiled_in() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/sql");
    let compiled = from_files(sql_files!("$CARGO_MANIFEST_DIR/tests/foreign/sql")).unwrap();
    assert_eq!(from_directory(folder.as_ref()).unwrap(), compiled);
    let service = Service::from_sql_directory("ledger", folder).unwrap();
    let names: Vec<String> = service.migrations().map(|listed| listed.name().to_string()).collect();
    assert_eq!(names, ["0001_init", "0002_seed", "0010_index_entries"]);

    let missing = Service::from_sql_directory("ledger", "/no/such/folder").err().unwrap();
    assert!(matches!(missing, ServiceError::Sql(SqlError::Unreadable { .. })), "{missing}");
    let empty =
        Service::from_sql_directory("ledger", concat!(env!("CARGO_MANIFEST_DIR"), "/src")).err().unwrap();
    assert!(matches!(empty, ServiceError::Sql(SqlError::Empty { .. })), "{empty}");
}

#[test]
fn a_script_is_split_into_messages() {
    let split = migration_kit::sql::statements("SET a = 1;\n-- a comment; of two\nSELECT ';', $$;$$;\n");
    assert_eq!(split.unwrap(), ["SET a = 1", "SELECT ';', $$;$$"]);
    assert_eq!(migration_kit::sql::statements("\\connect another"), None);
}
