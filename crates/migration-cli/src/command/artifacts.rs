//! `artifacts`: writes `migrations.lock` and `schema.sql` of each service from a rehearsal of all migrations, or checks that
//! the files are current, that sea-orm entities have every column, and that what can be reverted has a `down`.
//!
//! It connects to no database but the rehearsal's own.

use std::path::Path;

use migration_kit::Service;
use migration_plan::Catalog;
use migration_rehearsal::{Artifacts, Rules, Stale};
use migration_report::{Class, Found};
use serde::Serialize;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::known;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Text};

/// What `artifacts --json` prints.
#[derive(Serialize)]
struct Document {
    services: Vec<ServiceDocument>,
}

/// The files of one service, and what is wrong with its migrations.
#[derive(Serialize)]
struct ServiceDocument {
    name: String,
    files: Vec<FileDocument>,
    faults: Vec<String>,
}

/// A file that was not what was generated.
#[derive(Serialize)]
struct FileDocument {
    path: String,
    outcome: Outcome,
    /// Migrations that the file had with another checksum.
    edited: Vec<String>,
}

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Written,
    Stale,
    /// Another major version of PostgreSQL wrote it, which writes some things differently.
    NotChecked,
}

pub(super) async fn artifacts(
    context: &Context,
    services: &[String],
    directory: &Path,
    check: bool,
) -> anyhow::Result<Answer> {
    if check && !directory.is_dir() {
        let missing = format!("there is no directory `{}`", directory.display());
        return Err(Failure::usage(missing, DIRECTORY_HINT).into());
    }
    let all = context.program.services()?;
    let catalog = Catalog::new(all.iter().map(Service::known).collect())?;
    let wanted = services.iter().map(|name| known(&catalog, name)).collect::<Result<Vec<_>, _>>()?;
    // What happens to the rehearsal's own database is nobody's news.
    let rehearsed =
        migration_rehearsal::artifacts(all, Rules::default()).with_subscriber(NoSubscriber::new());
    let artifacts = Box::pin(rehearsed).await?;
    let mut documents = Vec::new();
    let mut said = Said { paint: context.output.paint, text: Text::default() };
    for artifacts in artifacts {
        if wanted.is_empty() || wanted.contains(&artifacts.service) {
            documents.push(of_service(&mut said, &artifacts, directory, check)?);
        }
    }
    let is_any = |outcome| {
        documents.iter().flat_map(|service| &service.files).any(|file: &FileDocument| file.outcome == outcome)
    };
    let is_faulty = documents.iter().any(|service| !service.faults.is_empty());
    let class = if check && (is_faulty || is_any(Outcome::Stale)) { Class::Failed } else { Class::Done };
    hints(&mut said, &documents, check);
    let found = Found { class, errors: Vec::new(), body: Document { services: documents } };
    Ok(Answer::of("artifacts", found, said.text)?)
}

/// What to do about a directory that there is not.
const DIRECTORY_HINT: &str = "`--directory` names the directory that has one of each service's name";

/// What is said to people.
struct Said {
    paint: Paint,
    text: Text,
}

/// Compares the files of a service with what was generated, and writes them unless they are only checked.
fn of_service(
    said: &mut Said,
    artifacts: &Artifacts,
    directory: &Path,
    check: bool,
) -> anyhow::Result<ServiceDocument> {
    let directory = directory.join(artifacts.service.as_str());
    if check && !directory.is_dir() {
        let missing = format!("there is no directory `{}`", directory.display());
        return Err(Failure::usage(missing, DIRECTORY_HINT).into());
    }
    let mut faults = artifacts.faults.clone();
    let service = &artifacts.service;
    let entities = artifacts.differing_entities.iter();
    faults.extend(entities.map(|says| format!("`{service}`: the entity of {says}")));
    for fault in &faults {
        said.warn(fault);
    }
    let mut files = Vec::new();
    for stale in artifacts.stale(&directory)? {
        files.push(of_file(said, &stale, check)?);
    }
    Ok(ServiceDocument { name: artifacts.service.to_string(), files, faults })
}

fn of_file(said: &mut Said, stale: &Stale, check: bool) -> anyhow::Result<FileDocument> {
    let path = stale.path.display().to_string();
    let edited = stale.edited();
    let outcome = match stale.of_two_servers() {
        Some((theirs, ours)) if check => {
            let versions = format!("PostgreSQL {theirs} wrote it, and this is PostgreSQL {ours}");
            said.warn(&format!("`{path}` WAS NOT CHECKED: {versions}"));
            Outcome::NotChecked
        }
        _ if check => {
            said.say(&format!("`{path}` is stale\n{}\n", stale.difference()));
            Outcome::Stale
        }
        _ => {
            stale.write()?;
            said.say(&format!("wrote `{path}`"));
            Outcome::Written
        }
    };
    Ok(FileDocument { path, outcome, edited })
}

/// What to do about files that are stale, and about migrations that were edited.
fn hints(said: &mut Said, documents: &[ServiceDocument], check: bool) {
    let files = || documents.iter().flat_map(|service| &service.files);
    let changed = files().filter(|file| file.outcome != Outcome::NotChecked);
    let edited: Vec<&str> = changed.flat_map(|file| &file.edited).map(String::as_str).collect();
    if !edited.is_empty() {
        let names = edited.join("`, `");
        said.warn(&format!("`{names}` sends other SQL than it was recorded with"));
        said.say(
            "hint: where it is applied, the next run is refused: restore it and write a new migration; if it is applied to \
             your own private server only, run `db reset --yes`, then `artifacts`, and commit what it writes",
        );
    } else if check && files().any(|file| file.outcome == Outcome::Stale) {
        said.say("hint: run `artifacts` and commit what it writes");
    }
}

impl Said {
    fn warn(&mut self, text: &str) {
        self.say(&format!("{} {text}", self.paint.warn("WARNING:")));
    }

    /// Lines that are shown also with `--quiet`.
    fn say(&mut self, text: &str) {
        text.lines().for_each(|line| self.text.line(line));
    }
}
