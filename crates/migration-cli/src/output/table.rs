//! Columns of text, as wide as their widest cell.

use super::Paint;

/// A cell: its text, and how it is painted.
pub(crate) type Cell = (String, Option<fn(Paint, &str) -> String>);

/// Rows of cells.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of plain cells.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|text| (text, None)).collect());
    }

    /// Adds a row whose cells may be painted.
    pub(crate) fn painted(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Its lines, header first; none if there is no row.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let columns = self.header.len();
        let width = |column: usize| {
            let cells =
                self.rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let pad = |text: &str, column: usize| {
            let missing = widths[column].saturating_sub(text.chars().count());
            if column + 1 == columns { String::new() } else { " ".repeat(missing + 2) }
        };
        let header: String = self
            .header
            .iter()
            .enumerate()
            .map(|(column, text)| format!("{}{}", paint.faint(text), pad(text, column)))
            .collect();
        let rows = self.rows.iter().map(|row| {
            let line: String = row
                .iter()
                .enumerate()
                .map(|(column, (text, painted))| {
                    format!(
                        "{}{}",
                        painted.map_or_else(|| text.clone(), |with| with(paint, text)),
                        pad(text, column)
                    )
                })
                .collect();
            line.trim_end().to_owned()
        });
        std::iter::once(header.trim_end().to_owned()).chain(rows).collect()
    }
}
