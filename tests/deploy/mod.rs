//! `deploy`: each step in its order, and whatever fails, somebody knows where it stood and how to go on. It is long because each way in
//! which a deployment ends is tried.

mod back;
mod beside;
mod interrupted;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Hanging, Lab, ROWS, Ran, run};

/// An application that is healthy from the given question on, and counts the questions.
struct Application {
    url: String,
    n_asked: Arc<AtomicUsize>,
}

impl Application {
    fn healthy_from(question: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let n_asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&n_asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let (status, body) = match count.fetch_add(1, Ordering::SeqCst) + 1 {
                    n if n >= question => ("200 OK", r#"{"status":"healthy"}"#),
                    _ => ("503 Service Unavailable", "starting"),
                };
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all((head + body).as_bytes());
            }
        });
        Self { url, n_asked }
    }

    fn n_asked(&self) -> usize {
        self.n_asked.load(Ordering::SeqCst)
    }
}

/// `chat` with rows and without its later migrations.
fn lab() -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab
}

/// Commands that write down that they ran.
const COMMANDS: [&str; 4] =
    ["--stop-command", "echo stop >> calls", "--start-command", "echo start >> calls"];

fn calls(lab: &Lab) -> String {
    fs::read_to_string(lab.directory.path().join("calls")).unwrap_or_default().replace('\n', " ")
}

fn deploy(lab: &Lab, more: &[&str]) -> Ran {
    lab.migrate(&[&["deploy", "chat"], &COMMANDS[..], more].concat())
}

/// Waits for something that is about to happen.
fn until(happens: impl Fn() -> bool) {
    while !happens() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// What the steps became.
fn steps(document: &Value) -> String {
    let steps = document["steps"].as_array().unwrap().iter();
    let steps =
        steps.map(|step| format!("{} {}", step["step"].as_str().unwrap(), step["outcome"].as_str().unwrap()));
    steps.collect::<Vec<_>>().join(", ")
}

/// The bytes that tell whether anything of the service is other than before.
fn state(lab: &Lab) -> String {
    lab.query(
        "SELECT (SELECT json_agg(version ORDER BY version) FROM chat.seaql_migrations_chat), \
                (SELECT json_agg(m ORDER BY to_json(m)::text) FROM chat.messages m), \
                (SELECT count(*) FROM pg_indexes WHERE schemaname = 'chat' AND tablename = 'messages')",
    )
}

#[test]
fn every_step_is_done_in_its_order_and_is_in_the_log() {
    let lab = lab();
    let application = Application::healthy_from(2);
    let dry = deploy(&lab, &["--dry-run", "--health-url", &application.url]).exits(0);
    assert!(dry.stdout.contains("stop           would run `echo stop >> calls`"), "{}", dry.shown());
    assert!(dry.stdout.contains("apply          would apply chat:m20251017"), "{}", dry.shown());
    let left = fs::read_dir(lab.directory.path()).unwrap().count();
    assert_eq!((left, application.n_asked()), (0, 0), "a dry run leaves nothing behind");

    let health = ["--health-url", &application.url, "--health-body", "healthy", "--json"];
    let document = deploy(&lab, &health).exits(0).json();
    assert_eq!(
        steps(&document),
        "prerequisites done, stop done, backup done, apply done, verify done, start done, health done"
    );
    assert_eq!((calls(&lab).as_str(), application.n_asked()), ("stop start ", 2));
    assert_eq!(document["migrations"][0], "chat:m20251017_000001_add_message_source");
    let archive = document["archives"][0].as_str().unwrap();
    assert!(lab.directory.path().join(archive).exists(), "{document}");
    let log = fs::read_to_string(document["log"].as_str().unwrap()).unwrap();
    for line in
        ["stop", "backup", "m20251017_000001_add_message_source", "checks hold", "is healthy, asked 2 times"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!lab.directory.path().join("deployments/deployment.json").exists());

    // Nothing is pending: the application is not touched, and is looked at all the same.
    let again = deploy(&lab, &health).exits(0).json();
    assert_eq!(steps(&again), "prerequisites done, apply done, verify done, health done");
    assert_eq!(calls(&lab), "stop start ");
    let none = lab.migrate(&["deploy", "--resume"]).exits(2);
    assert!(none.stderr.contains("there is no deployment that is not over"), "{}", none.shown());
    lab.migrate(&["deploy", "--health-url", "http://me:secret@localhost/"]).exits(2);
}

#[test]
fn an_application_that_does_not_come_up_goes_the_way_back_that_was_asked_for() {
    let lab = lab();
    let before = state(&lab);
    let never = Application::healthy_from(usize::MAX);
    let failing = ["--health-url", &never.url, "--health-timeout", "0", "--allow-data-loss", "--json"];

    // Restored, and not healthy either: what was asked for is not all there, so that the record stays.
    let document = deploy(&lab, &[&failing[..], &["--on-failure", "restore"]].concat()).exits(1).json();
    assert_eq!(
        document["way_back"],
        json!({"chosen": "restore", "done": false, "services": ["chat"], "lost": []}),
        "{document}"
    );
    assert_eq!(state(&lab), before);
    assert_eq!(calls(&lab), "stop start stop start ");
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("answers 503"), "{document}");
    let refused = deploy(&lab, &[]).exits(7);
    assert!(refused.stderr.contains("is not over: it stopped at `health`"), "{}", refused.shown());
    assert_eq!(deploy(&lab, &["--dry-run"]).code, 7);
    lab.migrate(&["deploy", "--forget"]).exits(0);

    // What was taken back is not taken for done by who continues it; what was never started is started.
    let twice = [
        "deploy",
        "chat",
        "--no-backup",
        "--allow-data-loss",
        "--on-failure",
        "revert",
        "--stop-command",
        "true",
    ];
    let start = ["--start-command", "test -e ok && echo started >> calls", "--json"];
    lab.migrate(&[&twice[..], &start].concat()).exits(1);
    assert_eq!(state(&lab), before);
    fs::remove_file(lab.directory.path().join("calls")).unwrap();
    lab.directory.write("ok", "");
    let document = lab.migrate(&["deploy", "--resume", "--json"]).exits(0).json();
    assert_eq!(steps(&document), "prerequisites done, stop before, apply done, verify done, start done");
    assert_eq!((calls(&lab).as_str(), lab.migrate(&["status", "chat", "--check"]).code), ("started ", 0));
    lab.migrate(&["down", "chat@m20251016", "--allow-data-loss"]).exits(0);
    fs::remove_file(lab.directory.path().join("ok")).unwrap();
    lab.migrate(&[&["deploy", "chat", "--no-backup"], &start[..]].concat()).exits(1);
    lab.directory.write("ok", "");
    let document = lab.migrate(&["deploy", "--resume", "--json"]).exits(0).json();
    assert_eq!(steps(&document), "prerequisites done, apply before, verify before, start done");
    lab.migrate(&["down", "chat@m20251016", "--allow-data-loss"]).exits(0);

    // The old application is healthy again: all is over.
    let back = Application::healthy_from(2);
    let reverting = ["--health-url", &back.url, "--health-timeout", "0", "--allow-data-loss", "--no-backup"];
    let document =
        deploy(&lab, &[&reverting[..], &["--on-failure", "revert", "--json"]].concat()).exits(1).json();
    assert_eq!(
        document["way_back"],
        json!({"chosen": "revert", "done": true, "services": ["chat"], "lost": []}),
        "{document}"
    );
    assert_eq!((&document["resumable"], state(&lab)), (&json!(false), before));
    assert!(!lab.directory.path().join("deployments/deployment.json").exists());
}

