//! On a terminal: nothing that others wrote steers it, colour and characters are those that it knows, and tables fit.

use std::process::Command;

use crate::support::{Lab, Ran, run};

/// Steers a terminal, hides, turns around, and pretends to be a line of ours.
const HOSTILE: &str = "\u{1b}[31mRED\u{7}\u{9b}2J\u{202e}drow\u{200b}\nerror: ours";

/// `migrate` with these arguments on a terminal of its own, with these variables.
fn on_a_terminal(lab: &Lab, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let words = arguments.iter().map(|word| format!(" '{word}'")).collect::<String>();
    let mut command = Command::new("script");
    command.args(["-qec", &format!("'{}' migrate{words}", env!("CARGO_BIN_EXE_xtask")), "/dev/null"]);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.env("DATABASE_URL", lab.database.url()).current_dir(lab.directory.path());
    run(command.envs(variables.iter().copied()))
}

/// A literal of SQL with these characters.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What of this would steer a terminal or hide from a reader; `script` writes line ends as terminals want them.
fn hostile(text: &str) -> Option<char> {
    let text = text.replace("\r\n", "\n");
    text.chars().find(|char| {
        (char.is_control() && *char != '\n') || matches!(char, '\u{200b}' | '\u{202a}'..='\u{202e}')
    })
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_that_others_wrote_steers_the_terminal() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@m20251017", "--quiet"]).exits(0);
    let text = literal(HOSTILE);
    lab.query(&format!(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, left({text}, 20), 'c', 1)"
    ));
    let up = on_a_terminal(&lab, &["up", "chat", "--color", "never"], &[]).exits(0);
    lab.query(&format!("UPDATE chat.migration_reject_chat SET reason = {text}"));
    lab.query(&format!(
        "INSERT INTO chat.migration_journal_chat (run, migration, direction, outcome, started_at, role, host, tool, error) \
         SELECT run, migration, direction, 'failed', started_at, {text}, {text}, {text}, {text} \
         FROM chat.migration_journal_chat LIMIT 1"
    ));
    lab.query(&format!("INSERT INTO chat.seaql_migrations_chat VALUES ('m20200101_000001_' || {text}, 1)"));
    lab.query(&format!("CREATE TABLE chat.\"{HOSTILE}\" ()"));
    let mut holder = lab.session();
    // An application's name may hold nothing but ASCII, and the server drops control characters from it.
    holder.query(&format!("SET application_name = {text}"));
    let unknown = on_a_terminal(&lab, &["status"], &[("NO_COLOR", "1")]);
    assert!(hostile(&unknown.stdout).is_none(), "{unknown:?}");
    lab.query("DELETE FROM chat.seaql_migrations_chat WHERE applied_at = 1");
    let mut shown = vec![up.stdout];
    for (arguments, code) in [
        (&["status"] as &[&str], 0),
        (&["history"], 0),
        (&["history", "--verbose"], 0),
        (&["history", "--verbose", "--wide"], 0),
        (&["history", "--verbose", "--json"], 0),
        (&["verify"], 0),
        (&["locks"], 0),
        (&["rejects", "chat"], 0),
        (&["rejects", "chat", "--json"], 0),
        (&["rejects", "chat", "--count"], 0),
        (&["rejects", "chat", "--count", "--json"], 0),
        (&["space", "chat"], 0),
        (&["plan"], 0),
        (&["drift", "chat", "--repair"], 4),
        (&["status", HOSTILE], 2),
        (&["up", &format!("chat@{HOSTILE}")], 2),
        (&["status", HOSTILE, "--json"], 2),
    ] {
        for variables in [[("NO_COLOR", "1")], [("LANG", "C")]] {
            let ran =
                on_a_terminal(&lab, &[arguments, &["--color", "never"]].concat(), &variables).exits(code);
            let found = hostile(&ran.stdout);
            assert!(found.is_none(), "{arguments:?} {variables:?}: {found:?} in {:?}", ran.stdout);
            assert!(
                variables[0].0 != "LANG" || arguments.contains(&"--json") || ran.stdout.is_ascii(),
                "{ran:?}"
            );
            shown.push(ran.stdout);
        }
    }
    let shown = shown.concat();
    for whole in ["\\u{1b}[31mRED\\u{7}\\u{9b}2J\\u{202e}drow\\u{200b}\\nerror: ours", "\\u001b[31mRED"] {
        assert!(shown.contains(whole), "{whole} is not in\n{shown}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn colour_is_for_terminals_that_know_it() {
    let lab = Lab::migrated();
    let escaped = |variables: &[(&str, &str)], arguments: &[&str]| {
        on_a_terminal(&lab, &[&["status"], arguments].concat(), variables).exits(0).stdout.contains('\u{1b}')
    };
    for (variables, arguments, coloured) in [
        (&[("TERM", "xterm")] as &[_], &[] as &[&str], true),
        (&[], &[], true),
        (&[("NO_COLOR", "")], &[], true),
        (&[("NO_COLOR", "1")], &[], false),
        (&[("TERM", "dumb")], &[], false),
        (&[("TERM", "dumb")], &["--color", "always"], true),
        (&[], &["--color", "never"], false),
    ] {
        assert_eq!(escaped(variables, arguments), coloured, "{variables:?} {arguments:?}");
    }
}

/// An argument may be what somebody was sent to paste.
#[test]
#[cfg(target_os = "linux")]
fn arguments_that_are_refused_do_not_steer_the_terminal() {
    let lab = Lab::empty();
    for arguments in [
        &["up", HOSTILE][..],
        &["up", "chat", HOSTILE],
        &["status", "--", HOSTILE],
        &[HOSTILE],
        &["graph", "--notation", HOSTILE],
        &["task", "profochatbot", "set-bot-token", "bot", "token", HOSTILE],
    ] {
        let ran = on_a_terminal(&lab, arguments, &[("NO_COLOR", "1")]).exits(2);
        assert!(hostile(&ran.stdout).is_none(), "{arguments:?}\n{ran:?}");
    }
}

/// One that says how wide it is, and not how high.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_without_rows_has_a_width() {
    let lab = Lab::inherited();
    for rows in [0, 24] {
        let status = format!("stty cols 70 rows {rows}; '{}' migrate status", env!("CARGO_BIN_EXE_xtask"));
        let mut command = Command::new("script");
        command.args(["-qec", &status, "/dev/null"]).env("NO_COLOR", "1");
        command.env("DATABASE_URL", lab.database.url()).current_dir(lab.directory.path());
        let shown = run(&mut command).exits(0).stdout;
        let is_remark = |line: &&str| line.contains(": ") || line.contains(" · ") || line.contains(" at ");
        let table: Vec<&str> = shown.lines().filter(|line| !is_remark(line)).collect();
        assert!(
            shown.contains('…') && table.iter().all(|line| line.trim_end().chars().count() <= 70),
            "{rows}: {shown}"
        );
    }
}

#[test]
fn tables_are_as_wide_as_the_terminal() {
    let lab = Lab::inherited();
    for command in [
        &["status"] as &[&str],
        &["history"],
        &["history", "--verbose"],
        &["plan", "--down", "chat@base"],
        &["rejects", "chat"],
        &["rejects", "bookreader", "--count"],
        &["space", "bookreader"],
    ] {
        for columns in [80, 110] {
            let ran = run(lab.command(command).env("COLUMNS", columns.to_string())).exits(0);
            let is_remark =
                |line: &&str| line.contains(": ") || line.contains(" loses ") || line.contains(" · ");
            for line in ran.stdout.lines().filter(|line| !is_remark(line)) {
                assert!(line.chars().count() <= columns, "{command:?} at {columns}:\n{}", ran.stdout);
            }
        }
        let whole = lab.migrate(command).exits(0).stdout;
        assert!(!whole.contains('…') || command[0] == "rejects", "{whole}");
        let wide = run(lab.command(&[command, &["--wide"]].concat()).env("COLUMNS", "80")).exits(0);
        assert_eq!(wide.stdout, whole, "{command:?}");
    }
}
