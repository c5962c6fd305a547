//! Reading changes nothing, needs little, and never mistakes what it may not see for what is not there.

use migration_coordinator::{Access, RunError, Survey, SurveyError, run};
use migration_kit::Service;

use crate::support::{Bench, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";

fn shop() -> Service {
    service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)")])
}

#[tokio::test]
async fn reading_an_empty_database_creates_nothing() {
    let bench = Bench::new();
    let count = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_namespace)";
    let before = bench.rows(count).await;
    let survey = bench.survey(vec![shop(), service("crm", vec![])]).await;
    assert!(survey.services.iter().all(|facts| facts.access == Access::Absent && !facts.schema_exists));
    assert!(bench.journal(shop()).await.is_empty());
    let (deployment, goal) = (bench.deployment(vec![shop()]), everything());
    let planned = migration_coordinator::plan(&deployment, &goal).await.unwrap();
    assert_eq!(planned.plan().steps().len(), 1);
    assert_eq!(bench.rows(count).await, before);
}

#[tokio::test]
async fn a_role_that_may_only_select_reads_everything() {
    let bench = Bench::new();
    bench.up_well(vec![shop()]).await;
    let reader = bench.role("reader", "").await;
    bench.execute(&format!("GRANT USAGE ON SCHEMA shop TO {reader}")).await;
    bench.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {reader}")).await;
    for read_only in ["off", "on"] {
        bench.execute(&format!("ALTER ROLE {reader} SET default_transaction_read_only = {read_only}")).await;
        let deployment = bench.deployment_as(&reader, vec![shop()]);
        let survey = Survey::take(&deployment).await;
        let facts = &survey.services[0];
        assert_eq!((facts.access, facts.applied.len(), facts.installed), (Access::Read, 1, true));
        assert_eq!(facts.journal.iter().count(), 1);
        assert!(!facts.may_create && !facts.may_write);
        let server = survey.databases[0].as_ref().unwrap();
        assert_eq!(server.read_only, read_only == "on");
        let report = run(&deployment, &everything(), &options()).await.unwrap();
        assert!(report.done.is_empty() && report.failures.is_empty(), "nothing is pending");
        let verified =
            migration_coordinator::verify(&deployment, &[], migration_coordinator::Scope::Everything).await;
        assert!(verified[0].results.is_ok());
    }
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_not_empty() {
    let bench = Bench::new();
    bench.up_well(vec![shop()]).await;
    let stranger = bench.role("stranger", "").await;
    for grant in [None, Some(format!("GRANT USAGE ON SCHEMA shop TO {stranger}"))] {
        if let Some(grant) = grant {
            bench.execute(&grant).await;
        }
        let deployment = bench.deployment_as(&stranger, vec![shop()]);
        let survey = Survey::take(&deployment).await;
        assert_eq!(survey.services[0].access, Access::Forbidden);
        let error = run(&deployment, &everything(), &options()).await.unwrap_err();
        let RunError::Survey(error) = error else { panic!("{error:?}") };
        assert!(matches!(&*error, SurveyError::Forbidden { user, .. } if *user == stranger), "{error:?}");
        let verified =
            migration_coordinator::verify(&deployment, &[], migration_coordinator::Scope::Everything).await;
        // What cannot be read is not verified.
        let error = verified[0].results.as_ref().unwrap_err();
        assert!(matches!(&**error, SurveyError::Forbidden { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_role_without_rights_is_told_which_are_missing() {
    let bench = Bench::new();
    let role = bench.role("worker", "").await;
    let up = async |services: Vec<Service>| {
        run(&bench.deployment_as(&role, services), &everything(), &options()).await
    };
    let missing = async || up(vec![shop()]).await.unwrap_err().to_string();
    let database = bench.rows("SELECT current_database()").await.concat();
    assert_eq!(
        missing().await,
        format!("`shop`: role `{role}` may not create schemas in database `{database}`")
    );
    bench.execute("CREATE SCHEMA shop").await;
    assert_eq!(missing().await, format!("`shop`: role `{role}` may not create tables in its schema"));
    bench.execute(&format!("GRANT USAGE, CREATE ON SCHEMA shop TO {role}")).await;
    assert!(up(vec![shop()]).await.unwrap().failures.is_empty(), "a schema that exists need not be created");
    bench.execute("ALTER TABLE shop.seaql_migrations_shop OWNER TO postgres").await;
    bench.execute(&format!("GRANT SELECT, INSERT ON shop.seaql_migrations_shop TO {role}")).await;
    let more = service("shop", vec![step(CREATE), step("m20250102_000001_add_more")]);
    let error = up(vec![more]).await.unwrap_err().to_string();
    assert_eq!(error, format!("`shop`: role `{role}` may not write its version table and journal"));
}

#[tokio::test]
async fn nothing_is_applied_where_nothing_can_be_written() {
    let bench = Bench::new();
    let role = bench.role("frozen", "SUPERUSER").await;
    bench.execute(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await;
    let error = run(&bench.deployment_as(&role, vec![shop()]), &everything(), &options()).await.unwrap_err();
    assert!(matches!(error, RunError::ReadOnly { .. }), "{error:?}");
}
