//! The files of a service in its source tree: comparing them with what was generated, and writing them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use migration_kit::LockFile;

use crate::description::described;
use crate::generate::{major, unversioned};
use crate::{Artifacts, RehearsalError};

/// A file that is not what was generated.
#[derive(Debug)]
pub struct Stale {
    /// The file.
    pub path: PathBuf,
    /// Its content; `None` if it does not exist.
    pub found: Option<String>,
    /// What was generated.
    pub wanted: String,
}

impl Artifacts {
    /// The service's files in this directory that are not what was generated.
    ///
    /// # Errors
    /// [`RehearsalError::File`] for a file that exists and cannot be read.
    pub fn stale(&self, directory: &Path) -> Result<Vec<Stale>, RehearsalError> {
        stale(directory, self)
    }
}

fn stale(directory: &Path, artifacts: &Artifacts) -> Result<Vec<Stale>, RehearsalError> {
    let mut stale = Vec::new();
    let lock_file = described(&artifacts.lock_file, directory);
    for (name, wanted) in [("migrations.lock", &lock_file), ("schema.sql", &artifacts.schema)] {
        let path = directory.join(name);
        let found = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            Err(error) => return Err(RehearsalError::reading(&path)(error)),
        };
        // Which server wrote a schema is no difference; what it wrote may be one.
        if found.as_deref().is_none_or(|found| !unversioned(found).eq(unversioned(wanted))) {
            stale.push(Stale { path, found, wanted: wanted.clone() });
        }
    }
    Ok(stale)
}

impl Stale {
    /// Writes the file, and the directories above it where they are missing.
    ///
    /// # Errors
    /// [`RehearsalError::File`].
    pub fn write(&self) -> Result<(), RehearsalError> {
        let directories = self.path.parent().map_or(Ok(()), fs::create_dir_all);
        directories
            .and_then(|()| fs::write(&self.path, &self.wanted))
            .map_err(|source| RehearsalError::File { action: "write", path: self.path.clone(), source })
    }

    /// The major versions of PostgreSQL that wrote the file and that wrote what was generated, if they are two: they
    /// write some things differently, so that nothing can be said of a difference.
    #[must_use]
    pub fn of_two_servers(&self) -> Option<(u32, u32)> {
        let (theirs, ours) = (major(self.found.as_deref()?)?, major(&self.wanted)?);
        (theirs != ours).then_some((theirs, ours))
    }

    /// The lines between what both texts begin and end with, as a unified diff shows them.
    ///
    /// # Panics
    /// Never: writing to a string cannot fail.
    #[must_use]
    pub fn difference(&self) -> String {
        let found: Vec<&str> = self.found.as_deref().unwrap_or_default().lines().collect();
        let wanted: Vec<&str> = self.wanted.lines().collect();
        let same =
            |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
        let head = same(&mut found.iter().zip(&wanted));
        let tail = same(&mut found[head..].iter().rev().zip(wanted[head..].iter().rev()));
        let mut text = format!("@@ line {} @@", head + 1);
        for (sign, lines) in
            [('-', &found[head..found.len() - tail]), ('+', &wanted[head..wanted.len() - tail])]
        {
            for line in lines.iter().take(LINES) {
                write!(text, "\n{sign}{line}").expect("writing to a string cannot fail");
            }
            if let Some(n_more) = lines.len().checked_sub(LINES).filter(|n_more| *n_more > 0) {
                write!(text, "\n{sign}… {n_more} more").expect("writing to a string cannot fail");
            }
        }
        text
    }

    /// Migrations that the file knew with another checksum: they may have been applied somewhere.
    #[must_use]
    pub fn edited(&self) -> Vec<String> {
        let parse = |text: &str| LockFile::parse(text).unwrap_or_default();
        let (found, wanted) = (parse(self.found.as_deref().unwrap_or_default()), parse(&self.wanted));
        let entries = wanted.entries();
        let differs =
            entries.filter(|(name, entry)| found.checksum(name).is_some_and(|c| c != entry.checksum));
        differs.map(|(name, _)| name.to_string()).collect()
    }
}

/// Most lines that a difference shows of either side.
const LINES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn stale(found: Option<&str>, wanted: &str) -> Stale {
        Stale { path: PathBuf::from("f"), found: found.map(str::to_owned), wanted: wanted.to_owned() }
    }

    #[test]
    fn a_difference_is_what_lies_between_the_common_ends() {
        assert_eq!(stale(Some("a\nb\nc\n"), "a\nx\ny\nc\n").difference(), "@@ line 2 @@\n-b\n+x\n+y");
        assert_eq!(stale(Some("a\n"), "a\na\n").difference(), "@@ line 2 @@\n+a");
        assert_eq!(stale(None, "a\n").difference(), "@@ line 1 @@\n+a");
        let long = "l\n".repeat(LINES + 3);
        assert!(stale(None, &long).difference().ends_with("\n+… 3 more"));
    }

    #[test]
    fn an_edited_migration_is_named_and_a_new_one_is_not() {
        let entry = |name: &str, checksum: &str| format!("{name} expand transaction {checksum} down\n");
        let (a, b) = ("m20250101_000001_create_a", "m20250102_000001_create_b");
        let stale = stale(Some(&entry(a, "old")), &(entry(a, "new") + &entry(b, "new")));
        assert_eq!(stale.edited(), [a]);
    }
}
