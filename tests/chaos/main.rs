//! Chaos: commands chosen at random, to which something happens at a random statement, and then any other command. A model says
//! what must hold after each of them, and after a plain `up` at the end.
//!
//! One number decides everything that is chosen: a failure prints it with the steps so far. `MIGRATE_CHAOS_SEED` begins with another
//! one, and `MIGRATE_CHAOS_SECONDS` says for how long new episodes begin; the gate's run is short. It ends with a table of what was tried. What the machine decides, which of
//! two processes is faster, is not repeated by a seed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod application;
#[path = "../support/digest.rs"]
mod digest;
mod disk;
mod episode;
mod model;
mod play;
mod server;
mod step;
mod tally;

use std::time::{Duration, Instant};

use episode::Episode;
use server::Server;
use tally::Tally;

/// The first seed, where none is named: the gate's run is the same each time, as far as that can be.
const SEED: u64 = 1;
/// For how long new episodes begin, where nothing is said.
const SECONDS: u64 = 15;

#[test]
fn whatever_happens_the_services_come_to_head() {
    let first = number("MIGRATE_CHAOS_SEED").unwrap_or(SEED);
    let seconds = Duration::from_secs(number("MIGRATE_CHAOS_SECONDS").unwrap_or(SECONDS));
    let server = Server::start();
    if server.disk.is_none() {
        println!("no file system may be mounted: the server's disk is never full");
    }
    let begun = Instant::now();
    let mut tally = Tally::default();
    for seed in first.. {
        Episode::new(&server, seed).play(&mut tally);
        if begun.elapsed() >= seconds {
            println!("seeds {first} to {seed}: {tally}");
            return;
        }
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let (_, value) = std::env::vars().find(|(set, _)| set == name)?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{value}`")))
}
