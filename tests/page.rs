//! The page of `serve`: what people see of where the services are, in a browser and without one, whatever names contain.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::served::Serving;
use crate::support::Lab;

/// What nobody may run.
const SCRIPT: &str = "<script>alert(1)</script>";

#[test]
fn people_see_where_the_services_are_and_whom_a_run_waits_for() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1", "--quiet"]).exits(0);
    let reader = lab.role("IN ROLE pg_read_all_data, pg_read_all_stats");
    let serving = Serving::of(&lab, &lab.url_of(&format!("{reader}:hush")));

    // Those who never finish asking keep nobody out.
    let open = |_| {
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..300).map(open).collect();
    let (code, head, page) = serving.ask("GET", "/");
    assert_eq!(code, 200, "{page}");
    assert!(head.contains("content-type: text/html"), "{head}");
    for mut stream in slow.into_iter().take(256) {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Some servers say why; all hang up.
        drop(stream.read_to_end(&mut Vec::new()));
    }
    for text in [
        "<!DOCTYPE html><html lang=\"en\">",
        "<meta name=\"viewport\"",
        "<noscript><meta http-equiv=\"refresh\"",
        "role=\"status\" aria-live=\"polite\"",
        "<main id=\"main\"",
        "1 migration is pending",
        "<code>m20261120_000002_check_messages</code>",
        "<code>m20250824_154502_drop_reader_settings</code><p class=\"faint\">due <time datetime=\"20",
        "<th scope=\"row\">bookreader</th>",
        "role=\"img\" aria-label=\"45 migrations of 5 services, with 0 requirements\"",
    ] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
    for text in ["hush", " style=", "<style", "onclick", "http://", "https://"] {
        assert!(!page.contains(text), "{text} is in\n{page}");
    }
    for (path, media_type) in
        [("/style.css", "text/css"), ("/live.js", "text/javascript"), ("/icon.svg", "image/svg+xml")]
    {
        let (code, head, _) = serving.ask("GET", path);
        assert!(code == 200 && head.contains(media_type), "{path}: {head}");
    }

    // What changes is sent as it does, and something in any case.
    let mut events = TcpStream::connect(&serving.address).unwrap();
    events.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(events, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut events = BufReader::new(events);
    let mut until = |text: &str| loop {
        let mut line = String::new();
        assert!(events.read_line(&mut line).unwrap() > 0, "the stream ended before `{text}`");
        if line.contains(text) {
            return line;
        }
    };
    until("event: change");
    until("id: ");
    until("event: beat");

    // A run that waits says for whom, and what others call themselves is text.
    let mut other = lab.session();
    other.query(&format!("SET application_name = '{SCRIPT}'"));
    other.query("BEGIN");
    other.query("SELECT count(*) FROM chat.messages");
    let run = lab.start(&["up", "chat"]);
    let page = serving.until("/", |_, page| page.contains("Waits for"));
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(page.contains(escaped) && !page.contains(SCRIPT), "{page}");
    assert!(page.contains("A run is under way: chat"), "{page}");
    assert!(page.contains("<p><code>m20261120_000002_check_messages</code></p>"), "{page}");
    assert!(until("Waits for").contains("alert(1)"));
    browse(&serving.address, "blocked");
    other.query("ROLLBACK");
    run.finish().exits(0);
    let page = serving.until("/", |_, page| page.contains("All 5 services are up to date"));
    assert!(page.contains("<span class=\"state healthy\">applied</span>"), "{page}");
    until("All 5 services are up to date");

    // A database that is away is not an empty one.
    lab.query(&format!("ALTER ROLE {reader} NOLOGIN"));
    let page = serving.until("/", |_, page| page.contains("Nothing is known"));
    assert!(
        page.contains("does not answer") && page.contains("not known") && !page.contains("hush"),
        "{page}"
    );
    let begun = std::time::Instant::now();
    serving.stop();
    assert!(begun.elapsed() < Duration::from_secs(10), "a page that listens keeps nobody from stopping");
}

/// The page as a browser makes it: its script runs, and nothing is refused. What is expected is there for moments at a time, as a
/// run waits in short tries, so that it may take several looks.
#[expect(clippy::print_stderr, reason = "what was not looked at is said")]
fn browse(address: &str, expected: &str) {
    const LOOKS: usize = 20;
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--timeout=60000",
        "--dump-dom",
    ]);
    browser.arg(format!("http://{address}/"));
    let mut page = String::new();
    for _ in 0..LOOKS {
        let Ok(output) = browser.output() else {
            eprintln!("there is no `chromium` here: what a browser makes of the page was not looked at");
            return;
        };
        let log = String::from_utf8_lossy(&output.stderr);
        for text in ["Content Security Policy", "Uncaught", "net::ERR"] {
            assert!(!log.contains(text), "{log}");
        }
        page = String::from_utf8_lossy(&output.stdout).into_owned();
        if page.contains(expected) && page.contains(" ago</time>") {
            return;
        }
    }
    panic!("`{expected}` is never there: {page}");
}
