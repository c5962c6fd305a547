//! `artifacts`: the committed files of the services are what their migrations do.

use std::process::Command;

use crate::support::{Lab, run};

#[test]
fn the_committed_files_are_current() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run(command.args(["artifacts", "--check"])).exits(0);
}

#[test]
fn a_directory_that_there_is_not_is_wrong_usage() {
    let lab = Lab::empty();
    let check = |directory: &str| lab.migrate(&["artifacts", "--check", "--directory", directory]).exits(2);
    let missing = check("missing");
    assert!(missing.stderr.contains("there is no directory `missing`"), "{}", missing.shown());
    std::fs::create_dir(lab.directory.path().join("empty")).unwrap();
    let empty = check("empty");
    assert!(empty.stderr.contains("there is no directory `empty/chat`"), "{}", empty.shown());
}
