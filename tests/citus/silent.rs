//! A worker that does not answer: what asks it says so, and what needs it says which one it is.

use super::Cluster;
use crate::support::Lab;

/// The worker that has the tables of chat, as one that was stopped: nobody listens where the coordinator looks for it.
struct Stopped<'c> {
    cluster: &'c Cluster,
    node: String,
    port: String,
}

impl<'c> Stopped<'c> {
    fn of(cluster: &'c Cluster) -> Self {
        let found = cluster.query(
            "SELECT DISTINCT w.nodeid || ' ' || w.nodeport FROM pg_dist_schema d JOIN pg_dist_partition t USING (colocationid) \
             JOIN pg_dist_shard s USING (logicalrelid) JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node w USING (groupid) \
             WHERE d.schemaid = 'chat'::regnamespace",
        );
        let (node, port) = found.split_once(' ').unwrap();
        cluster.query(&format!("UPDATE pg_dist_node SET nodeport = 1 WHERE nodeid = {node}"));
        Self { cluster, node: node.to_owned(), port: port.to_owned() }
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let Self { cluster, node, port } = self;
        cluster.query(&format!("UPDATE pg_dist_node SET nodeport = {port} WHERE nodeid = {node}"));
    }
}

#[test]
fn a_worker_that_is_stopped_is_named() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    cluster.migrate(&lab, &["up", "chat@+1", "--quiet"]).exits(0);
    let silent = {
        let stopped = Stopped::of(&cluster);
        let silent = cluster
            .query(&format!("SELECT nodename || ':1' FROM pg_dist_node WHERE nodeid = {}", stopped.node));
        let status = cluster.migrate(&lab, &["citus", "status"]).exits(8);
        assert!(
            status.stderr.contains(&format!("node {silent} of Citus does not answer")),
            "{}",
            status.shown()
        );
        let status = status.stdout;
        let line = |begins: &str| status.lines().find(|line| line.starts_with(begins)).unwrap().to_owned();
        assert!(line(&silent).contains("does not answer"), "{status}");
        assert!(line("chat").contains(&silent) && line("chat").ends_with("unknown"), "{status}");
        // Of what is not there yet it is known what it takes.
        assert!(line("rag").contains("not there yet") && line("rag").ends_with("0 bytes"), "{status}");
        for (arguments, code) in [
            (&["doctor"][..], 8),
            (&["up", "chat"], 8),
            (&["verify", "chat"], 8),
            (&["backup", "chat", "--no-verify"], 8),
            (&["citus", "distribute", "profochatbot", "--yes"], 7),
        ] {
            let ran = cluster.migrate(&lab, arguments).exits(code);
            assert!(ran.shown().contains(&silent), "{arguments:?}: {}", ran.shown());
        }
        silent
    };
    cluster.migrate(&lab, &["up", "chat", "--quiet"]).exits(0);
    let after = cluster.migrate(&lab, &["citus", "status", "chat"]).exits(0).stdout;
    assert!(
        !after.contains(&silent) && !after.contains("does not answer") && !after.contains("unknown"),
        "{after}"
    );
}
