//! What people and machines see: lines, tables and bars for the former, JSON for the latter.

mod answer;
#[cfg(feature = "rehearsal")]
mod ci;
mod clock;
mod error;
mod fields;
mod human;
mod log;
mod ndjson;
mod style;
mod table;
mod terminal;
mod text;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::arguments::Format;
use crate::exit::Exit;

use answer::Part;

pub(crate) use answer::{Answer, Body, Text};
#[cfg(feature = "rehearsal")]
pub(crate) use ci::{Result as SarifResult, annotation, junit, sarif};
pub(crate) use clock::duration;
pub(crate) use log::{Log, now};
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
    /// Where everything is written that is printed for people.
    log: Arc<OnceLock<Log>>,
    /// Whether only the log gets it.
    silent: bool,
}

impl Output {
    pub(crate) fn new(format: Format, terminal: Terminal, quiet: bool) -> Self {
        let paint = Paint::new(terminal.ascii);
        Self { format, paint, quiet, width: Arc::default(), terminal, log: Arc::default(), silent: false }
    }

    /// Writes everything that is printed for people into this file too, each line with its time.
    pub(crate) fn log_to(&self, log: Log) {
        self.log.get_or_init(|| log);
    }

    /// The same for the log alone, where machines get something else.
    fn overheard(&self) -> Self {
        Self { silent: !self.is_human(), ..self.clone() }
    }

    /// Prints an answer in the format that was asked for, and gives the exit that it stands for. The only place that does.
    pub(crate) fn answer(&self, answer: Answer) -> Exit {
        let exit = Exit::from(answer.class);
        if self.format == Format::Ndjson {
            // It fails where events are shown already.
            drop(self.follow(None));
            answer.errors.iter().for_each(error::event);
            error::ended(exit);
            return exit;
        }
        match answer.text {
            Some(text) if self.is_human() || matches!(answer.body, Body::Text) => self.print(&text),
            _ => match answer.document(exit.code()) {
                Ok(document) => self.raw(&format!("{}\n", text::safe_json(&format!("{document:#}")))),
                Err(error) => wrote(Err(error.into())),
            },
        }
        exit
    }

    /// Says something to people before the answer is there.
    pub(crate) fn say(&self, text: &Text) {
        self.overheard().print(text);
    }

    fn print(&self, text: &Text) {
        for part in &text.parts {
            match part {
                Part::Line(line) => self.line(line),
                Part::Table(table) => {
                    for line in table.lines(self.paint, self.terminal.width) {
                        self.line(line);
                    }
                }
                Part::Raw(text) => self.raw(text),
                Part::Note(line) => self.note(line),
                Part::Error(diagnostic) => {
                    for line in error::lines(diagnostic, self.paint) {
                        self.aside(&line);
                    }
                }
            }
        }
    }

    /// A line of data, for people.
    fn line(&self, text: impl AsRef<str>) {
        self.log(text.as_ref());
        if !self.silent {
            self.raw(&self.paint.line(text.as_ref(), self.terminal.stdout_coloured));
        }
    }

    fn log(&self, text: &str) {
        if let Some(log) = self.log.get() {
            log.write(&self.paint.line(text, false));
        }
    }

    /// A line beside the data, for people; left out with `--quiet`.
    fn note(&self, text: impl AsRef<str>) {
        if self.quiet {
            self.log(text.as_ref());
        } else {
            self.aside(text.as_ref());
        }
    }

    #[expect(clippy::unused_self, reason = "output goes through this type")]
    fn raw(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // For a program it is as it is.
        let text =
            if stdout.is_terminal() { Cow::Owned(text::safe_lines(text)) } else { Cow::Borrowed(text) };
        wrote(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    }

    pub(crate) fn is_human(&self) -> bool {
        matches!(self.format, Format::Human | Format::Github)
    }

    /// A line beside the data that is shown also with `--quiet`.
    fn aside(&self, text: &str) {
        self.log(text);
        if self.silent {
            return;
        }
        let line = self.paint.line(text, self.terminal.stderr_coloured);
        // A closed pipe is the reader's choice.
        drop(io::stderr().write_all(line.as_bytes()));
    }

    /// Says it where nobody reads what is printed any more, unless quiet is wanted: what changes something continues all the same.
    pub(crate) fn goes_on_unread(&self) {
        if self.quiet {
            return;
        }
        let line = format!(
            "{}  stdout was closed by its reader, which stops nothing: `status` and `history` show what was done",
            self.paint.warn("note")
        );
        let line = self.paint.line(&line, self.terminal.stderr_coloured);
        *WHEN_CLOSED.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }

    /// A bar on the terminal for work that is no migration; a hidden one where nobody sees it.
    pub(crate) fn bar(&self) -> ProgressBar {
        if self.quiet || !self.terminal.bars || !self.is_human() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Sets the widths of the columns of what [`Self::follow`] shows: that of the longest service name and that of the
    /// longest migration name.
    pub(crate) fn align(&self, width: (usize, usize)) {
        self.width.get_or_init(|| width);
    }

    /// Begins to show what the coordinator and the kit report, until the program ends; another may listen too.
    pub(crate) fn follow(&self, extra: Option<Extra>) -> anyhow::Result<()> {
        match self.format {
            // Where machines get a document, a log may be written.
            Format::Human | Format::Github | Format::Json => {
                let layer = human::HumanLayer::new(self.overheard());
                tracing_subscriber::registry().with(extra).with(layer).try_init()?;
            }
            Format::Ndjson => {
                tracing_subscriber::registry().with(extra).with(ndjson::NdjsonLayer::default()).try_init()?;
            }
        }
        Ok(())
    }
}

/// Who else listens to events and spans.
pub(crate) type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// Why something could not be written to stdout, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// What is said when stdout turns out to be closed, once.
static WHEN_CLOSED: Mutex<Option<String>> = Mutex::new(None);

/// Remembers whether something was written to stdout. A closed pipe is the reader's choice: it stops nothing.
pub(crate) fn wrote(result: io::Result<()>) {
    let Err(error) = result else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        // The first one tells most.
        drop(UNWRITTEN.set(error));
    } else if let Some(line) = WHEN_CLOSED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        drop(io::stderr().write_all(line.as_bytes()));
    }
}

/// Prints what clap says of arguments. It repeats them, so that where one could steer a terminal, hide or look like a line of
/// ours, the words are printed without clap's colours and with that written out.
pub(crate) fn say_usage(error: &clap::Error, given: &[String]) -> io::Result<()> {
    let is_harmless = |word: &String| text::safe(word, false) == *word;
    if given.iter().all(is_harmless) {
        return error.print();
    }
    let mut said = error.render().to_string();
    // A part of it may be named alone, as the service in `SERVICE@TARGET`.
    let parts =
        given.iter().flat_map(|word| std::iter::once(word.as_str()).chain(word.split(['@', ':', '=', ','])));
    for part in parts.filter(|part| part.contains('\n')) {
        said = said.replace(part, &text::safe(part, false));
    }
    let mut stderr = io::stderr().lock();
    said.lines().try_for_each(|line| writeln!(stderr, "{}", text::safe(line, false)))
}

/// Why something could not be written to stdout.
pub(crate) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// What is shared between a layer and the events it gets.
type Shared<T> = Arc<Mutex<T>>;
