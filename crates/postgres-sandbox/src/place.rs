//! Directories and addresses: where a socket may lie, how a database is named in a URL.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::SandboxError;
use crate::account::Account;

/// Port that names the socket; nothing listens on it.
pub(crate) const PORT: u16 = 5432;

/// Longest path of a socket on the platforms we support: 104 bytes with the final NUL on macOS, 108 on Linux.
const SOCKET_PATH_BYTES: usize = 103;

/// The socket of the server whose socket directory this is.
pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

/// Whether a server's socket can be in this directory. The server takes a list of directories, and so do its clients: a
/// comma ends one.
pub(crate) fn is_possible(directory: &Path) -> bool {
    let path = socket(directory);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.len() <= SOCKET_PATH_BYTES && !bytes.iter().any(|byte| matches!(byte, b',' | b'"'))
}

/// The socket, and the file by which a server keeps others from taking it.
pub(crate) fn files_of_socket(directory: &Path) -> [PathBuf; 2] {
    [socket(directory), directory.join(format!(".s.PGSQL.{PORT}.lock"))]
}

/// URL of a database. It names the port, because `PGPORT` would fill it in otherwise.
pub(crate) fn url(socket_directory: &Path, database: &str) -> String {
    let host = encode(&socket_directory.to_string_lossy());
    format!("postgres://postgres@localhost:{PORT}/{}?host={host}", encode(database))
}

/// Percent-encodes all but letters, digits and `/._-`.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A name that nothing else has: of this process, this moment and this call.
pub(crate) fn unique_name(prefix: &str) -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{}_{:x}_{call}", std::process::id(), since_epoch.subsec_nanos())
}

/// Makes a new directory of mode 0700 that belongs to the account.
pub(crate) fn make_private(directory: &Path, account: Account) -> Result<(), SandboxError> {
    DirBuilder::new().mode(0o700).create(directory).map_err(SandboxError::file("create", directory))?;
    account.own(directory)
}

/// Makes a new private directory for a temporary cluster, short enough for its socket and open to the account.
pub(crate) fn temporary_directory(parent: Option<&Path>, account: Account) -> Result<PathBuf, SandboxError> {
    let name = unique_name("pg");
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    let fits = is_possible(&parent.join(&name));
    let parent = if fits && account.can_enter(&parent).is_ok() { parent } else { PathBuf::from("/tmp") };
    let directory = parent.join(name);
    make_private(&directory, account)?;
    Ok(directory)
}

/// Makes the socket directory of a persistent cluster: `socket` in it, or where no socket can be there, a
/// directory under `/tmp` whose name follows from the path, so that it is the same on every start.
///
/// # Errors
/// [`SandboxError::NotOurs`] if the directory under `/tmp` belongs to another account.
pub(crate) fn socket_directory(cluster: &Path, account: Account) -> Result<PathBuf, SandboxError> {
    let mut directory = cluster.join("socket");
    if !is_possible(&directory) {
        let mut hasher = DefaultHasher::new();
        cluster.hash(&mut hasher);
        directory = PathBuf::from(format!("/tmp/pg_socket_{:016x}", hasher.finish()));
    }
    if directory.exists() {
        let owner = |path: &Path| fs::symlink_metadata(path).map_err(SandboxError::file("read", path));
        let (socket, data) = (owner(&directory)?, owner(&cluster.join("data"))?);
        let is_private = socket.is_dir() && socket.permissions().mode() & 0o077 == 0;
        if !is_private || socket.uid() != data.uid() {
            return Err(SandboxError::NotOurs { directory });
        }
    } else {
        make_private(&directory, account)?;
    }
    Ok(directory)
}

/// Bytes of all files below a directory; files that vanish meanwhile are left out.
pub(crate) fn size_bytes(directory: &Path) -> u64 {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_bytes(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_carry_any_path_and_name() {
        assert_eq!(
            url(Path::new("/tmp/a b&c+d"), "x?y"),
            "postgres://postgres@localhost:5432/x%3Fy?host=/tmp/a%20b%26c%2Bd"
        );
    }
}
