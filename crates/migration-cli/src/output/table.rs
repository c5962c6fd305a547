//! Columns of text, as wide as their widest cell.

use super::Paint;

/// A cell: its text, and how it is painted.
pub(crate) type Cell = (String, Option<fn(Paint, &str) -> String>);

/// Rows of cells.
pub(crate) struct Table {
    // Invariant: each row has as many cells as the header.
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

    /// Its lines, header first, without columns in which no row has text; none if there is no row.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let is_used = |column: &usize| self.rows.iter().any(|row| !row[*column].0.is_empty());
        let columns: Vec<usize> = (0..self.header.len()).filter(is_used).collect();
        let plain: Vec<Cell> = self.header.iter().map(|text| ((*text).to_owned(), None)).collect();
        let length = |row: &[Cell], column: usize| row[column].0.chars().count();
        let width = |column: usize| {
            let lengths = self.rows.iter().map(|row| length(row, column));
            lengths.max().unwrap_or(0).max(length(&plain, column))
        };
        let widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
        let line = |row: &[Cell]| {
            let cells = columns.iter().zip(&widths).map(|(column, width)| {
                let (text, painted) = &row[*column];
                let shown = painted.map_or_else(|| text.clone(), |with| with(paint, text));
                format!("{shown}{}", " ".repeat(width - length(row, *column)))
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let header: Vec<Cell> =
            plain.iter().map(|(text, _)| (text.clone(), Some(Paint::faint as _))).collect();
        std::iter::once(line(&header)).chain(self.rows.iter().map(|row| line(row))).collect()
    }
}
