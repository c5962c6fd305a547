//! `new-service`: writes the package of a new service and registers it in its workspace. Connects to no database.
//!
//! The program that writes it does not contain it: the next build does.

use std::path::Path;

use migration_author::NewService;
use migration_kit::LockFile;
use migration_report::{Class, Found};
use serde::Serialize;

use crate::context::Context;
use crate::output::{Answer, Text};
use crate::shell::word;

/// What `new-service --json` prints.
#[derive(Serialize)]
struct Document {
    service: String,
    /// Files that were made.
    created: Vec<String>,
    /// Files that were changed.
    changed: Vec<String>,
}

pub(super) fn new_service(context: &Context, name: &str, directory: &Path) -> anyhow::Result<Answer> {
    let mut taken = Vec::new();
    for service in context.program.services()? {
        taken.extend([service.name().to_string(), service.default_schema().to_owned()]);
        taken.extend_from_slice(service.further_schemas());
    }
    let draft = NewService { name, taken, lock_file: LockFile::render([]) }.draft(directory)?;
    draft.write()?;
    let shown = |path: &Path| path.display().to_string();
    let document = Document {
        service: draft.name().to_owned(),
        created: draft.created().map(shown).collect(),
        changed: draft.changed().map(shown).collect(),
    };
    let mut text = Text::default();
    document.created.iter().for_each(|path| text.line(format!("wrote   `{path}`")));
    document.changed.iter().for_each(|path| text.line(format!("changed `{path}`")));
    text.note(format!(
        "hint: the next build contains it: `generate {name} create_{} --directory {}` then adds its first migration, and `artifacts` \
         writes its lock file and schema",
        name.replace('-', "_"),
        word(&directory.display().to_string())
    ));
    Ok(Answer::of("new-service", Found { class: Class::Done, errors: Vec::new(), body: document }, text)?)
}
