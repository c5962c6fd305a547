//! An object of a schema in the documents of commands that compare schemas.

use migration_rehearsal::Object;
use serde::Serialize;

/// What names it.
#[derive(Serialize)]
pub(super) struct ObjectDocument {
    pub(super) kind: &'static str,
    pub(super) table: Option<String>,
    pub(super) name: String,
}

impl ObjectDocument {
    pub(super) fn of(object: &Object) -> Self {
        Self { kind: object.kind.as_str(), table: object.parent.clone(), name: object.name.clone() }
    }
}
