//! Citus: tables that are on other nodes than the one we speak to, and what has to be said differently for them.
//!
//! What a setting is called there, and why it is pinned, is in `settings`. A value that `set_config` sets stays on the node we
//! speak to; `SET LOCAL` in a message of its own reaches the others, because Citus sends the whole message on.

use std::time::Duration;

use crate::marker::BOOKKEEPING;
use crate::quote::{literal, regclass};
use crate::settings::timeout_ms;

pub use crate::settings::HAS_CITUS;

/// Asks whether tables of a schema are on other nodes: all together on one, or by their rows on all. Ask where [`HAS_CITUS`].
pub(crate) fn is_schema_distributed(schema: &str) -> String {
    format!(
        "{BOOKKEEPING}SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = {} AND (\
           EXISTS (SELECT FROM pg_catalog.pg_dist_schema d WHERE d.schemaid = n.oid) \
           OR EXISTS (SELECT FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid \
                      WHERE c.relnamespace = n.oid AND p.partmethod = 'h')))",
        literal(schema)
    )
}

/// Asks whether a table's rows are in shards. Ask where [`HAS_CITUS`].
pub(crate) fn is_table_distributed(qualified: &str) -> String {
    format!(
        "{BOOKKEEPING}SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = {})",
        regclass(qualified)
    )
}

/// The statements, each to be a message of its own, that let a transaction mean and wait the same on every node.
pub fn settle(lock_timeout: Option<Duration>) -> impl Iterator<Item = String> {
    let waits = lock_timeout.map(|limit| format!("lock_timeout = {}", timeout_ms(limit)));
    let settings = ["TimeZone = 'UTC'".to_owned()].into_iter().chain(waits);
    settings.map(|setting| format!("{BOOKKEEPING}SET LOCAL {setting}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_a_statement_of_its_own() {
        let said: Vec<String> = settle(Some(Duration::from_millis(50))).collect();
        assert_eq!(
            said,
            ["/* migrate */ SET LOCAL TimeZone = 'UTC'", "/* migrate */ SET LOCAL lock_timeout = 50"]
        );
        assert_eq!(settle(None).count(), 1);
    }
}
