//! Whatever a user types as a target or a name: it is read or refused, and what is read is written as it means.

use migration_plan::{MigrationId, MigrationName, Selection, ServiceName};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text_is_a_target_or_is_refused(
        text in "(chat|@|:|//|\\+|-|[0-9]{1,22}|head|base|m2025|_|\\PC|\\p{Cc}){0,10}",
    ) {
        match text.parse::<Selection>() {
            Ok(selection) => prop_assert_eq!(selection.to_string().parse(), Ok(selection)),
            Err(error) => prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
        drop(text.parse::<MigrationId>());
        if let Ok(name) = text.parse::<MigrationName>() {
            let numbered = name.number().is_some();
            prop_assert_eq!(name.to_string(), &text[..]);
            prop_assert!(numbered || !name.is_conventional());
        }
        if let Ok(name) = text.parse::<ServiceName>() {
            prop_assert_eq!(name.as_str(), text);
        }
    }
}
