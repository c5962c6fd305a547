//! Databases whose encoding is not UTF8: text that they have goes through every migration as it is, or nothing is begun.

use postgres_sandbox::Cluster;

use crate::support::{Lab, ROWS, run};

/// A database of this encoding.
fn encoded(encoding: &str) -> Lab {
    let template = format!("{}_{encoding}", Lab::empty().database.name()).to_lowercase();
    let lab = Lab::empty();
    lab.query(&format!(
        "CREATE DATABASE {template} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let encoded = Lab::with(Cluster::shared().create_database_from(&template).unwrap());
    lab.query(&format!("DROP DATABASE {template}"));
    encoded
}

/// Applies the first migration of each service, as an earlier system's base.
fn based(encoding: &str) -> Lab {
    let lab = encoded(encoding);
    let first = ROWS.map(|(service, _)| format!("{service}@+1"));
    let first: Vec<&str> = ["up", "--quiet"].into_iter().chain(first.iter().map(String::as_str)).collect();
    lab.migrate(&first).exits(0);
    lab
}

/// Rows of old systems with this character, good ones and such as become rejects, also with a key of text.
fn rows_with(character: char) -> String {
    r#"SET client_encoding = 'UTF8';
       INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, '~', 'a ~', 3);
       INSERT INTO rag.user_knowledge (user_id, name, expertise) VALUES ('~', '~', '["~"]');
       INSERT INTO assessments.question_history (question_text, user_answer_transcript, ai_evaluation)
           VALUES ('~', '~', '{"score": 9, "feedback": "~", "understandingDepth": "~", "knowledgeGaps": ["~"]}');
       INSERT INTO profochatbot.course (course_id, bot_name, yaml) VALUES ('~', 'b~', '~'), ('~', 'a~', 'a'), ('d~', '', '');
       INSERT INTO profochatbot.run (chat_id, botname, course_id) VALUES (1, 'c~', '~'), (2, ' ', '~'), (3, 'c~', 'e~');
       INSERT INTO profochatbot.conversation (chat_id, json, run_id) VALUES (1, '~', 99);
       INSERT INTO profochatbot.courseparticipants (course_id, username) VALUES ('~', '~'), ('~', '~'), ('e~', '~');
       INSERT INTO profochatbot.bannedparticipants (botname, chat_id, ban_reason, excluded) VALUES ('f~', 1, '~', 0), ('f~', 1, '~', 0);
       INSERT INTO profochatbot.gen_settings (id, bot_name, s_key) VALUES (1, 'b~', '~'), (2, 'b~', '~');
       INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, reader_settings)
           VALUES (md5('1')::uuid, '~@x', '', true, true, false, '{"theme": "~", "language": "~~~~~~~~~~~~"}');
       INSERT INTO bookreader.books (user_id, title, author, genre, language, file_path, file_format, file_size, total_pages,
           estimated_reading_time, is_parsed, parsing_progress)
           VALUES (md5('1')::uuid, 'a ~~~', '~', 'n', 'fr', '/', 'epub', 1, 1, 1, false, 0)"#
        .replace('~', &character.to_string())
}

