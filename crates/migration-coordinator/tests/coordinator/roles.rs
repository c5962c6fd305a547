//! Owner roles: what is not the service's, PostgreSQL itself refuses, also to migrations in steps.

use std::error::Error;

use migration_coordinator::{Deployment, Goal, RoleOptions, UnknownApplied, provide_roles, run};
use migration_kit::Service;
use migration_plan::ContractSteps;

use crate::support::{Bench, Step, done, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const TOUCH: &str = "m20250102_000001_add_touch";

fn crm() -> Service {
    let create = step(CREATE)
        .up("CREATE TABLE client (id integer PRIMARY KEY, name text)")
        .up("CREATE TYPE mood AS ENUM ('good')")
        .up("CREATE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 42'")
        .up("CREATE FUNCTION crm.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
    service("crm", vec![create])
}

fn shop(touch: Option<Step>) -> Service {
    let create = step(CREATE).up("CREATE TABLE item (id integer, client integer)");
    service("shop", [create].into_iter().chain(touch).collect())
}

/// Makes the roles of a service, with names that no other test has.
async fn provide(bench: &Bench, deployment: &Deployment, service: &str, migrator: &str) -> Vec<String> {
    let prefix = format!("{}_", bench.name());
    let asked = RoleOptions { prefix, migrators: vec![migrator.to_owned()], applications: Vec::new() };
    let service = service.parse().unwrap();
    provide_roles(deployment, &service, &asked, &options(), false).await.unwrap().statements
}

#[tokio::test]
async fn what_is_not_the_services_is_refused_by_the_server() {
    let bench = Bench::new();
    let both = || bench.deployment(vec![crm(), shop(None)]);
    let [deploy, others] = [bench.role("deploy", "").await, bench.role("others", "").await];
    // One was migrated before it has roles, and one is after.
    bench.up_well(vec![crm()]).await;
    for (name, role) in [("crm", &others), ("shop", &deploy)] {
        assert!(!provide(&bench, &both(), name, role).await.is_empty());
        assert_eq!(provide(&bench, &both(), name, role).await, [""; 0], "{name}: once more");
    }
    let shop_of = |touch: Option<Step>| bench.deployment_as(&deploy, vec![shop(touch)]);
    let report = run(&shop_of(None), &everything(), &options()).await.unwrap();
    assert_eq!(done(&report), [format!("shop:{CREATE}")], "{:?}", report.failures);
    let owners =
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'shop'::regnamespace";
    assert_eq!(bench.rows(owners).await, [format!("{}_shop_owner", bench.name())]);

    let picture = || async {
        bench
            .rows(
                "SELECT c.oid::regclass || ' ' || c.relnatts || coalesce(c.relacl::text, '') || coalesce(obj_description(c.oid), '') \
                 FROM pg_class c WHERE relnamespace = 'crm'::regnamespace UNION ALL SELECT version FROM crm.seaql_migrations_crm \
                 UNION ALL SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('shop.item') \
                 UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'crm'::regnamespace ORDER BY 1",
            )
            .await
    };
    let before = picture().await;
    let become_others = format!("SET ROLE {}_crm_owner", bench.name());
    for sql in [
        "ALTER TABLE crm.client ADD COLUMN age integer",
        "DROP TABLE crm.client",
        "CREATE INDEX client_name ON crm.client (name)",
        "CREATE INDEX CONCURRENTLY client_name ON crm.client (name)",
        "COMMENT ON TABLE crm.client IS 'ours'",
        "SELECT * FROM crm.client",
        "INSERT INTO crm.client VALUES (2, 'Bob')",
        "UPDATE crm.client SET name = 'Eve'",
        "TRUNCATE crm.client",
        "LOCK TABLE crm.client IN ACCESS SHARE MODE",
        "CREATE TRIGGER noted BEFORE INSERT ON crm.client FOR EACH ROW EXECUTE FUNCTION crm.noted()",
        "GRANT SELECT ON crm.client TO PUBLIC",
        "ALTER TABLE item ADD CONSTRAINT item_client FOREIGN KEY (client) REFERENCES crm.client (id)",
        "CREATE VIEW names AS SELECT name FROM crm.client",
        "CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 41'",
        "SELECT crm.answer()",
        "ALTER TABLE item ADD COLUMN mood crm.mood",
        "CREATE TABLE crm.squat (id integer)",
        "DELETE FROM crm.seaql_migrations_crm",
        "DROP SCHEMA crm CASCADE",
        "CREATE SCHEMA another",
        "CREATE ROLE another",
        "SET SESSION AUTHORIZATION postgres",
        &become_others,
    ] {
        let touch = step(TOUCH).up(sql);
        let touch = if sql.starts_with("LOCK") { touch } else { touch.stepwise() };
        let report = run(&shop_of(Some(touch)), &everything(), &options()).await.unwrap();
        let [error] = &report.failures[..] else { panic!("`{sql}` was not refused") };
        let mut said = String::new();
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            said.push_str(&error.to_string());
            cause = error.source();
        }
        let refused = ["permission denied", "must be owner", "must be able to SET ROLE"];
        assert!(refused.iter().any(|refusal| said.contains(refusal)), "`{sql}`: {said}");
        assert_eq!(picture().await, before, "`{sql}` left something behind");
    }
    // Nor does a migration get rid of its role: what it falls back to is the login, which has no other rights.
    let fall_back = step(TOUCH).up("SET ROLE NONE").up("SELECT * FROM crm.client").stepwise();
    let report = run(&shop_of(Some(fall_back)), &everything(), &options()).await.unwrap();
    assert_eq!(report.failures.len(), 1);
    let reset =
        step(TOUCH).up("RESET ROLE").up("RESET ALL").up("CREATE TABLE shop.made (id integer)").stepwise();
    let report = run(&shop_of(Some(reset)), &everything(), &options()).await.unwrap();
    assert_eq!(done(&report), [format!("shop:{TOUCH}")], "{:?}", report.failures);
    assert_eq!(bench.rows(owners).await, [format!("{}_shop_owner", bench.name())]);
    // One transaction has one role.
    let more = |name| {
        service(name, vec![step(CREATE), step("m20250109_000001_add_more").up("CREATE TABLE more ()")])
    };
    let both = bench.deployment(vec![more("crm"), more("shop")]);
    let selections = ["crm".parse().unwrap(), "shop".parse().unwrap()].into();
    let goal =
        Goal::Apply { selections, contract: ContractSteps::HoldBack, unknown: UnknownApplied::AllowAny };
    let report = run(&both, &goal, &options().atomic()).await.unwrap();
    assert!(
        report.failures[0].to_string().contains("have owner roles of their own"),
        "{:?}",
        report.failures
    );
}
