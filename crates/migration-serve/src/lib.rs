//! Where the migrations of a deployment are, over HTTP: health, readiness and metrics.
//!
//! It only reads: one survey per second at most, however many look, in `READ ONLY` transactions. It knows no command line, no
//! option and no private server; it takes no lock, and what it answers holds no secret. An application mounts its
//! [`router`]; a program of its own gives it a socket with [`serve`].

mod health;
mod look;
mod metrics;
mod readiness;
mod routes;
mod watch;

pub use health::{Health, ServiceHealth, Verdict};
pub use look::Look;
pub use readiness::{Readiness, Ready};
pub use routes::{router, serve};
pub use watch::Watch;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
