//! The command as a span around those of its run, and where spans are sent.
//!
//! Sending them never stops or fails a command; that they could not be sent is said.

#[cfg(feature = "otlp")]
mod collector;

use tracing::Span;
use tracing::field::Empty;

use crate::context::Context;
use crate::output::Extra;
#[cfg(feature = "otlp")]
use crate::output::Text;

/// The spans of a command, on their way to where the environment wants them.
pub(crate) struct Traces {
    #[cfg(feature = "otlp")]
    collector: Option<collector::Collector>,
}

impl Traces {
    /// Where the environment wants them, if anywhere.
    #[cfg(feature = "otlp")]
    pub(crate) fn of(context: &Context) -> Self {
        let found = collector::Collector::of(&context.environment, context.program.invocation);
        let collector = found.unwrap_or_else(|why| {
            warn(context, &why);
            None
        });
        Self { collector }
    }

    /// Nowhere.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn of(_: &Context) -> Self {
        Self {}
    }

    /// What takes them.
    pub(crate) fn layer(&self) -> Option<Extra> {
        #[cfg(feature = "otlp")]
        return self.collector.as_ref().map(collector::Collector::layer);
        #[cfg(not(feature = "otlp"))]
        None
    }

    /// The span of the command.
    pub(crate) fn command(&self) -> Span {
        let span = tracing::info_span!(target: "migration", "command", otel.status_code = Empty);
        #[cfg(feature = "otlp")]
        if let Some(collector) = &self.collector {
            collector.adopt(&span);
        }
        span
    }

    /// Sends what is left.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(unused_variables, clippy::unused_self, reason = "nothing is sent")
    )]
    pub(crate) fn end(self, context: &Context) {
        #[cfg(feature = "otlp")]
        if let Some(why) = self.collector.and_then(collector::Collector::end) {
            warn(context, &why);
        }
    }
}

/// Says why there are no traces.
#[cfg(feature = "otlp")]
fn warn(context: &Context, why: &str) {
    let mut text = Text::default();
    text.note(format!("{} {why}", context.output.paint.warn("warning")));
    context.output.say(&text);
}
