//! `migrations.lock`: what is written is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migration_kit::LockFile;

fuzz_target!(|text: &str| {
    if let Ok(file) = LockFile::parse(text) {
        let written = LockFile::render(file.entries());
        assert_eq!(LockFile::parse(&written), Ok(file));
    }
});
