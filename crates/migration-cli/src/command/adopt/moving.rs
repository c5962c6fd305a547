//! `adopt --into-schema`: which services move, whereto, and what of them.

use std::collections::BTreeMap;

use migration_coordinator::{Deployment, Relocation, unusable_schema};
use migration_kit::ServiceName;
use migration_rehearsal::{Drift, Kind};

use super::Claims;
use crate::environment::variable;
use crate::exit::Failure;
use crate::shell::setting as setting_of;

/// Whereto a service moves.
pub(super) struct Destination {
    pub(super) schema: String,
    /// What is to be set afterwards, so that it is looked for there.
    pub(super) setting: String,
}

/// The schema into which each service moves: that of its name, unless another one is named for it alone.
pub(super) fn destinations(
    deployment: &Deployment,
    claims: &Claims,
    schema: Option<&str>,
) -> anyhow::Result<BTreeMap<ServiceName, Destination>> {
    if let (Some(schema), true) = (schema, claims.len() > 1) {
        let message = format!("more than one service would move into `{schema}`");
        return Err(Failure::usage(message, "name one service, or `--into-schema` alone").into());
    }
    let mut destinations = BTreeMap::new();
    for name in claims.keys() {
        let Some((service, now, _)) = deployment.service(name) else { continue };
        let (variable, usual) = (variable(name, "DATABASE_SCHEMA"), service.default_schema());
        let schema = schema.unwrap_or(usual);
        if let Some(why) = unusable_schema(schema) {
            let message = format!("no service can live in schema `{schema}`: {why}");
            return Err(Failure::usage(message, "name another one").into());
        }
        if schema == now {
            let hint = format!("{variable} names the schema in which its tables are");
            return Err(Failure::usage(format!("`{name}` is in schema `{schema}` already"), hint).into());
        }
        let setting = if schema == usual {
            format!(
                "take {variable} out of the settings: without it `{name}` is looked for in schema `{schema}`"
            )
        } else {
            format!("set {}", setting_of(&variable, schema))
        };
        destinations.insert(name.clone(), Destination { schema: schema.to_owned(), setting });
    }
    Ok(destinations)
}

/// What moves of a service: what its migrations make. Tables of others in its schema stay, and so does what was accepted.
pub(super) fn relocation(schema: &str, drift: &Drift) -> Relocation {
    let of = |kinds: &[Kind]| {
        let own = drift.own.iter().filter(|object| kinds.contains(&object.kind));
        own.map(|object| object.name.clone()).collect()
    };
    Relocation {
        schema: schema.to_owned(),
        relations: of(&[Kind::Table, Kind::View, Kind::Sequence]),
        types: of(&[Kind::Type]),
        routines: of(&[Kind::Function]),
    }
}
