//! Citus: what is refused where there is none or where it is not the coordinator, and, on a cluster that `MIGRATE_TEST_CITUS` names, all
//! services applied, verified, reverted and moved.

use std::process::Command;

use serde_json::Value;

use crate::support::{Lab, Ran, run};

/// The catalogs of Citus that are asked, as a node of this group has them; `distributed` is a schema whose tables it says are elsewhere.
fn pretend(lab: &Lab, group: u32, distributed: &str) {
    lab.query(&format!(
        "SET allow_system_table_mods = on; \
         CREATE TABLE pg_catalog.pg_dist_node (nodename text, nodeport integer, groupid integer, noderole text); \
         CREATE TABLE pg_catalog.pg_dist_local_group (groupid integer); \
         CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid); \
         INSERT INTO pg_catalog.pg_dist_node VALUES ('first.internal', 5432, 0, 'primary'), ('second.internal', 5433, 1, 'primary'); \
         INSERT INTO pg_catalog.pg_dist_local_group VALUES ({group}); \
         INSERT INTO pg_catalog.pg_dist_schema SELECT oid FROM pg_namespace WHERE nspname = '{distributed}'; \
         GRANT SELECT ON pg_catalog.pg_dist_node, pg_catalog.pg_dist_local_group, pg_catalog.pg_dist_schema TO PUBLIC"
    ));
}

#[test]
fn where_there_is_one_node_it_is_said_and_nothing_is_moved() {
    let lab = Lab::migrated();
    let status = lab.migrate(&["citus", "status"]).exits(0);
    assert!(status.stdout.ends_with("is PostgreSQL on one node\n"), "{}", status.shown());
    let document = lab.migrate(&["citus", "status", "--json"]).exits(0).json();
    assert_eq!(document["databases"][0]["nodes"], Value::Null, "{document}");
    for arguments in
        [&["citus", "distribute", "chat", "--yes"][..], &["citus", "move", "chat", "localhost:5432", "--yes"]]
    {
        let refused = lab.migrate(arguments).exits(2);
        assert!(refused.stderr.contains("the extension `citus` is not in it"), "{}", refused.shown());
    }
}

#[test]
fn a_worker_is_refused_before_anything_is_written() {
    let lab = Lab::empty();
    pretend(&lab, 1, "none");
    let refused = lab.migrate(&["up", "chat"]).exits(8);
    assert!(
        refused.stderr.contains("is a worker of Citus")
            && refused.stderr.contains("which its nodes know as first.internal:5432"),
        "{}",
        refused.shown()
    );
    assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'chat'").trim(), "0");
}

#[test]
fn what_needs_its_tables_here_is_refused_where_they_are_on_another_node() {
    let lab = Lab::migrated();
    pretend(&lab, 0, "profochatbot");
    let refused = lab.migrate(&["down", "profochatbot@-1"]).exits(7);
    assert!(
        refused.stderr.contains("cannot be reverted where Citus has the service's tables on another node"),
        "{}",
        refused.shown()
    );
}

/// A cluster for tests, whose services are dropped: the address of its coordinator, with two workers at least.
struct Cluster {
    url: String,
}

impl Cluster {
    /// The one that is named, with nothing of ours on it; says so where none is.
    #[expect(
        clippy::disallowed_methods,
        clippy::print_stderr,
        reason = "a cluster is not made by a test, but named for it"
    )]
    fn empty() -> Option<Self> {
        let Ok(url) = std::env::var("MIGRATE_TEST_CITUS") else {
            eprintln!("not run: MIGRATE_TEST_CITUS names no coordinator of a Citus for tests");
            return None;
        };
        let cluster = Self { url };
        cluster.query("DROP SCHEMA IF EXISTS chat, rag, assessments, profochatbot, bookreader CASCADE");
        Some(cluster)
    }

    fn query(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        let ran = run(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url]));
        ran.exits(0).stdout.trim().to_owned()
    }

    fn migrate(&self, lab: &Lab, arguments: &[&str]) -> Ran {
        run(lab.command(arguments).env("DATABASE_URL", &self.url))
    }

    /// Where each service is: `None` for the coordinator.
    fn nodes(&self, lab: &Lab) -> Vec<Option<String>> {
        let document = self.migrate(lab, &["citus", "status", "--json"]).exits(0).json();
        let services = document["databases"][0]["services"].as_array().unwrap().clone();
        services.iter().map(|at| at["node"].as_str().map(str::to_owned)).collect()
    }
}

#[test]
fn all_services_live_on_a_cluster() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    cluster.migrate(&lab, &["up"]).exits(0);
    cluster.migrate(&lab, &["verify"]).exits(0);
    let left = cluster.nodes(&lab).iter().filter(|node| node.is_none()).count();
    assert_eq!(left, 1, "only profochatbot stays on the coordinator");
    // What is shown first changes nothing.
    cluster.migrate(&lab, &["citus", "distribute", "profochatbot"]).exits(0);
    assert!(cluster.nodes(&lab).contains(&None));
    cluster.migrate(&lab, &["citus", "distribute", "profochatbot", "--yes"]).exits(0);
    assert!(!cluster.nodes(&lab).contains(&None));
    let twice = cluster.migrate(&lab, &["citus", "distribute", "profochatbot", "--yes"]).exits(7);
    assert!(twice.stderr.contains("on a node of its own already"), "{}", twice.shown());
    cluster.migrate(&lab, &["verify"]).exits(0);
    cluster.query("INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'user', 'kept', 4)");
    let workers = cluster.query("SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE groupid > 0");
    let at = cluster.nodes(&lab)[0].clone().unwrap();
    let other = workers.lines().find(|node| **node != at).unwrap();
    cluster.migrate(&lab, &["citus", "move", "chat", other, "--yes"]).exits(0);
    assert_eq!(cluster.nodes(&lab)[0].as_deref(), Some(other));
    assert_eq!(cluster.query("SELECT content FROM chat.messages"), "kept");
    for service in ["chat", "rag"] {
        let below = format!("{service}@base");
        cluster.migrate(&lab, &["down", &below, "--allow-data-loss"]).exits(0);
    }
    cluster.migrate(&lab, &["down", "bookreader@base", "--allow-data-loss"]).exits(7);
    cluster.migrate(&lab, &["up", "--contract", "--ignore-soak"]).exits(0);
    cluster.migrate(&lab, &["verify"]).exits(0);
    let (host, port) = other.rsplit_once(':').unwrap();
    let worker = format!("postgres://postgres@{host}:{port}/postgres");
    run(lab.command(&["down", "chat@-1"]).env("DATABASE_URL", worker)).exits(8);
}
