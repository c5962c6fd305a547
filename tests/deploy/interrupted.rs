//! A deployment whose process is killed, at each step; a disk that fills; a person who is asked; backups of several services as
//! the way back.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use postgres_sandbox::Cluster;
use serde_json::{Value, json};

use super::{calls, lab, state, steps, until};
use crate::support::{Lab, ROWS, Running, SESSIONS, run};

/// What the record of the deployment says, once there is one.
pub(super) fn record(lab: &Lab) -> Option<Value> {
    let text = fs::read_to_string(lab.directory.path().join("deployments/deployment.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Archives, and whatever else is where they are.
fn backups(lab: &Lab) -> Vec<String> {
    let Ok(entries) = fs::read_dir(lab.directory.path().join("backups")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Kills the deployment while it is at this step, which waits for a lock of another session.
fn killed_at(step: &str, arguments: &[&str], lock: &str) -> Lab {
    let lab = lab();
    if step == "verify" {
        // Nothing else is to be done, so that nothing else meets the lock.
        lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    }
    let mut holder = lab.session();
    holder.query("BEGIN");
    // The prerequisites look at the table that is to be backed up. Its lock is taken when they are done.
    let is_late = step == "backup";
    let mut more = arguments.to_vec();
    if is_late {
        more[1] = "echo stop >> calls; until test -e locked; do sleep 0.02; done";
    } else {
        holder.query(lock);
    }
    let run = lab.start(&[&["deploy", "chat"], &more[..]].concat());
    if is_late {
        until(|| !calls(&lab).is_empty());
        holder.query(lock);
        lab.directory.write("locked", "");
    }
    // A migration waits for its tables in short tries.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND (wait_event_type = 'Lock' OR application_name LIKE 'migrate chat:%')";
    until(|| record(&lab).is_some_and(|record| record["at"] == step) && lab.query(waits) != "0");
    run.signal("KILL");
    assert_eq!(run.finish().code, 137);
    holder.query("ROLLBACK");
    until(|| lab.query(SESSIONS) == "0");
    lab
}

/// After a kill: nobody takes it for over, and whoever continues it ends where an undisturbed one does.
fn is_continued(lab: &Lab, killed_at: &str, expected: &str) {
    let refused = lab.migrate(&["deploy", "chat", "--dry-run"]).exits(7);
    let says = format!("is not over: it stopped at `{killed_at}`");
    assert!(refused.stderr.contains(&says), "{killed_at}: {}", refused.shown());
    let resumed = lab.migrate(&["deploy", "--resume", "--json"]);
    assert_eq!(resumed.code, 0, "{killed_at}: {}", resumed.shown());
    assert_eq!(steps(&resumed.json()), expected, "{killed_at}");
    assert_eq!(record(lab), None, "{killed_at}");
    lab.migrate(&["status", "chat", "--check"]).exits(0);
    lab.migrate(&["verify", "chat"]).exits(0);
}

#[test]
fn killed_at_any_step_it_is_continued_and_ends_as_if_nothing_had_been() {
    let commands = ["--stop-command", "echo stop >> calls", "--start-command", "echo start >> calls"];
    let version_table = "LOCK TABLE chat.seaql_migrations_chat IN ACCESS EXCLUSIVE MODE";
    let messages = "LOCK TABLE chat.messages IN ACCESS EXCLUSIVE MODE";
    let writing = "LOCK TABLE chat.messages IN SHARE MODE";
    for (step, lock, expected) in [
        (
            "prerequisites",
            version_table,
            "prerequisites done, stop done, backup done, apply done, verify done, start done",
        ),
        (
            "backup",
            messages,
            "prerequisites done, stop before, backup done, apply done, verify done, start done",
        ),
        (
            "apply",
            writing,
            "prerequisites done, stop before, backup before, apply done, verify done, start done",
        ),
        ("verify", messages, "prerequisites done, apply before, verify done"),
    ] {
        let lab = killed_at(step, &commands, lock);
        is_continued(&lab, step, expected);
        let called = if step == "verify" { "" } else { "stop start " };
        assert_eq!(calls(&lab), called, "{step}");
        // An archive and its manifest, and nothing of the one that was not finished.
        let left = backups(&lab);
        assert_eq!(left.len(), if step == "verify" { 0 } else { 2 }, "{step}: {left:?}");
    }

    // Commands that end their parent once. Whether what one was to do is done is not known: it is run again.
    for (step, option) in [("stop", "--stop-command"), ("start", "--start-command")] {
        let lab = lab();
        let command = format!("echo {step} >> calls; test -e once || {{ touch once; kill -9 $PPID; }}");
        let killed = lab.start(&["deploy", "chat", "--no-backup", option, &command]).finish();
        assert_eq!(killed.code, 137, "{}", killed.shown());
        let expected = match step {
            "stop" => "prerequisites done, stop done, apply done, verify done",
            _ => "prerequisites done, apply before, verify before, start done",
        };
        is_continued(&lab, step, expected);
        assert_eq!(calls(&lab), format!("{step} {step} "));
    }

    // While it asks the application, which ends it once.
    let lab = lab();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let killed = lab.start(&["deploy", "chat", "--no-backup", "--health-url", &url]);
    let (mut asking, _) = listener.accept().unwrap();
    let _ = asking.read(&mut [0; 1024]);
    killed.signal("KILL");
    assert_eq!(killed.finish().code, 137);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    is_continued(&lab, "health", "prerequisites done, apply before, verify before, health done");
}

/// The prerequisites saw room enough. A limit of file sizes does what a disk does that others fill meanwhile.
#[test]
fn a_disk_that_fills_while_it_backs_up_changes_nothing() {
    let lab = lab();
    let before = state(&lab);
    let program = lab.command(&[
        "deploy",
        "chat",
        "--stop-command",
        "echo stop >> calls",
        "--start-command",
        "echo start >> calls",
        "--json",
    ]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 40; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    limited.current_dir(lab.directory.path()).envs(program.get_envs().filter_map(|(n, v)| Some((n, v?))));
    let ran = run(&mut limited).exits(1);
    let document = ran.json();
    assert_eq!(steps(&document), "prerequisites done, stop done, backup failed", "{}", ran.shown());
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("pg_dump"), "{}", ran.shown());
    assert_eq!((&document["resumable"], &document["application_stopped"]), (&json!(false), &json!(false)));
    assert_eq!((calls(&lab).as_str(), state(&lab)), ("stop start ", before));
    assert_eq!((backups(&lab), record(&lab)), (Vec::new(), None));
    // With room, it is as if nothing had been.
    lab.migrate(&["deploy", "chat"]).exits(0);
}

/// Of several services each comes back from its own backup, of one moment; what another team wrote meanwhile stays.
#[test]
fn several_services_come_back_from_their_backups() {
    let lab = lab();
    lab.migrate(&["up", "rag@+1", "assessments@+1", "profochatbot", "--quiet"]).exits(0);
    for (service, rows) in &ROWS[1..3] {
        assert!(["rag", "assessments"].contains(service));
        lab.query(rows);
    }
    let rows = |service: &str| {
        let sql = format!(
            "SELECT format('SELECT json_agg(t ORDER BY t::text) FROM %I.%I AS t', nspname, relname) FROM pg_class \
             JOIN pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE nspname = '{service}' AND relkind = 'r' AND relname !~ 'migration_journal' ORDER BY relname"
        );
        lab.query(&sql).lines().map(|query| lab.query(query)).collect::<Vec<_>>()
    };
    let services = ["chat", "rag", "assessments"];
    let before = services.map(rows);
    // The application writes to another service, and does not come up.
    let start = "psql -qc \"INSERT INTO profochatbot.account (name, slug) SELECT 'Late', count(*)::text FROM profochatbot.account\" \
                 \"$APPLICATION_URL\"; exit 1";
    let mut command = lab.command(&[
        "deploy",
        "chat",
        "rag",
        "assessments",
        "--start-command",
        start,
        "--on-failure",
        "restore",
        "--json",
    ]);
    let ran = run(command.env("APPLICATION_URL", lab.database.url())).exits(1);
    let document = ran.json();
    assert_eq!(document["archives"].as_array().map(Vec::len), Some(3), "{}", ran.shown());
    assert_eq!(services.map(rows), before, "{}", ran.shown());
    assert_eq!(lab.query("SELECT count(*) FROM profochatbot.account WHERE name = 'Late'"), "2");
    lab.migrate(&["deploy", "--forget"]).exits(0);
    for service in services {
        let status = lab.migrate(&["status", service, "--check"]).code;
        assert_eq!(status, 3, "{service} has pending migrations again");
    }
}

/// On a terminal a person is asked, until the answer is one of those offered.
#[test]
#[cfg(target_os = "linux")]
fn a_person_at_the_terminal_chooses_the_way_back() {
    let offered = "What now: [k]eep, [r]evert or re[s]tore what was deployed?";
    for (answers, chosen, is_back) in
        [("x\nr\n", "revert", true), ("s\n", "restore", true), ("keep\n", "keep", false), ("", "keep", false)]
    {
        let lab = lab();
        let before = state(&lab);
        let command = format!(
            "'{}' migrate deploy chat --allow-data-loss --start-command 'test -e tried || {{ touch tried; exit 1; }}'",
            env!("CARGO_BIN_EXE_xtask")
        );
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &command, "/dev/null"]).current_dir(lab.directory.path());
        terminal.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
        terminal.env("DATABASE_URL", lab.database.url());
        let mut asked = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        asked.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = asked.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{answers:?}: {shown}");
        let n_asked = shown.matches(offered).count();
        assert_eq!(n_asked, answers.lines().count().max(1), "{answers:?}: {shown}");
        assert_eq!(state(&lab) == before, is_back, "{chosen}: {shown}");
        assert_eq!(record(&lab).is_none(), is_back, "{chosen}: {shown}");
    }
}

/// What had nothing to back up is reverted, unless it is seen that nothing of it is there.
#[test]
fn a_way_back_that_could_not_look_is_not_one_that_was_gone() {
    let lab = lab();
    let before = state(&lab);
    let elsewhere = Cluster::shared().create_database().unwrap();
    let start = "touch here; while [ ! -e go ]; do sleep 0.02; done; exit 1";
    let mut command = lab.command(&[
        "deploy",
        "chat",
        "rag",
        "--allow-data-loss",
        "--start-command",
        start,
        "--on-failure",
        "restore",
        "--json",
    ]);
    command.env("RAG_DATABASE_URL", elsewhere.url());
    let running = Running::start(command);
    until(|| lab.directory.path().join("here").exists());
    let allow = |allowed: bool| {
        lab.query(&format!("ALTER DATABASE \"{}\" ALLOW_CONNECTIONS {allowed}", elsewhere.name()));
    };
    allow(false);
    lab.directory.write("go", "");
    let document = running.finish().exits(1).json();
    assert_eq!(document["way_back"]["done"], false, "{document}");
    assert_eq!(document["resumable"], true, "{document}");
    assert_ne!(state(&lab), before, "nothing is restored before everything can be");
    allow(true);
    lab.migrate(&["deploy", "--resume"]).exits(7);
    let mut command = lab.command(&["deploy", "--resume", "--json"]);
    let document = run(command.env("RAG_DATABASE_URL", elsewhere.url())).exits(1).json();
    assert_eq!(document["way_back"]["services"], json!(["chat", "rag"]), "{document}");
    assert_eq!(state(&lab), before);
    assert_eq!(elsewhere.psql("SELECT count(*) FROM rag.seaql_migrations_rag").unwrap().trim(), "0");
}
