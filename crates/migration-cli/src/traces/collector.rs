//! Spans sent to a collector of OpenTelemetry as OTLP over HTTP, where the environment names one.
//!
//! The standard's own variables decide, read from the process and not from `.env`.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;

use crate::environment::Environment;
use crate::http;
use crate::output::Extra;

/// The variables that name a collector, the one for traces alone first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long a collector may take to take a message, and what is left when the command has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way of spans to a collector.
pub(super) struct Collector {
    provider: SdkTracerProvider,
    parent: opentelemetry::Context,
    /// The variable that names the collector.
    variable: &'static str,
    unsent: Unsent,
}

/// Why something could not be sent, the first time.
type Unsent = Arc<OnceLock<String>>;

impl Collector {
    /// The way to the collector that the environment names, or why there is none although it names one.
    pub(super) fn of(environment: &Environment, invocation: &str) -> Result<Option<Self>, String> {
        let is = |name: &str, word: &str| {
            environment.of_process(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
        };
        let named = ENDPOINTS.into_iter().find(|name| environment.of_process(name).is_some());
        let Some(variable) = named else { return Ok(None) };
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            let Some(protocol) = environment.of_process(name) else { continue };
            if protocol != "http/protobuf" {
                return Err(format!(
                    "no traces are sent: `{name}` is not `http/protobuf`, the only one there is"
                ));
            }
        }
        let unsent = Unsent::default();
        let client = Client { agent: http::agent(PATIENCE), unsent: Arc::clone(&unsent) };
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        // What the builder says may hold the address, and that a password.
        let exporter = exporter.map_err(|_| format!("no traces are sent: `{variable}` is not an address"))?;
        // The standard's `OTEL_SERVICE_NAME` wins.
        let resource = match environment.of_process("OTEL_SERVICE_NAME") {
            Some(_) => Resource::builder().build(),
            None => Resource::builder().with_service_name(invocation.to_owned()).build(),
        };
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        let carrier = ["traceparent", "tracestate"].into_iter().filter_map(|name| {
            Some((name.to_owned(), environment.of_process(&name.to_uppercase())?.to_owned()))
        });
        let parent = TraceContextPropagator::new().extract(&carrier.collect::<HashMap<String, String>>());
        Ok(Some(Self { provider, parent, variable, unsent }))
    }

    /// What takes the spans.
    pub(super) fn layer(&self) -> Extra {
        let tracer = self.provider.tracer(env!("CARGO_PKG_NAME"));
        Box::new(tracing_opentelemetry::layer::<Registry>().with_tracer(tracer))
    }

    /// Makes a command's span a part of the trace that `TRACEPARENT` names, if it does.
    pub(super) fn adopt(&self, command: &Span) {
        // It fails where nobody takes spans.
        drop(command.set_parent(self.parent.clone()));
    }

    /// Sends what is left; what went wrong, if something did.
    pub(super) fn end(self) -> Option<String> {
        let ended = self.provider.shutdown_with_timeout(PATIENCE);
        let why = match (self.unsent.get(), ended) {
            (Some(why), _) => why.clone(),
            (None, Err(_)) => format!("it did not take them within {} s", PATIENCE.as_secs()),
            (None, Ok(())) => return None,
        };
        Some(format!("traces could not be sent to the collector of `{}`: {why}", self.variable))
    }
}

/// Sends a message, on the thread that collects spans.
struct Client {
    agent: ureq::Agent,
    unsent: Unsent,
}

impl Debug for Client {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.agent.run(request.map(|body| body.to_vec())).inspect_err(|error| {
            let why = match error {
                ureq::Error::Io(error) => error.to_string(),
                ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
                ureq::Error::HostNotFound => "its name is not known".to_owned(),
                ureq::Error::ConnectionFailed => "no connection".to_owned(),
                // Others may hold the address, and that a password.
                _ => "the address cannot be used".to_owned(),
            };
            self.unsent.get_or_init(|| why);
        })?;
        if !answer.status().is_success() {
            self.unsent.get_or_init(|| format!("it answers {}", answer.status()));
        }
        let (parts, mut body) = answer.into_parts();
        let body = body.read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
