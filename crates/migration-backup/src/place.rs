//! A directory of backups: what is in it, whether it is whole, and which of it is old.

use std::fs;
use std::path::{Path, PathBuf};

use migration_plan::{Utc, counted};
use serde::Deserialize;

use crate::archive::{fingerprint, is_left, remove};
use crate::manifest::{ArchiveFile, FORMAT, Kind, Manifest};
use crate::{BackupError, dump};

/// An archive in a directory of backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The archive; of an external one, the manifest.
    pub archive: PathBuf,
    /// What its manifest says, if there is one that can be read.
    pub manifest: Option<Manifest>,
    /// What is wrong with it.
    pub problem: Option<Problem>,
}

/// What is wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Its archive or its manifest is not what it was.
    Damaged(String),
    /// It was not finished, or is being made.
    Incomplete(String),
}

/// Which backups of a service are kept. What one of both keeps, is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many.
    pub newest: Option<usize>,
    /// Those of the last so many days.
    pub days: Option<u32>,
}

/// Everything in a directory that is a backup or a part of one, oldest first. Each archive is read to its end.
///
/// # Errors
/// [`BackupError::File`] if the directory cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Listed>, BackupError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(BackupError::reading(directory))? {
        let name = entry.map_err(BackupError::reading(directory))?.file_name();
        names.extend(name.into_string());
    }
    names.sort_unstable();
    let listed = names.iter().filter_map(|name| {
        let path = directory.join(name);
        if name.ends_with(".part") {
            let what = match is_left(&path, || ()) {
                Some(()) => "it was interrupted; the next backup removes it",
                None => "it is being made",
            };
            let problem = Some(Problem::Incomplete(what.to_owned()));
            return Some(Listed { archive: path, manifest: None, problem });
        }
        let stem = name.strip_suffix(".json")?;
        let text = fs::read_to_string(&path).ok()?;
        let is_one = text.contains("migrate-backup/") || names.contains(&format!("{stem}.dump"));
        is_one.then(|| of_manifest(directory, &path, &text))
    });
    let without = names.iter().filter(|name| {
        name.strip_suffix(".dump").is_some_and(|stem| !names.contains(&format!("{stem}.json")))
    });
    let without = without.map(|name| Listed {
        archive: directory.join(name),
        manifest: None,
        problem: Some(Problem::Incomplete("it has no manifest".to_owned())),
    });
    let mut listed: Vec<Listed> = listed.chain(without).collect();
    let time = |listed: &Listed| listed.manifest.as_ref().map(|manifest| manifest.taken_at.clone());
    listed.sort_by(|a, b| {
        let of = |listed: &Listed| (time(listed), number(&listed.archive));
        (of(a), &a.archive).cmp(&(of(b), &b.archive))
    });
    Ok(listed)
}

