//! Names that nobody would give a service, a migration or a schema: each is refused in words, and none steers the terminal.

use crate::support::{Lab, run};

/// Empty, quotes and statements, characters that steer a terminal in seven and in eight bits, a line of its own,
/// characters that hide or turn the rest around, other places.
const NAMES: [&str; 8] = [
    "",
    "it's\"; DROP SCHEMA chat",
    "\u{1b}[31mred",
    "\u{9b}31mred\u{7}",
    "a\nerror: b\tc",
    "größe\u{202e}\u{200b}",
    "../chat",
    "chat\u{1b}]0;title\u{7}",
];

/// What would steer a terminal, hide, or turn around.
fn is_hostile(char: char) -> bool {
    (char.is_control() && char != '\n') || matches!(char, '\u{200b}' | '\u{202a}'..='\u{202e}')
}

#[test]
fn a_name_that_cannot_be_is_refused_by_every_command() {
    let lab = Lab::empty();
    // `{}` is the place of the name.
    let commands: [&[&str]; 42] = [
        &["{}"],
        &["up", "{}"],
        &["up", "chat@{}"],
        &["down", "{}"],
        &["down", "chat@{}"],
        &["redo", "{}"],
        &["redo", "chat@{}"],
        &["status", "{}"],
        &["history", "{}"],
        &["plan", "{}"],
        &["plan", "--down", "chat@{}"],
        &["sql", "{}"],
        &["sql", "chat@{}"],
        &["verify", "{}"],
        &["wait", "--for", "current", "{}"],
        &["rejects", "{}"],
        &["space", "{}"],
        &["space", "chat", "--reclaim", "{}"],
        &["backup", "{}"],
        &["backups", "{}"],
        &["restore", "--drop-old", "{}"],
        &["repair", "{}"],
        &["repair", "--forget", "{}"],
        &["repair", "--forget", "chat:{}"],
        &["repair", "--accept-edit", "{}"],
        &["repair", "--renamed", "{}"],
        &["repair", "--squashed", "{}"],
        &["repair", "--restore-rows", "{}"],
        &["repair", "--rewrite-journal", "{}"],
        &["repair", "--drop-invalid-indexes", "{}"],
        &["reset", "{}"],
        &["roles", "{}"],
        &["deploy", "--dry-run", "{}"],
        &["task", "{}"],
        &["task", "profochatbot", "{}"],
        &["psql", "{}"],
        &["adopt", "{}", "--from", "schema"],
        &["stamp", "{}"],
        &["drift", "{}"],
        &["check", "{}"],
        &["generate", "{}", "add_x"],
        &["new-service", "{}"],
    ];
    let long = "x".repeat(3000);
    for command in commands {
        for name in NAMES.into_iter().chain([long.as_str()]) {
            let words: Vec<String> = command.iter().map(|word| word.replace("{}", name)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = lab.migrate(&words);
            let case =
                format!("{command:?} {:?}\n{:?}", name.chars().take(20).collect::<String>(), ran.shown());
            assert_eq!(ran.code, 2, "{case}");
            assert!(ran.stderr.contains("error: ") && !ran.stderr.contains("panicked"), "{case}");
            assert!(!ran.shown().chars().any(is_hostile), "{case}");
            // Nothing that was given looks like a line of ours.
            assert!(!ran.stderr.lines().any(|line| line.starts_with("error: b")), "{case}");
        }
    }
}

#[test]
fn a_schema_whose_name_cannot_be_is_refused() {
    let lab = Lab::empty();
    for name in [&"x".repeat(64), "a\u{1b}[31m", "a\u{9b}31m", "a\nb"] {
        for arguments in [&["up", "rag"][..], &["status"], &["doctor"], &["verify"], &["deploy", "rag"]] {
            let ran = run(lab.command(arguments).env("RAG_DATABASE_SCHEMA", name));
            let case = format!("{arguments:?} {name:?}\n{:?}", ran.shown());
            assert!(ran.code == 2 && ran.stderr.contains("error: "), "{case}");
            assert!(!ran.shown().chars().any(is_hostile), "{case}");
        }
    }
}
