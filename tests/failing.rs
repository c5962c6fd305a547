//! What a person learns of a statement that failed: which it was, where in it, and in whose function.

use insta::assert_snapshot;

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
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    deny(&lab, "CREATE INDEX");
    assert_snapshot!(lab.migrate(&["up", "chat"]).exits(6).shown(), @r#"
    exit 6
    --- stdout
    chat  m20251017_000001_add_message_source     failed [time]
    0 of 5 services up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `chat:m20251017_000001_add_message_source` stopped midway while applying
      because not today (P0001)
           in CREATE INDEX CONCURRENTLY "idx_messages_source" ON "chat"."messages" USING btree (source)
           at PL/pgSQL function public.judge() line 1 at RAISE
           at PL/pgSQL function public.deny() line 1 at PERFORM
      hint what was done is kept and can be done again: fix the cause and run `up chat` again, which resumes
    "#);
    let document = lab.migrate(&["up", "chat", "--json"]).exits(6).json();
    let error = &document["errors"][0];
    assert!(error["statement"].as_str().unwrap().starts_with("CREATE INDEX CONCURRENTLY"), "{error}");
    assert_eq!(error["context"][0], "PL/pgSQL function public.judge() line 1 at RAISE", "{error}");
    let events = lab.migrate(&["up", "chat", "--format", "ndjson"]).exits(6).stdout;
    assert!(events.contains(r#""statement":"CREATE INDEX CONCURRENTLY"#), "{events}");
}

#[test]
fn a_migration_in_a_transaction_names_its_statement_too() {
    let lab = Lab::empty();
    lab.query("CREATE SCHEMA chat; CREATE TABLE chat.messages (id integer)");
    assert_snapshot!(lab.migrate(&["up", "chat"]).exits(1).shown(), @r#"
    exit 1
    --- stdout
    chat  m20251016_000001_create_messages        failed [time]
    0 of 5 services up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `chat:m20251016_000001_create_messages` failed while applying
      because relation "messages" already exists (42P07)
           in CREATE TABLE messages ( id SERIAL CONSTRAINT messages_pkey PRIMARY KEY, user_id BIGINT NOT NULL, chat_id BIGINT NOT NULL, role VARCHAR(20) NOT NULL, content TEXT NOT NULL, message_length INTEGER NOT N…
      hint nothing was changed; if an earlier system made what exists already, `adopt chat --from schema` compares it with what the migrations make and records them as applied; if it is something else, put the service into another schema with `CHAT_DATABASE_SCHEMA`
    "#);
}
