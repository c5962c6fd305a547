//! What other runs do while a deployment is on its way: its way back takes back what it did itself, and nothing of theirs.

use std::fs;

use serde_json::json;

use super::back::{ONCE, two};
use super::interrupted::record;
use super::until;
use crate::support::{Lab, Ran};

/// What others do meanwhile.
type Others = fn(&Lab);

/// The step that others are let in at.
const STOP: &str = "--stop-command";
const START: &str = "--start-command";

/// Runs a deployment whose start fails once, and lets others do something while it is at this step.
fn beside(lab: &Lab, deploy: &[&str], at: &str, others: Others) -> Ran {
    let waits = "touch began; until test -e go; do sleep 0.02; done";
    let waits = if at == STOP { waits.to_owned() } else { format!("test -e go || {{ {waits}; exit 1; }}") };
    let fails = if at == STOP { &[START, ONCE][..] } else { &[] };
    let running = lab.start(&[&["deploy"], deploy, &[at, &waits], fails].concat());
    until(|| lab.directory.path().join("began").exists());
    others(lab);
    lab.directory.write("go", "");
    running.finish()
}

/// What there is of a service that way backs and others change.
fn state(lab: &Lab) -> String {
    lab.query(
        "SELECT (SELECT json_agg(v ORDER BY v.version) FROM chat.seaql_migrations_chat v), \
                (SELECT json_agg(v ORDER BY v.version) FROM assessments.seaql_migrations_assessments v), \
                (SELECT json_agg(m ORDER BY to_json(m)::text) FROM chat.messages m)",
    )
}

/// Applies everything, and then the application writes.
fn up(lab: &Lab) {
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.query("UPDATE chat.messages SET content = 'written meanwhile' WHERE id = (SELECT min(id) FROM chat.messages)");
}

#[test]
fn what_only_others_applied_is_not_taken_back() {
    for way in ["restore", "revert"] {
        let lab = two();
        let deploy = ["chat", "--allow-data-loss", "--on-failure", way, "--json"];
        let ran = beside(&lab, &deploy, STOP, up).exits(1);
        let document = ran.json();
        assert_eq!(document["migrations"], json!([]), "{document}");
        assert_eq!(document["way_back"], json!({"chosen": way, "done": true, "services": [], "lost": []}));
        assert_eq!(document["errors"].as_array().unwrap().len(), 1, "{document}");
        let kept = lab.query("SELECT count(*) FROM chat.messages WHERE content = 'written meanwhile'");
        assert_eq!((kept.as_str(), lab.migrate(&["status", "chat", "--check"]).code), ("1", 0), "{way}");
        assert_eq!(record(&lab), None);
        fs::remove_file(lab.directory.path().join("tried")).unwrap();
        for file in ["began", "go"] {
            fs::remove_file(lab.directory.path().join(file)).unwrap();
        }
        lab.migrate(&["down", "chat@-1", "--allow-data-loss", "--quiet"]).exits(0);
        let ran =
            beside(&lab, &deploy[..4], STOP, |lab| drop(lab.migrate(&["up", "chat"]).exits(0))).exits(1);
        let says =
            "`start` failed; this deployment applied nothing, so that there is nothing to go back from";
        assert!(ran.stdout.contains(says), "{}", ran.shown());
        let says = "`chat` is left as it is: this deployment applied nothing to it; run `";
        assert!(ran.stdout.contains(says), "{}", ran.shown());
    }
}

#[test]
fn of_several_services_only_those_that_it_changed_are_taken_back() {
    for way in ["restore", "revert"] {
        let lab = two();
        let deploy = ["chat", "assessments", "--allow-data-loss", "--on-failure", way, "--json"];
        let others: Others = |lab| drop(lab.migrate(&["up", "assessments", "--quiet"]).exits(0));
        let document = beside(&lab, &deploy, STOP, others).exits(1).json();
        let back = json!({"chosen": way, "done": true, "services": ["chat"], "lost": []});
        assert_eq!(document["way_back"], back, "{document}");
        let n = "SELECT (SELECT count(*) FROM chat.seaql_migrations_chat), \
                        (SELECT count(*) > 1 FROM assessments.seaql_migrations_assessments)";
        assert_eq!(lab.query(n), "1|t", "{way}");
    }
}

