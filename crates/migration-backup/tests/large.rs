//! A service that is large is said to be, before it is dumped.

use std::cell::RefCell;

use migration_backup::{BackupOptions, Progress, Verify, backup};
use migration_coordinator::{Caller, Deployment, Goal, Placement, RunOptions, run};
use migration_kit::{Service, ServiceName};
use migration_plan::{ContractSteps, UnknownApplied};
use postgres_sandbox::Cluster;

#[tokio::test]
async fn a_large_service_is_said_to_be_before_it_is_dumped() {
    let database = Cluster::shared().create_database().unwrap();
    let files = [
        (
            "m20250101_000001_create_item.up.sql",
            "CREATE TABLE item AS SELECT generate_series(1, 10000) AS id",
        ),
        ("m20250101_000001_create_item.down.sql", "DROP TABLE item"),
    ];
    let service = Service::from_sql_files("shop", files.map(|(name, sql)| (name, sql.as_bytes()))).unwrap();
    let schema = service.default_schema().to_owned();
    let placement = Placement { schema, url: database.url().parse().unwrap(), service };
    let deployment = Deployment::new(vec![placement]).unwrap();
    let goal = Goal::Apply {
        selections: Vec::new(),
        contract: ContractSteps::HoldBack,
        unknown: UnknownApplied::Refuse,
    };
    let report = run(&deployment, &goal, &RunOptions::new(Caller::new("backup-tests"))).await.unwrap();
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    let shop: ServiceName = "shop".parse().unwrap();
    let directory = std::env::temp_dir().join(format!("large_{}", std::process::id()));
    let mut options = BackupOptions { verify: Verify::Never, ..BackupOptions::new(&directory) };
    for (large_bytes, is_large) in [(options.large_bytes, false), (100 << 10, true)] {
        options.large_bytes = large_bytes;
        let said = RefCell::new(Vec::new());
        let listen = |progress: Progress<'_>| {
            said.borrow_mut().push(match progress {
                Progress::Large(_, size) => Some(size),
                _ => None,
            });
        };
        let made = backup(&deployment, std::slice::from_ref(&shop), &options, &listen).await;
        assert!(made.failure.is_none(), "{:?}", made.failure);
        let first = said.borrow()[0];
        assert_eq!(first.is_some_and(|size| (300 << 10..10 << 20).contains(&size)), is_large, "{first:?}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}
