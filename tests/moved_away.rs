//! The old address of a service that has moved, and the new one of a service that has not arrived: whatever is asked of it there is
//! refused, or leads somewhere.

use std::collections::BTreeSet;

use crate::moving::Both;
use crate::support::{Lab, run};

/// Every command that asks something of a service, with what it is given, and its exit code at the old address.
const COMMANDS: [(&str, i32); 33] = [
    ("up chat", 7),
    ("up chat --atomic", 7),
    ("down chat@base --allow-data-loss", 7),
    ("redo chat --allow-data-loss", 7),
    ("status chat", 7),
    ("status --check", 7),
    ("history chat", 7),
    ("plan chat", 7),
    ("plan --down chat@-1", 7),
    ("apply plan.json", 7),
    ("verify chat", 7),
    ("drift chat", 7),
    ("doctor", 7),
    ("wait chat --timeout 30s", 7),
    ("wait chat --timeout 0", 7),
    ("locks", 7),
    ("rejects chat", 7),
    ("rejects chat --count", 7),
    ("space chat", 7),
    ("space chat --reclaim messages", 7),
    ("adopt chat --from seaql", 7),
    ("stamp chat@head", 7),
    ("repair chat", 7),
    ("repair --drop-invalid-indexes chat", 7),
    ("reset chat --allow-data-loss", 7),
    ("backup chat", 7),
    ("restore ARCHIVE --allow-data-loss", 7),
    ("roles chat --dry-run", 7),
    ("roles chat", 7),
    ("deploy chat --no-backup", 7),
    ("move chat --to CHAT_NEW_DATABASE_URL", 7),
    ("psql chat -- -c 'SELECT 1'", 7),
    ("citus distribute chat", 2),
];

/// Those that ask no server for a service, or answer for as long as they run, as `serve` does by what `wait` looks at.
const OTHERS: [&str; 12] = [
    "artifacts",
    "backups",
    "check",
    "completions",
    "db",
    "diff",
    "generate",
    "graph",
    "help",
    "new-service",
    "serve",
    "sql",
];

#[test]
fn every_command_refuses_a_service_that_is_in_another_place() {
    let both = Both::new();
    let made = both.here.migrate(&["backup", "chat", "--no-verify", "--json"]).exits(0).json();
    let archive = made["backups"][0]["archive"].as_str().unwrap().to_owned();
    both.here.migrate(&["plan", "--down", "chat@-1", "--out", "plan.json"]).exits(0);
    both.moves(&["--yes"]).exits(0);
    let state = "SELECT string_agg(nspname || ' ' || relname, ', ' ORDER BY 1) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE nspname LIKE 'chat%'";
    let before = both.here.query(state);
    for (command, code) in COMMANDS {
        let words: Vec<&str> =
            command.split(' ').map(|word| if word == "ARCHIVE" { &archive } else { word }).collect();
        let mut command = both.here.command(&words);
        let ran = run(command.env(crate::moving::TO, both.there.database.url()));
        assert_eq!(ran.code, code, "{}", ran.shown());
        if code != 2 {
            let shown = ran.shown();
            assert!(shown.contains("`chat` is not here: it was moved to `"), "{shown}");
            assert!(shown.contains("set `CHAT_DATABASE_URL` to where it is"), "{shown}");
        }
        assert_eq!(both.here.query(state), before, "{}", ran.shown());
    }
}

/// A task is something that is done to a service's data.
#[test]
fn a_task_refuses_a_service_that_is_in_another_place() {
    let lab = Lab::empty();
    lab.query(
        "CREATE SCHEMA profochatbot; CREATE TABLE profochatbot.seaql_migrations_profochatbot (version varchar); \
         COMMENT ON TABLE profochatbot.seaql_migrations_profochatbot IS 'migrate: this service was moved at noon to nowhere'",
    );
    let refused = lab.migrate(&["task", "profochatbot", "issue-tokens"]).exits(7);
    assert!(
        refused.stderr.contains("`profochatbot` is not here: it was moved to `nowhere`"),
        "{}",
        refused.shown()
    );
}

#[test]
fn no_command_is_left_out() {
    let help = Lab::empty().migrate(&["--help"]).exits(0).stdout;
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let listed = listed.lines().take_while(|line| !line.trim().is_empty());
    let listed = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let listed: BTreeSet<&str> = listed.filter(|word| !word.is_empty()).collect();
    let tried = COMMANDS.iter().map(|(command, _)| command.split(' ').next().unwrap());
    assert_eq!(listed, tried.chain(OTHERS).chain(["task"]).collect::<BTreeSet<_>>());
}
