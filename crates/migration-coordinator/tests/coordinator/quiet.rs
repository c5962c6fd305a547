//! A run that has nothing to do writes nothing, locks nothing and asks little.

use migration_coordinator::run;
use postgres_sandbox::Cluster;

use crate::support::{Bench, everything, options, service, step};

#[tokio::test]
async fn nothing_pending_means_nothing_done() {
    let settings = [("log_statement", "all"), ("log_line_prefix", "%a|"), ("autovacuum", "off")];
    let builder =
        settings.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value));
    let cluster = builder.start().unwrap();
    let bench = Bench::on(&cluster);
    let services = || {
        let create = || step("m20250101_000001_create_item").up("CREATE TABLE item (id integer)");
        ["alpha", "beta", "gamma"].map(|name| service(name, vec![create()])).into()
    };
    bench.up_well(services()).await;
    let next_transaction = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
    let before = bench.rows(next_transaction).await;
    let log = || std::fs::read_to_string(cluster.log_file()).unwrap();
    let already = log().len();
    let report = run(&bench.deployment(services()), &everything(), &options()).await.unwrap();
    assert!(report.done.is_empty() && report.failures.is_empty());
    let log = log().split_off(already);
    let statements: Vec<&str> = log.lines().filter(|line| line.starts_with("migrate|LOG:")).collect();
    assert!((1..=5).contains(&statements.len()), "{log}");
    assert!(!log.contains("pg_try_advisory_lock"), "{log}");
    assert_eq!(bench.rows(next_transaction).await, before, "no transaction wrote anything");
}
