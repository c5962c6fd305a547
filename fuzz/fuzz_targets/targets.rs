//! What a user types as a target or a name: what is read is written as it means.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migration_plan::{MigrationId, MigrationName, Selection, ServiceName};

fuzz_target!(|text: &str| {
    match text.parse::<Selection>() {
        Ok(selection) => assert_eq!(selection.to_string().parse(), Ok(selection)),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
    drop(text.parse::<MigrationId>());
    if let Ok(name) = text.parse::<MigrationName>() {
        assert_eq!(name.to_string(), text);
    }
    if let Ok(name) = text.parse::<ServiceName>() {
        assert_eq!(name.as_str(), text);
    }
});
