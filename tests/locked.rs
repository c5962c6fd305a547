//! A version table or a journal that another session keeps locked: each command waits as long as it may, says for whom, and then
//! shows the rest.

use std::thread;

use crate::support::{Lab, Running};

/// How each of these ends while the version table of `chat` is locked, its journal, or both.
const COMMANDS: [(&[&str], [i32; 3]); 13] = [
    (&["up"], [5, 5, 5]),
    (&["up", "chat"], [5, 5, 5]),
    (&["up", "rag"], [0, 0, 0]),
    (&["down", "chat@-1"], [5, 5, 5]),
    (&["redo", "chat"], [5, 5, 5]),
    (&["plan"], [5, 5, 5]),
    (&["plan", "rag"], [0, 0, 0]),
    (&["status"], [5, 5, 5]),
    (&["verify"], [5, 0, 5]),
    (&["history"], [5, 0, 5]),
    (&["history", "--verbose"], [0, 5, 5]),
    (&["repair", "chat"], [5, 5, 5]),
    (&["locks"], [0, 0, 0]),
];

/// Starts them all at once, since those that only show wait for ten seconds.
fn start(lab: &Lab, arguments: &[&str]) -> Running {
    match arguments[0] {
        "up" | "down" | "redo" => lab.start(&[arguments, &["--lock-patience", "1s"]].concat()),
        _ => lab.start(arguments),
    }
}

fn while_locked(kind: usize, tables: &[&str]) {
    let lab = Lab::migrated();
    let mut holder = lab.session();
    holder.query("BEGIN");
    holder.query(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", ")));
    let running: Vec<Running> = COMMANDS.iter().map(|(arguments, _)| start(&lab, arguments)).collect();
    for (running, (arguments, codes)) in running.into_iter().zip(COMMANDS) {
        let ran = running.finish();
        let shown = format!("{tables:?} {arguments:?}\n{}", ran.shown());
        assert_eq!(ran.code, codes[kind], "{shown}");
        if ran.code == 5 && arguments != ["history", "--verbose"] {
            let locked = format!("`{}` is locked by another transaction", tables[0]);
            assert!(ran.stderr.contains(&locked), "{shown}");
            assert!(ran.stderr.contains("(`psql`) has held ACCESS EXCLUSIVE for "), "{shown}");
        }
        // What is not locked is shown, and nothing is taken for empty.
        if let ["status" | "verify" | "history"] = arguments {
            assert!(ran.stdout.lines().any(|line| line.starts_with("rag ")), "{shown}");
        }
        assert!(!ran.stdout.contains("not installed"), "{shown}");
    }
    holder.query("ROLLBACK");
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn a_table_of_the_bookkeeping_that_is_locked_is_waited_for_and_hides_nothing_else() {
    const VERSIONS: &str = "chat.seaql_migrations_chat";
    const JOURNAL: &str = "chat.migration_journal_chat";
    let kinds: [&[&str]; 3] = [&[VERSIONS], &[JOURNAL], &[VERSIONS, JOURNAL]];
    thread::scope(|scope| {
        for (kind, tables) in kinds.into_iter().enumerate() {
            scope.spawn(move || while_locked(kind, tables));
        }
    });
}
