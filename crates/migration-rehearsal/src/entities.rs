//! Whether the sea-orm entities of a service have every column of its schema.
//!
//! Both are read as text: `schema.sql` as `pg_dump` writes it, the entities as sea-orm's derive macro takes them. A column that
//! an entity has and the schema lacks fails the service's own tests at the first query, so it is not looked for here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::{Artifacts, RehearsalError};

impl Artifacts {
    /// Columns of the service's tables that their sea-orm entity in `DIRECTORY/src/entity` lacks, one sentence each. Tables
    /// without an entity are passed over.
    ///
    /// # Errors
    /// [`RehearsalError::File`] for a file that cannot be read.
    pub fn lacking_columns(&self, directory: &Path) -> Result<Vec<String>, RehearsalError> {
        lacking(directory, self)
    }
}

fn lacking(directory: &Path, artifacts: &Artifacts) -> Result<Vec<String>, RehearsalError> {
    let directory = directory.join("src/entity");
    let files = match fs::read_dir(&directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RehearsalError::reading(&directory)(error)),
    };
    let tables = tables(&artifacts.schema);
    let mut lacking = Vec::new();
    for file in files {
        let path = file.map_err(RehearsalError::reading(&directory))?.path();
        let text = fs::read_to_string(&path).map_err(RehearsalError::reading(&path))?;
        let Some((table, fields)) = entity(&text) else { continue };
        for column in tables.get(table).into_iter().flatten().filter(|column| !fields.contains(column)) {
            let service = &artifacts.service;
            lacking.push(format!("`{service}`: the entity of `{table}` lacks the column `{column}`"));
        }
    }
    lacking.sort();
    Ok(lacking)
}

/// The tables of a dump, each with its columns.
fn tables(schema: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = None;
    for line in schema.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            current = name.split_once('.').map(|(_, name)| name.trim_end_matches(" ("));
        } else if line.starts_with(')') {
            current = None;
        } else if let (Some(table), Some(column)) = (current, line.split_whitespace().next())
            && column != "CONSTRAINT"
        {
            tables.entry(table).or_default().push(column.trim_matches('"'));
        }
    }
    tables
}

/// The table of an entity and the columns of its `Model`.
fn entity(text: &str) -> Option<(&str, Vec<&str>)> {
    let quoted = |attribute| text_after(text, attribute);
    let table = quoted("table_name = \"")?;
    let (_, model) = text.split_once("pub struct Model {")?;
    let (model, _) = model.split_once("\n}")?;
    let mut fields = Vec::new();
    let mut renamed = None;
    for line in model.lines().map(str::trim) {
        renamed = renamed.or_else(|| text_after(line, "column_name = \""));
        if let Some((field, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(':')) {
            fields.push(renamed.take().unwrap_or_else(|| field.trim_start_matches("r#")));
        }
    }
    Some((table, fields))
}

/// What follows the first occurrence, up to the closing quote.
fn text_after<'t>(text: &'t str, opening: &str) -> Option<&'t str> {
    text.split_once(opening)?.1.split_once('"').map(|(quoted, _)| quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_the_entity_lacks_is_named() {
        let service = std::env::temp_dir().join(format!("rehearsal-entities-{}", std::process::id()));
        let directory = service.join("src/entity");
        fs::create_dir_all(&directory).unwrap();
        let entity = "#[sea_orm(table_name = \"item\")]\npub struct Model {\n    pub id: i32,\n    \
                      #[sea_orm(column_name = \"order\")]\n    pub position: i32,\n    pub r#type: String,\n}\n";
        fs::write(directory.join("item.rs"), entity).unwrap();
        fs::write(directory.join("mod.rs"), "pub mod item;\n").unwrap();
        let artifacts = Artifacts {
            service: "small".parse().unwrap(),
            lock_file: String::new(),
            schema: "CREATE TABLE small.item (\n    id integer NOT NULL,\n    \"order\" integer,\n    type text,\n    note text,\n    \
                     CONSTRAINT positive CHECK (id > 0)\n);\nCREATE TABLE small.other (\n    id integer\n);\n"
                .to_owned(),
            hazards: Vec::new(),
            faults: Vec::new(),
        };
        let found = artifacts.lacking_columns(&service).unwrap();
        assert_eq!(found, ["`small`: the entity of `item` lacks the column `note`"]);
        fs::remove_dir_all(service).unwrap();
    }
}
