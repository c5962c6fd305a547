//! Where fetched programs are kept: one directory per version, shared by all projects of a user.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::account::Account;

/// Below a user's directory for caches.
const BELOW: &str = "migrate/postgresql";
/// For all users, where the account that the server runs as may not enter root's own.
const OF_THE_SYSTEM: &str = "/var/cache";

/// The directory, be it there or not: below `XDG_CACHE_HOME` or else `~/.cache`. As root it is below `/var/cache` where
/// the server's account could not enter that one: `/root` is closed on most systems.
pub(crate) fn directory(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let of_user = xdg_cache_home.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")));
    match Account::for_new() {
        Ok(account @ Account::Other { .. }) => {
            let reachable = of_user.filter(|cache| account.can_enter(existing_part(cache)).is_ok());
            Some(reachable.unwrap_or_else(|| PathBuf::from(OF_THE_SYSTEM)).join(BELOW))
        }
        _ => Some(of_user?.join(BELOW)),
    }
}

/// The versions in the cache, newest first, as directories of programs.
pub(crate) fn programs(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let mut versions: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let numbers = entry.file_name().to_str()?.split('.').map(str::parse).collect::<Result<_, _>>();
            Some((numbers.ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by_key(|(version, _)| Reverse(version.clone()));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

fn existing_part(directory: &Path) -> &Path {
    directory.ancestors().find(|above| above.exists()).unwrap_or(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_sorted_as_numbers_and_unfinished_ones_left_out() {
        let cache = std::env::temp_dir().join(crate::place::unique_name("cache"));
        for name in ["9.1.0", "18.6.0", "18.10.0", "making_7_1_0", "fetch.lock"] {
            fs::create_dir_all(cache.join(name)).expect("the directory is new");
        }
        let found = programs(&cache);
        fs::remove_dir_all(&cache).expect("it was made above");
        assert_eq!(found, ["18.10.0/bin", "18.6.0/bin", "9.1.0/bin"].map(|version| cache.join(version)));
    }
}
