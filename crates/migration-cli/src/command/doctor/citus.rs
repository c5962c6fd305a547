//! What `doctor` finds of Citus: nodes that do not answer or differ, services that are not where the others are.

use std::collections::BTreeSet;

use migration_coordinator::{Citus, CitusNode, CitusService};
use migration_kit::quote_identifier;
use migration_plan::counted;

use super::Verdict;
use crate::shell::word;

/// Adds what is found of a database's nodes, and of the services there.
pub(super) fn look(citus: &Citus, add: &mut impl FnMut(Verdict, String, Option<&str>)) {
    let nodes = counted(citus.nodes.len(), "node", "nodes");
    let message = format!("it has Citus {}: {nodes}, the coordinator included", citus.version);
    add(Verdict::Good, message, None);
    for node in &citus.nodes {
        if let Some(problem) = &node.problem {
            let message = format!("node {} does not answer: {problem}", node.address());
            add(
                Verdict::Bad,
                message,
                Some("until it does, no schema can be changed, on whichever node it is"),
            );
        }
    }
    if !citus.nodes.iter().any(|node| node.takes_schemas && node.is_active) {
        let hint = "add a worker: `SELECT citus_add_node('HOST', PORT)`";
        add(Verdict::Bad, "no node takes a schema: a service cannot be installed".to_owned(), Some(hint));
    }
    let zones: BTreeSet<&str> = citus.nodes.iter().filter_map(|node| node.time_zone.as_deref()).collect();
    if zones.len() > 1 {
        let each = |node: &CitusNode| Some(format!("{} has {}", node.address(), node.time_zone.as_deref()?));
        let nodes: Vec<String> = citus.nodes.iter().filter_map(each).collect();
        let hint = "`ALTER ROLE … SET timezone = 'UTC'` for the application's role reaches every node; migrations set it themselves";
        add(Verdict::Warning, format!("nodes differ in `TimeZone`: {}", nodes.join(", ")), Some(hint));
    }
    let there = || citus.services.iter().filter(|at| at.exists);
    let left: Vec<&str> = there().filter(|at| !is_spread(at)).map(|at| at.service.as_str()).collect();
    if !left.is_empty() && there().any(is_spread) {
        let message = format!("on the coordinator, while others are on nodes: {}", left.join(", "));
        add(Verdict::Warning, message, Some("`citus distribute SERVICE` shows what it takes"));
    }
    for at in there() {
        if let (Some(column), false) = (&at.spread_by, at.left.is_empty()) {
            let message = format!(
                "tables of `{}` on the coordinator, while rows of its others are spread by `{column}`: {}",
                at.service,
                at.left.join(", ")
            );
            let hint = format!("`citus distribute {} --by {}` shows what it takes", at.service, word(column));
            add(Verdict::Warning, message, Some(&hint));
        }
        if let Some(owner) = at.owner_without_login.as_ref().filter(|_| is_spread(at)) {
            let message = format!(
                "the owner `{owner}` of `{}` may not log in: no change of its reaches a node",
                at.service
            );
            let hint = format!(
                "nodes connect to each other as the current role: `ALTER ROLE {} LOGIN`, without a password",
                quote_identifier(owner)
            );
            add(Verdict::Bad, message, Some(&hint));
        }
    }
}

/// Whether its tables are on other nodes, on one or on all.
fn is_spread(at: &CitusService) -> bool {
    at.is_distributed || at.spread_by.is_some()
}
