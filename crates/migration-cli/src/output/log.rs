//! A log file: every line that is printed for people, with its time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use migration_report::timestamp;

use crate::json_file::PRIVATE;

/// A file that lines are added to.
pub(crate) struct Log {
    file: Mutex<File>,
}

impl Log {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Adds lines. What cannot be written is lost: the screen has it too, and the work goes first.
    pub(super) fn write(&self, text: &str) {
        let time = timestamp(now());
        let lines: String = text.lines().map(|line| format!("{time}  {line}\n")).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        drop(file.write_all(lines.as_bytes()));
    }
}

/// Seconds since 1970, by this machine's clock.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
