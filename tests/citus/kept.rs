//! What Citus could lose while it takes a service's tables, and what is known of it to a role that may not read all.

use std::process::Command;

use super::{Cluster, demo, spread};
use crate::support::{Lab, run};

#[test]
fn comments_and_states_of_triggers_are_as_before_on_a_node() {
    let Some(cluster) = Cluster::empty() else { return };
    let sql = "CREATE TABLE referred (id int CONSTRAINT referred_pkey PRIMARY KEY);\n\
        CREATE TABLE refers (id int CONSTRAINT refers_referred_fkey REFERENCES referred);\n\
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n\
        CREATE TRIGGER one BEFORE INSERT ON refers FOR EACH ROW EXECUTE FUNCTION touch();\n\
        CREATE TRIGGER two BEFORE INSERT ON refers FOR EACH ROW EXECUTE FUNCTION touch();\n\
        CREATE TRIGGER three BEFORE INSERT ON refers FOR EACH ROW EXECUTE FUNCTION touch();\n\
        ALTER TABLE refers DISABLE TRIGGER two;\n\
        ALTER TABLE refers ENABLE ALWAYS TRIGGER three;\n\
        COMMENT ON TABLE refers IS 'a table''s';\n\
        COMMENT ON COLUMN refers.id IS 'a column''s';\n\
        COMMENT ON TRIGGER two ON refers IS 'a trigger''s';\n\
        COMMENT ON CONSTRAINT refers_referred_fkey ON refers IS 'a foreign key''s';\n\
        COMMENT ON CONSTRAINT referred_pkey ON referred IS 'a key''s';\n\
        COMMENT ON INDEX referred_pkey IS 'an index''s'";
    let lab = demo(&cluster, sql);
    let described = || {
        cluster.query(
            "SELECT string_agg(said, ', ' ORDER BY said) FROM (\
               SELECT d.description AS said FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE c.relnamespace = 'demo'::regnamespace \
               UNION ALL SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname = 'two' AND tgrelid = 'demo.refers'::regclass \
               UNION ALL SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE connamespace = 'demo'::regnamespace \
               UNION ALL SELECT format('%s %s', tgname, tgenabled) FROM pg_trigger WHERE tgrelid = 'demo.refers'::regclass AND NOT tgisinternal) AS d \
             WHERE said NOT LIKE '%migration%' AND said NOT LIKE 'migrate: %'",
        )
    };
    let before = described();
    assert_eq!(
        before,
        "a column's, a foreign key's, a key's, a table's, a trigger's, an index's, one O, three A, two D"
    );
    cluster.migrate(&lab, &["citus", "distribute", "demo", "--yes", "--migrations", "files"]).exits(0);
    assert_eq!(described(), before);
    assert_eq!(cluster.query("SELECT count(*) FROM citus_schemas WHERE schema_name::text = 'demo'"), "1");
}

/// Workers that lose rows of a table while they are copied to them.
struct Losing<'c> {
    cluster: &'c Cluster,
}

impl<'c> Losing<'c> {
    /// Each worker swallows every hundredth row of `demo.good`, as a trigger does that something on a node adds to what is made there.
    fn of(cluster: &'c Cluster) -> Self {
        let losing = Self { cluster };
        losing.on_workers(
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN RETURN CASE WHEN NEW.id % 100 = 0 THEN NULL ELSE NEW END; END'; \
             CREATE FUNCTION public.swallows() RETURNS event_trigger LANGUAGE plpgsql AS $$ \
             DECLARE made record; BEGIN FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP \
               IF made.object_type = 'table' AND made.object_identity ~ '^demo\\.good_[0-9]+$' THEN \
                 EXECUTE format('CREATE TRIGGER swallow BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.swallow()', \
                   made.objid::regclass); \
               END IF; END LOOP; END $$; \
             CREATE EVENT TRIGGER swallows ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.swallows()",
        );
        losing
    }

