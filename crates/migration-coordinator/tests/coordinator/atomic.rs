//! `--atomic`: everything in one transaction, or nothing.

use std::error::Error;

use migration_coordinator::{Report, RunError, StepError, run};
use migration_kit::Service;

use crate::support::{Bench, Events, Step, done, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_add_row";

async fn atomic(bench: &Bench, services: Vec<Service>) -> Result<Report, RunError> {
    let options = options().atomic();
    run(&bench.deployment(services), &everything(), &options).await
}

fn both(last: Step) -> Vec<Service> {
    let create = || step(CREATE).up("CREATE TABLE item (id integer)");
    vec![service("alpha", vec![create(), step(NEXT)]), service("beta", vec![create(), last])]
}

#[tokio::test]
async fn all_services_are_applied_together() {
    let bench = Bench::new();
    let report = atomic(&bench, both(step(NEXT).up("INSERT INTO item VALUES (1)"))).await.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    assert_eq!(done(&report).len(), 4);
    assert_eq!(
        bench
            .rows(
                "SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM alpha.seaql_migrations_alpha \
        UNION ALL SELECT xmin FROM beta.seaql_migrations_beta) AS versions"
            )
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn one_failure_undoes_all() {
    let bench = Bench::new();
    let report = atomic(&bench, both(step(NEXT).up("SELECT 1 / 0"))).await.unwrap();
    assert!(done(&report).is_empty(), "{report:#?}");
    assert!(
        matches!(&report.failures[..], [RunError::Step(StepError::RolledBack { id, .. })] if id.service.as_str() == "beta"),
        "{report:#?}"
    );
    assert!(bench.tables("alpha").await.is_empty() && bench.tables("beta").await.is_empty());
    assert_eq!(bench.journal(both(step(NEXT)).remove(1)).await, [format!("{NEXT} failed")]);
}

#[tokio::test]
async fn a_commit_that_fails_undoes_all() {
    let bench = Bench::new();
    let deferred = step(NEXT)
        .up("ALTER TABLE item ADD CONSTRAINT item_pkey PRIMARY KEY (id)")
        .up("CREATE TABLE part (id integer CONSTRAINT part_fk REFERENCES item DEFERRABLE INITIALLY DEFERRED)")
        .up("INSERT INTO part VALUES (7)");
    let report = atomic(&bench, both(deferred)).await.unwrap();
    assert!(done(&report).is_empty(), "{report:#?}");
    let source = report.failures[0].source().unwrap().to_string();
    assert!(source.contains("part_fk"), "{source}");
    assert!(bench.tables("alpha").await.is_empty());
}

#[tokio::test]
async fn what_does_not_run_in_a_transaction_is_refused() {
    let bench = Bench::new();
    let error = atomic(&bench, both(step(NEXT).stepwise())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "one transaction for all migrations is not possible: `beta:{NEXT}` does not run in a transaction"
        )
    );
    assert_eq!(bench.rows("SELECT to_regnamespace('alpha') IS NULL").await, ["t"]);
}

#[tokio::test]
async fn a_service_that_touches_another_is_rolled_back_here_too() {
    let bench = Bench::new();
    let report = atomic(&bench, both(step(NEXT).up("CREATE TABLE alpha.stray ()"))).await.unwrap();
    assert!(matches!(&report.failures[..], [RunError::Step(StepError::Isolation { .. })]), "{report:#?}");
    assert!(bench.tables("alpha").await.is_empty());
}

/// Services of so many migrations each, which make a table, and a type or function, and write a row; each migration needs that
/// of the other service before it, so that they take turns.
fn in_turns(n_migrations: usize) -> Vec<Service> {
    let names: &'static [String] =
        (0..n_migrations).map(|n| format!("m20250101_{n:06}_create_item")).collect::<Vec<_>>().leak();
    let steps = |other: &'static str| {
        let made = |(n, name): (usize, &'static String)| {
            let needed = n.checked_sub(1).map(|before| format!("{other}:{}", names[before]));
            step(name)
                .up(format!("CREATE TABLE {other}_{n} (id serial PRIMARY KEY, name text)"))
                .up(format!("INSERT INTO {other}_{n} (name) VALUES ('a')"))
                .up(format!("CREATE TYPE {other}_kind_{n} AS ENUM ('a')"))
                .up(format!("CREATE FUNCTION {other}_value_{n}() RETURNS integer LANGUAGE sql AS 'SELECT 1'"))
                .details(|details| needed.into_iter().fold(details, |details, id| details.requires(&id)))
        };
        names.iter().enumerate().map(made).collect()
    };
    vec![service("alpha", steps("beta")), service("beta", steps("alpha"))]
}

#[tokio::test]
async fn what_is_asked_grows_with_the_number_of_migrations_and_not_faster() {
    let mut grown = Vec::new();
    for n_migrations in [3, 6, 12] {
        let bench = Bench::new();
        let events = Events::collect();
        let report = atomic(&bench, in_turns(n_migrations)).await.unwrap();
        assert_eq!(done(&report).len(), 2 * n_migrations, "{report:#?}");
        grown.push(events.statements_and_rows());
    }
    let [(statements, rows), (statements_2, rows_2), (statements_4, rows_4)] = grown[..] else {
        unreachable!()
    };
    assert!(statements > 50 && rows > 20, "{grown:?}");
    // Twice as many migrations ask twice as much more.
    assert!(statements_4 - statements_2 <= 2 * (statements_2 - statements) + 4, "{grown:?}");
    assert!(rows_4 - rows_2 <= 2 * (rows_2 - rows) + 4, "{grown:?}");
}