/// The last line says what is as it was before, whether the application is or not.
#[test]
fn the_end_says_what_was_restored_or_reverted() {
    let never = Application::healthy_from(usize::MAX);
    for (way, did) in [("restore", "restored"), ("revert", "reverted")] {
        let lab = lab();
        let before = state(&lab);
        let deploy = ["deploy", "chat", "--allow-data-loss", "--on-failure", way];
        let start = ["--start-command", "test -e again || { touch again; exit 1; }"];
        let back = lab.migrate(&[&deploy[..], &start].concat()).exits(1);
        let says =
            format!("not deployed: `start` failed, and everything is as it was before: `chat` was {did} · ");
        assert!(back.stdout.lines().last().unwrap().starts_with(&says), "{}", back.shown());
        assert_eq!(state(&lab), before);
        let health = ["--health-url", &never.url, "--health-timeout", "0"];
        let half = lab.migrate(&[&deploy[..], &health].concat()).exits(1);
        let says = format!(
            "not deployed: it stopped at `health`; `chat` was {did}, so that the databases are as they were before, and the \
             application may not be · "
        );
        assert!(half.stdout.lines().last().unwrap().starts_with(&says), "{}", half.shown());
        assert_eq!(state(&lab), before);
    }
}

#[test]
fn what_stopped_midway_is_continued_and_nothing_is_done_twice() {
    let lab = lab();
    lab.query(
        "CREATE FUNCTION public.deny() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not today''; END'; \
         CREATE EVENT TRIGGER deny ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.deny()",
    );
    assert_snapshot!(deploy(&lab, &[]).exits(6).shown(), @r#"
    exit 6
    --- stdout
    prerequisites
    [database]@[socket]:5432
      ! event trigger `deny` calls `public.deny` at ddl_command_start
          a run is refused where it writes to what no service owns, unless MIGRATE_ALLOWED_OBJECTS names that
      10 as needed, 1 to know of, 0 that would stop a run, 0 not known
    stop
    backup
    chat  backups/chat-[moment].dump  4004 rows, [size], restored on trial
    apply
    chat  m20251017_000001_add_message_source     failed [time]
    not deployed: it stopped at `apply` · [time]
    --- stderr
    error: migration `chat:m20251017_000001_add_message_source` stopped midway while applying
      because not today (P0001)
           in CREATE INDEX CONCURRENTLY "idx_messages_source" ON "chat"."messages" USING btree (source)
           at PL/pgSQL function public.deny() line 1 at RAISE
      hint what was done is kept and can be done again: fix the cause and run `up chat` again, which resumes
    note  the application is stopped
    note  `deploy --resume` continues it; `deploy --forget` leaves everything as it is
    note  the log is `deployments/[moment].log`
    "#);
    assert_eq!(calls(&lab), "stop ");
    lab.query("DROP EVENT TRIGGER deny");
    let document = lab.migrate(&["deploy", "--resume", "--json"]).exits(0).json();
    assert_eq!(
        steps(&document),
        "prerequisites done, stop before, backup before, apply done, verify done, start done"
    );
    assert_eq!(calls(&lab), "stop start ");
    assert_eq!(lab.migrate(&["status", "chat", "--check"]).code, 0);
}

#[test]
fn a_command_that_fails_and_a_time_that_is_over_and_a_signal_leave_a_known_place() {
    let lab = lab();
    let before = state(&lab);
    // Before anything is changed: the application is started again, and it is over.
    let failing =
        ["deploy", "chat", "--stop-command", "echo no; exit 3", "--start-command", "echo start >> calls"];
    let ran = lab.migrate(&failing).exits(1);
    assert!(ran.stderr.contains("`echo no; exit 3` ended with exit status: 3"), "{}", ran.shown());
    assert_eq!((calls(&lab), state(&lab)), (String::new(), before.clone()));

    // What a command leaves in the background is not waited for; one that hangs ends at the first signal.
    let leaving =
        ["deploy", "chat@+1", "--no-backup", "--start-command", "sleep 600 & echo $! > left", "--json"];
    let document = lab.migrate(&leaving).exits(0).json();
    assert_eq!(steps(&document), "prerequisites done, apply done, verify done, start done");
    let pid = |name: &str| fs::read_to_string(lab.directory.path().join(name)).unwrap_or_default();
    let is_running = |pid: &str| fs::read_link(Path::new("/proc").join(pid.trim()).join("exe")).is_ok();
    assert!(is_running(&pid("left")));
    run(Command::new("kill").arg(pid("left").trim()));
    let mut hanging = lab.start(&[
        "deploy",
        "chat",
        "--no-backup",
        "--stop-command",
        "sleep 600 & echo $! > sleeper; wait",
    ]);
    until(|| !pid("sleeper").trim().is_empty());
    hanging.signal("TERM");
    hanging.says("`deploy --resume` continues it");
    assert_eq!(hanging.finish().code, 143);
    until(|| !is_running(&pid("sleeper")));
    lab.migrate(&["deploy", "--forget"]).exits(0);

    // A lock that nobody gives back, and a limit.
    let mut holder = lab.session();
    holder.query("BEGIN");
    holder.query("LOCK TABLE chat.messages IN SHARE MODE");
    let limited = ["--time-limit", "500ms", "--no-backup", "--json"];
    let document = deploy(&lab, &limited).exits(1).json();
    assert!(document["errors"][0].to_string().contains("the time limit of"), "{document}");
    assert_eq!((&document["resumable"], &document["application_stopped"]), (&json!(true), &json!(true)));
    holder.query("ROLLBACK");
    lab.migrate(&["deploy", "--forget"]).exits(0);

    let mut hanging = Hanging::in_a_transaction_of(&lab, |lab, _| lab.start(&["deploy", "bookreader"]));
    let beside = deploy(&lab, &[]).exits(5);
    assert!(beside.stderr.contains("another deployment is running"), "{}", beside.shown());
    hanging.run.signal("TERM");
    hanging.release();
    let ran = hanging.run.finish().exits(143);
    assert!(ran.stderr.contains("`deploy --resume` continues it"), "{}", ran.shown());
    lab.migrate(&["deploy", "--resume"]).exits(0);
}

/// Each asks until there is no time left, and says what it met.
#[test]
fn an_application_that_answers_badly_is_not_healthy() {
    let garbage: &[u8] = b"\0\x01\x1b[31m\r\n\r\n";
    let answers: [(&str, &[u8], bool); 6] = [
        ("nothing", b"", false),
        ("a head that does not end", b"HTTP/1.1 200 OK\r\nX: ", true),
        ("a body that does not end", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", true),
        ("garbage", garbage, false),
        (
            "itself again",
            b"HTTP/1.1 302 Found\r\nLocation: /health\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            false,
        ),
        ("too much", &[b'x'; 200_000], false),
    ];
    let lab = lab();
    for (number, (what, answer, drips)) in answers.into_iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1024]);
                    let mut sent = stream.write_all(answer);
                    while sent.is_ok() && drips {
                        thread::sleep(Duration::from_millis(50));
                        sent = stream.write_all(b"x");
                    }
                });
            }
        });
        let health = ["--health-url", &url, "--health-body", "healthy", "--health-timeout", "1s"];
        let ran =
            lab.migrate(&[&["deploy", "chat", "--no-backup", "--on-failure", "keep"], &health[..]].concat());
        assert!(
            ran.code == 1 && ran.stderr.contains("the application is not healthy after"),
            "{what}\n{}",
            ran.shown()
        );
        assert!(!ran.shown().contains('\u{1b}'), "{what}\n{}", ran.shown());
        // From the second on nothing is pending, so that there is nothing to go back from or to continue.
        let is_left = number == 0;
        assert_eq!(ran.stdout.contains("everything is as it was before"), !is_left, "{}", ran.shown());
        lab.migrate(&["deploy", "--forget"]).exits(if is_left { 0 } else { 2 });
    }
}

