//! What spreading rows prints is carried out as it is printed, and what Citus does not take is named before.

use std::fmt::Write;

use serde_json::Value;

use super::{Cluster, demo, spread, texts};
use crate::support::run;

/// Tables that lack the column in their keys, and what they have in place of it once the statements were run and their rows spread.
const CLEARED: [(&str, &str, &str); 14] = [
    (
        "gist",
        "CREATE TABLE gist (tenant int NOT NULL, id int, during int4range, \
         CONSTRAINT gist_k EXCLUDE USING gist (during WITH &&) WHERE (id > 0) DEFERRABLE INITIALLY DEFERRED)",
        "EXCLUDE USING gist (tenant WITH =, during WITH &&) WHERE ((id > 0)) DEFERRABLE INITIALLY DEFERRED",
    ),
    (
        "expression",
        "CREATE TABLE expression (tenant int NOT NULL, a text, \
         CONSTRAINT expression_k EXCLUDE USING btree (lower(a) COLLATE \"C\" WITH =) INCLUDE (tenant))",
        "EXCLUDE USING btree (tenant WITH =, lower(a) COLLATE \"C\" WITH =) INCLUDE (tenant)",
    ),
    (
        "no_nulls",
        "CREATE TABLE no_nulls (tenant int NOT NULL, a text, CONSTRAINT no_nulls_k UNIQUE NULLS NOT DISTINCT (a) DEFERRABLE)",
        "UNIQUE NULLS NOT DISTINCT (tenant, a) DEFERRABLE",
    ),
    (
        "included",
        "CREATE TABLE included (tenant int NOT NULL, a text, CONSTRAINT included_k UNIQUE (a) INCLUDE (tenant))",
        "UNIQUE (tenant, a) INCLUDE (tenant)",
    ),
    (
        "described",
        "CREATE TABLE described (tenant int NOT NULL, a text); \
         CREATE UNIQUE INDEX described_k ON described (lower(a) DESC, (a || '(')) NULLS NOT DISTINCT WHERE a <> ' USING ('; \
         COMMENT ON INDEX described_k IS 'of ''it'''",
        "CREATE UNIQUE INDEX described_k ON demo.described USING btree (tenant, lower(a) DESC, ((a || '('::text))) \
         NULLS NOT DISTINCT WHERE (a <> ' USING ('::text) -- of 'it'",
    ),
    (
        "referred",
        "CREATE TABLE referred (tenant int NOT NULL, a int, b int, CONSTRAINT referred_k PRIMARY KEY (a, b)); \
         INSERT INTO referred VALUES (1, 1, 1)",
        "PRIMARY KEY (tenant, a, b)",
    ),
    (
        "match_full",
        "CREATE TABLE match_full (tenant int NOT NULL, a int, b int, CONSTRAINT match_full_k FOREIGN KEY (a, b) REFERENCES referred MATCH FULL \
         ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED); COMMENT ON CONSTRAINT match_full_k ON match_full IS 'of it'; \
         INSERT INTO match_full VALUES (1, 1, 1), (2, NULL, NULL)",
        "FOREIGN KEY (tenant, a, b) REFERENCES demo.referred(tenant, a, b) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED -- of it",
    ),
    (
        "not_valid",
        "CREATE TABLE not_valid (tenant int NOT NULL, a int, b int); \
         ALTER TABLE not_valid ADD CONSTRAINT not_valid_k FOREIGN KEY (a, b) REFERENCES referred MATCH FULL NOT VALID",
        "FOREIGN KEY (tenant, a, b) REFERENCES demo.referred(tenant, a, b) NOT VALID",
    ),
    (
        "replicated",
        "CREATE TABLE replicated (tenant int NOT NULL, id int NOT NULL, CONSTRAINT replicated_k UNIQUE (id)); \
         ALTER TABLE replicated REPLICA IDENTITY USING INDEX replicated_k",
        "UNIQUE (tenant, id), identity",
    ),
    (
        "replicated_by_index",
        "CREATE TABLE replicated_by_index (tenant int NOT NULL, id int NOT NULL); \
         CREATE UNIQUE INDEX replicated_by ON replicated_by_index (id); \
         ALTER TABLE replicated_by_index REPLICA IDENTITY USING INDEX replicated_by",
        "CREATE UNIQUE INDEX replicated_by ON demo.replicated_by_index USING btree (tenant, id), identity",
    ),
    (
        "ordered",
        "CREATE TABLE ordered (tenant int NOT NULL, id int CONSTRAINT ordered_k PRIMARY KEY); ALTER TABLE ordered CLUSTER ON ordered_k",
        "PRIMARY KEY (tenant, id), order",
    ),
    (
        "ordered_by_index",
        "CREATE TABLE ordered_by_index (tenant int NOT NULL, id int); CREATE UNIQUE INDEX ordered_by ON ordered_by_index (id); \
         ALTER TABLE ordered_by_index CLUSTER ON ordered_by",
        "CREATE UNIQUE INDEX ordered_by ON demo.ordered_by_index USING btree (tenant, id), order",
    ),
    (
        "computed",
        "CREATE TABLE computed (half int, tenant int GENERATED ALWAYS AS (half / 2) STORED NOT NULL)",
        "",
    ),
    (
        "of_sequence",
        "CREATE TABLE kind (id int CONSTRAINT kind_k PRIMARY KEY); CREATE SEQUENCE numbers; \
         CREATE TABLE of_sequence (tenant int NOT NULL, kind int DEFAULT nextval('numbers') \
           CONSTRAINT of_sequence_k REFERENCES kind ON DELETE SET DEFAULT)",
        "",
    ),
];

