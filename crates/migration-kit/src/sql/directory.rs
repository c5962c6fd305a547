//! Which files of a folder make which migration, in which order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use migration_plan::{MigrationName, MigrationNumber};

use super::SqlMigration;
use super::error::{LayoutProblem, Problem, SqlError};
use super::script::{Both, Script, both, single};

/// Text of diesel's `metadata.toml` that asks for no transaction, without blanks.
const DIESEL_WITHOUT_TRANSACTION: &str = "run_in_transaction=false";

/// Reads a folder as `(path within it, contents)`: its files, and those of the folders in it.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, SqlError> {
    let mut files = Vec::new();
    read_into(&mut files, folder, "")?;
    Ok(files)
}

fn read_into(files: &mut Vec<(String, Vec<u8>)>, folder: &Path, prefix: &str) -> Result<(), SqlError> {
    let unreadable = |source| SqlError::unreadable(folder, &source);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            if prefix.is_empty() {
                read_into(files, &path, &format!("{name}/"))?;
            }
        } else if is_wanted(&name) {
            let contents = fs::read(&path).map_err(|source| SqlError::unreadable(&path, &source))?;
            files.push((name, contents));
        }
    }
    Ok(())
}

/// Whether a file says something about a migration. Others, such as a `README.md`, are nobody's business.
fn is_wanted(path: &str) -> bool {
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    !is_hidden && (path.ends_with(".sql") || path.ends_with("/metadata.toml"))
}

#[derive(Default)]
struct Draft {
    up: Option<Script>,
    down: Option<Script>,
    /// One of its files, for messages.
    file: String,
    without_transaction: bool,
}

/// The migrations that these files make, in the order of the numbers that their names begin with, or of their names
/// where one has none.
pub(super) fn migrations<'f>(
    files: impl IntoIterator<Item = (String, Cow<'f, [u8]>)>,
) -> Result<Vec<SqlMigration>, SqlError> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for (file, contents) in files.into_iter().filter(|(file, _)| is_wanted(file)) {
        let text = std::str::from_utf8(&contents)
            .map_err(|error| (line_of(&contents[..error.valid_up_to()]), Problem::NotUtf8));
        let failed = |(line, problem)| SqlError::Text { file: file.clone(), line, problem };
        let text = text.map_err(failed)?;
        let (name, role) = role(&file)
            .ok_or_else(|| SqlError::Layout { file: file.clone(), problem: LayoutProblem::Unknown })?;
        let draft = drafts.entry(name.to_owned()).or_default();
        draft.file.clone_from(&file);
        let read = match role {
            Role::Metadata => {
                let without_blanks = |line: &str| line.replace([' ', '\t'], "");
                draft.without_transaction =
                    text.lines().any(|line| without_blanks(line).starts_with(DIESEL_WITHOUT_TRANSACTION));
                continue;
            }
            Role::Up => Both { up: single(text).map_err(failed)?, down: None },
            Role::Both => both(text).map_err(failed)?,
            Role::Down => {
                put(&mut draft.down, single(text).map_err(failed)?, &file)?;
                continue;
            }
        };
        put(&mut draft.up, read.up, &file)?;
        if let Some(down) = read.down {
            put(&mut draft.down, down, &file)?;
        }
    }
    let mut migrations: Vec<SqlMigration> = drafts
        .into_iter()
        .filter_map(|(name, draft)| draft.finish(name).transpose())
        .collect::<Result<_, _>>()?;
    sort(&mut migrations);
    Ok(migrations)
}

impl Draft {
    /// The migration, or `None` if there is no more of it than a file that is not SQL.
    fn finish(self, name: String) -> Result<Option<SqlMigration>, SqlError> {
        match (self.up, self.down) {
            (Some(up), down) => {
                let down = down.filter(|down| !down.statements.is_empty());
                let is_transactional = |script: &Script| script.transactional;
                let transactional = !self.without_transaction
                    && is_transactional(&up)
                    && down.as_ref().is_none_or(is_transactional);
                Ok(Some(SqlMigration {
                    name,
                    up: up.statements,
                    down: down.map(|down| down.statements),
                    transactional,
                }))
            }
            (None, Some(_)) => Err(SqlError::Layout { file: self.file, problem: LayoutProblem::NoUp }),
            (None, None) => Ok(None),
        }
    }
}

enum Role {
    Up,
    Down,
    Both,
    Metadata,
}

/// Name of the migration, and what the file says about it.
fn role(file: &str) -> Option<(&str, Role)> {
    if let Some((folder, file)) = file.split_once('/') {
        let role = match file {
            "up.sql" => Role::Up,
            "down.sql" => Role::Down,
            "metadata.toml" => Role::Metadata,
            _ => return None,
        };
        return Some((folder, role));
    }
    let stem = file.strip_suffix(".sql")?;
    let (name, role) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(name), _) => (name, Role::Up),
        (None, Some(name)) => (name, Role::Down),
        (None, None) => (stem, Role::Both),
    };
    if name.is_empty() { None } else { Some((name, role)) }
}

fn put(place: &mut Option<Script>, script: Script, file: &str) -> Result<(), SqlError> {
    match place.replace(script) {
        None => Ok(()),
        Some(_) => Err(SqlError::Layout { file: file.to_owned(), problem: LayoutProblem::Twice }),
    }
}

fn sort(migrations: &mut Vec<SqlMigration>) {
    let names: Vec<MigrationName> = migrations
        .iter()
        .map(|migration| migration.name.parse().expect("no file has an empty name"))
        .collect();
    let numbers: Option<Vec<MigrationNumber<'_>>> = names.iter().map(MigrationName::number).collect();
    if let Some(numbers) = numbers
        && numbers.iter().all(|number| number.is_comparable_to(&numbers[0]))
    {
        let mut numbered: Vec<_> = numbers.into_iter().zip(migrations.drain(..)).collect();
        // Stable: migrations with one number stay in the order of their names.
        numbered.sort_by(|(a, _), (b, _)| a.cmp(b));
        migrations.extend(numbered.into_iter().map(|(_, migration)| migration));
    }
}

fn line_of(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
