//! Citus: what is refused where there is none or where it is not the coordinator, and, on a cluster that `MIGRATE_TEST_CITUS` names, all
//! services applied, verified, reverted and moved, and the rows of some spread over the nodes. It is long because one cluster is all of these tests'.

mod kept;
mod printed;
mod silent;
mod whose;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Lab, Ran, run};

/// The catalogs of Citus that are asked, as a node of this group has them; `distributed` is a schema whose tables it says are elsewhere.
fn pretend(lab: &Lab, group: u32, distributed: &str) {
    lab.query(&format!(
        "SET allow_system_table_mods = on; \
         CREATE TABLE pg_catalog.pg_dist_node (nodename text, nodeport integer, groupid integer, noderole text); \
         CREATE TABLE pg_catalog.pg_dist_local_group (groupid integer); \
         CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid); \
         CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid oid, partmethod \"char\"); \
         INSERT INTO pg_catalog.pg_dist_node VALUES ('first.internal', 5432, 0, 'primary'), ('second.internal', 5433, 1, 'primary'); \
         INSERT INTO pg_catalog.pg_dist_local_group VALUES ({group}); \
         INSERT INTO pg_catalog.pg_dist_schema SELECT oid FROM pg_namespace WHERE nspname = '{distributed}'; \
         GRANT SELECT ON pg_catalog.pg_dist_node, pg_catalog.pg_dist_local_group, pg_catalog.pg_dist_schema, pg_catalog.pg_dist_partition TO PUBLIC"
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
fn a_worker_is_not_read_as_if_it_knew_all_services() {
    let lab = Lab::migrated();
    pretend(&lab, 1, "none");
    for arguments in [
        &["status"][..],
        &["status", "--check"],
        &["plan"],
        &["plan", "--down", "chat@base"],
        &["history"],
        &["verify"],
        &["locks"],
        &["doctor"],
        &["space", "chat"],
        &["rejects", "chat"],
        &["drift", "chat"],
        &["wait", "--timeout", "0s"],
        &["sql", "chat"],
        &["repair", "chat"],
        &["roles", "--dry-run"],
        &["reset", "chat", "--dry-run"],
        &["stamp", "chat@head", "--dry-run"],
        &["down", "chat@base", "--allow-data-loss"],
        &["backup", "chat"],
        &["citus", "status"],
        &["citus", "distribute", "chat"],
        &["citus", "distribute", "chat", "--by", "user_id"],
        &["citus", "move", "chat", "first.internal:5432"],
        &["deploy", "--dry-run"],
    ] {
        let ran = lab.migrate(arguments);
        let says = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.code == 8 && says.contains("is a worker of Citus") && says.contains("first.internal:5432"),
            "{arguments:?}: {}",
            ran.shown()
        );
    }
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
    /// Tests that write there come one after the other: it is one for all of them.
    _alone: MutexGuard<'static, ()>,
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
        static ALONE: Mutex<()> = Mutex::new(());
        let cluster = Self { url, _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) };
        cluster.query("DROP SCHEMA IF EXISTS chat, rag, assessments, profochatbot, bookreader, demo CASCADE");
        Some(cluster)
    }

    fn query(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env("PGOPTIONS", "-c citus.enable_unsafe_triggers=on");
        let ran = run(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url]));
        ran.exits(0).stdout.trim().to_owned()
    }

    fn command(&self, lab: &Lab, arguments: &[&str]) -> Command {
        let mut command = lab.command(arguments);
        command.env("DATABASE_URL", &self.url);
        command
    }

    fn migrate(&self, lab: &Lab, arguments: &[&str]) -> Ran {
        run(&mut self.command(lab, arguments))
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

/// Tables of which each lacks what it takes to be spread by `tenant`, but `good` and the two that `good` needs.
const UNFIT: &str = "CREATE TABLE kind (id int PRIMARY KEY, label text UNIQUE);
CREATE TABLE good (tenant int NOT NULL, id serial, kind int REFERENCES kind, PRIMARY KEY (tenant, id));
CREATE TABLE no_column (id int CONSTRAINT no_column_pkey PRIMARY KEY);
CREATE TABLE keyed (tenant int NOT NULL, id int CONSTRAINT \"keyed (pkey)\" PRIMARY KEY, token text CONSTRAINT keyed_token_key UNIQUE,
  CONSTRAINT keyed_excl EXCLUDE USING btree (token WITH =));
CREATE TABLE \"indexed (USING)\" (tenant int NOT NULL, n int, token text);
CREATE UNIQUE INDEX indexed_token ON \"indexed (USING)\" (token) INCLUDE (tenant) WHERE n > 0;
CREATE TABLE follows (tenant int NOT NULL, keyed int CONSTRAINT follows_keyed_fkey REFERENCES keyed ON DELETE CASCADE, good int,
  CONSTRAINT follows_good_fkey FOREIGN KEY (tenant, good) REFERENCES good (tenant, id) ON DELETE SET NULL);
CREATE TABLE nullable (tenant int);
CREATE TABLE wide (tenant bigint NOT NULL);
CREATE TABLE triggered (tenant int NOT NULL);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE heir (tenant int NOT NULL) INHERITS (triggered);
CREATE VIEW seen AS SELECT tenant, id FROM good;
COMMENT ON CONSTRAINT keyed_token_key ON keyed IS 'of a key';
COMMENT ON CONSTRAINT good_kind_fkey ON good IS 'of a way'";

const TENANTS: &str = "INSERT INTO demo.kind VALUES (1, 'a'); INSERT INTO demo.good (tenant, kind) SELECT i % 50, 1 FROM generate_series(1, 1000) AS i; \
    INSERT INTO demo.no_column VALUES (1); INSERT INTO demo.keyed SELECT i, i, i FROM generate_series(1, 100) AS i; \
    INSERT INTO demo.follows SELECT i, i FROM generate_series(1, 100) AS i";

/// What has partitions, whose triggers would be called for each row that Citus copies, and what inherits from another schema's table.
const PARTED: &str = "CREATE TABLE demo.parted (tenant int NOT NULL, at date NOT NULL, PRIMARY KEY (tenant, at)) PARTITION BY RANGE (at);
CREATE TABLE demo.parted_2026 PARTITION OF demo.parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing BEFORE INSERT ON demo.parted_2026 FOR EACH ROW EXECUTE FUNCTION public.nothing();
CREATE TABLE public.heir_elsewhere () INHERITS (demo.good)";

/// The service `demo` with one migration of this SQL, applied. A schema that is made by a run is on a node at once: this one is the
/// coordinator's, as one that was there before Citus.
fn demo(cluster: &Cluster, sql: &str) -> Lab {
    let lab = Lab::empty_demo();
    std::fs::create_dir(lab.directory.path().join("files")).unwrap();
    lab.directory.write("files/m20260101_000001_create_all.up.sql", sql);
    cluster.query("CREATE SCHEMA demo");
    cluster.migrate(&lab, &["up", "--migrations", "files"]).exits(0);
    lab
}

/// How the rows of the demo service would be spread.
fn spread(cluster: &Cluster, lab: &Lab, arguments: &[&str]) -> Command {
    let by = ["citus", "distribute", "demo", "--by", "tenant", "--migrations", "files"];
    cluster.command(lab, &[&by, arguments].concat())
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn rows_are_spread_over_the_nodes_once_what_is_named_is_cleared() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = demo(&cluster, UNFIT);
    let file = |name: &str, sql: &str| lab.directory.write(&format!("files/{name}.sql"), sql);
    cluster.query(TENANTS);

    let nowhere = cluster
        .migrate(&lab, &["citus", "distribute", "demo", "--by", "nope", "--migrations", "files"])
        .exits(7);
    assert!(
        nowhere.stdout.contains("nope: no table of the service has a column of this name"),
        "{}",
        nowhere.shown()
    );
    assert!(!nowhere.stdout.contains("statements"), "{}", nowhere.shown());
    cluster.query(PARTED);
    let parted = run(&mut spread(&cluster, &lab, &["--whole", "kind,parted", "--yes"])).exits(7);
    for said in ["parted: it is partitioned", "good: public.heir_elsewhere inherits from it"] {
        assert!(parted.stdout.contains(said), "{}", parted.shown());
    }
    cluster.query("DROP TABLE demo.parted, public.heir_elsewhere; DROP FUNCTION public.nothing");

    let refused = run(&mut spread(&cluster, &lab, &["--whole", "demo.kind", "--json"])).exits(7).json();
    let of = |obstacle: &Value| obstacle["object"].as_str().unwrap().to_owned();
    let objects: Vec<String> = refused["rows"]["obstacles"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(
        objects,
        [
            "heir",
            "no_column",
            "nullable",
            "wide",
            "indexed (USING).indexed_token",
            "keyed.\"keyed (pkey)\"",
            "keyed.keyed_token_key",
            "keyed.keyed_excl",
            "no_column.no_column_pkey",
            "follows.follows_good_fkey",
            "follows.follows_keyed_fkey",
            "triggered.touch",
        ]
    );
    let also = run(&mut spread(&cluster, &lab, &["--yes"])).exits(7);
    assert!(also.stdout.contains("kind: it has no column `tenant`"), "{}", also.shown());
    assert_eq!(texts(&refused["rows"]["lost"]), ["follows.follows_good_fkey"]);
    // What is named is cleared by the statements that are printed, and by nothing else but the rows' own values.
    for statement in texts(&refused["rows"]["statements"]) {
        if statement.starts_with("ALTER TABLE demo.no_column DROP") {
            cluster.query("UPDATE demo.no_column SET tenant = 1");
        }
        cluster.query(statement);
    }
    let shown = run(&mut spread(&cluster, &lab, &["--whole", "kind", "--json"])).exits(0).json();
    assert_eq!(texts(&shown["rows"]["whole"]), ["kind"]);
    assert_eq!(shown["rows"]["obstacles"].as_array().unwrap().len(), 0);

    // Killed at any moment it has done nothing, and can be run again.
    for delay in [50, 200, 500, 900] {
        let mut killed = spread(&cluster, &lab, &["--whole", "kind", "--yes"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    run(&mut spread(&cluster, &lab, &["--whole", "kind", "--yes"])).exits(0);
    let otherwise = cluster
        .migrate(&lab, &["citus", "distribute", "demo", "--by", "id", "--migrations", "files"])
        .exits(7);
    assert!(otherwise.stdout.contains("its rows are spread by `tenant` already"), "{}", otherwise.shown());
    assert!(!otherwise.stdout.contains("statements"), "{}", otherwise.shown());
    let comments = "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname IN ('keyed_token_key', 'good_kind_fkey') ORDER BY 1";
    assert_eq!(cluster.query(comments), "of a key\nof a way");
    let again = run(&mut spread(&cluster, &lab, &["--yes"])).exits(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.shown());
    assert_eq!(
        cluster.query("SELECT count(*), sum(tenant) FROM demo.good")
            + &cluster.query("SELECT count(*) FROM demo.follows"),
        "1000|24500100"
    );
    let kinds = "SELECT string_agg(table_name::text || ' ' || citus_table_type, ',' ORDER BY 1) FROM citus_tables WHERE table_name::text ~ 'good|kind|keyed'";
    assert_eq!(cluster.query(kinds), "demo.good distributed,demo.keyed distributed,demo.kind reference");
    assert_eq!(cluster.query("SELECT count(*) FROM pg_constraint WHERE connamespace = 'demo'::regnamespace AND contype = 'f' AND convalidated"), "2");

    // What comes after: further migrations, back and forth, and the tables that they make.
    file(
        "m20260102_000001_add_more.up",
        "-- no-transaction\nALTER TABLE good ADD COLUMN more text;\nUPDATE good SET more = 'x' WHERE more IS NULL;\n\
         CREATE INDEX CONCURRENTLY good_more ON good (more);\nCREATE TABLE later (tenant int NOT NULL, id int, PRIMARY KEY (tenant, id))",
    );
    file(
        "m20260102_000001_add_more.down",
        "-- no-transaction\nDROP TABLE IF EXISTS later;\nDROP INDEX CONCURRENTLY IF EXISTS good_more;\nALTER TABLE good DROP COLUMN IF EXISTS more",
    );
    let files = ["--migrations", "files"];
    let migrate = |arguments: &[&str]| cluster.migrate(&lab, &[arguments, &files[..]].concat());
    migrate(&["up"]).exits(0);
    migrate(&["verify"]).exits(0);
    let status = migrate(&["citus", "status", "--json"]).exits(0).json();
    let at = &status["databases"][0]["services"][0];
    assert_eq!((at["spread_by"].as_str(), texts(&at["left"])), (Some("tenant"), vec!["later"]));
    assert!(
        migrate(&["doctor"])
            .stdout
            .contains("on the coordinator, while rows of its others are spread by `tenant`: later")
    );
    run(&mut spread(&cluster, &lab, &["--yes"])).exits(0);
    let colocated = "SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE partmethod = 'h' AND logicalrelid::text ~ '^demo'";
    assert_eq!(cluster.query(colocated), "1");
    migrate(&["down", "demo@-1", "--allow-data-loss"]).exits(0);
    migrate(&["up"]).exits(0);
    migrate(&["status", "--check"]).exits(0);
    for refused in
        [&["citus", "distribute", "demo", "--yes"][..], &["citus", "move", "demo", "127.0.0.1:1", "--yes"]]
    {
        migrate(refused).exits(7);
    }
}

#[test]
fn what_profochatbot_lacks_for_its_accounts_is_named_and_cleared() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    cluster.migrate(&lab, &["up", "profochatbot"]).exits(0);
    let by = ["citus", "distribute", "profochatbot", "--by", "account_id", "--whole", "account"];
    let spread = |more: &[&str]| cluster.migrate(&lab, &[&by, more].concat());
    let refused = spread(&["--json"]).exits(7).json();
    assert_eq!(refused["rows"]["obstacles"].as_array().unwrap().len(), 27, "{refused}");
    for statement in texts(&refused["rows"]["statements"]) {
        cluster.query(statement);
    }
    spread(&["--yes"]).exits(0);
    cluster.migrate(&lab, &["verify", "profochatbot"]).exits(0);
    cluster.migrate(&lab, &["status", "profochatbot", "--check"]).exits(0);
    // Its `down` needs the tables here, and says so.
    cluster.migrate(&lab, &["down", "profochatbot@-1"]).exits(7);
}

#[test]
fn chat_and_rag_go_to_head_and_back_with_their_rows_spread() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    for (service, first, filled, after) in [
        (
            "chat",
            "chat@m20251016_000001_create_messages",
            "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) \
             SELECT i % 50 + 1, i, 'user', 'kept', CASE WHEN i % 100 = 0 THEN -5 ELSE 3 END FROM generate_series(1, 1000) AS i",
            "SELECT 1",
        ),
        (
            "rag",
            "rag@m20250727_000001_create_user_knowledge",
            "INSERT INTO rag.user_knowledge (user_id, name) SELECT i, 'kept' FROM generate_series(1, 1000) AS i",
            // It reads no table.
            "CREATE TRIGGER update_user_knowledge_updated_at BEFORE UPDATE ON rag.user_knowledge \
             FOR EACH ROW EXECUTE FUNCTION rag.user_knowledge_set_updated_at()",
        ),
    ] {
        cluster.query(&format!("CREATE SCHEMA {service}"));
        cluster.migrate(&lab, &["up", first]).exits(0);
        cluster.query(filled);
        let by = ["citus", "distribute", service, "--by", "user_id"];
        let plan = cluster.migrate(&lab, &[&by[..], &["--json"]].concat()).json();
        for statement in texts(&plan["rows"]["statements"]) {
            cluster.query(statement);
        }
        let done = cluster.migrate(&lab, &[&by[..], &["--yes"]].concat()).exits(0);
        cluster.query(after);
        assert!(done.stdout.contains("truncate_local_data_after_distributing_table"), "{}", done.shown());
        cluster.migrate(&lab, &["up", service]).exits(0);
        cluster.migrate(&lab, &["verify", service]).exits(0);
        cluster.migrate(&lab, &["down", &format!("{service}@-1")]).exits(0);
        cluster.migrate(&lab, &["up", service]).exits(0);
        cluster.migrate(&lab, &["verify", service]).exits(0);
        cluster.migrate(&lab, &["backup", service, "--wait", "0s", "--no-verify"]).exits(0);
        let base = format!("{service}@base");
        let refused = cluster.migrate(&lab, &["down", &base]).exits(7);
        assert!(refused.stderr.contains("1000 rows"), "{}", refused.shown());
        if service == "chat" {
            cluster.query("DELETE FROM chat.messages WHERE chat_id IN (100, 200, 300)");
        }
        let rejects = cluster.migrate(&lab, &["rejects", service, "--json"]).exits(0).json();
        let expected = if service == "chat" { (7, 3) } else { (0, 0) };
        assert_eq!((&rejects["n_rejects"], &rejects["n_deleted"]), (&json!(expected.0), &json!(expected.1)));
        cluster.migrate(&lab, &["down", &base, "--allow-data-loss"]).exits(0);
    }
}
