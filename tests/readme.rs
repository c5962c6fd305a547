//! The commands that the README names: each is understood, and does what it says on databases at head.

use std::fs;

use crate::support::{Lab, run};

#[test]
fn each_command_of_the_readme_works() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let lines = readme.lines().filter_map(|line| line.strip_prefix("cargo xtask migrate "));
    let commands: Vec<&str> = lines.map(|line| line.split('#').next().unwrap().trim()).collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        // Where everything is applied, nothing is left to go forward to.
        let lab = if command.contains("@+") { Lab::empty() } else { Lab::migrated() };
        if arguments.first() == Some(&"generate") {
            lab.directory.copy_source("chat");
        }
        if arguments.first() == Some(&"new-service") {
            lab.directory.copy_workspace();
        }
        if arguments == ["serve"] {
            let mut serving = lab.start(&arguments);
            serving.says("serving http://127.0.0.1:8710/");
            serving.signal("TERM");
            serving.finish().exits(0);
            continue;
        }
        let elsewhere = Lab::empty();
        let ran = run(lab.command(&arguments).env("CHAT_NEW_DATABASE_URL", elsewhere.database.url()));
        assert_eq!(ran.code, 0, "cargo xtask migrate {command}\n{}", ran.shown());
    }
}
