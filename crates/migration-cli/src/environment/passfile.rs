//! Passwords from outside the environment: libpq's password file, whose path comes from there, and a file descriptor. Only the
//! command line reads them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use migration_coordinator::DatabaseUrl;

use crate::exit::Failure;

/// The password for an address.
///
/// # Errors
/// Why the file is ignored, as libpq ignores it too. A file that is not there is none.
pub(super) fn password(file: &Path, url: &DatabaseUrl) -> Result<Option<String>, String> {
    let ignored = |reason: &str| format!("the password file `{}` is ignored: {reason}", file.display());
    let Ok(metadata) = fs::metadata(file) else { return Ok(None) };
    if !metadata.is_file() {
        return Err(ignored("it is not a plain file"));
    }
    if metadata.permissions().mode() & 0o77 != 0 {
        return Err(ignored("others may read it; its permissions must be 0600"));
    }
    let text = fs::read_to_string(file).map_err(|error| ignored(&error.to_string()))?;
    let (host, port) = (url.host(), url.port().to_string());
    let wanted = [host.as_str(), port.as_str(), url.database(), url.user()];
    Ok(text.lines().find_map(|line| entry(line, &wanted)))
}

/// The password of a line, `host:port:database:user:password`, if it is for this address.
fn entry(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for (at, wanted) in wanted.iter().enumerate() {
        let end = separator(rest)?;
        let field = unescape(&rest[..end]);
        // libpq calls the socket of this machine `localhost`.
        let is_local = at == 0 && field == "localhost" && wanted.starts_with('/');
        if rest[..end] != *"*" && field != *wanted && !is_local {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let password = unescape(&rest[..separator(rest).unwrap_or(rest.len())]);
    Some(password)
}

/// The first colon that no backslash precedes.
fn separator(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let is_separator = character == ':' && !escaped;
        escaped = character == '\\' && !escaped;
        is_separator.then_some(at)
    })
}

fn unescape(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    plain
}

/// The password that a file descriptor holds which this process was given: its first line.
///
/// # Errors
/// [`Failure`] if it is not open, cannot be read, or holds none.
pub(super) fn of_descriptor(number: u32) -> Result<String, Failure> {
    let failed = |why: String| {
        let hint = "give it a pipe: `--password-fd 3` with `3< <(COMMAND)` behind it in bash";
        Failure::usage(format!("file descriptor {number} {why}"), hint)
    };
    let text = fs::read_to_string(format!("/dev/fd/{number}"));
    let text = text.map_err(|error| failed(format!("cannot be read: {error}")))?;
    match text.lines().next().filter(|password| !password.is_empty()) {
        Some(password) => Ok(password.to_owned()),
        None => Err(failed("holds no password".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let wanted = ["h", "5432", "d", "u"];
        for (line, password) in [
            ("h:5432:d:u:secret", Some("secret")),
            ("*:*:*:*:a\\:b\\\\c", Some("a:b\\c")),
            ("*:*:*:*:secret:more", Some("secret")),
            ("#h:5432:d:u:secret", None),
            ("other:5432:d:u:secret", None),
            ("\\*:5432:d:u:secret", None),
            ("h:5432:d", None),
        ] {
            assert_eq!(entry(line, &wanted).as_deref(), password, "{line}");
        }
        assert_eq!(entry("localhost:*:*:*:secret", &["/run/pg", "1", "d", "u"]).as_deref(), Some("secret"));
    }
}
