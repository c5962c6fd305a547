//! A run that has nothing to do writes nothing, locks nothing and asks little, however much there is.

use migration_coordinator::{Deployment, Survey, run};
use migration_kit::Service;
use postgres_sandbox::Cluster;

use crate::support::{Bench, everything, options, service, step};

/// Begin and say what the server is, what there is, what the tables hold.
const LEAST: usize = 3;

/// How many services one statement reads.
const CHUNK: usize = 25;

/// For how many services there is one session that reads.
const PER_SESSION: usize = 50;

#[tokio::test]
async fn nothing_pending_means_nothing_done() {
    let settings = [("log_statement", "all"), ("log_line_prefix", "%a|"), ("autovacuum", "off")];
    let builder =
        settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value));
    let cluster = builder.start().unwrap();
    let log = || std::fs::read_to_string(cluster.log_file()).unwrap();
    for (n_services, n_migrations) in
        [(1, 1), (1, 100), (3, 1), (CHUNK, 1), (CHUNK + 1, 2), (2 * PER_SESSION, 1)]
    {
        let case = format!("{n_services} services of {n_migrations} migrations");
        let bench = Bench::on(&cluster);
        bench.up_well(services(n_services, n_migrations)).await;
        let next_transaction = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        let before = bench.rows(next_transaction).await;
        let already = log().len();
        let deployment = bench.deployment(services(n_services, n_migrations));
        let report = run(&deployment, &everything(), &options()).await.unwrap();
        assert!(report.done.is_empty() && report.failures.is_empty(), "{case}");
        let log = log().split_off(already);
        let n_statements = log.lines().filter(|line| line.starts_with("migrate|LOG:")).count();
        let n_more = n_services.div_ceil(CHUNK) - 1;
        // Where several sessions read, one lets the others see what it sees, and each begins a transaction of its own.
        let n_beside = (n_services / PER_SESSION).max(1) - 1;
        let n_shared = if n_beside > 0 { n_beside + 1 } else { 0 };
        let expected = LEAST + n_more + n_shared;
        assert_eq!(n_statements, expected, "{case}: one statement more for each chunk\n{log}");
        assert!(!log.contains("pg_try_advisory_lock"), "{case}: {log}");
        assert_eq!(bench.rows(next_transaction).await, before, "{case}: no transaction wrote anything");
        if n_beside > 0 {
            let role = bench.role("lonely", "CONNECTION LIMIT 1 IN ROLE pg_read_all_data").await;
            let alone = bench.deployment_as(&role, services(n_services, n_migrations));
            assert_eq!(found(&alone).await, found(&deployment).await, "{case}: one session does as well");
        }
    }
}

/// What a survey finds applied, and the last that the journals say, by service.
async fn found(deployment: &Deployment) -> Vec<String> {
    let survey = Survey::take(deployment).await;
    let found = |facts: &migration_coordinator::ServiceFacts| {
        let journal = facts.journal.iter().map(|(name, facts)| format!("{name}: {facts:?}"));
        format!("{} {:?} {:?} {:?}", facts.service, facts.access, facts.applied, journal.collect::<Vec<_>>())
    };
    survey.services.iter().map(found).collect()
}

fn services(n_services: usize, n_migrations: usize) -> Vec<Service> {
    let migration = |number| step(Box::leak(format!("m20250101_{number:06}_step").into_boxed_str()));
    let migrations = || (1..=n_migrations).map(migration).collect();
    (1..=n_services).map(|number| service(&format!("service_{number}"), migrations())).collect()
}
