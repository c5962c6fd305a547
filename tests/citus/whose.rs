//! What bears a service's names in a schema that it shares, on a node: whose that is, is asked before anything is shown of it.

use super::Cluster;
use crate::support::{Lab, run};

#[test]
fn a_preview_of_a_move_is_refused_as_the_move_is() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    cluster.query("DROP SCHEMA IF EXISTS common CASCADE");
    cluster.query("CREATE SCHEMA common");
    cluster.query("CREATE TABLE common.messages (id int PRIMARY KEY)");
    cluster.query("SELECT citus_schema_distribute('common')");
    let node = |is: &str| {
        format!(
            "SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE groupid > 0 AND groupid {is} \
             (SELECT p.groupid FROM pg_dist_placement p JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 'common.messages'::regclass) LIMIT 1"
        )
    };
    let (at, other) = (cluster.query(&node("=")), cluster.query(&node("<>")));
    for more in [&[][..], &["--yes"]] {
        let mut command = cluster.command(&lab, &[&["citus", "move", "chat", &other], more].concat());
        let refused =
            run(command.env("CHAT_DATABASE_SCHEMA", "common").env("RAG_DATABASE_SCHEMA", "common")).exits(7);
        assert!(refused.stderr.contains("names that it makes are taken there"), "{}", refused.shown());
    }
    assert_eq!(cluster.query(&node("=")), at);
    cluster.query("DROP SCHEMA common CASCADE");
}
