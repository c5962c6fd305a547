//! Files of SQL: they are migrations or are refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migration_kit::sql::from_files;

fuzz_target!(|bytes: &[u8]| {
    for name in ["1_a.sql", "1_a.up.sql", "1_a.down.sql", "V1__a.sql"] {
        drop(from_files([(name, bytes)]).map_err(|error| error.to_string()));
    }
});
