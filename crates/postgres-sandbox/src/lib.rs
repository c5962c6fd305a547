//! Private PostgreSQL clusters, made from the binaries on the machine: the embedded default, scratch databases, tests.
//!
//! Responsible for finding or fetching the binaries ([`Binaries`], and [`Install`] where neither works), for clusters that vanish
//! with their process ([`Cluster::temporary`], [`Cluster::shared`]), for one that keeps its data
//! ([`Cluster::persistent`], [`PersistentCluster`]), for databases in them ([`Database`]), and for cutting connections to them at a
//! chosen statement ([`Relay`]).
//!
//! It uses the standard library only, and speaks to the server through `psql` and `pg_dump`: it knows no driver, no
//! async runtime and no migration, and prints nothing but that it fetches something. Clusters listen on a Unix socket in a directory of mode 0700 and
//! nowhere else; whoever may open the socket is trusted. Linux and macOS, PostgreSQL 15 and later, also as root.

mod account;
mod binaries;
mod cache;
mod client;
mod cluster;
mod data;
mod database;
mod error;
mod fetch;
mod install;
mod memory;
mod persistent;
mod place;
mod relay;
mod release;
mod search;
mod server;
mod supervisor;

pub use binaries::{Binaries, Clients, ServerVersion};
pub use cluster::{Cluster, ClusterBuilder};
pub use database::Database;
pub use error::SandboxError;
pub use fetch::Unfetched;
pub use install::{Install, InstallCommand, Platform};
pub use persistent::{PersistentCluster, Status};
pub use relay::{Observer, Passing, Relay, Verdict};
pub use search::{Looked, NotFound, Rejection, Search};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
