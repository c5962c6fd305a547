//! Files as they will be, and the one place that writes them: all, or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::AuthorError;

/// What will be written.
#[derive(Debug)]
pub struct Draft {
    /// The migration or service.
    name: String,
    edits: Vec<Edit>,
}

/// A file before and after.
#[derive(Debug)]
struct Edit {
    path: PathBuf,
    /// `None` for a new file.
    before: Option<String>,
    after: String,
}

/// A file whose new content is beside it, under another name.
struct Prepared<'e> {
    edit: &'e Edit,
    aside: PathBuf,
}

impl Draft {
    pub(crate) fn of(name: String) -> Self {
        Self { name, edits: Vec::new() }
    }

    /// The migration that is written, with the time that its name begins with, or the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a file that is not there yet.
    pub(crate) fn create(&mut self, path: PathBuf, text: String) {
        self.edits.push(Edit { path, before: None, after: text });
    }

    /// Changes a file.
    pub(crate) fn change(&mut self, path: PathBuf, before: String, after: String) {
        self.edits.push(Edit { path, before: Some(before), after });
    }

    /// The files that will be made.
    pub fn created(&self) -> impl Iterator<Item = &Path> {
        self.edits.iter().filter(|edit| edit.before.is_none()).map(|edit| edit.path.as_path())
    }

    /// The files that will be changed.
    pub fn changed(&self) -> impl Iterator<Item = &Path> {
        self.edits.iter().filter(|edit| edit.before.is_some()).map(|edit| edit.path.as_path())
    }

    /// Writes all files, and gives them in this order. If one cannot be written, those before it are as they were.
    ///
    /// # Errors
    /// [`AuthorError::Changed`] and [`AuthorError::File`].
    pub fn write(&self) -> Result<Vec<PathBuf>, AuthorError> {
        let mut directories = Vec::new();
        let mut prepared = Vec::new();
        let outcome = self.prepare(&mut directories, &mut prepared).and_then(|()| replace(&prepared));
        for Prepared { aside, .. } in &prepared {
            // It is gone where it took the place of its file.
            drop(fs::remove_file(aside));
        }
        if outcome.is_err() {
            for directory in directories.iter().rev() {
                // Not if something has been put into it.
                drop(fs::remove_dir(directory));
            }
        }
        outcome?;
        Ok(self.edits.iter().map(|edit| edit.path.clone()).collect())
    }

    /// Writes every file aside, so that what can fail has failed before the first one is replaced.
    fn prepare<'e>(
        &'e self,
        directories: &mut Vec<PathBuf>,
        prepared: &mut Vec<Prepared<'e>>,
    ) -> Result<(), AuthorError> {
        for edit in &self.edits {
            let directory = edit.path.parent().unwrap_or(Path::new("."));
            make(directory, directories).map_err(AuthorError::file("make", directory))?;
            let name = edit.path.file_name().unwrap_or_default().to_string_lossy();
            let aside = directory.join(format!(".{name}.{}.new", std::process::id()));
            prepared.push(Prepared { edit, aside: aside.clone() });
            let written = File::create_new(&aside).and_then(|mut file| {
                file.write_all(edit.after.as_bytes())?;
                if edit.before.is_some() {
                    file.set_permissions(fs::metadata(&edit.path)?.permissions())?;
                }
                file.sync_all()
            });
            written.map_err(AuthorError::file("write", &edit.path))?;
        }
        Ok(())
    }
}

/// Puts every file in its place; if one does not get there, the others go back.
fn replace(prepared: &[Prepared]) -> Result<(), AuthorError> {
    for (index, one) in prepared.iter().enumerate() {
        if let Err(error) = one.put() {
            for done in prepared[..index].iter().rev() {
                done.put_back();
            }
            return Err(error);
        }
    }
    Ok(())
}

impl Prepared<'_> {
    fn put(&self) -> Result<(), AuthorError> {
        let Edit { path, before, .. } = self.edit;
        let changed = || AuthorError::Changed { path: path.clone() };
        let Some(before) = before else {
            // Unlike renaming, it fails where the file exists.
            return fs::hard_link(&self.aside, path).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => changed(),
                _ => AuthorError::file("write", path)(error),
            });
        };
        let now = fs::read_to_string(path).map_err(AuthorError::file("read", path))?;
        if now != *before {
            return Err(changed());
        }
        fs::rename(&self.aside, path).map_err(AuthorError::file("write", path))
    }

    /// What failed is reported already, and this is all that can be done about it.
    fn put_back(&self) {
        drop(match &self.edit.before {
            None => fs::remove_file(&self.edit.path),
            Some(before) => fs::write(&self.edit.path, before),
        });
    }
}

/// Makes a directory with those above it, and notes each that was not there.
fn make(directory: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make(parent, made)?;
    }
    fs::create_dir(directory)?;
    made.push(directory.to_owned());
    Ok(())
}

/// A file of the source tree. A link leads to the file that is changed in its place.
pub(crate) fn read(path: &Path) -> Result<(PathBuf, String), AuthorError> {
    let path = fs::canonicalize(path).map_err(AuthorError::file("read", path))?;
    let text = fs::read_to_string(&path).map_err(AuthorError::file("read", &path))?;
    Ok((path, text))
}
