//! What is refused before anything is done.

use migration_coordinator::{Deployment, DeploymentError, Placement, RunError, run};
use migration_kit::Service;
use migration_plan::PlanError;

use crate::support::{Bench, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_add_more";

fn shop(checksum: &str) -> Service {
    let lock_file = format!("{CREATE} expand transaction {checksum} -\n");
    let create = step(CREATE).up("CREATE TABLE item (id integer)");
    service("shop", vec![create, step(NEXT)]).with_lock_file(lock_file)
}

#[tokio::test]
async fn an_applied_migration_is_not_edited() {
    let bench = Bench::new();
    bench.up_well(vec![shop("aa")]).await;
    let error = bench.up(vec![shop("bb")]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`shop`: `{CREATE}` was edited after it was applied"));
    assert!(bench.up_well(vec![shop("aa")]).await.is_empty());
}

#[tokio::test]
async fn what_is_applied_and_unknown_here_is_refused() {
    let bench = Bench::new();
    bench.up_well(vec![service("shop", vec![step(CREATE)])]).await;
    for unknown in ["m20240101_000001_add_missing", "m29990101_000001_add_ahead"] {
        bench.execute(&format!("INSERT INTO shop.seaql_migrations_shop VALUES ('{unknown}', 0)")).await;
        let error = bench.up(vec![shop("aa")]).await.unwrap_err();
        assert!(matches!(&error, RunError::Plan(PlanError::Integrity { .. })), "{error:?}");
        assert!(error.to_string().contains(unknown), "{error}");
        bench.execute("DELETE FROM shop.seaql_migrations_shop WHERE version ~ 'missing|ahead'").await;
    }
    assert_eq!(bench.up_well(vec![shop("aa")]).await, [format!("shop:{NEXT}")]);
}

#[tokio::test]
async fn what_changed_while_a_run_waited_is_seen() {
    let (bench, events) = (Bench::new(), crate::support::Events::collect());
    bench.up_well(vec![service("shop", vec![step(CREATE)])]).await;
    let mut other = bench.session().await;
    other.execute("SELECT pg_advisory_lock(hashtextextended('migrate:shop.seaql_migrations_shop', 0))").await;
    let meanwhile = async {
        events.until("lock_waiting").await;
        other
            .execute("INSERT INTO shop.seaql_migrations_shop VALUES ('m29990101_000001_add_ahead', 0)")
            .await;
        other.execute("SELECT pg_advisory_unlock_all()").await;
    };
    let (report, ()) = tokio::join!(bench.up(vec![shop("aa")]), meanwhile);
    let failures = report.unwrap().failures;
    assert!(matches!(&failures[..], [RunError::Plan(PlanError::Integrity { .. })]), "{failures:?}");
}

#[tokio::test]
async fn data_is_not_lost_without_consent() {
    let bench = Bench::new();
    let drop = || step(NEXT).up("SELECT 1").details(|d| d.loses("the names"));
    bench.up_well(vec![service("shop", vec![step(CREATE)])]).await;
    let deployment = bench.deployment(vec![service("shop", vec![step(CREATE), drop()])]);
    let mut careful = options();
    careful.allow_data_loss = false;
    let error = run(&deployment, &everything(), &careful).await.unwrap_err();
    assert_eq!(error.to_string(), format!("migration `shop:{NEXT}` loses data for good: the names"));
    assert_eq!(bench.rows("SELECT count(*) FROM shop.seaql_migrations_shop").await, ["1"]);
    assert!(run(&deployment, &everything(), &options()).await.unwrap().failures.is_empty());
}

#[test]
fn two_services_do_not_share_a_version_table() {
    let place = |schema: &str, service: Service| Placement {
        service,
        schema: schema.to_owned(),
        url: "postgres://postgres@localhost/shop".parse().unwrap(),
    };
    let named = |name: &str| service(name, vec![step(CREATE)]).with_tables([name]);
    let adopted = |name: &str| named(name).with_version_table("seaql_migrations");
    assert!(Deployment::new(vec![place("one", named("shop")), place("one", named("crm"))]).is_ok());
    assert!(Deployment::new(vec![place("one", adopted("shop")), place("two", adopted("crm"))]).is_ok());
    let error =
        Deployment::new(vec![place("one", adopted("shop")), place("one", adopted("crm"))]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "`shop` and `crm` share the version table `\"one\".\"seaql_migrations\"`: \
         each would take the other's migrations for its own"
    );
    let error =
        Deployment::new(vec![place("one", named("shop")), place("two", named("shop"))]).err().unwrap();
    assert!(matches!(error, DeploymentError::Catalog(_)), "{error:?}");
}
