//! Whether a service's sea-orm entities are the tables that its migrations make.

use migration_kit::Service;
use migration_rehearsal::differing_entities;

use crate::{Scratch, fail};

/// Compares the entities that a service declares with the tables that its migrations make, all of them applied:
///
/// - each column of an entity exists, with a type that is read and written in the same way, and takes null if the field does;
/// - each column that takes no null and has no default is in the entity, which could not insert a row otherwise.
///
/// The command `check` does the same.
///
/// # Panics
/// With each difference, or if the service declares no entities.
pub async fn conformance_of_entities(service: Service) {
    assert!(!service.entities().is_empty(), "the service declares no entities: `Service::with_entities`");
    let scratch = Scratch::new(service).await;
    scratch.up_contract().await;
    let service = scratch.service();
    let differ = differing_entities(scratch.database(), service, service.default_schema()).await;
    let differ = differ.unwrap_or_else(|error| fail(&error));
    assert!(differ.is_empty(), "the entities are not the tables at head:\n{}", differ.join("\n"));
}
