//! `generate`: writes the source of a new migration and registers it. Connects to no database.
//!
//! The program that writes it does not contain it: its lock file is written by the next build.

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

/// What `generate --json` prints.
#[derive(Serialize)]
struct Document {
    service: String,
    migration: String,
    /// Files that were made.
    created: Vec<String>,
    /// Files that were changed.
    changed: Vec<String>,
}

pub(super) fn generate(
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
    let migration = NewMigration {
        service,
        name,
        form,
        contract: options.contract,
        requires: options.requires.clone(),
        at: i64::try_from(now.as_secs()).unwrap_or_default(),
        body: Body::Unwritten,
    };
    let draft = migration.draft(&options.directory)?;
    draft.write()?;
    answer(&migration, &draft, options)
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

fn answer(migration: &NewMigration, draft: &Draft, options: &GenerateOptions) -> anyhow::Result<Answer> {
    let shown = |path: &std::path::Path| path.display().to_string();
    let service = migration.service.to_string();
    let document = Document {
        migration: draft.name().to_owned(),
        created: draft.created().map(shown).collect(),
        changed: draft.changed().map(shown).collect(),
        service,
    };
    let mut text = Text::default();
    document.created.iter().for_each(|path| text.line(format!("wrote   `{path}`")));
    document.changed.iter().for_each(|path| text.line(format!("changed `{path}`")));
    text.note(format!(
        "hint: write `up`, `down` and the checks; then `artifacts {} --directory {}` of the next build writes its lock file and schema",
        document.service,
        options.directory.display()
    ));
    Ok(Answer::of("generate", Found { class: Class::Done, errors: Vec::new(), body: document }, text)?)
}
