//! Manifests of backups: they are read, or the backup is damaged.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use migration_backup::list;

/// In memory where there is such a place, since a file is written each time.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let directory = parent.join(format!("fuzz_manifests_{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory can be made");
    fs::write(directory.join("a.dump"), "PGDMP").expect("a file can be written");
    directory
});

fuzz_target!(|bytes: &[u8]| {
    fs::write(DIRECTORY.join("a.json"), bytes).expect("a file can be written");
    let listed = list(&DIRECTORY).expect("the directory can be read");
    assert!(listed.iter().all(|backup| backup.manifest.is_some() || backup.problem.is_some()));
});