/// Which backup of its service within one second it is, as its name says: `chat-20251120T184900Z-2.dump` is the second.
fn number(archive: &Path) -> u32 {
    let stem = archive.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.rsplit_once("Z-").and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

/// Removes what backups have left whose process was killed, and gives it: files that no process makes any more, and an archive of which
/// only the manifest was missing. What cannot be removed stays listed.
pub(crate) fn sweep(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let mut removed = Vec::new();
    for name in names.iter().filter(|name| name.starts_with('.') && name.ends_with(".part")) {
        let left = directory.join(name);
        let archive = name[1..].strip_suffix(".json.part").map(|archive| directory.join(archive));
        let is_removed = is_left(&left, || {
            if let Some(archive) = archive.filter(|archive| !archive.with_extension("json").exists()) {
                removed.extend(remove(&archive).is_ok().then_some(archive));
            }
            remove(&left).is_ok()
        });
        removed.extend(is_removed.filter(|removed| *removed).map(|_| left.clone()));
    }
    removed
}

/// Reads a manifest and looks whether its archive is as it says; of an external one, whether the manifest is as it was written.
pub(crate) fn of_manifest(directory: &Path, path: &Path, text: &str) -> Listed {
    let damaged =
        |archive, manifest, what: String| Listed { archive, manifest, problem: Some(Problem::Damaged(what)) };
    let read = serde_json::from_str(text)
        .and_then(|value: serde_json::Value| Ok((Manifest::deserialize(&value)?, value)));
    let (manifest, value) = match read {
        Ok(read) => read,
        Err(error) => {
            return damaged(
                path.with_extension("dump"),
                None,
                format!("its manifest cannot be read: {error}"),
            );
        }
    };
    let archive = directory.join(&manifest.archive);
    if manifest.format != FORMAT {
        return damaged(archive, None, format!("its manifest is `{}`, not `{FORMAT}`", manifest.format));
    }
    let is_elsewhere = Path::new(&manifest.archive).components().count() != 1;
    if is_elsewhere
        || !Manifest::is_as_written(value)
        || Manifest::digest(&manifest.service, &manifest.migrations) != manifest.history
    {
        return damaged(archive, Some(manifest), "its manifest was edited".to_owned());
    }
    if manifest.kind == Kind::External {
        let is_itself = path.file_name().is_some_and(|name| name == manifest.archive.as_str());
        let problem = (!is_itself).then(|| Problem::Damaged("its manifest has another name".to_owned()));
        return Listed { archive, manifest: Some(manifest), problem };
    }
    let problem = match fingerprint(&archive) {
        Err(error) => Some(Problem::Damaged(format!("its archive cannot be read: {error}"))),
        Ok((.., files)) if files != manifest.files => {
            Some(Problem::Damaged(other_file(&manifest.files, &files)))
        }
        Ok((size, ..)) if size != manifest.size_bytes => Some(Problem::Damaged(format!(
            "its archive has {}, of {}",
            counted(size, "byte", "bytes"),
            manifest.size_bytes
        ))),
        Ok((_, sha256, _)) if sha256 != manifest.sha256 => {
            Some(Problem::Damaged("its archive has another SHA-256".to_owned()))
        }
        Ok(_) => None,
    };
    Listed { archive, manifest: Some(manifest), problem }
}

/// In what the files of an archive that is a directory are others than they were.
fn other_file(expected: &[ArchiveFile], found: &[ArchiveFile]) -> String {
    let named = |files: &[ArchiveFile], name: &str| files.iter().find(|file| file.name == name).cloned();
    let changed = expected.iter().find_map(|file| match named(found, &file.name) {
        None => Some(format!("its file `{}` is missing", file.name)),
        Some(found) if found.size_bytes != file.size_bytes => {
            let has = counted(found.size_bytes, "byte", "bytes");
            Some(format!("its file `{}` has {has}, of {}", file.name, file.size_bytes))
        }
        Some(found) => {
            (found.sha256 != file.sha256).then(|| format!("its file `{}` has another SHA-256", file.name))
        }
    });
    let added = found.iter().find(|file| named(expected, &file.name).is_none());
    changed
        .or_else(|| Some(format!("its file `{}` is none of the backup", added?.name)))
        .unwrap_or_else(|| "its files are in another order".to_owned())
}

/// Removes the backups of a service that need not be kept, and gives those that were removed. The newest whole one stays, and so
/// does what is damaged or incomplete: an operator should look at it. Of an external one, the manifest is removed and nothing else.
///
/// # Errors
/// [`BackupError::File`] if the directory cannot be read or a file cannot be removed.
pub fn prune(directory: &Path, service: &str, retention: Retention) -> Result<Vec<PathBuf>, BackupError> {
    if retention == Retention::default() {
        return Ok(Vec::new());
    }
    let whole = list(directory)?.into_iter().filter(|listed| listed.problem.is_none());
    let whole: Vec<(PathBuf, String)> = whole
        .filter_map(|listed| Some((listed.archive, listed.manifest?)))
        .filter(|(_, manifest)| manifest.service == service)
        .map(|(archive, manifest)| (archive, manifest.taken_at))
        .collect();
    let oldest_day = retention.days.map(|days| Utc(dump::now() - i64::from(days) * 86_400).rfc3339());
    let mut removed = Vec::new();
    for (place, (archive, taken_at)) in whole.iter().rev().enumerate() {
        let is_kept = place == 0
            || retention.newest.is_some_and(|newest| place < newest)
            || oldest_day.as_ref().is_some_and(|oldest| taken_at >= oldest);
        if !is_kept {
            // Without its manifest it is none, whatever happens in between.
            let manifest = archive.with_extension("json");
            for file in std::iter::once(&manifest).chain((manifest != *archive).then_some(archive)) {
                remove(file).map_err(BackupError::writing(file))?;
            }
            removed.push(archive.clone());
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest of an archive that is not there.
    const MANIFEST: &str = r#"{"format":"migrate-backup/v1","kind":"archive","service":"shop","schema":"shop","further_schemas":[],"shared":false,"archive":"a.dump","size_bytes":1,"sha256":"","taken_at":"2026-01-01T00:00:00Z","newest":null,"migrations":[],"history":"","unfinished":[],"server":{"identifier":"1","version":"15.18","database":"d"},"tables":[{"schema":"shop","name":"messages","rows":9223372036854775807},{"schema":"shop","name":"b","rows":1}],"functions_and_types":[],"extensions":[],"roles":[],"verification":"restored","pg_dump":"15.18","tool":"t"}"#;

    #[test]
    fn backups_of_one_second_are_in_the_order_in_which_they_were_made() {
        let names = [
            "chat-20251120T184900Z.json",
            "chat-20251120T184900Z-2.dump",
            "my-Z-service-20251120T184900Z-10.json",
        ];
        assert_eq!(names.map(|name| number(Path::new(name))), [1, 2, 10]);
    }

    #[test]
    fn a_manifest_that_was_edited_is_damaged_and_counts_what_it_can() {
        let listed = of_manifest(Path::new("/nowhere"), Path::new("/nowhere/a.json"), MANIFEST);
        assert!(matches!(listed.problem, Some(Problem::Damaged(_))), "{:?}", listed.problem);
        assert_eq!(listed.manifest.unwrap().n_rows(), i64::MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_manifest_or_is_damaged(
            from in 0_usize..620, n_removed in 0_usize..60,
            added in "(\\{|\\}|\\[|\\]|\"|:|,|null|true|-?[0-9]{1,30}|\\.\\./|/|\\\\u[0-9a-f]{4}|\\PC|\\p{Cc}){0,6}",
        ) {
            let mut text = MANIFEST.to_owned();
            let from = from.min(text.len());
            text.replace_range(from..(from + n_removed).min(text.len()), &added);
            let listed = of_manifest(Path::new("/nowhere"), Path::new("/nowhere/a.json"), &text);
            proptest::prop_assert!(listed.problem.is_some());
            if let Some(manifest) = listed.manifest {
                std::hint::black_box(manifest.n_rows());
            }
        }
    }
}