#[test]
fn text_that_a_database_has_goes_through_every_migration() {
    for (encoding, character) in [
        ("LATIN1", 'é'),
        ("LATIN9", '€'),
        ("WIN1251", 'ж'),
        ("KOI8R", 'ж'),
        ("EUC_JP", '語'),
        ("EUC_KR", '한'),
    ] {
        let lab = based(encoding);
        lab.query(&rows_with(character));
        lab.migrate(&["up", "--quiet"]).exits(0);
        lab.migrate(&["up", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"]).exits(0);
        lab.migrate(&["verify"]).exits(0);
        let doctor = lab.migrate(&["doctor"]).exits(0).stdout;
        assert!(doctor.contains(&format!("its encoding is {encoding}, not UTF8")), "{doctor}");
        for service in ["assessments", "profochatbot", "bookreader"] {
            let rejects = lab.migrate(&["rejects", service]).exits(0).stdout;
            assert!(rejects.contains(character), "{encoding}\n{rejects}");
        }
        let carried = lab.query(
            "SET client_encoding = 'UTF8'; SELECT feedback || knowledge_gaps[1] || (SELECT theme FROM bookreader.user_preferences) \
             || (SELECT string_agg(bot_name, '' ORDER BY bot_name COLLATE \"C\") FROM profochatbot.bot) \
             FROM assessments.question_history",
        );
        let expected = "~~~a~b~c~f~".replace('~', &character.to_string());
        assert_eq!(carried.trim(), expected, "{encoding}");
    }
}

/// SQL_ASCII takes bytes that are no text in any encoding: whether there are rows with such, and whether the service is new, nothing
/// is begun, and every command that looks ahead says so.
#[test]
fn where_text_may_be_any_bytes_nothing_is_begun() {
    let lab = encoded("SQL_ASCII");
    let old =
        "CREATE SCHEMA chat; CREATE TABLE chat.old (content text); INSERT INTO chat.old VALUES (E'caf\\xe9')";
    for before in ["SELECT 1", old] {
        lab.query(before);
        let said =
            "has the encoding SQL_ASCII, which takes bytes that are no text, and migrations fail over them";
        for arguments in [&["up"][..], &["up", "chat"], &["up", "--atomic", "chat@+1"], &["plan"], &["sql"]] {
            let ran = lab.migrate(arguments);
            assert!(ran.shown().contains(said), "{arguments:?}\n{}", ran.shown());
            assert!(
                ran.code == 7 && ran.shown().contains("option of pg_dump"),
                "{arguments:?}\n{}",
                ran.shown()
            );
        }
        let doctor = lab.migrate(&["doctor"]).exits(7).stdout;
        assert!(doctor.contains("its encoding is SQL_ASCII, not UTF8") && doctor.contains(said), "{doctor}");
        lab.migrate(&["status"]).exits(0);
        let made = "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^(pg_|information)' \
                    AND relname <> 'old'";
        assert_eq!(lab.query(made).trim(), "0");
    }
}

/// Who knows that all text there is UTF-8 says so, and keeps it as it is.
#[test]
fn text_in_utf_8_goes_through_every_migration_where_it_is_allowed() {
    let lab = encoded("SQL_ASCII");
    let allowing =
        |value: &str, arguments: &[&str]| run(lab.command(arguments).env("MIGRATE_SQL_ASCII", value));
    allowing("yes", &["up"]).exits(2);
    allowing("never", &["up"]).exits(7);
    let first = ROWS.map(|(service, _)| format!("{service}@+1"));
    let first: Vec<&str> = ["up", "--quiet"].into_iter().chain(first.iter().map(String::as_str)).collect();
    allowing("allow", &first).exits(0);
    lab.query(&rows_with('語'));
    allowing("allow", &["up", "--quiet"]).exits(0);
    allowing("allow", &["up", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"]).exits(0);
    lab.migrate(&["verify"]).exits(0);
    let doctor = allowing("allow", &["doctor"]).exits(0).stdout;
    assert!(doctor.contains("its encoding is SQL_ASCII, not UTF8"), "{doctor}");
    assert!(lab.migrate(&["rejects", "profochatbot"]).exits(0).stdout.contains('語'));
}

#[test]
fn an_encoding_of_which_postgresql_makes_no_text_is_named() {
    let ran = encoded("MULE_INTERNAL").migrate(&["up"]).exits(8);
    assert!(
        ran.stderr.contains("conversion between UTF8 and MULE_INTERNAL is not supported"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("restore a dump of the database into one whose encoding"), "{}", ran.stderr);
}

/// JSON takes the escape of every character, also of one that the database has not.
#[test]
fn settings_with_a_character_that_the_database_lacks_are_rejects_and_no_more() {
    let lab = encoded("LATIN1");
    lab.migrate(&["up", "bookreader@+1", "--quiet"]).exits(0);
    lab.query(
        r#"INSERT INTO bookreader.users (email, password_hash, is_active, is_verified, is_admin, reader_settings)
           SELECT n || '@x', '', true, true, false, (ARRAY['{"theme": "\u20ac", "font": 1}', '{"theme": "dark", "font": 1}'])[n]::json
           FROM generate_series(1, 2) AS n"#,
    );
    lab.migrate(&["up", "bookreader", "--quiet"]).exits(0);
    lab.migrate(&["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"])
        .exits(0);
    let rejects = lab.migrate(&["rejects", "bookreader"]).exits(0).stdout;
    assert!(rejects.contains("holds an escape that is not text"), "{rejects}");
    lab.migrate(&["verify", "bookreader"]).exits(0);
}
