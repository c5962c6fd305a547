//! Where the migrations of a deployment are, over HTTP: health, readiness, metrics, and a page for people.
//!
//! It only reads: one survey per second at most, however many look, in `READ ONLY` transactions. It knows no command line, no
//! option and no private server; it takes no lock, and what it answers holds no secret. An application mounts its
//! [`router`] and, where it likes, the [`page`]; a program of its own gives them a socket with [`serve`]. All of this is the
//! feature `http`; without it there is only the look and its judgement.

mod look;
mod readiness;

#[cfg(feature = "http")]
mod drift;
#[cfg(feature = "http")]
mod health;
#[cfg(feature = "http")]
mod metrics;
#[cfg(feature = "http")]
mod pace;
#[cfg(feature = "http")]
mod page;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod watch;

#[cfg(feature = "http")]
pub use drift::{Compared, SchemaDrift};
#[cfg(feature = "http")]
pub use health::{Health, ServiceHealth, Verdict};
pub use look::Look;
#[cfg(feature = "http")]
pub use page::page;
pub use readiness::{Readiness, Ready};
#[cfg(feature = "http")]
pub use routes::router;
#[cfg(feature = "http")]
pub use server::serve;
#[cfg(feature = "http")]
pub use watch::Watch;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