/// What a crash, an editor or another program left in place of the record, and the record of a deployment of something else.
#[test]
fn a_record_that_is_not_one_of_this_deployment_is_never_followed() {
    let lab = lab();
    let failing = ["deploy", "chat", "--no-backup", "--start-command", "exit 1", "--on-failure", "keep"];
    lab.migrate(&failing).exits(1);
    let before = state(&lab);
    let record = lab.directory.path().join("deployments/deployment.json");
    let whole = fs::read_to_string(&record).unwrap();
    let cut = &whole[..whole.len() / 2];
    let foreign = whole.replace("migrate-deployment/v1", "migrate-deployment/v9");
    let richer = whole.replacen('{', "{ \"another\": 1,", 1);
    let deep = "[".repeat(100_000);
    for text in ["", "null", "[]", "{}", "\u{0}\u{1b}[31m", &deep, cut, &foreign, &richer] {
        fs::write(&record, text).unwrap();
        for arguments in [&["--resume"][..], &["--forget"], &["chat"], &["chat", "--dry-run"]] {
            let ran = lab.migrate(&[&["deploy"], arguments].concat()).exits(2);
            assert!(ran.stderr.contains("deployment.json` is"), "{}", ran.shown());
            assert!(!ran.shown().contains('\u{1b}'), "{}", ran.shown());
        }
        assert_eq!(fs::read_to_string(&record).unwrap(), text);
    }
    fs::write(&record, &whole).unwrap();
    let elsewhere = Lab::empty();
    let ran =
        run(lab.command(&["deploy", "--resume"]).env("DATABASE_URL", elsewhere.database.url())).exits(7);
    assert!(ran.stderr.contains("is for "), "{}", ran.shown());
    assert_eq!(state(&lab), before);
    assert_eq!(elsewhere.query("SELECT to_regnamespace('chat') IS NULL"), "t");
}

/// What a dry run would not come to is not listed, and where to look again is where it is shown.
#[test]
fn a_dry_run_that_would_stop_lists_nothing_after_that() {
    let lab = lab();
    let unreachable = |command: &[&str]| {
        run(lab
            .command(&[&["deploy", "chat", "--dry-run", "--stop-command", "x"], command].concat())
            .env("DATABASE_URL", "postgres://postgres@127.0.0.1:1/shop"))
        .exits(8)
    };
    let shown = unreachable(&[]);
    assert_eq!(shown.stdout, "nothing was changed: a dry run, which would stop at `prerequisites`\n");
    assert_eq!(steps(&unreachable(&["--json"]).json()), "prerequisites failed");
    // A file system that is full by its nature.
    let full = run(lab.command(&["deploy", "chat", "--dry-run"]).env("MIGRATE_BACKUP_DIR", "/proc")).exits(4);
    assert!(full.stdout.contains("0 bytes are free for the backup in `/proc`"), "{}", full.shown());
    assert!(
        full.stderr.contains("hint nothing was changed") && !full.stderr.contains("doctor"),
        "{}",
        full.shown()
    );
    assert!(!full.stdout.contains("would apply"), "{}", full.shown());
}
