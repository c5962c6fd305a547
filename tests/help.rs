//! Help: short where it is asked for with `-h`, with examples, and a version wherever one looks for it.

use crate::support::{Lab, run};

#[test]
fn short_help_leaves_out_what_every_command_has() {
    let lab = Lab::empty();
    for command in [&["up"][..], &["down"], &["status"], &["db", "start"], &["locks"]] {
        let short = lab.migrate(&[command, &["-h"]].concat()).exits(0).stdout;
        let long = lab.migrate(&[command, &["--help"]].concat()).exits(0).stdout;
        for option in ["--color", "--format", "--install-postgres"] {
            assert!(!short.contains(option), "{command:?}: {short}");
            assert!(long.contains(option), "{command:?}: {long}");
        }
        assert!(short.lines().count() < 40, "{command:?}: {short}");
    }
    let short = lab.migrate(&["up", "-h"]).exits(0).stdout;
    assert!(short.contains("Examples:\n  up    ") && short.contains("How long to keep trying"), "{short}");
}

#[test]
fn the_version_is_told_without_a_database() {
    let lab = Lab::empty();
    let version = concat!("migrate ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["--version", "-V"] {
        assert_eq!(lab.migrate(&[flag]).exits(0).stdout, version);
    }
}

#[test]
fn the_program_of_the_image_is_called_as_it_is_named() {
    let lab = Lab::migrated();
    let migrate = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_migrate"));
        command.args(arguments).current_dir(lab.directory.path()).env("DATABASE_URL", lab.database.url());
        run(&mut command)
    };
    assert!(migrate(&["status", "--help"]).exits(0).stdout.contains("Usage: migrate status"));
    assert!(migrate(&["completions", "bash"]).exits(0).stdout.contains("complete -F _migrate "));
    assert!(migrate(&["chat"]).exits(2).stderr.contains("`migrate up chat`"));
    migrate(&["status", "--check"]).exits(0);
    assert!(migrate(&["bench"]).exits(2).stderr.contains("bench"));
}

#[test]
fn words_of_other_tools_are_done_or_answered_with_the_exact_command() {
    let lab = Lab::empty();
    let up = lab.migrate(&["upgrade", "head"]).exits(0);
    assert!(up.stdout.contains("5 services"), "{}", up.stdout);
    for (arguments, answer) in [
        (&["upgrade", "head", "chat"][..], "a service without a target goes to its head"),
        (
            &["downgrade", "base"],
            "`cargo xtask migrate down chat@base rag@base assessments@base profochatbot@base bookreader@base`",
        ),
        (&["downgrade", "-1"], "`cargo xtask migrate down chat@-1`"),
        (&["upgrade", "+1"], "`cargo xtask migrate up chat@+1`"),
        (&["plan", "+2"], "`cargo xtask migrate plan chat@+2`"),
        (&["rollback"], "`cargo xtask migrate down SERVICE@-1`"),
        (&["showmigrations"], "`cargo xtask migrate history`"),
        (&["heads"], "`cargo xtask migrate history`"),
        (&["validate"], "`cargo xtask migrate verify`"),
        (&["revision", "-m", "add a column"], "`cargo xtask migrate generate SERVICE NAME`"),
        (&["stamp", "head"], "cargo xtask migrate stamp chat@head rag@head"),
        (&["baseline"], "`cargo xtask migrate stamp SERVICE@TARGET`"),
        (&["upgrade", "e65a515f830d"], "`cargo xtask migrate up chat@e65a515f830d`"),
        (&["up", "294d3841e2d5", "--json"], "`cargo xtask migrate up rag@294d3841e2d5`"),
        (&["downgrade", "e65a"], "`cargo xtask migrate down chat@e65a`"),
        (&["redo", "m20251017_000001"], "`cargo xtask migrate redo chat@m20251017_000001`"),
        (&["plan", "--down", "e65a515f830d"], "`cargo xtask migrate plan --down chat@e65a515f830d`"),
        (&["stamp", "e65a515f830d"], "`cargo xtask migrate stamp chat@e65a515f830d`"),
        (
            &["up", "m20261120"],
            "chat@m20261120` or `cargo xtask migrate up rag@m20261120` or `cargo xtask migrate up bookreader@m20261120`",
        ),
        (&["upgrade", "deadbeef"], "service `deadbeef` is not known"),
        (&["upgrade", "0123456789"], "invalid value '0123456789'"),
        (&["upgrade", "head", "--sql"], "`cargo xtask migrate sql`"),
        (&["downgrade", "base", "--sql"], "`cargo xtask migrate sql --down SERVICE@TARGET`"),
        (&["up", "--dry-run"], "`cargo xtask migrate plan`"),
        (&["migrate", "--fake"], "`cargo xtask migrate up`"),
        (&["up", "chat", "--fake"], "`cargo xtask migrate stamp SERVICE@TARGET`"),
        (&["revert"], "for example `cargo xtask migrate down chat@-1`"),
        (&["redo"], "for example `cargo xtask migrate redo chat`"),
        (&["stamp"], "for example `cargo xtask migrate stamp chat@head`"),
        (&["up", "--jobs", "-1"], "unexpected argument '-1'"),
        (&["fresh"], "nothing here drops a whole database"),
    ] {
        let refused = lab.migrate(arguments).exits(2).shown();
        assert!(refused.contains(answer), "{arguments:?}: {refused}");
    }
    lab.migrate(&["current"]).exits(0);
    // The revision that chat's first migration replaces.
    let plan = lab.migrate(&["plan", "--down", "chat@e65a515f830d"]).exits(0).stdout;
    assert!(plan.contains("m20251017_000001"), "{plan}");
    assert!(!plan.contains("m20251016_000001"), "{plan}");
}
