//! Options that take a duration: whatever it is, the server takes what becomes of it, and no clock overflows.

use std::collections::BTreeSet;

use crate::support::Lab;

/// From none at all to a hundred years, past what a timeout of the server can be (24 days and 20 hours).
const DURATIONS: [&str; 5] = ["0", "1ms", "596h", "720h", "876000h"];

/// Commands with options that take a duration, in an order in which each has something to do.
const COMMANDS: [(&str, &[&str]); 15] = [
    ("up chat@+1", &["--wait", "--lock-patience"]),
    ("up chat", &["--wait", "--lock-patience"]),
    ("down chat@-1 --allow-data-loss", &["--wait", "--lock-patience"]),
    ("redo chat --allow-data-loss", &["--wait", "--lock-patience"]),
    ("apply plan.json", &["--wait", "--lock-patience"]),
    ("wait chat", &["--timeout"]),
    ("deploy rag --no-backup", &["--wait", "--lock-patience", "--health-timeout", "--time-limit"]),
    ("roles chat --dry-run", &["--wait"]),
    ("repair --drop-invalid-indexes chat", &["--wait"]),
    ("backup chat", &["--wait"]),
    ("restore chat --allow-data-loss", &["--wait"]),
    ("reset chat --allow-data-loss", &["--wait"]),
    ("move rag --yes --to ELSEWHERE", &["--wait", "--lock-patience"]),
    // Where there is no Citus they are refused for that, and for nothing else.
    ("citus distribute chat --yes", &["--wait", "--lock-patience"]),
    ("citus move chat localhost:5432 --yes", &["--wait"]),
];

/// Something to mend.
const INVALID: &str =
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.idx_messages_source'::regclass";

/// The only archive in the directory of backups.
fn archive(lab: &Lab) -> String {
    let backups = std::fs::read_dir(lab.directory.path().join("backups")).unwrap();
    let mut names = backups.map(|entry| entry.unwrap().path());
    names.find(|path| path.extension().is_some_and(|end| end == "dump")).unwrap().display().to_string()
}

#[test]
fn every_duration_is_one_that_the_server_takes() {
    for duration in DURATIONS {
        let (lab, elsewhere) = (Lab::empty(), Lab::empty());
        for (command, options) in COMMANDS {
            let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            match words[0].as_str() {
                "apply" => drop(lab.migrate(&["plan", "chat", "--out", "plan.json"]).exits(0)),
                "repair" => drop(lab.query(INVALID)),
                "restore" => words[1] = archive(&lab),
                "move" => elsewhere.database.url().clone_into(&mut words[4]),
                _ => {}
            }
            for option in options {
                // A deployment that has no time at all is a failure, and rightly.
                if *option != "--time-limit" || duration.ends_with('h') {
                    words.extend([(*option).to_owned(), duration.to_owned()]);
                }
            }
            let ran = lab.migrate(&words.iter().map(String::as_str).collect::<Vec<_>>());
            if words[0] == "citus" {
                let refused = ran.exits(2);
                assert!(refused.stderr.contains("the extension `citus` is not in it"), "{}", refused.shown());
            } else {
                ran.exits(0);
            }
        }
    }
}

#[test]
fn no_option_that_takes_a_duration_is_left_out() {
    let lab = Lab::empty();
    let help = |command: &[&str]| lab.migrate(&[command, &["--help"]].concat()).exits(0).stdout;
    let commands = |help: &str| {
        let listed = help.split_once("Commands:\n").map_or("", |(_, listed)| listed);
        let listed = listed.lines().take_while(|line| !line.trim().is_empty());
        let words = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let commands = words.filter(|word| !word.is_empty() && *word != "help");
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut found = BTreeSet::new();
    for command in commands(&help(&[])) {
        let of_command = help(&[&command]);
        let further = commands(&of_command).into_iter().map(|further| format!("{command} {further}"));
        for command in std::iter::once(command.clone()).chain(further) {
            let help = help(&command.split(' ').collect::<Vec<_>>());
            let options = help.split_whitespace().zip(help.split_whitespace().skip(1));
            let options = options.filter(|(_, value)| *value == "<DURATION>");
            found.extend(options.map(|(option, _)| (command.clone(), option.to_owned())));
        }
    }
    let of_command = |(command, options): (&str, &[&str])| {
        let n_words = if command.starts_with("citus ") { 2 } else { 1 };
        let command = command.split(' ').take(n_words).collect::<Vec<_>>().join(" ");
        options.iter().map(|option| (command.clone(), (*option).to_owned())).collect::<Vec<_>>()
    };
    let mut tried: BTreeSet<_> = COMMANDS.into_iter().flat_map(of_command).collect();
    // How often it looks is no limit of the server's.
    tried.insert(("serve".to_owned(), "--drift-every".to_owned()));
    assert_eq!(found, tried);
}
