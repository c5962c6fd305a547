//! Traces: what a collector of OpenTelemetry is sent, and that a run does not depend on it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::{Span, status};
use prost::Message;

use crate::support::{Lab, ROWS, run};

/// A collector that answers each message with this status.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let kept = Arc::clone(&spans);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(message) = message(&stream.unwrap(), status) else { continue };
                let scopes = message.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                kept.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
            }
        });
        Self { address, spans }
    }
}

/// Takes one message and answers it.
fn message(stream: &TcpStream, status: &str) -> Option<ExportTraceServiceRequest> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    assert_eq!(first.trim_end(), "POST /v1/traces HTTP/1.1");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("content-type", value)) => assert_eq!(value, "application/x-protobuf"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let message = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    Some(message)
}

/// What a span says of itself.
fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = span
        .attributes
        .iter()
        .filter_map(|pair| Some((pair.key.as_str(), text(pair.value.as_ref()?.value.as_ref()?))));
    pairs.collect()
}

#[test]
fn a_collector_gets_run_service_migrations_and_batches_as_one_trace() {
    let lab = Lab::empty();
    let (service, rows) = ROWS.into_iter().find(|(service, _)| *service == "bookreader").unwrap();
    lab.migrate(&["up", &format!("{service}@+1"), "--quiet"]).exits(0);
    lab.query(rows);
    let collector = Collector::answering("200 OK");
    let mut command = lab.command(&["up", service, "--contract", "--ignore-soak", "--allow-data-loss"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address);
    command.env("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let ran = run(&mut command).exits(0);
    assert!(!ran.stderr.contains("traces"), "{}", ran.stderr);

    let spans = collector.spans.lock().unwrap();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let parent = |span: &Span| spans.iter().find(|parent| parent.span_id == span.parent_span_id).unwrap();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == "0af7651916cd43dd8448eb211c80319c"));
    let [command] = named("command")[..] else { panic!("not one command: {spans:?}") };
    assert_eq!(hex(&command.parent_span_id), "b7ad6b7169203331");
    let [run] = named("run")[..] else { panic!("not one run: {spans:?}") };
    assert_eq!(parent(run).span_id, command.span_id);
    assert_eq!(attributes(run)["outcome"], "succeeded");
    let [of_service] = named("service")[..] else { panic!("not one service: {spans:?}") };
    assert_eq!(
        (parent(of_service).name.as_str(), attributes(of_service)["service"].as_str()),
        ("run", service)
    );
    let applied = lab.query("SELECT count(*) FROM bookreader.seaql_migrations_bookreader");
    let migrations = named("migration");
    assert_eq!(migrations.len().to_string(), (applied.parse::<usize>().unwrap() - 1).to_string());
    assert!(migrations.iter().all(|span| parent(span).span_id == of_service.span_id));
    let batches = named("batch");
    assert!(!batches.is_empty());
    for batch in batches {
        assert_eq!(attributes(batch)["migration"], attributes(parent(batch))["migration"]);
    }
}

#[test]
fn what_failed_is_marked() {
    let lab = Lab::empty_demo();
    lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
    lab.query("CREATE VIEW demo.drafts AS SELECT draft FROM demo.note");
    let collector = Collector::answering("200 OK");
    let mut command = lab.command(&["up", "--contract", "--ignore-soak", "--allow-data-loss"]);
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", collector.address));
    run(&mut command).exits(1);
    let spans = collector.spans.lock().unwrap();
    let failed = spans
        .iter()
        .filter(|span| span.status.as_ref().is_some_and(|status| status.code() == status::StatusCode::Error));
    let failed: Vec<_> = failed.map(|span| span.name.as_str()).collect();
    assert_eq!(failed, ["migration", "run", "command"]);
    let last = spans.iter().rfind(|span| span.name == "migration").unwrap();
    assert_eq!(attributes(last)["migration"], "m20260103_000001_drop_drafts");
}

#[test]
fn a_run_does_not_depend_on_its_collector() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let full = Collector::answering("503 Service Unavailable");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let cases = [
        (endpoint, format!("http://u:hush@{closed}"), "traces could not be sent"),
        (endpoint, full.address.clone(), "it answers 503 Service Unavailable"),
        (endpoint, format!("http://{}", silent.local_addr().unwrap()), "traces could not be sent"),
        (
            endpoint,
            "http://a b:hush".to_owned(),
            "no traces are sent: `OTEL_EXPORTER_OTLP_ENDPOINT` is not an address",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc".to_owned(),
            "no traces are sent: `OTEL_EXPORTER_OTLP_PROTOCOL` is not",
        ),
        ("OTEL_SDK_DISABLED", "true".to_owned(), ""),
        ("OTEL_TRACES_EXPORTER", "none".to_owned(), ""),
    ];
    let lab = Lab::empty_demo();
    for (name, value, said) in cases {
        lab.migrate(&["down", "demo@base", "--allow-data-loss", "--quiet"]).exits(0);
        let mut command = lab.command(&["up"]);
        command.env(endpoint, format!("http://{closed}")).env(name, &value);
        let ran = run(&mut command).exits(0);
        assert!(
            ran.stderr.contains(said) && ran.stderr.contains("traces") != said.is_empty(),
            "{value}: {}",
            ran.stderr
        );
        assert!(!ran.shown().contains("hush"), "{}", ran.shown());
        assert!(ran.stdout.contains("m20260102_000001_index_notes"), "{}", ran.stdout);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
