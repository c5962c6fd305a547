//! What a command gives back: how it ended, what it says to people, and its document for machines. It is printed in one
//! place, by [`Output`](super::Output); a command prints nothing itself, except what it says before it begins to work.

use std::error::Error;

use migration_report::{Class, Diagnostic, Document, Found};
use serde::Serialize;
use serde_json::Value;

use super::Table;
use crate::words::OurWords;

/// What a command gives back.
pub(crate) struct Answer {
    pub(crate) class: Class,
    /// What went wrong, for machines.
    pub(crate) errors: Vec<Diagnostic>,
    /// For people; they get the document too where there is no text.
    pub(crate) text: Option<Text>,
    pub(crate) body: Body,
}

/// What machines get.
pub(crate) enum Body {
    /// The document of this command, made when it is needed.
    Report(&'static str, Box<dyn FnOnce() -> serde_json::Result<Value>>),
    /// A document of a task's own.
    Task(Value),
    /// The document of a command that failed before it found anything out.
    Failure,
    /// The same as people: a script or a drawing.
    Text,
}

/// What people get, in this order.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) parts: Vec<Part>,
}

/// A piece of what people get.
pub(crate) enum Part {
    /// A line of data.
    Line(String),
    /// A table of data.
    Table(Table),
    /// Text for a program, as it is.
    Raw(String),
    /// A line beside the data, left out with `--quiet`.
    Note(String),
    /// Something that went wrong.
    Error(Diagnostic),
}

impl Answer {
    /// What a command found, and the same for people.
    pub(crate) fn of<B: Serialize>(
        command: &'static str,
        found: Found<B>,
        text: Text,
    ) -> serde_json::Result<Self> {
        let Found { class, errors, body } = found;
        let body = serde_json::to_value(body)?;
        Ok(Self::later(command, Found { class, errors, body }, text))
    }

    /// The same of what may be long: people are not kept waiting for a document that they do not get.
    pub(crate) fn later<B: Serialize + 'static>(command: &'static str, found: Found<B>, text: Text) -> Self {
        let Found { class, errors, body } = found;
        let body = Body::Report(command, Box::new(move || serde_json::to_value(body)));
        Self { class, errors, text: Some(text), body }
    }

    /// A script or a drawing, which is the same for people and machines.
    pub(crate) fn script(script: String) -> Self {
        let text = Text { parts: vec![Part::Raw(script)] };
        Self { text: Some(text), ..Self::silent(Class::Done) }
    }

    /// An end without a word, of what has reported everything already.
    pub(crate) fn silent(class: Class) -> Self {
        Self { class, errors: Vec::new(), text: Some(Text::default()), body: Body::Text }
    }

    /// A failure, taken apart.
    pub(crate) fn failure(error: &(dyn Error + 'static)) -> Self {
        let diagnostic = Diagnostic::of(error, &OurWords);
        let text = Text { parts: vec![Part::Error(diagnostic.clone())] };
        Self { class: diagnostic.class, errors: vec![diagnostic], text: Some(text), body: Body::Failure }
    }

    /// The document for machines, with the code that the program ends with.
    pub(crate) fn document(self, exit_code: u8) -> serde_json::Result<Value> {
        let Self { class, errors, body, .. } = self;
        match body {
            Body::Report(command, body) => {
                let body = body()?;
                let document = Document::of(command, Found { class, errors, body });
                serde_json::to_value(document.with_exit_code(exit_code))
            }
            Body::Failure | Body::Text => {
                serde_json::to_value(Document::failure(errors).with_exit_code(exit_code))
            }
            Body::Task(document) => Ok(document),
        }
    }
}

impl Text {
    /// Nothing but errors.
    pub(crate) fn of_errors(errors: &[Diagnostic]) -> Self {
        Self { parts: errors.iter().cloned().map(Part::Error).collect() }
    }

    pub(crate) fn line(&mut self, line: impl Into<String>) {
        self.parts.push(Part::Line(line.into()));
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    #[cfg(feature = "rehearsal")]
    pub(crate) fn raw(&mut self, text: String) {
        self.parts.push(Part::Raw(text));
    }

    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.parts.push(Part::Note(line.into()));
    }

    pub(crate) fn error(&mut self, diagnostic: Diagnostic) {
        self.parts.push(Part::Error(diagnostic));
    }
}
