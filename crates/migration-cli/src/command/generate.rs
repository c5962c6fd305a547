//! `generate`: writes the source of a new migration and registers it. Connects to no database; what is written from entities comes
//! from a server of its own.
//!
//! The program that writes it does not contain it: its lock file is written by the next build.

mod from_entities;

use std::time::{SystemTime, UNIX_EPOCH};

use migration_author::{Body, Draft, Form, NewMigration};
use migration_kit::{MigrationId, Service, ServiceName};
use migration_plan::{Catalog, nearest};
use migration_report::{Class, Found};
use serde::Serialize;

use super::known;
use crate::arguments::GenerateOptions;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::shell::word;

/// What `generate --json` prints.
#[derive(Serialize)]
struct Document {
    service: String,
    migration: String,
    /// Files that were made.
    created: Vec<String>,
    /// Files that were changed.
    changed: Vec<String>,
    /// With `--from-entities`: differences that it does not close.
    left: Vec<String>,
}

pub(super) async fn generate(
    context: &Context,
    service: &str,
    name: &str,
    options: &GenerateOptions,
) -> anyhow::Result<Answer> {
    let services = context.program.services()?;
    let catalog = Catalog::new(services.iter().map(Service::known).collect())?;
    let service = known(&catalog, service)?;
    for id in &options.requires {
        can_be_required(&catalog, &service, id)?;
    }
    let form = match (options.sql, options.steps) {
        (true, _) => Form::Sql,
        (false, true) => Form::Steps,
        (false, false) => Form::Transaction,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut migration = NewMigration {
        service: service.clone(),
        name,
        form,
        contract: options.contract,
        requires: options.requires.clone(),
        at: i64::try_from(now.as_secs()).unwrap_or_default(),
        body: Body::Unwritten,
    };
    let mut draft = migration.draft(&options.directory)?;
    let mut left = Vec::new();
    if options.from_entities {
        // Slow, and so after all that can be refused without it.
        let (steps, remains) = from_entities::steps(services, &service, options).await?;
        (migration.body, left) = (Body::Steps(steps), remains);
        draft = migration.draft(&options.directory)?;
    }
    draft.write()?;
    answer(&migration, &draft, left, options)
}

/// Whether a migration of this service can require that one.
fn can_be_required(catalog: &Catalog, service: &ServiceName, id: &MigrationId) -> anyhow::Result<()> {
    let other = catalog.named(&id.service)?;
    if id.service == *service {
        let hint = "leave it out: the migrations of a service are applied in the order of its list";
        return Err(Failure::usage(format!("`{id}` is a migration of the same service"), hint).into());
    }
    if catalog.migration(id).is_none() {
        let names = other.migrations.iter().map(|migration| migration.name.as_str());
        let hint = match nearest(id.name.as_str(), names) {
            Some(name) => format!("did you mean `{}:{name}`?", id.service),
            None => format!("`history {}` lists its migrations", id.service),
        };
        return Err(Failure::usage(format!("there is no migration `{id}`"), hint).into());
    }
    Ok(())
}

fn answer(
    migration: &NewMigration,
    draft: &Draft,
    left: Vec<String>,
    options: &GenerateOptions,
) -> anyhow::Result<Answer> {
    let shown = |path: &std::path::Path| path.display().to_string();
    let service = migration.service.to_string();
    let document = Document {
        migration: draft.name().to_owned(),
        created: draft.created().map(shown).collect(),
        changed: draft.changed().map(shown).collect(),
        left,
        service,
    };
    let mut text = Text::default();
    document.created.iter().for_each(|path| text.line(format!("wrote   `{path}`")));
    document.changed.iter().for_each(|path| text.line(format!("changed `{path}`")));
    document.left.iter().for_each(|left| text.line(format!("left    {left}")));
    let next = match migration.body {
        Body::Unwritten => "write `up`, `down` and the checks",
        _ => "read it; end checks of earlier migrations that no longer hold, with `until`",
    };
    text.note(format!(
        "hint: {next}; then `artifacts {} --directory {}` of the next build writes its lock file and schema",
        document.service,
        word(&options.directory.display().to_string())
    ));
    Ok(Answer::of("generate", Found { class: Class::Done, errors: Vec::new(), body: document }, text)?)
}
