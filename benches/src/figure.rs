//! Figures side by side: ours, theirs, the limit, and whether it is met; as tables of Markdown.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::chart::{Bar, chart};
use super::{Name, median};

/// Most memory that the program may take.
const MEMORY_BYTES: u64 = 20_000_000;

/// The figures of one benchmark.
pub(super) struct Figures {
    name: Name,
    rows: Vec<[String; 5]>,
    bars: Vec<Bar>,
}

/// All figures so far.
pub(super) struct Report {
    text: String,
    place: String,
    bars: Vec<Bar>,
}

impl Figures {
    /// No figures yet.
    pub(super) fn new(name: Name) -> Self {
        Self { name, rows: Vec::new(), bars: Vec::new() }
    }

    /// Durations of the same work done by turns; the limit is for the ratio of their medians.
    pub(super) fn durations(&mut self, what: &str, ours: &[Duration], theirs: &[Duration], limit: f64) {
        let ratio = ratio(ours, theirs);
        let texts = format!("{ratio:.2} × (at most {limit:.1} ×)");
        self.row(what, spread(ours), spread(theirs), texts, ratio <= limit);
        self.bars.push(Bar { what: what.to_owned(), ratio, limit: Some(limit) });
    }

    /// Durations of the same work, of which nothing is promised: another tool's, or a command's that does more.
    pub(super) fn compared(&mut self, what: &str, ours: &[Duration], theirs: &[Duration]) {
        let ratio = ratio(ours, theirs);
        self.remark(what, format!("{}, {ratio:.2} ×", spread(ours)), spread(theirs));
        self.bars.push(Bar { what: what.to_owned(), ratio, limit: None });
    }

    /// A duration of ours alone, with its limit.
    pub(super) fn alone(&mut self, what: &str, ours: Vec<Duration>, limit: Duration) {
        let text = spread(&ours);
        let is_met = median(ours) <= limit;
        self.row(what, text, String::new(), format!("at most {}", milliseconds(limit)), is_met);
    }

    /// The most memory that the program took, whatever it did.
    pub(super) fn memory(&mut self, what: &str, ours: Option<u64>) {
        let text = ours.map_or_else(|| "not known here".to_owned(), megabytes);
        let is_met = ours.is_some_and(|ours| ours <= MEMORY_BYTES);
        self.row(what, text, String::new(), format!("at most {}", megabytes(MEMORY_BYTES)), is_met);
    }

    /// A row as it is.
    pub(super) fn row(&mut self, what: &str, ours: String, theirs: String, limit: String, is_met: bool) {
        let met = if is_met { "yes" } else { "**no**" }.to_owned();
        self.rows.push([what.to_owned(), ours, theirs, limit, met]);
    }

    /// A row that nothing is promised of.
    pub(super) fn remark(&mut self, what: &str, ours: String, theirs: String) {
        self.rows.push([what.to_owned(), ours, theirs, String::new(), String::new()]);
    }

    /// The table.
    fn table(&self) -> String {
        let (ours, theirs) = self.name.sides();
        let mut table = format!(
            "\n## `{}`\n\n| | {ours} | {theirs} | limit | met |\n|---|---|---|---|---|\n",
            self.name.as_str()
        );
        for row in &self.rows {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| {} |", row.join(" | "));
        }
        table
    }
}

impl Report {
    /// A report that says where its figures are taken, which is printed.
    pub(super) fn begun(place: String) -> io::Result<Self> {
        writeln!(io::stdout().lock(), "{place}")?;
        Ok(Self { text: format!("# Report\n\n{place}\n"), place, bars: Vec::new() })
    }

    /// Adds the figures of one benchmark and prints them.
    pub(super) fn add(&mut self, figures: Figures) -> io::Result<()> {
        let table = figures.table();
        self.text.push_str(&table);
        self.bars.extend(figures.bars);
        let mut out = io::stdout().lock();
        out.write_all(table.as_bytes())?;
        out.flush()
    }

    /// Writes tables and chart into a directory.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        fs::write(directory.join("report.md"), &self.text)?;
        fs::write(directory.join("ratios.svg"), chart(&self.place, &self.bars))
    }
}

/// How many times as long ours took, by the medians.
fn ratio(ours: &[Duration], theirs: &[Duration]) -> f64 {
    median(ours.to_vec()).as_secs_f64() / median(theirs.to_vec()).as_secs_f64()
}

/// Tells a waiting person what is going on.
pub(super) fn tell(what: &str) {
    // Whoever closed standard error does not want to know.
    drop(writeln!(io::stderr().lock(), "bench: {what}"));
}

/// A size as people say it.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A duration as people say it.
pub(super) fn milliseconds(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// The median of several durations and how far they lie apart.
fn spread(samples: &[Duration]) -> String {
    let (least, most) = (samples.iter().min().copied(), samples.iter().max().copied());
    let range = |duration: Option<Duration>| milliseconds(duration.unwrap_or_default());
    format!("{} ({} – {})", milliseconds(median(samples.to_vec())), range(least), range(most))
}
