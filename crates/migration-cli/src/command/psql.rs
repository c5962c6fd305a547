//! `psql`: PostgreSQL's own shell in a service's schema. The address goes to it by its environment, never by arguments.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use migration_kit::{Service, quote_identifier};
use migration_plan::Catalog;
use postgres_sandbox::Binaries;
use url::Url;

use super::known;
use crate::database;
use crate::exit::{Exit, Failure};
use crate::program::Context;

/// Parameters of a URL that libpq also reads from its environment.
const PARAMETERS: [(&str, &str); 8] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
];

pub(super) fn psql(context: &Context, service: &str, arguments: &[String]) -> anyhow::Result<Exit> {
    let services = (context.program.services)();
    let name = known(&Catalog::new(services.iter().map(Service::known).collect())?, service)?;
    let service =
        services.iter().find(|service| *service.name() == name).expect("the catalog is of these services");
    let schema = context.environment.schema(service.name()).unwrap_or(service.default_schema());
    // The embedded server stays until psql is done.
    let (address, _cluster) = database::address(&context.environment, service, context.install_postgres)?;
    let program = Binaries::find().map_or_else(|_| PathBuf::from("psql"), |binaries| binaries.psql());
    let mut command = Command::new(&program);
    command.args(arguments).envs(variables(&address)?);
    let path = quote_identifier(schema).replace('\\', "\\\\").replace(' ', "\\ ");
    command.env("PGOPTIONS", format!("-c search_path={path}")).env("PGAPPNAME", "migrate psql");
    let status = command.status().map_err(|error| {
        Failure::usage(
            format!("`{}` cannot be run: {error}", program.display()),
            "install PostgreSQL's client programs",
        )
    })?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(Exit::Done),
        (_, Some(_)) => Ok(Exit::Interrupted),
        _ => Ok(Exit::Failed),
    }
}

/// The parts of an address as libpq's variables.
fn variables(address: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let url = Url::parse(&format!("postgres://{rest}")).ok().context("the database URL is malformed")?;
    let decode = |text: &str| {
        let mut pairs = url::form_urlencoded::parse(text.as_bytes());
        // A `+` is itself in this part of a URL, and a space in a form.
        pairs.next().map_or_else(String::new, |(key, _)| key.into_owned())
    };
    let decode = |text: &str| decode(&text.replace('+', "%2B").replace('=', "%3D").replace('&', "%26"));
    let mut variables = vec![("PGDATABASE", decode(url.path().trim_start_matches('/')))];
    if let Some(host) = url.host_str() {
        variables.push(("PGHOST", decode(host)));
    }
    if let Some(port) = url.port() {
        variables.push(("PGPORT", port.to_string()));
    }
    if !url.username().is_empty() {
        variables.push(("PGUSER", decode(url.username())));
    }
    if let Some(password) = url.password() {
        variables.push(("PGPASSWORD", decode(password)));
    }
    for (key, value) in url.query_pairs() {
        if let Some((_, variable)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == key) {
            variables.push((variable, value.into_owned()));
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_variables() {
        let found =
            variables("postgres://ada:p%40ss+w%20d@db.example:6432/shop?sslmode=require&x=y").unwrap();
        let expected = [
            ("PGDATABASE", "shop"),
            ("PGHOST", "db.example"),
            ("PGPORT", "6432"),
            ("PGUSER", "ada"),
            ("PGPASSWORD", "p@ss+w d"),
            ("PGSSLMODE", "require"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_socket_wins_over_the_host() {
        let found = variables("postgres://postgres@localhost:5432/db?host=/run/pg").unwrap();
        assert_eq!(found.iter().rfind(|(name, _)| *name == "PGHOST").unwrap().1, "/run/pg");
    }
}
