//! The way that `docs/coming-from.md` leads, from the table of another tool to a backup and back: each of its commands, in its order.

use crate::adopted::{CHAT, migrate};
use crate::restore::digest;
use crate::support::Lab;

#[test]
fn the_way_from_another_tool_leads_to_a_backup_and_back() {
    for (tool, table) in [
        (
            "alembic",
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('e65a515f830d')",
        ),
        (
            "seaql",
            "CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint); \
             INSERT INTO seaql_migrations VALUES ('m20251016_000001_create_messages', 1)",
        ),
        ("schema", ""),
    ] {
        let lab = Lab::empty();
        lab.query(CHAT);
        lab.query(table);
        let chat = |arguments: &[&str]| migrate(&lab, "chat", arguments);
        let adopt = ["adopt", "chat", "--from", tool, "--dry-run"];
        chat(&adopt).exits(0);
        chat(&adopt[..4]).exits(0);
        let adopted = digest(&lab, "public");
        let made = chat(&["backup", "chat", "--json"]).exits(0).json();
        assert_eq!(made["backups"][0]["verified"], true, "{tool}: {made}");
        chat(&["up", "chat", "--backup"]).exits(0);
        assert_ne!(digest(&lab, "public"), adopted, "{tool}");
        let listed = chat(&["backups", "--json"]).exits(0).json();
        assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{tool}: {listed}");
        let file = listed["backups"][1]["archive"].as_str().unwrap();
        chat(&["restore", file, "--dry-run"]).exits(0);
        chat(&["restore", file, "--allow-data-loss"]).exits(0);
        assert_eq!(digest(&lab, "public"), adopted, "{tool}");
        chat(&["status", "chat", "--check"]).exits(3);
        chat(&["up", "chat"]).exits(0);
        chat(&["status", "chat", "--check"]).exits(0);
    }
}
