//! JSON in a file, which is whole or as it was before.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

use crate::not_written::NotWritten;

/// For everybody, as far as the process's mask lets it be.
pub(crate) const SHARED: u32 = 0o666;
/// What may hold what others must not read.
pub(crate) const PRIVATE: u32 = 0o600;

/// Writes it beside, and puts it in its place when it is on the disk; what was there stays if that fails.
pub(crate) fn write(path: &Path, mode: u32, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    let new = path.with_extension("json.new");
    let written = || {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(|error| {
        drop(fs::remove_file(&new));
        NotWritten::at(path)(error).into()
    })
}
