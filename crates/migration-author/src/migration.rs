//! A new migration of a service: its file, its place in the list, its row in the README.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use migration_plan::{MigrationId, ServiceName};

use crate::draft::{Draft, read};
use crate::step::{Form, Step};
use crate::template::{Template, formatted, sentence, unwritten_sql};
use crate::written::Written;
use crate::{AuthorError, list, name, readme};

/// A migration that is to be written.
#[derive(Debug, Clone)]
pub struct NewMigration<'m> {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Its name without the time: `add_message_source`.
    pub name: &'m str,
    /// How it runs.
    pub form: Form,
    /// Whether it removes what old code may still read.
    pub contract: bool,
    /// Migrations of other services that it requires.
    pub requires: Vec<MigrationId>,
    /// The moment that its name begins with, in seconds since 1970.
    pub at: i64,
    /// What it does.
    pub body: Body,
}

/// What a migration does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing yet: it fails when it is run, until its author has written it.
    Unwritten,
    /// These steps, in this order. They decide the form: a transaction where all is about new tables.
    Steps(Vec<Step>),
}

impl NewMigration<'_> {
    /// The files of the migration, and those that change with it. `directory` has a directory of each service's name.
    ///
    /// # Errors
    /// [`AuthorError`]; nothing is written.
    pub fn draft(&self, directory: &Path) -> Result<Draft, AuthorError> {
        name::check(self.name)?;
        let directory = directory.join(self.service.as_str());
        let library = directory.join("src/lib.rs");
        if library.is_file() {
            return self.module(&directory, &library);
        }
        match &folders_of_sql(&directory)[..] {
            [folder] => self.sql_files(folder),
            _ => Err(AuthorError::NoService { path: directory }),
        }
    }

    /// A module, and its line in the service's list.
    fn module(&self, directory: &Path, library: &Path) -> Result<Draft, AuthorError> {
        let (library, text) = read(library)?;
        let unfit = |why: String| AuthorError::unfit(&library, why);
        let list = list::migrations(&text).map_err(unfit)?;
        let source = directory.join("src");
        let files = names_in(&source);
        self.is_new(list.entries.iter().chain(&files))?;
        let stamp = name::stamp(self.at, list.entries.iter().chain(&files).map(String::as_str));
        let migration = format!("m{stamp}_{}", self.name);
        let with_entry = list.with(&text, &migration);
        let again = list::migrations(&with_entry).map_err(unfit)?;
        if again.entries != [&list.entries[..], std::slice::from_ref(&migration)].concat() {
            return Err(unfit("the new migration did not get its place in the list".to_owned()));
        }
        let literal = format!("{:?}", self.service.as_str());
        let sentence = sentence(self.name);
        let written = match &self.body {
            Body::Unwritten => None,
            Body::Steps(steps) => Some(Written::of(steps)),
        };
        let template = Template {
            migration: &migration,
            service: if list::has_constant(&text, "NAME") { "crate::NAME" } else { &literal },
            sentence: &sentence,
            form: written.as_ref().map_or(self.form, |written| written.form),
            written: written.as_ref(),
            contract: self.contract,
            requires: &self.requires,
        };
        let module = formatted(template.module(), &source);
        let mut draft = Draft::of(migration.clone());
        draft.create(source.join(format!("{migration}.rs")), module);
        if self.form == Form::Sql {
            for direction in ["up", "down"] {
                let file = source.join(format!("{migration}.{direction}.sql"));
                draft.create(file, unwritten_sql(&migration, direction, false));
            }
        }
        draft.change(library, text, with_entry);
        let readme = directory.join("README.md");
        if readme.is_file() {
            let (readme, text) = read(&readme)?;
            let phase =
                if self.contract { "**contract**, 24 h after the expand steps before it" } else { "expand" };
            let does = sentence.trim_end_matches('.');
            if let Some(with_row) = readme::with_row(&text, &migration, &[("phase", phase), ("does", does)]) {
                draft.change(readme, text, with_row);
            }
        }
        Ok(draft)
    }

    /// Two files in a folder of SQL files, under a name that sorts behind the others.
    fn sql_files(&self, folder: &Path) -> Result<Draft, AuthorError> {
        if let Body::Steps(_) = self.body {
            return Err(AuthorError::NotInSql { what: "steps of the kit: they are code" });
        }
        if self.contract {
            return Err(AuthorError::NotInSql {
                what: "phase: it is said beside the service, with `with_details`",
            });
        }
        if !self.requires.is_empty() {
            let what = "requirements: they are said beside the service, with `with_details`";
            return Err(AuthorError::NotInSql { what });
        }
        let names = names_in(folder);
        self.is_new(names.iter())?;
        let prefix =
            if names.iter().all(|name| name.starts_with(|c: char| c.is_ascii_digit())) { "" } else { "m" };
        let stamp = name::stamp(self.at, names.iter().map(String::as_str));
        let stamp = if prefix.is_empty() { stamp.replace('_', "") } else { stamp };
        let migration = format!("{prefix}{stamp}_{}", self.name);
        let mut draft = Draft::of(migration.clone());
        for direction in ["up", "down"] {
            let text = unwritten_sql(&migration, direction, self.form == Form::Steps);
            draft.create(folder.join(format!("{migration}.{direction}.sql")), text);
        }
        Ok(draft)
    }

    fn is_new<'n>(&self, mut names: impl Iterator<Item = &'n String>) -> Result<(), AuthorError> {
        match names.find(|there| name::words(there) == self.name) {
            Some(there) => {
                Err(AuthorError::Duplicate { service: self.service.to_string(), there: there.clone() })
            }
            None => Ok(()),
        }
    }
}

/// The folders in a directory that have SQL files.
fn folders_of_sql(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let has_sql = |folder: &PathBuf| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| file.extension() == Some(OsStr::new("sql")))
    };
    entries.filter(|path| path.is_dir()).filter(has_sql).collect()
}

/// What the migrations in a folder are named, files and folders: without what is behind the first dot.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let stem = |entry: fs::DirEntry| entry.file_name().to_str()?.split('.').next().map(str::to_owned);
    let mut names: Vec<String> =
        entries.filter_map(stem).filter(|name| name::is_of_migration(name)).collect();
    names.sort();
    names.dedup();
    names
}
