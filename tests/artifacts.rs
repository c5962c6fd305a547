//! `artifacts`: the committed files of the services are what their migrations do.

use std::process::Command;

use crate::support::run;

#[test]
fn the_committed_files_are_current() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run(command.args(["artifacts", "--check"])).exits(0);
}
