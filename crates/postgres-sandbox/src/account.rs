//! The account that the server runs as: our own, or another one where we are root, which PostgreSQL refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::SandboxError;

/// Who the server runs as, and who therefore owns its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Whoever we are.
    Ours,
    /// Another account, because we are root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The account for a new cluster.
    pub(crate) fn for_new() -> Result<Self, SandboxError> {
        if !is_root() {
            return Ok(Self::Ours);
        }
        let passwd = Path::new("/etc/passwd");
        let text = fs::read_to_string(passwd).map_err(SandboxError::file("read", passwd))?;
        ["postgres", "nobody"].iter().find_map(|name| in_passwd(&text, name)).ok_or(SandboxError::NoAccount)
    }

    /// The account of an existing data directory: as root, its owner.
    pub(crate) fn of(data_directory: &Path) -> Result<Self, SandboxError> {
        let metadata = fs::metadata(data_directory).map_err(SandboxError::file("read", data_directory))?;
        match metadata.uid() {
            0 => Self::for_new(),
            uid if is_root() => Ok(Self::Other { uid, gid: metadata.gid() }),
            _ => Ok(Self::Ours),
        }
    }

    /// Makes the command run as this account, in a directory that it can enter.
    pub(crate) fn apply(self, command: &mut Command) {
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives a file or directory to this account.
    pub(crate) fn own(self, path: &Path) -> Result<(), SandboxError> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(SandboxError::file("give away", path))
            }
        }
    }

    /// Checks that the account can enter `directory` and all above it.
    pub(crate) fn can_enter(self, directory: &Path) -> Result<(), SandboxError> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        for ancestor in directory.ancestors() {
            let metadata = fs::metadata(ancestor).map_err(SandboxError::file("read", ancestor))?;
            let needed = match () {
                () if metadata.uid() == uid => 0o100,
                () if metadata.gid() == gid => 0o010,
                () => 0o001,
            };
            if metadata.permissions().mode() & needed == 0 {
                return Err(SandboxError::NotReachable { directory: ancestor.to_owned(), uid });
            }
        }
        Ok(())
    }
}

/// Whether we are root. Asked of `id`, because the standard library does not tell.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The entry `name:password:uid:gid:…` of `/etc/passwd`.
fn in_passwd(text: &str, name: &str) -> Option<Account> {
    let entry = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = entry.split(':').skip(1);
    Some(Account::Other { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd() {
        let text = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/bash\n";
        assert_eq!(in_passwd(text, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(in_passwd(text, "nobody"), None);
    }
}
