//! The command line over both services.

use byo::{ledger, tickets};
use migration_cli::{Program, main_of};

fn main() -> std::process::ExitCode {
    let services =
        || [tickets(), ledger()].map(|service| service.expect("the migrations are a service")).into();
    main_of(Program::new("byo", services))
}
