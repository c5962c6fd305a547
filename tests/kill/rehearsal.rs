//! For each migration outside a transaction: what an undisturbed run makes, then the same with a kill at each point.

use std::process::Command;

use migration_kit::{MigrationName, Phase, Service};
use postgres_sandbox::{Cluster, Database};

use crate::digest::digest;
use crate::relay::{Outcome, Point, run};

/// How many points of each migration are tried.
const POINTS: usize = 20;

/// Kills every migration of the service that does not run in a transaction, at [`POINTS`] statements spread over its run.
/// `data` is loaded after the service's first migration.
pub(crate) fn rehearse(service: &Service, data: &str) {
    let cluster = Cluster::shared();
    let schema = service.default_schema();
    let mut before = cluster.create_database().unwrap();
    for (number, (name, migration)) in service.migrations().enumerate() {
        let contract = migration.details().phase != Phase::Expand;
        if contract {
            soak(&before, service);
        }
        let after = cluster.create_database_from(before.name()).unwrap();
        let undisturbed = up(cluster, &after, service, name, None);
        assert!(undisturbed.status.success(), "`{name}` does not run: {}", undisturbed.stderr);
        if migration.use_transaction() == Some(false) {
            let expected = digest(&after, schema);
            for point in points(undisturbed.n_statements) {
                let database = cluster.create_database_from(before.name()).unwrap();
                let killed = up(cluster, &database, service, name, Some(point));
                assert!(
                    killed.killed || killed.status.success(),
                    "`{name}` fails on its own before statement {}: {}",
                    point.0,
                    killed.stderr
                );
                let resumed = up(cluster, &database, service, name, None);
                let Point(at) = point;
                assert!(
                    resumed.status.success(),
                    "`{name}`, killed at statement {at}, does not resume: {}",
                    resumed.stderr
                );
                let found = digest(&database, schema);
                assert!(
                    found == expected,
                    "`{name}`, killed at statement {at}, is another:\n{}",
                    difference(&expected, &found)
                );
            }
        }
        if number == 0 && !data.trim().is_empty() {
            after.psql(data).unwrap();
        }
        before = after;
    }
}

/// Points spread evenly over a run, the first and the last statement among them.
fn points(n_statements: usize) -> Vec<Point> {
    let n_points = POINTS.min(n_statements);
    let mut points: Vec<usize> =
        (0..n_points).map(|index| 1 + index * (n_statements - 1) / (n_points - 1).max(1)).collect();
    points.dedup();
    points.into_iter().map(Point).collect()
}

/// `migrate up SERVICE@NAME` with all that it may ask for.
fn up(
    cluster: &Cluster,
    database: &Database,
    service: &Service,
    name: &MigrationName,
    point: Option<Point>,
) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env_clear().current_dir(std::env::temp_dir());
    command.args(["migrate", "up", &format!("{}@{name}", service.name()), "--contract", "--allow-data-loss"]);
    run(command, cluster, database.name(), point)
}

/// Sets the time of application back, so that a contract step's soak time has passed.
fn soak(database: &Database, service: &Service) {
    let table = format!("{}.{}", service.default_schema(), service.version_table());
    database.psql(&format!("UPDATE {table} SET applied_at = applied_at - 60 * 86400")).unwrap();
}

/// The lines that differ.
fn difference(expected: &str, found: &str) -> String {
    let missing = expected
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line))
        .map(|line| format!("- {line}"));
    let added = found
        .lines()
        .filter(|line| !expected.lines().any(|other| other == *line))
        .map(|line| format!("+ {line}"));
    missing.chain(added).collect::<Vec<_>>().join("\n")
}
