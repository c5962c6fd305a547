//! A first install goes to the end: no old code reads what contract steps remove, and there are no rows to lose.

use crate::support::{Fault, Lab, Relay, run};

/// How many of the demo's migrations are applied, and whether none is held back.
fn applied(lab: &Lab) -> (u64, bool) {
    let status = lab.migrate(&["status", "--json"]).exits(0).json();
    let service = &status["services"][0];
    (service["applied"].as_u64().unwrap(), service["held_back"].as_array().unwrap().is_empty())
}

/// A first install that failed where it made this relation; what stopped it is gone.
fn interrupted(relation: &str) -> Lab {
    let lab = Lab::empty_demo();
    lab.query(&format!(
        "CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN \
           IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'demo.{relation}') \
           THEN RAISE 'stopped'; END IF; END$$; \
         CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION public.stop()"
    ));
    let ran = lab.migrate(&["up"]);
    assert!(ran.stderr.contains("stopped"), "{}", ran.shown());
    lab.query("DROP EVENT TRIGGER stop");
    lab
}

#[test]
fn an_interrupted_first_install_ends_as_one_that_was_not() {
    for (relation, n_before) in [("note", 0), ("note_text", 1)] {
        let lab = interrupted(relation);
        assert_eq!(applied(&lab), (n_before, true), "{relation}");
        lab.migrate(&["up"]).exits(0);
        assert_eq!(applied(&lab), (3, true), "{relation}");
        lab.migrate(&["verify"]).exits(0);
    }
}

/// Nothing of it is half done then: the migrations so far are applied, and the next one was not begun.
#[test]
fn interrupted_between_two_migrations_it_ends_the_same() {
    let lab = Lab::empty_demo();
    let relay = Relay::at_commit(&lab, "running", Fault::Unsent);
    run(lab.command(&["up"]).env("DATABASE_URL", relay.url())).exits(1);
    let (n_before, _) = applied(&lab);
    assert!(n_before > 0, "{n_before}");
    lab.migrate(&["up"]).exits(0);
    assert_eq!(applied(&lab), (3, true));
    lab.migrate(&["verify"]).exits(0);
}

#[test]
fn rows_that_were_written_meanwhile_are_not_lost_without_consent() {
    let lab = interrupted("note_text");
    lab.query("INSERT INTO demo.note VALUES (1, 'published', 'not published')");
    let ran = lab.migrate(&["up"]).exits(7);
    assert!(
        ran.stderr.contains("loses data for good") && ran.stderr.contains("` has rows by now"),
        "{}",
        ran.shown()
    );
    assert_eq!(applied(&lab), (2, true));
    lab.migrate(&["up", "--allow-data-loss"]).exits(0);
    assert_eq!(applied(&lab), (3, true));
}

#[test]
fn one_transaction_for_all_is_a_first_install_too() {
    let lab = Lab::empty();
    lab.migrate(&["up", "rag@+1", "--atomic"]).exits(0);
    assert_eq!(lab.query("SELECT DISTINCT first_install FROM rag.migration_journal_rag"), "f");
}

/// Everything that says that a service was there before.
#[test]
fn a_service_with_a_past_holds_contract_steps_back() {
    let pasts: [(&str, &[&str], &str); 4] = [
        ("", &["up", "demo@+1"], "a run that ended"),
        ("", &["up", "demo@m20260102"], "a run that ended later"),
        ("CREATE SCHEMA demo; CREATE TABLE demo.other (id integer)", &[], "a table in its schema"),
        (
            "CREATE SCHEMA demo; CREATE MATERIALIZED VIEW demo.other AS SELECT 1 AS id",
            &[],
            "a view in its schema",
        ),
    ];
    for (sql, arguments, past) in pasts {
        let lab = Lab::empty_demo();
        if !sql.is_empty() {
            lab.query(sql);
        }
        if !arguments.is_empty() {
            lab.migrate(arguments).exits(0);
        }
        let ran = lab.migrate(&["up"]).exits(0);
        assert!(ran.stdout.contains("1 contract step held back, until"), "{past}: {}", ran.shown());
        assert_eq!(applied(&lab), (2, false), "{past}");
    }
}

#[test]
fn in_a_schema_that_is_shared_the_services_own_tables_count() {
    for (table, applied_in_the_end) in [("wiki", 9), ("books", 8)] {
        let lab = Lab::empty();
        lab.query(&format!("CREATE TABLE public.{table} (id integer)"));
        let command =
            |arguments: &[&str]| run(lab.command(arguments).env("BOOKREADER_DATABASE_SCHEMA", "public"));
        // A table of others under a name of its own is in the way.
        let code = if table == "books" { 7 } else { 0 };
        let plan = command(&["plan", "bookreader", "--json"]).exits(code).json();
        assert_eq!(plan["steps"].as_array().unwrap().len(), applied_in_the_end, "{table}");
    }
}
