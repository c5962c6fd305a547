//! What differs from run to run and from machine to machine, replaced in snapshots.

use insta::Settings;
use insta::internals::SettingsBindDropGuard;

/// Regular expressions and what takes their place, in this order.
const FILTERS: [(&str, &str); 15] = [
    // Where a migration begins; tested in `up.rs`.
    (r"(?m)^ *\w+ +m\w+ +(applying|reverting)\n", ""),
    (r"role_scratch_\w+", "[role]"),
    (r"scratch_\w+", "[database]"),
    (r"/[^\s:?=`]*/pg_\d+_\w+", "[socket]"),
    (r"/[^\s:?=`]*/e2e_\d+_\d+", "[directory]"),
    (r" +\d+(\.\d+)? (ms|s|min \d+ s)\b", " [time]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[timestamp]"),
    (r"\d{8}T\d{6}Z", "[moment]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[timestamp]"),
    (r"(pid|process) \d+", "$1 [pid]"),
    (r"\b\d+ migrate ", "[pid] migrate "),
    (r"\d+ [kM]B of data", "[size] of data"),
    (r"rows, \d+ [kM]B,", "rows, [size],"),
    (r"os error \d+", "os error [number]"),
    (r"PostgreSQL \d+\.\d+", "PostgreSQL [version]"),
];

/// Uses the filters until the guard is dropped.
pub(crate) fn bind() -> SettingsBindDropGuard {
    let mut settings = Settings::clone_current();
    for (pattern, replacement) in FILTERS {
        settings.add_filter(pattern, replacement);
    }
    settings.bind_to_scope()
}
