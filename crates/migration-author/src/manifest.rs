//! Manifests: where a dependency is put in. The parser says where entries are, and everything else stays as it is.

use toml_edit::{Document, Item, TableLike};

/// A dependency that is to be added.
pub(crate) struct Dependency<'d> {
    /// The name of the package.
    pub(crate) name: &'d str,
    /// What is behind its `=`.
    pub(crate) value: String,
}

/// Behind which entry a dependency is put.
pub(crate) enum Place<'p> {
    /// The last one whose path begins with this.
    BehindPath(&'p str),
    /// In the order of the names.
    Sorted,
}

/// A manifest, parsed.
pub(crate) struct Manifest<'t> {
    text: &'t str,
    document: Document<&'t str>,
}

impl<'t> Manifest<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, String> {
        Document::parse(text)
            .map(|document| Self { text, document })
            .map_err(|error| error.message().to_owned())
    }

    /// The value under these keys.
    pub(crate) fn get(&self, keys: &[&str]) -> Option<&Item> {
        keys.iter().try_fold(self.document.as_item(), |item, key| item.as_table_like()?.get(key))
    }

    fn table(&self, keys: &[&str]) -> Result<&dyn TableLike, String> {
        let table = self.get(keys).and_then(Item::as_table_like);
        table.ok_or_else(|| format!("it has no `[{}]`", keys.join(".")))
    }

    /// The names in a table.
    pub(crate) fn names(&self, keys: &[&str]) -> Result<Vec<&str>, String> {
        Ok(self.table(keys)?.iter().map(|(name, _)| name).collect())
    }

    /// The text with one more dependency in this table.
    pub(crate) fn with(
        &self,
        table: &[&str],
        dependency: &Dependency,
        place: &Place,
    ) -> Result<String, String> {
        let before = |(name, item): &(&str, &Item)| match place {
            Place::BehindPath(path) => {
                let found = item.as_table_like().and_then(|entry| entry.get("path")).and_then(Item::as_str);
                found.is_some_and(|found| found.starts_with(path))
            }
            Place::Sorted => *name < dependency.name,
        };
        let entries = || self.table(table).map(|table| table.iter());
        let last = entries()?.filter(before).last().or(entries()?.last());
        let end = last.and_then(|(_, item)| end(item));
        let end = end.ok_or_else(|| format!("its `[{}]` is empty", table.join(".")))?;
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let line = format!("{} = {}{newline}", dependency.name, dependency.value);
        let after = match self.text[end..].find('\n') {
            Some(end_of_line) => {
                let (before, rest) = self.text.split_at(end + end_of_line + 1);
                format!("{before}{line}{rest}")
            }
            None => format!("{}{newline}{line}", self.text),
        };
        self.is_all_that_changed(&after, table, dependency)?;
        Ok(after)
    }

    /// Whether a text is this one with one more dependency.
    fn is_all_that_changed(
        &self,
        after: &str,
        table: &[&str],
        dependency: &Dependency,
    ) -> Result<(), String> {
        let wrong = || format!("`{}` did not get its place in it", dependency.name);
        let parsed = Manifest::parse(after).map_err(|_| wrong())?;
        let now = parsed.names(table)?;
        let others: Vec<&str> = now.iter().filter(|name| **name != dependency.name).copied().collect();
        if now.len() == others.len() + 1 && others == self.names(table)? { Ok(()) } else { Err(wrong()) }
    }
}

/// Where an entry ends. The parts of a dotted key are values of their own.
fn end(item: &Item) -> Option<usize> {
    item.span()
        .map(|span| span.end)
        .max(item.as_table().and_then(|table| table.iter().filter_map(|(_, item)| end(item)).max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_added_and_everything_else_stays() {
        let value = || "{ workspace = true }".to_owned();
        for (text, place, expected) in [
            (
                "[d]\na.workspace = true\nz.workspace = true\n",
                Place::Sorted,
                "[d]\na.workspace = true\nm = { workspace = true }\nz.workspace = true\n",
            ),
            (
                "[d]\na = { x = [\n  1,\n] } # why\n\n# z\nz = 1\n[e]\n",
                Place::Sorted,
                "[d]\na = { x = [\n  1,\n] } # why\nm = { workspace = true }\n\n# z\nz = 1\n[e]\n",
            ),
            ("[d]\nz = 1", Place::Sorted, "[d]\nz = 1\nm = { workspace = true }\n"),
            (
                "[d]\na = { path = \"s/a\" }\nb = \"1\"\n",
                Place::BehindPath("s/"),
                "[d]\na = { path = \"s/a\" }\nm = { workspace = true }\nb = \"1\"\n",
            ),
            ("[d]\r\na = 1\r\n", Place::Sorted, "[d]\r\na = 1\r\nm = { workspace = true }\r\n"),
        ] {
            let manifest = Manifest::parse(text).unwrap();
            let after = manifest.with(&["d"], &Dependency { name: "m", value: value() }, &place);
            assert_eq!(after.as_deref(), Ok(expected), "{text}");
        }
        for (text, why) in [("[d]\n", "is empty"), ("[e]\n", "has no `[d]`"), ("[d]\nm = 1\n", "its place")] {
            let manifest = Manifest::parse(text).unwrap();
            let error = manifest.with(&["d"], &Dependency { name: "m", value: value() }, &Place::Sorted);
            assert!(error.unwrap_err().contains(why), "{text}");
        }
    }
}
