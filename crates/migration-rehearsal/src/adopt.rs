//! Whether a live schema that an earlier system has made is what migrations of ours would make.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use migration_coordinator::{Deployment, Selection, Survey};
use migration_kit::{MigrationName, Service, ServiceName};
use migration_plan::TargetPoint;

use crate::drift::{Applied, Aside, applied, of_service};
use crate::sandbox::{carry_out, everything};
use crate::{Difference, Drift, RehearsalError};

/// How the live schemas differ from what these migrations make, beside those that are applied already. `services` are those of
/// the deployment once more: what one of them requires of another runs aside too.
///
/// # Errors
/// [`RehearsalError`]: there is no server of the same major version, a migration fails there, or a schema cannot be read.
pub async fn claimed(
    deployment: &Deployment,
    survey: &Survey,
    services: Vec<Service>,
    claims: &BTreeMap<ServiceName, Vec<MigrationName>>,
) -> Result<Vec<Drift>, RehearsalError> {
    let mut applied = applied(survey);
    for (service, migrations) in claims {
        applied.entry(service.clone()).or_default().extend(migrations.iter().cloned());
    }
    with_requirements(deployment, &mut applied);
    let aside = Aside::new(deployment, survey)?;
    let made = aside.place(deployment, services, &applied)?;
    carry_out(&made, &everything(Vec::new())).await?;
    let mut drifts = Vec::new();
    for name in claims.keys() {
        drifts.extend(of_service(deployment, &made, name, &BTreeSet::new()).await?);
    }
    Ok(drifts)
}

/// A point in the list of a service, and how the live schema differs there from what the migrations up to it make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// The last migration, and every one before it.
    pub newest: MigrationName,
    /// How the schema differs: not at all, or by what is accepted; if there is no such point, by the least.
    pub drift: Drift,
    /// Earlier migrations behind which the schema is the same: it does not tell whether those after them were applied.
    pub alike_before: Vec<MigrationName>,
}

/// The point in the list of a service at which its migrations make the live schema: the newest one, if several do. If none does,
/// the first of those at which it differs least. What `is_accepted` counts as no difference. `None` if there are no migrations.
///
/// # Errors
/// As [`claimed`].
pub async fn newest_alike(
    deployment: &Deployment,
    survey: &Survey,
    services: Vec<Service>,
    name: &ServiceName,
    is_accepted: &(dyn Fn(&Difference) -> bool + Sync),
) -> Result<Option<Alike>, RehearsalError> {
    let everything_of = |service: &Service| {
        let names = service.migrations().map(|listed| listed.name().clone());
        (service.name().clone(), names.collect::<HashSet<_>>())
    };
    let all: Applied = services.iter().map(everything_of).collect();
    let aside = Aside::new(deployment, survey)?;
    let made = aside.place(deployment, services, &all)?;
    let Some((service, ..)) = made.service(name) else { return Ok(None) };
    let known = deployment.catalog().service(name).map_or(0, |known| known.migrations.len());
    let leaves_out = service.migrations().count() < known;
    let distance = |drift: &Drift| {
        let n_open = drift.differences.iter().filter(|difference| !is_accepted(difference)).count();
        (n_open, drift.differences.len())
    };
    let mut best: Option<Alike> = None;
    for listed in service.migrations() {
        let newest = listed.name().clone();
        let target = Some(TargetPoint::Name(newest.to_string()));
        let run = carry_out(&made, &everything(vec![Selection { service: name.clone(), target }])).await;
        if leaves_out && best.is_some() && matches!(run, Err(RehearsalError::Run(_))) {
            // Without what was left out, the schema comes no further than this.
            break;
        }
        run?;
        let Some(drift) = of_service(deployment, &made, name, &BTreeSet::new()).await? else { continue };
        let now = distance(&drift);
        match best.as_mut().map(|best| (distance(&best.drift), best)) {
            Some((before, _)) if before < now || before == now && now != (0, 0) => {}
            Some((before, best)) if before == now => {
                best.alike_before.push(std::mem::replace(&mut best.newest, newest));
                best.drift = drift;
            }
            _ => best = Some(Alike { newest, drift, alike_before: Vec::new() }),
        }
    }
    Ok(best)
}

/// Adds what these migrations require of other services, with everything before it there.
fn with_requirements(deployment: &Deployment, applied: &mut Applied) {
    loop {
        let required: Vec<_> = deployment
            .catalog()
            .services()
            .flat_map(|service| service.migrations.iter().map(move |migration| (&service.name, migration)))
            .filter(|(service, migration)| {
                applied.get(*service).is_some_and(|names| names.contains(&migration.name))
            })
            .flat_map(|(_, migration)| &migration.requires)
            .filter(|id| !applied.get(&id.service).is_some_and(|names| names.contains(&id.name)))
            .collect();
        let n_before: usize = applied.values().map(HashSet::len).sum();
        for id in required {
            let Some(service) = deployment.catalog().service(&id.service) else { continue };
            let Some(place) = service.migrations.iter().position(|known| known.name == id.name) else {
                continue;
            };
            let names = service.migrations[..=place].iter().map(|known| known.name.clone());
            applied.entry(id.service.clone()).or_default().extend(names);
        }
        if applied.values().map(HashSet::len).sum::<usize>() == n_before {
            return;
        }
    }
}
