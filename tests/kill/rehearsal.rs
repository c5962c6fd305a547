//! For each migration outside a transaction: what an undisturbed run makes, then the same with a kill at each point.

use std::process::Command;

use migration_kit::{MigrationName, Phase, Service};
use postgres_sandbox::{Cluster, Database};

use crate::digest::digest;
use crate::relay::{Outcome, Point, run};

/// How many points of each migration are tried.
const POINTS: usize = 20;

/// Which points of each migration a test tries.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    /// All.
    Whole,
    /// The first, the third, and so on.
    EverySecond,
    /// The second, the fourth, and so on.
    InBetween,
}

/// Kills every migration of the service that does not run in a transaction, at [`POINTS`] statements spread over its run.
/// `data` is loaded after the service's first migration.
pub(crate) fn rehearse(service: &Service, data: &str, share: Share) {
    let cluster = Cluster::shared();
    let mut before = cluster.create_database().unwrap();
    for (number, migration) in service.migrations().enumerate() {
        let name = migration.name();
        let contract = migration.details().phase != Phase::Expand;
        if contract {
            soak(&before, service);
        }
        let rehearsal = Rehearsal { cluster, service, name, before };
        let after = rehearsal.undisturbed();
        if !migration.is_transactional() {
            rehearsal.kill_at_each_point(&after, share);
        }
        if number == 0 && !data.trim().is_empty() {
            after.database.psql(data).unwrap();
        }
        before = after.database;
    }
}

/// A migration, and the database as it finds it.
struct Rehearsal<'a> {
    cluster: &'a Cluster,
    service: &'a Service,
    name: &'a MigrationName,
    before: Database,
}

/// What a run that nothing happens to leaves.
struct Undisturbed {
    database: Database,
    /// How many statements it took.
    n_statements: usize,
}

impl Rehearsal<'_> {
    fn undisturbed(&self) -> Undisturbed {
        let name = self.name;
        let database = self.database();
        let run = self.up(&database, None);
        assert!(run.status.success(), "`{name}` does not run: {}", run.stderr);
        Undisturbed { database, n_statements: run.n_statements }
    }

    fn kill_at_each_point(&self, undisturbed: &Undisturbed, share: Share) {
        let name = self.name;
        let schema = self.service.default_schema();
        let expected = digest(&undisturbed.database, schema);
        for point in share.of(points(undisturbed.n_statements)) {
            let (database, Point(at)) = self.killed(point);
            let resumed = self.up(&database, None);
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
            self.verify(&database, at);
        }
    }

    /// A database in which a run was killed, and the statement. Batches follow the clock, so that a run may be done
    /// before the statement that it was to be killed at: then one of half the number is tried, until a run is killed.
    fn killed(&self, mut point: Point) -> (Database, Point) {
        // At this statement it is killed while it waits for an answer that never comes.
        const SURE: usize = 2;
        let name = self.name;
        loop {
            let database = self.database();
            let run = self.up(&database, Some(point));
            if run.killed {
                return (database, point);
            }
            let Point(at) = point;
            assert!(run.status.success(), "`{name}` fails on its own before statement {at}: {}", run.stderr);
            assert!(at != SURE, "`{name}` cannot be killed");
            point = Point((at / 2).max(SURE));
        }
    }

    /// Fails unless everything holds that the migrations so far have promised.
    fn verify(&self, database: &Database, at: usize) {
        let name = self.name;
        let mut command = migrate(&["verify", self.service.name().as_str()]);
        let verified = command.env("DATABASE_URL", database.url()).output().unwrap();
        assert!(
            verified.status.success(),
            "`{name}`, killed at statement {at}, does not keep what it promises:\n{}{}",
            String::from_utf8_lossy(&verified.stdout),
            String::from_utf8_lossy(&verified.stderr)
        );
    }

    /// The database as the migration finds it.
    fn database(&self) -> Database {
        self.cluster.create_database_from(self.before.name()).unwrap()
    }

    /// `migrate up SERVICE@NAME` with all that it may ask for.
    fn up(&self, database: &Database, point: Option<Point>) -> Outcome {
        let target = format!("{}@{}", self.service.name(), self.name);
        let command = migrate(&["up", &target, "--contract", "--allow-data-loss"]);
        run(command, self.cluster, database.name(), point)
    }
}

impl Share {
    fn of(self, points: Vec<Point>) -> impl Iterator<Item = Point> {
        let (first, step) = match self {
            Self::Whole => (0, 1),
            Self::EverySecond => (0, 2),
            Self::InBetween => (1, 2),
        };
        points.into_iter().skip(first).step_by(step)
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

/// The command line with these arguments and no address yet.
fn migrate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env_clear().current_dir(std::env::temp_dir()).arg("migrate").args(arguments);
    command
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
