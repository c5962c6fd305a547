//! Data directories: making one, and what can be said of one without a server.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::account::Account;
use crate::client::succeed;
use crate::{Binaries, SandboxError, place};

/// Without one of these a server does not start.
const PARTS: [(&str, &str); 6] = [
    ("base", "`base` is missing"),
    ("global", "`global` is missing"),
    ("global/pg_control", "`global/pg_control` is missing"),
    ("pg_wal", "`pg_wal` is missing"),
    ("pg_xact", "`pg_xact` is missing"),
    ("postgresql.conf", "`postgresql.conf` is missing"),
];

/// Major version that made the data directory, if there is one.
pub(crate) fn major(directory: &Path) -> Option<u32> {
    fs::read_to_string(directory.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// What is wrong with a data directory that is there and not whole: it was moved to its place when it was complete, so
/// a part of it was deleted. Nothing is lost with an empty one.
pub(crate) fn damage(directory: &Path) -> Option<&'static str> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some("it cannot be read"),
        Ok(false) => {}
    }
    if major(directory).is_none() {
        return Some("`PG_VERSION` is missing or unreadable");
    }
    PARTS.iter().find(|(part, _)| !directory.join(part).exists()).map(|(_, what)| *what)
}

/// Makes a data directory, durable, for the superuser `postgres`.
pub(crate) fn make(directory: &Path, binaries: &Binaries, account: Account) -> Result<(), SandboxError> {
    place::make_private(directory, account)?;
    let initdb = |locale: &str| {
        let mut command = Command::new(binaries.initdb());
        command.arg("--pgdata").arg(directory).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
            locale,
        ]);
        account.apply(&mut command);
        succeed(command, "").map(|_| ())
    };
    // Not every platform has C.UTF-8.
    initdb("--locale=C.UTF-8").or_else(|_| initdb("--locale=C"))
}