    fn on_workers(&self, sql: &str) {
        let workers =
            self.cluster.query("SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE groupid > 0");
        let (user, rest) = self.cluster.url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        for worker in workers.lines() {
            let mut psql = Command::new("psql");
            psql.env("PGOPTIONS", "-c citus.enable_ddl_propagation=off").args(["-X", "-q", "-c", sql]);
            run(psql.arg(format!("{user}@{worker}/{database}"))).exits(0);
        }
    }
}

impl Drop for Losing<'_> {
    fn drop(&mut self) {
        self.on_workers(
            "DROP EVENT TRIGGER IF EXISTS swallows; DROP FUNCTION IF EXISTS public.swallows, public.swallow CASCADE",
        );
    }
}

#[test]
fn rows_that_a_node_loses_are_noticed_and_nothing_is_kept() {
    let Some(cluster) = Cluster::empty() else { return };
    let sql = "CREATE TABLE good (tenant int NOT NULL, id int NOT NULL, CONSTRAINT good_pkey PRIMARY KEY (tenant, id))";
    let lab = demo(&cluster, sql);
    cluster.query("INSERT INTO demo.good SELECT i % 50, i FROM generate_series(1, 1000) AS i");
    {
        let _losing = Losing::of(&cluster);
        let lost = run(&mut spread(&cluster, &lab, &["--yes"])).exits(1);
        let says = "rows of `good` were changed or lost while Citus copied them (1000 before, 990 after): nothing was kept";
        assert!(lost.stderr.contains(&format!("`demo`: {says}")), "{}", lost.shown());
        assert!(!lost.stderr.contains("answered with an error"), "{}", lost.shown());
    }
    let left = "SELECT (SELECT count(*) FROM demo.good), (SELECT count(*) FROM citus_tables WHERE table_name = 'demo.good'::regclass)";
    assert_eq!(cluster.query(left), "1000|0");
    run(&mut spread(&cluster, &lab, &["--yes"])).exits(0);
    assert_eq!(cluster.query(left), "1000|1");
}

#[test]
fn a_role_that_may_not_read_a_service_sees_the_others() {
    let Some(cluster) = Cluster::empty() else { return };
    let lab = Lab::empty();
    cluster.query("DROP ROLE IF EXISTS citus_test_reader; CREATE ROLE citus_test_reader LOGIN");
    cluster.migrate(&lab, &["up", "chat", "profochatbot", "--quiet"]).exits(0);
    let (_, rest) = cluster.url.split_once('@').unwrap();
    let as_reader = |arguments: &[&str]| {
        run(cluster
            .command(&lab, arguments)
            .env("DATABASE_URL", format!("postgres://citus_test_reader@{rest}")))
    };
    let status = as_reader(&["citus", "status"]).exits(8);
    let unread =
        "`profochatbot`: role `citus_test_reader` may not read `profochatbot.seaql_migrations_profochatbot`";
    assert!(status.stderr.contains(unread), "{}", status.shown());
    for shown in ["answers", "\nchat ", "coordinator, not distributed"] {
        assert!(status.stdout.contains(shown), "{}", status.shown());
    }
    let document = as_reader(&["citus", "status", "--json"]).exits(8).json();
    let needs = |service: &str| {
        let services = document["databases"][0]["services"].as_array().unwrap();
        services.iter().find(|at| at["service"] == service).unwrap()["needs_one_node"].clone()
    };
    assert!(needs("profochatbot").is_null() && needs("chat").is_array(), "{document}");
    as_reader(&["citus", "status", "chat"]).exits(0);
    // What is not known is not taken for a yes.
    let refused = as_reader(&["citus", "distribute", "profochatbot"]).exits(8);
    assert!(refused.stderr.contains(unread), "{}", refused.shown());

    cluster.query(
        "ALTER ROLE citus_test_reader NOLOGIN; ALTER TABLE profochatbot.bot OWNER TO citus_test_reader",
    );
    let refused = cluster.migrate(&lab, &["citus", "distribute", "profochatbot"]).exits(7);
    for said in ["`citus_test_reader` owns tables of it and may not log in", "`roles profochatbot --dry-run`"]
    {
        assert!(refused.stderr.contains(said), "{}", refused.shown());
    }
    cluster.query("DROP SCHEMA profochatbot CASCADE; DROP ROLE citus_test_reader");
}
