//! A file `.env`, of ours and of other programs: each variable has a value, or a fault with its line and what to do.

#![no_main]

use libfuzzer_sys::fuzz_target;

// A part of the command line that nobody else needs, and that needs nothing of it.
#[path = "../../crates/migration-cli/src/environment/dotenv.rs"]
mod dotenv;

fuzz_target!(|file: &[u8]| {
    let process = |name: &str| (name == "FROM_PROCESS").then(|| "p".to_owned());
    let lines = dotenv::read(file, process, |name| name.ends_with("DATABASE_URL"));
    let n_lines = file.iter().filter(|byte| **byte == b'\n').count() + 1;
    for (name, line) in lines {
        assert!(!name.is_empty() && (1..=n_lines).contains(&line.number));
        if let Err(fault) = line.value {
            assert!(!fault.to_string().is_empty() && !fault.hint().is_empty());
        }
    }
});
