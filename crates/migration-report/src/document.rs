//! The frame that every document has.

use serde::Serialize;

use crate::{Class, Diagnostic};

/// A document as it is printed or served: what it is, whether all went well, what went wrong, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Document<B> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    errors: Vec<Diagnostic>,
    #[serde(flatten)]
    body: B,
}

/// Something that was found out, with what went wrong meanwhile.
#[derive(Debug, Clone)]
pub struct Found<B> {
    /// How it ended.
    pub class: Class,
    /// What went wrong, each once.
    pub errors: Vec<Diagnostic>,
    /// What was found.
    pub body: B,
}

impl<B> Found<B> {
    /// Something that was found without fault.
    pub fn whole(body: B) -> Self {
        Self { class: Class::Done, errors: Vec::new(), body }
    }

    /// Something that is known as far as these errors let it be.
    pub fn despite(errors: Vec<Diagnostic>, body: B) -> Self {
        Self { class: Class::worst(errors.iter().map(|error| error.class)), errors, body }
    }
}

impl Document<Nothing> {
    /// What failed before anything was found.
    #[must_use]
    pub fn failure(errors: Vec<Diagnostic>) -> Self {
        Self { schema: SCHEMA, command: None, ok: false, exit_code: None, errors, body: Nothing {} }
    }
}

impl<B> Document<B> {
    /// What this command found.
    pub fn of(command: &'static str, found: Found<B>) -> Self {
        let Found { class, errors, body } = found;
        Self { schema: SCHEMA, command: Some(command), ok: class.is_ok(), exit_code: None, errors, body }
    }

    /// With the code that the program ends with.
    #[must_use]
    pub fn with_exit_code(mut self, code: u8) -> Self {
        self.exit_code = Some(code);
        self
    }
}

/// The body of a document that has none.
#[derive(Debug, Clone, Serialize)]
pub struct Nothing {}

/// What the documents are called, with the version of what they mean.
const SCHEMA: &str = "migrate/v1";
