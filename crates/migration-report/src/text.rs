//! Values that are words in a document.

use std::fmt::Display;

use migration_plan::{Direction, Phase};
use serde::Serializer;

/// A value by its text.
pub(crate) fn shown<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A direction that there may not be.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(crate) fn direction<S: Serializer>(value: &Option<Direction>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(direction) => serializer.serialize_str(direction.as_str()),
        None => serializer.serialize_none(),
    }
}

/// A phase, or that it is unknown.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(crate) fn phase<S: Serializer>(value: &Option<Phase>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.map_or("unknown", Phase::as_str))
}

/// Names as text.
pub(crate) fn texts<T: Display>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
