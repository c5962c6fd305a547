//! Orders in which a fleet may come to its head: services are released on their own, so any order may happen that the
//! requirements allow. Some are tried, always the same ones for the same migrations; each has to lead to the schemas that the
//! services have alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use migration_kit::{MigrationName, Service, ServiceName};
use postgres_sandbox::Cluster;
use postgres_schema::Schema;

use super::trial::{Trial, differences};
use super::{Check, Checked, Finding};
use crate::RehearsalError;

/// How many orders are tried.
const N_ORDERS: u64 = 2;

/// Tries orders of the services that have these schemas at their head alone. What fails alone has failed in another check.
pub(super) async fn check(
    cluster: &Cluster,
    make: &dyn Fn() -> Vec<Service>,
    expected: &BTreeMap<&ServiceName, Schema>,
) -> Result<Vec<Checked>, RehearsalError> {
    let begun = Instant::now();
    let mut findings: BTreeMap<&ServiceName, Vec<Finding>> =
        expected.keys().map(|name| (*name, Vec::new())).collect();
    for order in 1..=N_ORDERS {
        let trial = Trial::new(cluster, make())?;
        let steps = shuffled(&trial, expected.keys().copied(), order);
        let shown =
            || steps.iter().map(|(service, name)| format!("{service}:{name}")).collect::<Vec<_>>().join(", ");
        let mut failed = None;
        for (service, name) in &steps {
            if let Err(says) = trial.apply(service, Some(name)).await {
                failed = Some((service, name, says));
                break;
            }
        }
        if let Some((service, name, says)) = failed {
            let message = format!("it cannot be applied in the order {}: {says}", shown());
            let of_service = findings.iter_mut().find(|(of, _)| **of == service);
            of_service.into_iter().for_each(|(_, findings)| findings.push(Finding::of(name, &*message)));
            continue;
        }
        for (name, expected) in expected {
            let differ = differences(expected, &trial.schema(name).await?);
            if !differ.is_empty() {
                let message =
                    format!("the schema is another one in the order {}: {}", shown(), differ.join("; "));
                findings.entry(name).or_default().push(Finding::general(message));
            }
        }
    }
    let checked = |(service, findings): (&ServiceName, Vec<Finding>)| Checked {
        service: service.clone(),
        check: Check::Interleaved,
        findings,
        hazards: Vec::new(),
        empty: Vec::new(),
        elapsed: begun.elapsed(),
    };
    Ok(findings.into_iter().map(checked).collect())
}

/// The migrations of these services, each service's in their order. What one requires of another is applied with it.
fn shuffled<'n>(
    trial: &Trial,
    services: impl Iterator<Item = &'n ServiceName>,
    seed: u64,
) -> Vec<(ServiceName, MigrationName)> {
    let names = |service: &ServiceName| -> VecDeque<MigrationName> {
        trial.service(service).migrations().map(|listed| listed.name().clone()).collect()
    };
    let mut left: Vec<(&ServiceName, VecDeque<MigrationName>)> =
        services.map(|service| (service, names(service))).collect();
    let (mut random, mut steps) = (seed, Vec::new());
    left.retain(|(_, names)| !names.is_empty());
    while !left.is_empty() {
        // Knuth's generator: the same orders on every machine.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(random >> 33).unwrap_or_default() % left.len();
        let (service, names) = &mut left[place];
        steps.extend(names.pop_front().map(|name| ((*service).clone(), name)));
        left.retain(|(_, names)| !names.is_empty());
    }
    steps
}
