//! The arguments of `serve`.

use std::net::SocketAddr;
#[cfg(feature = "rehearsal")]
use std::time::Duration;

use clap::Args;

#[cfg(feature = "rehearsal")]
use super::run::duration;

/// The options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Address and port to listen on; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8710")]
    pub(crate) listen: SocketAddr,
    /// Compare the live schemas with what their migrations make, as `drift` does: at once, and again after every such time (`6h`)
    #[cfg(feature = "rehearsal")]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) drift_every: Option<Duration>,
}
