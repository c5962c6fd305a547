//! The way back of a deployment: cut off, it is continued and not forgotten; and it says what no revert brings back.

use postgres_sandbox::Cluster;
use serde_json::{Value, json};

use super::interrupted::record;
use super::{calls, lab, state, until};
use crate::support::{Lab, ROWS};

/// Fails the first time, and writes down each.
pub(super) const ONCE: &str = "echo start >> calls; test -e tried || { touch tried; exit 1; }";

/// Chat and assessments with rows and without their later migrations.
pub(super) fn two() -> Lab {
    let lab = lab();
    lab.migrate(&["up", "assessments@+1", "--quiet"]).exits(0);
    assert_eq!(ROWS[2].0, "assessments");
    lab.query(ROWS[2].1);
    lab
}

/// What both services are.
fn of_both(lab: &Lab) -> String {
    let assessments = lab.query(
        "SELECT (SELECT json_agg(version ORDER BY version) FROM assessments.seaql_migrations_assessments), \
                (SELECT json_agg(q ORDER BY to_json(q)::text) FROM assessments.question_history q)",
    );
    state(lab) + &assessments
}

/// What a document says of the way back and of what can be done.
fn ended(document: &Value) -> Value {
    json!([document["way_back"]["chosen"], document["way_back"]["done"], document["resumable"]])
}

#[test]
fn what_is_continued_and_cannot_look_is_not_as_it_was_before() {
    let lab = lab();
    let applying =
        ["deploy", "chat", "--no-backup", "--stop-command", "echo stop >> calls", "--start-command", ONCE];
    lab.migrate(&[&applying[..], &["--on-failure", "keep"]].concat()).exits(1);
    let (kept, others) = (record(&lab).unwrap(), Cluster::shared().create_database().unwrap());
    let allow = |allowed: bool| {
        let name = lab.database.name();
        others.psql(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {allowed}")).unwrap();
    };
    allow(false);
    let document = lab.migrate(&["deploy", "--resume", "--json"]).exits(8).json();
    assert_eq!(ended(&document), json!(["keep", false, true]), "{document}");
    assert_eq!(document["application_stopped"], true, "{document}");
    assert_eq!(document["migrations"].as_array().unwrap().len(), 3, "what was applied before: {document}");
    assert_eq!((calls(&lab).as_str(), &record(&lab).unwrap()["done"]), ("stop start ", &kept["done"]));
    allow(true);
    lab.migrate(&["deploy", "--resume"]).exits(0);
    assert_eq!((calls(&lab).as_str(), record(&lab)), ("stop start start ", None));
}

#[test]
fn a_way_back_that_was_cut_off_is_continued() {
    let stop = ["--stop-command", "echo stop >> calls", "--start-command", ONCE];
    for way in ["restore", "revert"] {
        let lab = two();
        let before = of_both(&lab);
        let way_back = ["--allow-data-loss", "--on-failure", way];
        let deploy = [&["deploy", "chat", "assessments"], &stop[..], &way_back].concat();
        let mut in_the_way = lab.session();
        // Applied, and not started yet.
        let running = lab.start(&deploy);
        until(|| record(&lab).is_some_and(|record| record["at"] == "start"));
        in_the_way.query("BEGIN; LOCK TABLE chat.messages IN ACCESS SHARE MODE");
        until(|| record(&lab).is_some_and(|record| !record["going_back"].is_null()));
        running.signal("KILL");
        running.finish();
        in_the_way.query("ROLLBACK");
        assert_ne!(of_both(&lab), before, "{way}: it was cut off");

        let document = lab.migrate(&["deploy", "--resume", "--json"]).exits(1).json();
        assert_eq!(ended(&document), json!([way, true, false]), "{document}");
        let message = document["errors"][0]["message"].as_str().unwrap();
        assert_eq!(message, "`start` failed, and its way back has not ended: it is continued");
        assert_eq!((of_both(&lab), document["migrations"].clone()), (before, json!([])), "{way}");
        assert_eq!((calls(&lab).ends_with("start start "), record(&lab)), (true, None), "{way}");
    }
}

#[test]
fn a_restore_begins_only_if_all_of_it_can_be() {
    let lab = two();
    let start = format!("{ONCE}; rm -f backups/chat-*.dump");
    let start = start.replace("exit 1", "rm backups/chat-*.dump; exit 1");
    let deploy =
        ["deploy", "chat", "assessments", "--start-command", &start, "--on-failure", "restore", "--json"];
    let document = lab.migrate(&deploy).json();
    assert_eq!(ended(&document), json!(["restore", false, true]), "{document}");
    let applied = lab.query("SELECT count(*) > 1 FROM assessments.seaql_migrations_assessments");
    assert_eq!(applied, "t", "nothing was begun");
}

#[test]
fn what_a_revert_does_not_bring_back_is_said() {
    let lab = two();
    lab.migrate(&["up", "assessments", "--quiet"]).exits(0);
    for (more, backup) in [(&[][..], true), (&["--no-backup"], false)] {
        let contract = ["deploy", "assessments", "--contract", "--ignore-soak", "--allow-data-loss"];
        let way_back = ["--start-command", ONCE, "--on-failure", "revert"];
        let ran = lab.migrate(&[&contract[..], &way_back, more].concat()).exits(1);
        let says = "`assessments` was reverted; what applying had lost until then is not back";
        assert!(ran.stdout.contains(says), "{}", ran.shown());
        let what = "`assessments:m20260126_000004_drop_raw_answers` loses: ";
        assert!(ran.shown().contains(what), "{}", ran.shown());
        assert_eq!(ran.shown().contains("it is in the backup `backups/"), backup, "{}", ran.shown());
        assert_eq!(record(&lab), None, "nothing more is to be done");
        // The same where the application does not come up afterwards.
        let never = ["--start-command", "exit 1", "--on-failure", "revert"];
        let ran = lab.migrate(&[&contract[..], &never, more].concat()).exits(1);
        let says = "it stopped at `start`; `assessments` was reverted, and what applying had lost until then is not back";
        assert!(ran.stdout.contains(says) && ran.shown().contains(what), "{}", ran.shown());
        lab.migrate(&["deploy", "--forget"]).exits(0);
        std::fs::remove_file(lab.directory.path().join("tried")).unwrap();
    }
}
