//! What people and machines see: lines, tables and bars for the former, JSON for the latter.

mod clock;
pub(crate) mod error;
mod fields;
mod human;
mod ndjson;
mod style;
mod table;
mod terminal;
mod text;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::Format;

pub(crate) use clock::{duration, timestamp};
pub(crate) use style::Paint;
pub(crate) use table::Table;
pub(crate) use terminal::Terminal;

/// Where output goes and how it looks.
#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) paint: Paint,
    pub(crate) quiet: bool,
    width: Arc<OnceLock<(usize, usize)>>,
    terminal: Terminal,
}

impl Output {
    pub(crate) fn new(format: Format, terminal: Terminal, quiet: bool) -> Self {
        Self { format, paint: Paint::new(terminal.ascii), quiet, width: Arc::default(), terminal }
    }

    /// A line of data, for people.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        self.raw(self.paint.line(text.as_ref(), self.terminal.stdout_coloured));
    }

    /// A table of data, for people.
    pub(crate) fn table(&self, table: &Table) {
        for line in table.lines(self.paint, self.terminal.width) {
            self.line(line);
        }
    }

    /// A line beside the data, for people; left out with `--quiet`.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.aside(text.as_ref());
        }
    }

    /// The one document of `--json`.
    pub(crate) fn document(&self, document: &impl Serialize) -> anyhow::Result<()> {
        let json = text::safe_json(&serde_json::to_string_pretty(document)?);
        self.raw(format!("{json}\n"));
        Ok(())
    }

    /// Text for a program, as it is: scripts and drawings.
    #[expect(clippy::unused_self, reason = "output goes through this type")]
    pub(crate) fn raw(&self, text: impl AsRef<str>) {
        let mut stdout = io::stdout().lock();
        wrote(stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush()));
    }

    pub(crate) fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// A line beside the data that is shown also with `--quiet`.
    fn aside(&self, text: &str) {
        let line = self.paint.line(text, self.terminal.stderr_coloured);
        // A closed pipe is the reader's choice.
        drop(io::stderr().write_all(line.as_bytes()));
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
                let layer = human::HumanLayer::new(self.clone());
                tracing_subscriber::registry().with(layer).try_init()?;
            }
            Format::Ndjson => {
                tracing_subscriber::registry().with(ndjson::NdjsonLayer::default()).try_init()?;
            }
            Format::Json => {}
        }
        Ok(())
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
