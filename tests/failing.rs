//! What a person learns of a statement that failed: which it was, where in it, and in whose function.

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::Lab;

/// Makes each statement of this kind fail in a function.
fn deny(lab: &Lab, tag: &str) {
    lab.query(&format!(
        "CREATE FUNCTION public.judge() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''not today''; END'; \
         CREATE FUNCTION public.deny() RETURNS event_trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM public.judge(); END'; \
         CREATE EVENT TRIGGER deny ON ddl_command_start WHEN TAG IN ('{tag}') EXECUTE FUNCTION public.deny()"
    ));
}

#[test]
fn the_statement_its_place_and_the_function_are_named() {
    // That nothing was done before is certain only while no other session of the server commits.
    let quiet = Cluster::builder().setting("autovacuum", "off").start().unwrap();
    let lab = Lab::demo_with(quiet.create_database().unwrap());
    lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
    deny(&lab, "CREATE INDEX");
    assert_snapshot!(lab.migrate(&["up"]).exits(1).shown(), @r#"
    exit 1
    --- stdout
    demo  m20260102_000001_index_notes  failed [time]
    0 of 1 service up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `demo:m20260102_000001_index_notes` failed while applying
      because not today (P0001)
           in CREATE INDEX CONCURRENTLY note_text ON note (text)
           at PL/pgSQL function public.judge() line 1 at RAISE
           at PL/pgSQL function public.deny() line 1 at PERFORM
      hint nothing was changed; fix it and run `up demo` again
    "#);
    let document = lab.migrate(&["up", "--json"]).exits(1).json();
    let error = &document["errors"][0];
    assert!(error["statement"].as_str().unwrap().starts_with("CREATE INDEX CONCURRENTLY"), "{error}");
    assert_eq!(error["context"][0], "PL/pgSQL function public.judge() line 1 at RAISE", "{error}");
    let events = lab.migrate(&["up", "--format", "ndjson"]).exits(1).stdout;
    assert!(events.contains(r#""statement":"CREATE INDEX CONCURRENTLY"#), "{events}");
}

#[test]
fn a_migration_in_a_transaction_names_its_statement_too() {
    let lab = Lab::empty_demo();
    lab.query("CREATE SCHEMA demo; CREATE TABLE demo.note (id integer)");
    assert_snapshot!(lab.migrate(&["up"]).exits(1).shown(), @r#"
    exit 1
    --- stdout
    demo  m20260101_000001_create_notes  failed [time]
    0 of 1 service up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `demo:m20260101_000001_create_notes` failed while applying
      because relation "note" already exists (42P07)
           in CREATE TABLE note (id bigint CONSTRAINT note_pkey PRIMARY KEY, text text NOT NULL, draft text)
      hint nothing was changed; if an earlier system made what exists already, `adopt demo --from schema` compares it with what the migrations make and records them as applied; if it is something else, put the service into another schema with `DEMO_DATABASE_SCHEMA`
    "#);
}
