//! `serve` and `wait`: where each service is, for probes, dashboards and init containers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{BOOKREADER_ROWS, Lab, Running, run};

/// A server over a lab's database.
pub(crate) struct Serving {
    running: Running,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn of(lab: &Lab, url: &str) -> Self {
        Self::with(lab, url, &[])
    }

    /// With more options.
    fn with(lab: &Lab, url: &str, options: &[&str]) -> Self {
        let mut command = lab.command(&[&["serve", "--listen", "127.0.0.1:0"], options].concat());
        command.env("DATABASE_URL", url);
        let mut running = Running::start(command);
        let line = running.says("serving http://");
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { running, address }
    }

    /// Status, headers and body of a request.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    fn json(&self, path: &str, code: u16) -> Value {
        let (found, _, body) = self.ask("GET", path);
        assert_eq!(found, code, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Stops it, as an orchestrator does.
    pub(crate) fn stop(self) {
        self.running.signal("TERM");
        self.running.finish().exits(0);
    }

    /// Asks until the answer is as expected: one is good for a second.
    #[track_caller]
    pub(crate) fn until(&self, path: &str, is_expected: impl Fn(u16, &str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let (code, _, body) = self.ask("GET", path);
            if is_expected(code, &body) {
                return body;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{path} still answers {code}: {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_open_backfill_is_measured() {
    let lab = Lab::empty();
    lab.migrate(&["up", "bookreader@m20250824_154500", "--quiet"]).exits(0);
    lab.query(BOOKREADER_ROWS);
    lab.query("ANALYZE bookreader.users");
    // The last row that the backfill comes to is being written by the application.
    let mut application = lab.session();
    application.query(
        "BEGIN; INSERT INTO bookreader.user_preferences (id, user_id, theme, language, notifications_enabled) \
         SELECT gen_random_uuid(), id, 'dark', 'en', true FROM bookreader.users ORDER BY ctid DESC LIMIT 1",
    );
    let running = lab.start(&["up", "bookreader@+1", "--lock-patience", "5m", "--quiet"]);
    let serving = Serving::of(&lab, lab.database.url());
    let labels =
        "service=\"bookreader\",migration=\"m20250824_154501_backfill_user_preferences\",table=\"users\"";
    let value = |text: &str, rows: &str| {
        let line = format!("migrate_backfill_rows{{{labels},rows=\"{rows}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
    };
    serving.until("/metrics", |_, text| {
        value(text, "done").is_some_and(|n| (1..4_000).contains(&n)) && value(text, "total") == Some(4_000)
    });
    application.query("ROLLBACK");
    running.finish().exits(0);
    serving.until("/metrics", |_, text| !text.contains("migrate_backfill_rows{"));
    serving.stop();
}

#[test]
fn drift_is_shown_where_it_is_asked_for() {
    let lab = Lab::migrated();
    lab.query("ALTER TABLE chat.messages ADD COLUMN by_hand int; DROP SCHEMA rag CASCADE");
    let silent = Serving::of(&lab, lab.database.url());
    let serving = Serving::with(&lab, lab.database.url(), &["--drift-every", "1h"]);
    let page = serving.until("/", |_, page| page.contains("Compared with what the applied migrations make"));
    for text in ["1 difference", "column messages.by_hand", "as migrated", "nothing is applied"] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
    let metrics = serving.ask("GET", "/metrics").2;
    for line in ["migrate_drift{service=\"chat\"} 1", "migrate_drift{service=\"bookreader\"} 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("migrate_drift{service=\"rag\"}"), "{metrics}");
    lab.migrate(&["up", "rag", "--quiet"]).exits(0);
    serving
        .until("/", |_, page| page.contains("The live schema of chat differs from what its migrations make"));
    // Whoever does not ask for it is told nothing of it.
    assert!(!silent.ask("GET", "/metrics").2.contains("migrate_drift"));
    assert!(!silent.ask("GET", "/").2.contains("Drift"));
    serving.stop();
}

#[test]
fn probes_and_dashboards_see_where_the_services_are() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1", "--quiet"]).exits(0);
    let reader = lab.role("IN ROLE pg_read_all_data");
    let serving = Serving::of(&lab, &lab.url_of(&format!("{reader}:hush")));

    let health = serving.json("/health/migrations", 200);
    assert_eq!(health["status"], "warning");
    assert_eq!(health["message"], "chat: Pending migrations: 1");
    assert_eq!(health["pending_migrations"][0], "chat:m20261120_000002_check_messages");
    let chat = &health["services"][0];
    assert_eq!((&chat["name"], &chat["is_up_to_date"]), (&"chat".into(), &false.into()));
    assert_eq!(chat["current_revision"], "m20261120_000001_index_message_history");
    assert_eq!(chat["latest_revision"], "m20261120_000002_check_messages");
    let readiness = serving.json("/readyz", 503);
    assert_eq!(readiness["reasons"], serde_json::json!(["`chat` is behind: 1 pending"]));
    let metrics = serving.ask("GET", "/metrics").2;
    for line in [
        "migrate_scrape_error 0",
        "migrate_pending{service=\"chat\"} 1",
        "migrate_pending{service=\"rag\"} 0",
        "migrate_held_back{service=\"bookreader\"} 1",
        "migrate_state{service=\"chat\",state=\"behind\"} 1",
        "migrate_state{service=\"chat\",state=\"current\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }

    let long = format!("/healthz?{}", "x".repeat(3000));
    for (method, path, code) in [
        ("GET", "/healthz", 200),
        ("HEAD", "/readyz", 503),
        ("POST", "/healthz", 405),
        ("GET", "/nothing", 404),
        ("GET", long.as_str(), 414),
    ] {
        let (found, head, body) = serving.ask(method, path);
        assert_eq!(found, code, "{method} {path}");
        assert!(method != "HEAD" || body.is_empty(), "{body}");
        for header in ["cache-control: no-store", "nosniff", "content-security-policy: default-src 'none'"] {
            assert!(head.contains(header), "{method} {path}: {header} is not in\n{head}");
        }
    }

    // What is held back, and what is newer than this build, keeps nobody from serving.
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    serving.until("/readyz", |code, _| code == 200);
    let add = |name: &str| {
        lab.query(&format!(
            "INSERT INTO rag.seaql_migrations_rag VALUES ('{name}', extract(epoch FROM now()))"
        ));
    };
    add("m20990101_000000_of_tomorrow");
    serving.until("/health/migrations", |code, body| {
        code == 200 && body.contains("ahead: 1 newer than this build")
    });
    assert_eq!(serving.json("/readyz", 200)["ready"], true);
    add("m20260101_000000_of_another_branch");
    let body = serving.until("/readyz", |code, _| code == 503);
    assert!(body.contains("`rag` has diverged"), "{body}");
    lab.query("DELETE FROM rag.seaql_migrations_rag WHERE version ~ '_of_'");
    serving.until("/readyz", |code, _| code == 200);

    // Without the journal nobody knows what was edited or is half done.
    let rename = |from: &str, to: &str| {
        lab.query(&format!("ALTER TABLE chat.migration_journal_chat RENAME COLUMN {from} TO {to}"));
    };
    rename("checksum", "other");
    let body = serving.until("/readyz", |code, _| code == 503);
    assert!(body.contains("`chat` is not known"), "{body}");
    rename("other", "checksum");
    serving.until("/readyz", |code, _| code == 200);

    // A database that is away is not known, and comes back by itself.
    lab.query(&format!("ALTER ROLE {reader} NOLOGIN"));
    let body = serving.until("/health/migrations", |code, _| code == 503);
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&health["status"], &health["pending_migrations"]), (&"error".into(), &Value::Null));
    assert!(!body.contains("hush") && body.contains("refuses the connection"), "{body}");
    assert!(serving.json("/readyz", 503)["reasons"][0].as_str().unwrap().contains("`chat` is not known"));
    let metrics = serving.ask("GET", "/metrics").2;
    assert!(metrics.contains("migrate_scrape_error 1") && !metrics.contains("migrate_pending{"), "{metrics}");
    assert_eq!(serving.ask("GET", "/healthz").0, 200);
    lab.query(&format!("ALTER ROLE {reader} LOGIN"));
    serving.until("/readyz", |code, _| code == 200);

    let taken = lab.migrate(&["serve", "--listen", &serving.address]).exits(2);
    assert!(taken.stderr.contains("cannot listen on 127.0.0.1:"), "{}", taken.shown());
    serving.stop();
}

/// Whoever asks, and however many: a survey is a session, and there is one per second.
#[test]
fn many_who_ask_share_one_survey() {
    let lab = Lab::migrated();
    let serving = Serving::of(&lab, lab.database.url());
    let n_sessions = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    let before: u64 = lab.query(n_sessions).parse().unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(serving.ask("GET", "/readyz").0, 200)));
        }
    });
    let seconds = begun.elapsed().as_secs();
    // Of ours, two besides.
    let made = lab.query(n_sessions).parse::<u64>().unwrap() - before;
    assert!(made <= seconds + 4, "{made} sessions in {seconds} s");
    serving.running.signal("INT");
    serving.running.finish().exits(0);
}

