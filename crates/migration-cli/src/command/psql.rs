//! `psql`: PostgreSQL's own shell in a service's schema. The address goes to it by its environment, never by arguments.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use migration_coordinator::{DatabaseUrl, MoveMark, Reading, RunError, SurveyError};
use migration_kit::{Service, quote_identifier};
use migration_plan::Catalog;
use migration_report::Class;

use super::{known, notes};
use crate::context::Context;
use crate::database;
use crate::exit::Failure;
use crate::output::Answer;

pub(super) async fn psql(context: &Context, service: &str, arguments: &[String]) -> anyhow::Result<Answer> {
    let services = context.program.services()?;
    let name = known(&Catalog::new(services.iter().map(Service::known).collect())?, service)?;
    let service =
        services.iter().find(|service| *service.name() == name).expect("the catalog is of these services");
    let schema = context.environment.schema(service.name())?.unwrap_or(service.default_schema());
    // The embedded server stays until psql is done.
    let (address, cluster) = database::address(&context.environment, service, context.embedded)?;
    notes(context);
    if let Some(mark) = mark(&address, schema, service.version_table()).await {
        return Err(RunError::Survey(SurveyError::of_mark(service.name().clone(), mark).into()).into());
    }
    // For a server elsewhere nothing is fetched: the client alone is enough, and more often on `PATH`.
    let program = match &cluster {
        Some(cluster) => cluster.binaries().psql(),
        None => match context.environment.programs()?.only_present().run() {
            Ok(binaries) => binaries.psql(),
            Err(_) => PathBuf::from("psql"),
        },
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    address
        .libpq_environment("migrate psql", &[("search_path", &quote_identifier(schema))])
        .apply(&mut command);
    let status = command.status().map_err(|error| {
        Failure::usage(
            format!("`{}` cannot be run: {error}", program.display()),
            "install PostgreSQL's client programs",
        )
    })?;
    Ok(Answer::silent(match (status.code(), status.signal()) {
        (Some(0), _) => Class::Done,
        (_, Some(_)) => Class::Interrupted,
        _ => Class::Failed,
    }))
}

/// What says that the service is in another place. Where that cannot be asked, `psql` itself says why.
async fn mark(address: &DatabaseUrl, schema: &str, version_table: &str) -> Option<MoveMark> {
    let mut reading = Reading::open(address).await.ok()?;
    reading.begin().await.ok()?;
    let found = reading.ask(|connection| MoveMark::find(connection, schema, version_table)).await;
    reading.close().await;
    found.ok()?
}
