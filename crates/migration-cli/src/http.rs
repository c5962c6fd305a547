//! Asking other programs over HTTP.

use std::time::Duration;

/// Asks without a proxy, takes every status for an answer, and gives up after so long.
pub(crate) fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}