#[test]
fn an_init_container_waits_until_nothing_is_pending() {
    let lab = Lab::empty();
    let late = lab.migrate(&["wait", "chat", "--timeout", "0"]).exits(3);
    assert_eq!(late.stdout, "gave up: `chat` is behind: 4 pending\n");
    let document = lab.migrate(&["wait", "chat", "--timeout", "0", "--json"]).exits(3).json();
    assert_eq!((&document["command"], &document["services"][0]["state"]), (&"wait".into(), &"empty".into()));

    // The database is not there yet either.
    let name = format!("{}_later", lab.database.name());
    let url = lab.database.url().replace(lab.database.name(), &name);
    let there = |arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command.env("DATABASE_URL", &url);
        command
    };
    run(&mut there(&["wait", "--timeout", "0"])).exits(8);
    let mut waiting = Running::start(there(&["wait", "--for", "current", "chat"]));
    waiting.says("waiting: `chat` is not known");
    lab.query(&format!("CREATE DATABASE {name}"));
    waiting.says("waiting: `chat` is behind: 4 pending");
    run(&mut there(&["up", "chat", "--quiet"])).exits(0);
    let waited = waiting.finish().exits(0);
    assert_eq!(waited.stdout, "1 service current\n");
    lab.query(&format!("DROP DATABASE {name}"));

    // What has diverged does not become current by itself.
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.query("INSERT INTO chat.seaql_migrations_chat VALUES ('m20260101_000000_of_another_branch', 1)");
    let diverged = lab.migrate(&["wait", "chat"]).exits(4);
    assert!(diverged.stdout.contains("`chat` has diverged"), "{}", diverged.shown());
}