/// What no statement clears, the reason, and what makes it go away.
const DECIDED: [(&str, &str, &str, &str); 4] = [
    (
        "by_hash.by_hash_k",
        "CREATE TABLE by_hash (tenant int NOT NULL, a text, CONSTRAINT by_hash_k EXCLUDE USING hash (a WITH =))",
        "an index of its kind cannot get that",
        "by_hash DROP CONSTRAINT by_hash_k",
    ),
    (
        "by_space.by_space_k",
        "CREATE TABLE by_space (tenant int NOT NULL, during int4range, CONSTRAINT by_space_k EXCLUDE USING spgist (during WITH &&))",
        "an index of its kind cannot get that",
        "by_space DROP CONSTRAINT by_space_k",
    ),
    (
        "by_other.by_other_k",
        "CREATE TABLE by_other (tenant int NOT NULL, a int, CONSTRAINT by_other_k EXCLUDE USING gist (tenant WITH <>, a WITH =))",
        "does not compare `tenant` by `=`",
        "by_other DROP CONSTRAINT by_other_k",
    ),
    (
        "policed.policed_k",
        "CREATE TABLE policed (tenant int NOT NULL); CREATE POLICY policed_k ON policed USING (tenant IN (SELECT a FROM referred))",
        "no policy with a subquery",
        "policed ALTER COLUMN tenant SET DEFAULT 0; DROP POLICY policed_k ON demo.policed",
    ),
];

#[test]
fn what_is_printed_is_what_citus_takes() {
    let Some(cluster) = Cluster::empty() else { return };
    let mut sql = String::new();
    let tables = CLEARED.iter().map(|(_, table, _)| table).chain(DECIDED.iter().map(|(_, table, ..)| table));
    tables.for_each(|table| writeln!(sql, "{table};").unwrap());
    cluster.query("CREATE EXTENSION IF NOT EXISTS btree_gist");
    let lab = demo(&cluster, &sql);

    let by = |more: &[&str]| run(&mut spread(&cluster, &lab, &[&["--whole", "kind"], more].concat()));
    let refused = by(&["--json"]).exits(7).json();
    let obstacles = refused["rows"]["obstacles"].as_array().unwrap();
    for (object, _, reason, alter) in DECIDED {
        let found = obstacles.iter().find(|found| found["object"] == object);
        let found = found.unwrap_or_else(|| panic!("{object} is not named: {refused}"));
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found}");
        assert_eq!(found["statements"], Value::Array(Vec::new()), "{found}");
        cluster.query(&format!("ALTER TABLE demo.{alter}"));
    }
    assert_eq!(texts(&refused["rows"]["lost"]), ["of_sequence.of_sequence_k"]);
    // In one transaction, as they are printed.
    let statements = texts(&refused["rows"]["statements"]).join(";\n");
    cluster.query(&format!("BEGIN;\n{statements};\nCOMMIT"));
    by(&["--yes"]).exits(0);
    for (table, _, expected) in CLEARED {
        let found = cluster.query(&format!(
            "SELECT string_agg(said, ', ' ORDER BY place) FROM (\
               SELECT 1 AS place, pg_get_constraintdef(oid) || coalesce(' -- ' || obj_description(oid, 'pg_constraint'), '') AS said \
               FROM pg_constraint WHERE conrelid = 'demo.{table}'::regclass \
               UNION ALL SELECT 1, pg_get_indexdef(indexrelid) || coalesce(' -- ' || obj_description(indexrelid, 'pg_class'), '') \
               FROM pg_index WHERE indrelid = 'demo.{table}'::regclass \
                 AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) \
               UNION ALL SELECT 2, 'identity' FROM pg_index WHERE indrelid = 'demo.{table}'::regclass AND indisreplident \
               UNION ALL SELECT 2, 'order' FROM pg_index WHERE indrelid = 'demo.{table}'::regclass AND indisclustered) AS all_of_it"
        ));
        assert_eq!(found, expected, "{table}");
    }
    // So it is on the nodes.
    for (table, of_index) in [
        ("replicated", "indisreplident"),
        ("replicated_by_index", "indisreplident"),
        ("ordered", "indisclustered"),
        ("ordered_by_index", "indisclustered"),
    ] {
        let on_each = format!(
            "SELECT bool_and(success AND result = 't') FROM run_command_on_shards('demo.{table}', \
             'SELECT bool_or({of_index}) FROM pg_index WHERE indrelid = ''%s''::regclass')"
        );
        assert_eq!(cluster.query(&on_each), "t", "{table}");
    }
}
