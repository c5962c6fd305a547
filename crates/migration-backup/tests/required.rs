//! Services that need each other: none is restored to where another one's applied migrations could not be.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test, and says where")]

use std::time::Duration;

use migration_backup::{BackupError, BackupOptions, RestoreOptions, Restored, backup, restore};
use migration_coordinator::{Caller, Cancellation, Deployment, Goal, Placement, RunOptions, run};
use migration_kit::{Details, Service, ServiceName};
use migration_plan::{ContractSteps, UnknownApplied};
use postgres_sandbox::{Cluster, Search};

const CREATE: &str = "m20250101_000001_create_item";
const ADD: &str = "m20250102_000001_add_code";
const USE: &str = "m20250103_000001_use_code";

/// `crm` needs the second migration of `shop`.
fn services() -> Vec<Service> {
    let shop = [
        ("m20250101_000001_create_item.up.sql", "CREATE TABLE item (id integer)"),
        ("m20250101_000001_create_item.down.sql", "DROP TABLE item"),
        ("m20250102_000001_add_code.up.sql", "ALTER TABLE item ADD COLUMN code text"),
        ("m20250102_000001_add_code.down.sql", "ALTER TABLE item DROP COLUMN code"),
    ];
    let crm = [
        ("m20250103_000001_use_code.up.sql", "CREATE TABLE used (code text)"),
        ("m20250103_000001_use_code.down.sql", "DROP TABLE used"),
    ];
    let bytes = |(name, sql): (&'static str, &'static str)| (name, sql.as_bytes());
    let shop = Service::from_sql_files("shop", shop.map(bytes)).unwrap();
    let crm = Service::from_sql_files("crm", crm.map(bytes)).unwrap();
    let requires = Details::expand().requires(format!("shop:{ADD}"));
    vec![crm.with_details(USE, requires).unwrap(), shop]
}

async fn up(deployment: &Deployment, targets: &[&str]) {
    let goal = Goal::Apply {
        selections: targets.iter().map(|target| target.parse().unwrap()).collect(),
        contract: ContractSteps::HoldBack,
        unknown: UnknownApplied::Refuse,
    };
    let report = run(deployment, &goal, &RunOptions::new(Caller::new("backup-tests"))).await.unwrap();
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
}

fn options() -> RestoreOptions {
    RestoreOptions {
        wait: Duration::from_secs(60),
        replace: true,
        no_owner: false,
        from_elsewhere: false,
        dry_run: false,
        search: Search::from_environment(),
        caller: Caller::new("backup-tests"),
        own: None,
        cancellation: Cancellation::default(),
    }
}

#[tokio::test]
async fn a_service_is_not_restored_to_before_what_others_require() {
    let database = Cluster::shared().create_database().unwrap();
    let place = |service: Service| Placement {
        schema: service.default_schema().to_owned(),
        url: database.url().parse().unwrap(),
        service,
    };
    let deployment = Deployment::new(services().into_iter().map(place).collect()).unwrap();
    let directory = std::env::temp_dir().join(format!("required_{}", std::process::id()));
    let options_of =
        BackupOptions { verify: migration_backup::Verify::Never, ..BackupOptions::new(&directory) };
    let name = |name: &str| name.parse::<ServiceName>().unwrap();
    let mut archives = Vec::new();
    for (target, service) in [(format!("shop@{CREATE}"), "shop"), ("crm".to_owned(), "crm")] {
        up(&deployment, &[&target]).await;
        let made = backup(&deployment, &[name(service)], &options_of, &|_| {}).await;
        assert!(made.failure.is_none(), "{:?}", made.failure);
        archives.push(made.done[0].archive.clone());
    }
    // `shop` cannot go back to before what `crm` has built on.
    let refused = restore(&deployment, &archives[0], &options()).await;
    let Err(BackupError::Unfit { why, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(why, format!("`crm:{USE}` is applied, and requires `shop:{ADD}`, which would not be"));
    let has_code =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop.item'::regclass AND attname = 'code'";
    assert_eq!(database.psql(has_code).unwrap().trim(), "1");

    // Without `crm` it can; and then `crm` cannot come back before it.
    database.psql("DROP SCHEMA crm CASCADE").unwrap();
    let Restored { done, .. } = restore(&deployment, &archives[0], &options()).await.unwrap();
    assert!(done);
    let refused = restore(&deployment, &archives[1], &options()).await;
    let Err(BackupError::Unfit { why, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(why, format!("`crm:{USE}` is applied, and requires `shop:{ADD}`, which would not be"));
    up(&deployment, &["shop"]).await;
    restore(&deployment, &archives[1], &options()).await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}
