//! Columns of text, as wide as their widest cell, or as the terminal allows.

use unicode_width::UnicodeWidthStr;

use super::Paint;

/// Spaces between two columns.
const GAP: usize = 2;

/// Narrowest that a column is made, in characters, to fit the others beside it.
const NARROWEST: usize = 12;

/// How a text is painted.
type Painting = fn(Paint, &str) -> String;

/// A cell: its text, and how it is painted.
pub(crate) type Cell = (String, Option<Painting>);

/// Rows of cells.
pub(crate) struct Table {
    // Invariant: each row has as many cells as the header.
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    right: &'static [&'static str],
    spared: &'static [&'static str],
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new(), right: &[], spared: &[] }
    }

    /// The columns of numbers, which are set to the right.
    pub(crate) fn right(mut self, columns: &'static [&'static str]) -> Self {
        self.right = columns;
        self
    }

    /// The columns that a narrow terminal goes without, the least needed first.
    pub(crate) fn spared(mut self, columns: &'static [&'static str]) -> Self {
        self.spared = columns;
        self
    }

    /// Adds a row of plain cells.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|text| (text, None)).collect());
    }

    /// Adds a row whose cells may be painted.
    pub(crate) fn painted(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Its lines, header first, without columns in which no row has text; none if there is no row.
    pub(super) fn lines(&self, paint: Paint, width: Option<usize>) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|(text, _)| paint.safe(text)).collect()).collect();
        let columns = self.fitted(&rows, width);
        let line = |texts: &[String], painted: &dyn Fn(usize) -> Option<Painting>| {
            let cells = columns.iter().map(|Column { index, width }| {
                let text = shorten(&texts[*index], *width, paint);
                let space = " ".repeat(width - text.width());
                let painted = painted(*index).filter(|_| !text.is_empty());
                let shown = painted.map_or_else(|| text.clone(), |with| with(paint, &text));
                if self.right.contains(&self.header[*index]) {
                    format!("{space}{shown}")
                } else {
                    format!("{shown}{space}")
                }
            });
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let header: Vec<String> = self.header.iter().map(|text| (*text).to_owned()).collect();
        let lines = rows.iter().zip(&self.rows).map(|(texts, row)| line(texts, &|index| row[index].1));
        std::iter::once(line(&header, &|_| Some(Paint::faint as _))).chain(lines).collect()
    }

    /// The columns that are shown. A narrow terminal first goes without those that can be spared, then the widest are
    /// made narrower.
    fn fitted(&self, rows: &[Vec<String>], width: Option<usize>) -> Vec<Column> {
        let is_used = |index: &usize| rows.iter().any(|row| !row[*index].is_empty());
        let widest = |index: usize| {
            let widths = rows.iter().map(|row| row[index].width());
            widths.max().unwrap_or(0).max(self.header[index].width())
        };
        let used = (0..self.header.len()).filter(is_used);
        let mut columns: Vec<Column> = used.map(|index| Column { index, width: widest(index) }).collect();
        let Some(width) = width else { return columns };
        for spared in self.spared {
            if total(&columns) > width {
                columns.retain(|column| self.header[column.index] != *spared);
            }
        }
        while total(&columns) > width {
            let excess = total(&columns) - width;
            let second = second_widest(&columns);
            let Some(column) = columns.iter_mut().max_by_key(|column| column.width) else { break };
            if column.width <= NARROWEST {
                break;
            }
            // Down to the next widest at most, so that none is cut more than the others.
            let least = second.min(column.width - 1).max(NARROWEST);
            column.width = column.width.saturating_sub(excess).max(least);
        }
        columns
    }
}

/// A column that is shown.
struct Column {
    index: usize,
    width: usize,
}

fn total(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width + GAP).sum::<usize>().saturating_sub(GAP)
}

fn second_widest(columns: &[Column]) -> usize {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
    widths.sort_unstable();
    widths.iter().rev().nth(1).copied().unwrap_or(0)
}

/// A text cut in its middle: names differ at both ends.
fn shorten(text: &str, width: usize, paint: Paint) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut kept = chars.len();
    loop {
        kept = kept.saturating_sub(1);
        let head = kept.div_ceil(2);
        let cut: String = chars[..head]
            .iter()
            .chain(&[paint.ellipsis()])
            .chain(&chars[chars.len() - (kept - head)..])
            .collect();
        if kept == 0 || cut.width() <= width {
            return cut;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["SERVICE", "N", "NAME", "NOTE"]).right(&["N"]).spared(&["NOTE"]);
        table.row(["shop", "7", "m20251017_000001_create_users_and_messages", "none"].map(str::to_owned));
        table.row(["größe 日本", "12", "a\u{1b}[2Jb", "a note"].map(str::to_owned));
        table
    }

    fn shown(ascii: bool, width: Option<usize>) -> String {
        let paint = Paint::new(ascii);
        table().lines(paint, width).iter().map(|line| paint.line(line, false)).collect()
    }

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells() {
        insta::assert_snapshot!(shown(false, None), @r"
        SERVICE      N  NAME                                        NOTE
        shop         7  m20251017_000001_create_users_and_messages  none
        größe 日本  12  a\u{1b}[2Jb                                 a note
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_what_fits() {
        for width in [42, 58, 60, 80] {
            for line in shown(false, Some(width)).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        insta::assert_snapshot!(shown(true, Some(46)), @r"
        SERVICE                N  NAME
        shop                   7  m20251017_~_messages
        gr\u{f6}\u~}\u{672c}  12  a\u{1b}[2Jb
        ");
    }
}
