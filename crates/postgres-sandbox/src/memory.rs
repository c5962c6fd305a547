//! Where a cluster can be in memory: its files are made and removed by the thousand, which a disk's file system takes longer for
//! than PostgreSQL does for the rest.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The file system of Linux that is in memory.
const DIRECTORY: &str = "/dev/shm";

/// What has to be free there, and of the memory: a cluster of a thousand small databases in turn takes a third of it.
const NEEDED_KIB: u64 = 4 << 20;

/// A directory in memory with room for a cluster; nothing where the machine has none.
pub(crate) fn directory() -> Option<&'static Path> {
    let free = Command::new("df").args(["-Pk", DIRECTORY]).env("LC_ALL", "C").output().ok()?;
    let free = String::from_utf8(free.stdout).ok()?;
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    has_room(&free, &memory).then(|| Path::new(DIRECTORY))
}

/// Whether there is room, by the answer of `df -Pk` and by `/proc/meminfo`.
fn has_room(df: &str, meminfo: &str) -> bool {
    let is_in_memory = |line: &&str| line.starts_with("tmpfs ");
    let free = df.lines().find(is_in_memory).and_then(|line| line.split_whitespace().nth(3));
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|rest| rest.split_whitespace().next());
    [free, available].into_iter().all(|kib| kib.and_then(|kib| kib.parse::<u64>().ok()) >= Some(NEEDED_KIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_where_both_the_file_system_and_the_memory_have_it() {
        let df = |name: &str, kib: &str| {
            format!(
                "Filesystem     1024-blocks      Used Available Capacity Mounted on\n\
                 {name} 24684092 4200 {kib} 1% {DIRECTORY}\n"
            )
        };
        let memory =
            |kib: &str| format!("MemTotal: 24684092 kB\nMemFree: 123 kB\nMemAvailable:   {kib} kB\n");
        let cases = [
            (df("tmpfs", "24679892"), memory("20000000"), true),
            (df("tmpfs", "65536"), memory("20000000"), false),
            (df("tmpfs", "24679892"), memory("2000000"), false),
            (df("/dev/vda", "24679892"), memory("20000000"), false),
            (String::new(), memory("20000000"), false),
            (df("tmpfs", "24679892"), String::new(), false),
            (df("tmpfs", "-"), memory("20000000"), false),
        ];
        for (df, memory, expected) in cases {
            assert_eq!(has_room(&df, &memory), expected, "{df}{memory}");
        }
    }
}
