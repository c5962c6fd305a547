//! Lock files and files of SQL, whatever is in them: they are read or refused, in a time that grows with their length.

use std::time::{Duration, Instant};

use migration_kit::LockFile;
use migration_kit::sql::from_files;
use proptest::prelude::*;

/// How long a file of [`LONG`] pieces may take, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many pieces are long.
const LONG: usize = 100_000;

/// Pieces of SQL that open, close or contain something.
const SQL: &str = "(SELECT 1|;|\\(|\\)|'|E'|\\\\'|\"|\\$\\$|\\$a\\$|/\\*|\\*/|-- |\n|BEGIN|ATOMIC|CASE|END|CREATE FUNCTION f\\(\\)|COPY t FROM STDIN|\\\\\\.|-- migrate:down|-- migrate:up transaction:false|-- \\+goose StatementBegin|-- \\+goose Down| |\\PC|\\p{Cc}){0,24}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_text_is_a_lock_file_or_is_refused(
        text in "(# |\n|\n  |apply |revert |does | in |m20250101_000001_a|expand|contract|transaction|steps|-| |SHARE|ACCESS EXCLUSIVE|[0-9a-f]{64}|\\PC|\\p{Cc}){0,24}",
    ) {
        match LockFile::parse(&text) {
            Ok(file) => {
                // What is written is read as the same.
                let written = LockFile::render(file.entries());
                prop_assert_eq!(LockFile::parse(&written), Ok(file), "{}", written);
            }
            Err(error) => prop_assert!(error.line <= text.lines().count()),
        }
    }

    #[test]
    fn any_files_are_migrations_or_are_refused(
        name in "([0-9]{1,20}|V|U|_|__|a|\\.|up|down|/|\\.sql|\\PC){0,8}",
        sql in SQL,
        bytes in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let bytes = [sql.as_bytes(), &bytes].concat();
        for name in [&name[..], "1_a.sql"] {
            drop(from_files([(name, &bytes[..])]).map_err(|error| error.to_string()));
        }
    }
}

#[test]
fn long_texts_take_no_longer_than_their_length() {
    for piece in [
        "(",
        ")",
        "'",
        "E'\\'",
        "\"",
        "$$",
        "$a$",
        "/*",
        "*/",
        "-- \n",
        "\n",
        ";",
        "BEGIN ",
        "CASE ",
        "END ",
        "SELECT 1;\n",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ",
        "-- migrate:up\n",
        "\u{0}",
        "\u{1F600}",
    ] {
        let text = piece.repeat(LONG);
        let begun = Instant::now();
        drop(from_files([("1_a.sql", text.as_bytes())]).map_err(|error| error.to_string()));
        drop(LockFile::parse(&text).map_err(|error| error.to_string()));
        assert!(begun.elapsed() < PATIENCE, "{piece:?}: {:?}", begun.elapsed());
    }
}
