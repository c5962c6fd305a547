//! A service whose entities are ahead of its first migration: what `generate --from-entities` writes for it is here too, and so is
//! compiled and run.

#![expect(
    unreachable_pub,
    reason = "entities and migrations are written as in a service, which is a library"
)]

use migration_kit::{EntityTable, Service};

mod author;
mod note;

migration_kit::migrations! {
    m20260101_000001_create_note,
    m20260102_000001_add_fields,
    m20260103_000001_drop_old,
    m20260104_000001_create_all,
}

/// The service with those of its migrations that contain one of these words.
pub(crate) fn service(words: &[String]) -> Service {
    let service = Service::new("grown", migrations()).expect("they are migrations");
    let service = service.with_entities([EntityTable::of(note::Entity), EntityTable::of(author::Entity)]);
    service.retain(|name| words.iter().any(|word| name.as_str().ends_with(word.as_str())))
}
