//! Hints: what is printed to be run, run as it is printed, by a shell.

use std::process::{Command, Stdio};

use crate::support::{Lab, Ran, run};

/// What follows the word `migrate` in a shell, with these settings before it.
fn shell(lab: &Lab, settings: &str, command: &str) -> Ran {
    let line = format!("{settings} '{}' migrate {command}", env!("CARGO_BIN_EXE_xtask"));
    let template = lab.command(&["status"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(lab.directory.path()).stdin(Stdio::null());
    shell.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run(&mut shell)
}

/// What is in backticks and begins so.
#[track_caller]
fn printed(ran: &Ran, begin: &str) -> String {
    let shown = ran.shown();
    let found = shown.split('`').skip(1).step_by(2).find(|quoted| quoted.starts_with(begin));
    found.unwrap_or_else(|| panic!("`{begin}…` is not in\n{shown}")).to_owned()
}

/// What is wrong, which command prints what helps and how it ends, how that begins, and what comes before and after it.
struct Case {
    fault: &'static str,
    command: &'static str,
    code: i32,
    begins: &'static str,
}

/// Of a service of which more can be applied.
const CASES: [Case; 5] = [
    Case {
        fault: "UPDATE chat.seaql_migrations_chat SET version = 'm20251016_000001_create the $(messages)' \
                WHERE version = 'm20251016_000001_create_messages'",
        command: "repair chat",
        code: 4,
        begins: "repair --renamed ",
    },
    Case {
        fault: "INSERT INTO chat.seaql_migrations_chat VALUES ('m20250101_000001_it''s=gone', 1)",
        command: "repair chat",
        code: 4,
        begins: "repair --forget ",
    },
    Case {
        fault: "INSERT INTO chat.seaql_migrations_chat VALUES ('m20990101_000001_of tomorrow', 4070908800)",
        command: "repair chat",
        code: 4,
        begins: "repair --forget ",
    },
    Case {
        fault: "ALTER TABLE chat.messages DROP CONSTRAINT messages_pkey",
        command: "up chat",
        code: 7,
        begins: "--accept ",
    },
    Case {
        fault: "ALTER TABLE chat.messages ALTER COLUMN content TYPE varchar(99)",
        command: "up chat",
        code: 7,
        begins: "--accept ",
    },
];

#[test]
fn what_is_printed_works_as_it_is_printed() {
    for Case { fault, command, code, begins } in CASES {
        let lab = Lab::empty();
        lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
        lab.query(fault);
        let words: Vec<&str> = command.split(' ').collect();
        let printed = printed(&lab.migrate(&words).exits(code), begins);
        // An option belongs to the command that was refused.
        let whole = if printed.starts_with("--") { format!("{command} {printed}") } else { printed };
        let ran = shell(&lab, "", &whole);
        assert_eq!(ran.code, 0, "{fault}: {whole}\n{}", ran.shown());
        lab.migrate(&["up", "chat"]).exits(0);
        lab.migrate(&["status", "chat", "--check"]).exits(0);
    }
}

/// A schema of which a shell would make two words.
#[test]
fn a_setting_that_is_printed_works_as_it_is_printed() {
    let lab = Lab::empty();
    lab.migrate(&["up", "rag@+1", "--quiet"]).exits(0);
    lab.query("INSERT INTO rag.user_knowledge (user_id, name) VALUES ('1', 'Ada')");
    lab.query(
        "ALTER SCHEMA rag RENAME TO \"My $HOME's\"; \
         DROP TABLE \"My $HOME's\".seaql_migrations_rag, \"My $HOME's\".migration_journal_rag",
    );
    let refused = lab.migrate(&["up", "rag"]).exits(7);
    let setting = printed(&refused, "RAG_DATABASE_SCHEMA=");
    let way = printed(&refused, if refused.stderr.contains("`adopt rag") { "adopt rag" } else { "up rag" });
    let ran = shell(&lab, &setting, &way);
    assert_eq!(ran.code, 0, "{setting} {way}\n{}", ran.shown());
}

/// At head, but for what is to be recorded: no run would take it over, and no acceptance would do.
#[test]
fn what_adopt_says_of_a_difference_works() {
    for (service, fault, promised) in [
        (
            "rag",
            "ALTER TABLE rag.user_knowledge DISABLE TRIGGER ALL",
            "user_knowledge.update_user_knowledge_updated_at",
        ),
        ("chat", "ALTER TABLE chat.messages DROP CONSTRAINT messages_pkey", "messages.messages_pkey"),
    ] {
        let lab = Lab::empty();
        lab.migrate(&["up", service, "--quiet"]).exits(0);
        lab.query(&format!(
            "DROP TABLE {service}.seaql_migrations_{service}, {service}.migration_journal_{service}; {fault}"
        ));
        let adopt = ["adopt", service, "--from", "schema"];
        let refused = lab.migrate(&adopt).exits(4);
        assert!(!refused.stderr.contains("with what they change of it"), "{}", refused.shown());
        let says = format!("but not what migrations promise (`{promised}`)");
        assert!(refused.stderr.contains(&says), "{}", refused.shown());
        lab.migrate(&[&adopt[..], &["--accept", promised]].concat()).exits(4);
        // What it names closes the difference.
        let document = lab.migrate(&[&adopt[..], &["--json"]].concat()).exits(4).json();
        lab.query(document["services"][0]["repair"].as_str().unwrap());
        lab.migrate(&adopt).exits(0);
        lab.migrate(&["status", service, "--check"]).exits(0);
        lab.migrate(&["verify", service]).exits(0);
    }
}
