//! What people and machines see: lines, tables and bars for the former, JSON for the latter.

mod clock;
pub(crate) mod error;
mod fields;
mod human;
mod ndjson;
mod style;
mod table;

use std::io;
use std::sync::{Arc, OnceLock};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::Format;

pub(crate) use clock::{duration, timestamp};
pub(crate) use style::Paint;
pub(crate) use table::Table;

/// Where output goes and how it looks.
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) paint: Paint,
    pub(crate) quiet: bool,
    width: Arc<OnceLock<(usize, usize)>>,
}

impl Output {
    pub(crate) fn new(format: Format, coloured: bool, quiet: bool) -> Self {
        Self { format, paint: Paint::new(coloured), quiet, width: Arc::default() }
    }

    /// A line of data, for people.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        use std::io::Write;
        wrote(writeln!(self.stdout(), "{}", text.as_ref()));
    }

    /// A line beside the data, for people; left out with `--quiet`.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        use std::io::Write;
        if !self.quiet {
            let mut stderr = AutoStream::new(std::io::stderr(), self.paint.choice());
            drop(writeln!(stderr, "{}", text.as_ref()));
        }
    }

    /// The one document of `--json`.
    pub(crate) fn document(&self, document: &impl Serialize) -> anyhow::Result<()> {
        self.line(serde_json::to_string_pretty(document)?);
        Ok(())
    }

    pub(crate) fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// Sets the widths of the columns of what [`Self::follow`] shows: that of the longest service name and that of the
    /// longest migration name.
    pub(crate) fn align(&self, width: (usize, usize)) {
        self.width.get_or_init(|| width);
    }

    /// Begins to show what the coordinator and the kit report, until the program ends.
    pub(crate) fn follow(&self) -> anyhow::Result<()> {
        match self.format {
            Format::Human => {
                let layer = human::HumanLayer::new(self.paint, Arc::clone(&self.width), self.quiet);
                tracing_subscriber::registry().with(layer).try_init()?;
            }
            Format::Ndjson => {
                tracing_subscriber::registry().with(ndjson::NdjsonLayer::default()).try_init()?;
            }
            Format::Json => {}
        }
        Ok(())
    }

    fn stdout(&self) -> AutoStream<std::io::Stdout> {
        AutoStream::new(std::io::stdout(), self.paint.choice())
    }
}

/// Why something could not be written to stdout, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Remembers whether something was written to stdout. A closed pipe is the reader's choice.
pub(crate) fn wrote(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first one tells most.
        drop(UNWRITTEN.set(error));
    }
}

/// Why something could not be written to stdout.
pub(crate) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// What is shared between a layer and the events it gets.
type Shared<T> = Arc<std::sync::Mutex<T>>;

impl Paint {
    fn choice(self) -> ColorChoice {
        if self.is_on() { ColorChoice::AlwaysAnsi } else { ColorChoice::Never }
    }
}
