//! Figures side by side: ours, theirs, the limit, and whether it is met; printed as a table of Markdown.

use std::io::{self, Write as _};
use std::time::Duration;

use super::{Name, median};

/// The figures of one benchmark.
pub(super) struct Figures {
    name: Name,
    rows: Vec<[String; 5]>,
}

impl Figures {
    /// No figures yet.
    pub(super) fn new(name: Name) -> Self {
        Self { name, rows: Vec::new() }
    }

    /// Durations of the same work done by turns; the limit is for the ratio of their medians.
    pub(super) fn durations(&mut self, what: &str, ours: Vec<Duration>, theirs: Vec<Duration>, limit: f64) {
        let texts = [spread(&ours), spread(&theirs)];
        let ratio = median(ours).as_secs_f64() / median(theirs).as_secs_f64();
        let [ours, theirs] = texts;
        self.row(what, ours, theirs, format!("{ratio:.2} × (at most {limit:.1} ×)"), ratio <= limit);
    }

    /// A figure of ours alone, in bytes, with its limit.
    pub(super) fn bytes(&mut self, what: &str, ours: Option<u64>, limit: u64) {
        let text = ours.map_or_else(|| "not known here".to_owned(), megabytes);
        let is_met = ours.is_some_and(|ours| ours <= limit);
        self.row(what, text, String::new(), format!("at most {}", megabytes(limit)), is_met);
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

    /// Prints the table to standard output.
    pub(super) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n## `{}`\n", self.name.as_str())?;
        writeln!(out, "| | ours | psql | limit | met |\n|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        out.flush()
    }
}

/// Says where the figures were taken.
pub(super) fn head(place: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{place}")
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
