//! A small disk for the server, which can be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Room for the databases of an episode and the write-ahead log.
const SIZE: &str = "1g";
/// What is written at once to fill it.
static PIECE: [u8; 1 << 20] = [0; 1 << 20];

/// A file system in memory, unmounted with this value.
pub(crate) struct Disk {
    directory: PathBuf,
}

impl Disk {
    /// Mounts one; `None` where that is not allowed.
    pub(crate) fn mount() -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("chaos_disk_{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={SIZE},mode=0755"))
            .args(["chaos"])
            .arg(&directory);
        if mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Self { directory });
        }
        fs::remove_dir(&directory).unwrap();
        None
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Leaves no room on it.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&PIECE).is_ok() {}
    }

    /// Makes room again.
    pub(crate) fn empty(&self) {
        drop(fs::remove_file(self.ballast()));
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.directory).status());
        drop(fs::remove_dir(&self.directory));
    }
}
