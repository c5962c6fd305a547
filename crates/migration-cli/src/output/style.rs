//! Colours by meaning.
//!
//! Whether a line is coloured depends on the stream that it goes to, so text is only marked here, and the marks become
//! colours, or nothing, when it is written.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::text;

/// Marks, each for what follows until [`END`]. Text from outside never contains one: [`text::safe`] writes it out.
const GOOD: char = '\u{fdd0}';
const WARN: char = '\u{fdd1}';
const BAD: char = '\u{fdd2}';
const STRONG: char = '\u{fdd3}';
const FAINT: char = '\u{fdd4}';
const END: char = '\u{fdd5}';

/// Marks text with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    ascii: bool,
}

impl Paint {
    /// For a terminal that shows ASCII only, or everything.
    pub(super) fn new(ascii: bool) -> Self {
        Self { ascii }
    }

    /// It went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(GOOD, text)
    }

    /// It needs attention.
    pub(crate) fn warn(self, text: &str) -> String {
        self.with(WARN, text)
    }

    /// It went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(BAD, text)
    }

    /// It matters.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(STRONG, text)
    }

    /// It matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(FAINT, text)
    }

    /// Text from outside, as it may be shown.
    pub(crate) fn safe(self, text: &str) -> String {
        text::safe(text, self.ascii)
    }

    /// Where text is cut short.
    pub(super) fn ellipsis(self) -> char {
        if self.ascii { '~' } else { '…' }
    }

    fn with(self, mark: char, text: &str) -> String {
        format!("{mark}{}{END}", self.safe(text))
    }

    /// A line as a stream gets it: marks become colours or nothing, and nothing else can steer a terminal.
    pub(super) fn line(self, line: &str, coloured: bool) -> String {
        let mut shown = String::with_capacity(line.len() + 1);
        for char in line.chars() {
            match style(char) {
                Some(style) if coloured => {
                    write!(shown, "{style}").expect("writing to a string cannot fail");
                }
                Some(_) => {}
                None if char == END && coloured => shown.push_str("\u{1b}[0m"),
                None if char == END => {}
                None => text::push(&mut shown, char, self.ascii),
            }
        }
        shown.push('\n');
        shown
    }
}

fn style(mark: char) -> Option<Style> {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    Some(match mark {
        GOOD => colour(AnsiColor::Green),
        WARN => colour(AnsiColor::Yellow),
        BAD => colour(AnsiColor::Red).bold(),
        STRONG => Style::new().bold(),
        FAINT => Style::new().dimmed(),
        _ => return None,
    })
}