#[test]
fn what_others_changed_after_it_applied_is_refused() {
    let others: [(&str, Others); 4] = [
        ("` reverted `m2", |lab| {
            lab.migrate(&["down", "chat@-1", "--allow-data-loss", "--quiet"]).exits(0);
        }),
        ("` applied `m20261120_000002_check_messages` and reverted `m2", |lab| {
            lab.migrate(&["redo", "chat", "--allow-data-loss", "--quiet"]).exits(0);
        }),
        ("` restored a backup", |lab| {
            let made = lab.migrate(&["backup", "chat", "--json"]).exits(0).json();
            let archive = made["backups"][0]["archive"].as_str().unwrap();
            lab.migrate(&["restore", archive, "--allow-data-loss", "--quiet"]).exits(0);
        }),
        ("another tool applied or reverted `m20261120_000002_check_messages`", |lab| {
            lab.query("DELETE FROM chat.seaql_migrations_chat WHERE version LIKE 'm20261120_000002%'");
        }),
    ];
    for (number, (says, others)) in others.into_iter().enumerate() {
        let lab = two();
        let way = if number % 2 == 0 { "restore" } else { "revert" };
        let deploy = ["chat", "assessments", "--allow-data-loss", "--on-failure", way, "--json"];
        let ran = beside(&lab, &deploy, START, others);
        let left = state(&lab);
        refused(&lab, &ran, says);
        lab.migrate(&["deploy", "--forget"]).exits(0);
        assert_eq!(state(&lab), left, "{says}");
    }
}

#[test]
fn what_was_changed_before_it_is_continued_is_refused_too() {
    let lab = two();
    let deploy = ["deploy", "chat", "assessments", "--allow-data-loss"];
    let fails = [START, "exit 1", "--on-failure", "keep"];
    lab.migrate(&[&deploy[..], &fails].concat()).exits(1);
    lab.migrate(&["redo", "chat", "--allow-data-loss", "--quiet"]).exits(0);
    let path = lab.directory.path().join("deployments/deployment.json");
    let kept = fs::read_to_string(&path).unwrap();
    fs::write(&path, kept.replace("\"on_failure\": \"keep\"", "\"on_failure\": \"restore\"")).unwrap();
    let left = state(&lab);
    refused(&lab, &lab.migrate(&["deploy", "--resume", "--json"]), "` applied `m");
    assert_eq!(state(&lab), left);
}

#[test]
fn what_others_made_pending_meanwhile_waits_for_another_deployment() {
    let lab = two();
    lab.migrate(&["up", "assessments", "--quiet"]).exits(0);
    let others: Others = |lab| {
        lab.migrate(&["down", "assessments@-1", "--allow-data-loss", "--quiet"]).exits(0);
    };
    lab.directory.write("tried", "");
    let deploy = ["chat", "assessments", "--on-failure", "restore", "--json"];
    let document = beside(&lab, &deploy, STOP, others).exits(7).json();
    let message = document["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("`assessments` has migrations to apply, and had none when"), "{document}");
    assert_eq!((&document["migrations"], &document["resumable"]), (&json!([]), &json!(false)));
}

/// Looks whether nothing was taken back, since others had changed something.
fn refused(lab: &Lab, ran: &Ran, says: &str) {
    let document = ran.json();
    let errors = document["errors"].as_array().unwrap();
    assert_eq!((ran.code, errors.len()), (1, 2), "{document}");
    let message = errors[1]["message"].as_str().unwrap();
    assert!(message.starts_with("`chat` was changed by others since"), "{document}");
    assert!(message.contains(says), "{document}");
    assert_eq!((&document["way_back"]["done"], &document["resumable"]), (&json!(false), &json!(true)));
    assert!(record(lab).is_some());
    let reverted = lab.query("SELECT count(*) > 1 FROM assessments.seaql_migrations_assessments");
    assert_eq!(reverted, "t", "nothing was begun");
}
