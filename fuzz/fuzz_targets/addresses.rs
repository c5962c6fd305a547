//! Addresses of databases: what is shown of one has no piece of its password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use migration_coordinator::DatabaseUrl;

/// Nothing that is printed of itself has these letters in this order.
const SECRET: &str = "QZXWJVKQ";

fuzz_target!(|text: &str| {
    drop(shown(text));
    if !text.contains(SECRET) {
        let shown = shown(&format!("postgres://u:{SECRET}@{text}"));
        assert!(!shown.contains(SECRET), "{shown}");
    }
});

fn shown(text: &str) -> String {
    match text.parse::<DatabaseUrl>() {
        Ok(url) => format!("{url} {url:?} {} {} {:?}", url.user(), url.host(), url.notes()),
        Err(error) => format!("{error} {error:?} {:?}", error.hint()),
    }
}
