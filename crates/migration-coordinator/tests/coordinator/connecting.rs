//! Who cannot connect is told why, and a proxy that pools transactions is found out.

use std::time::Duration;

use migration_coordinator::{
    Access, Cancellation, ConnectError, Place, RunError, Survey, SurveyError, UpkeepError, checkups, run,
    under_lock,
};
use postgres_sandbox::Cluster;

use crate::support::{Behaviour, Bench, Proxy, deployment_at, everything, options, service, step};

fn shop() -> migration_kit::Service {
    service("shop", vec![step("m20250101_000001_create_item")])
}

async fn error_at(url: &str) -> (Survey, ConnectError) {
    let deployment = deployment_at(url, vec![shop()]);
    let mut survey = Survey::take(&deployment).await;
    assert_eq!(survey.services[0].access, Access::Unreachable);
    let error = survey.databases.remove(0).unwrap_err();
    let error = run(&deployment, &everything(), &options()).await.map(|_| error).unwrap_err();
    match error {
        RunError::Survey(error) => match std::sync::Arc::try_unwrap(error).unwrap() {
            SurveyError::Connect(error) => (survey, error),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    let cluster = Cluster::temporary().unwrap();
    let url = cluster.url("postgres");
    drop(cluster);
    let (_, error) = error_at(&url).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_database_or_role_is_refused() {
    let bench = Bench::new();
    for url in [bench.url_as("nobody_knows"), bench.url().replacen("/scratch", "/no_scratch", 1)] {
        let (_, error) = error_at(&url).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{url}: {error:?}");
        assert!(!error.to_string().contains("host="), "{error}");
    }
}

#[tokio::test]
async fn one_database_that_is_down_hides_no_other() {
    let bench = Bench::new();
    bench.up_well(vec![shop()]).await;
    let place = |name: &str, url: &str| migration_coordinator::Placement {
        service: service(name, vec![step("m20250101_000001_create_item")]),
        schema: name.to_owned(),
        url: url.parse().unwrap(),
    };
    let services = vec![place("crm", "postgres://u@localhost/d?host=/nowhere"), place("shop", bench.url())];
    let survey = Survey::take(&migration_coordinator::Deployment::new(services).unwrap()).await;
    let access: Vec<Access> = survey.services.iter().map(|facts| facts.access).collect();
    assert_eq!(access, [Access::Unreachable, Access::Read]);
}

/// Commands at a proxy before the shared cluster: the database's URL there.
async fn through(bench: &Bench, proxy: &Proxy) -> String {
    let database = bench.rows("SELECT current_database()").await.concat();
    format!("postgres://postgres@localhost/{database}?host={}", proxy.directory().display())
}

#[tokio::test]
async fn a_proxy_is_found_out_by_what_it_does() {
    for (behaviour, does) in [
        (Behaviour::DropOptions, "drops start-up options"),
        // PgBouncer in every mode.
        (
            Behaviour::RefuseOptions(&[("C", "08P01"), ("M", "unsupported startup parameter: options")]),
            "refuses start-up options",
        ),
        // PgBouncer with `pool_mode = statement`.
        (
            Behaviour::RefuseTransactions(&[
                ("C", "08P01"),
                ("M", "transaction blocks not allowed in statement pooling mode"),
            ]),
            "pools statements and refuses transactions",
        ),
    ] {
        let bench = Bench::new();
        let proxy = Proxy::before(Cluster::shared(), behaviour);
        let deployment = deployment_at(&through(&bench, &proxy).await, vec![shop()]);
        let error = match run(&deployment, &everything(), &options()).await {
            Ok(mut report) => report.failures.remove(0),
            Err(error) => error,
        };
        let text = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(text.contains(&format!("is behind a proxy that {does}")), "{does}: {text}");
        assert!(
            error.hint().unwrap().to_string().contains("directly to the server"),
            "{does}: {:?}",
            error.hint()
        );
        assert_eq!(bench.rows("SELECT to_regnamespace('shop') IS NULL").await, ["t"], "{does}");
    }
}

#[tokio::test]
async fn another_engine_is_refused_before_anything_else_is_asked() {
    for version in ["CockroachDB CCL v24.3.0 (x86_64-pc-linux-gnu)", "PostgreSQL 17.1"] {
        let proxy = Proxy::before(Cluster::shared(), Behaviour::Answer(version));
        let url = format!("postgres://postgres@localhost/shop?host={}", proxy.directory().display());
        let (_, error) = error_at(&url).await;
        assert!(matches!(error, ConnectError::OtherEngine { .. }), "{version}: {error:?}");
        let checked = checkups(&deployment_at(&url, vec![shop()]), &[]).await;
        assert!(matches!(&checked[..], [Some(Err(_))]), "{version}: {checked:?}");
        // What takes the lock without a look has start-up options, which such an engine refuses.
        let (deployment, cancellation) = (deployment_at(&url, vec![shop()]), Cancellation::default());
        let (service, wait) = ("shop".parse().unwrap(), Duration::from_secs(1));
        let locked = under_lock(Place::InUse, &deployment, &service, wait, &cancellation, async |_| {
            Ok::<_, sea_orm::DbErr>(())
        })
        .await;
        assert!(
            matches!(locked, Err(UpkeepError::Connect(ConnectError::OtherEngine { .. }))),
            "{version}: {locked:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_starting_is_waited_for() {
    let bench = Bench::new();
    let starting = &[("C", "57P03"), ("M", "the database system is starting up")];
    let proxy = Proxy::before(Cluster::shared(), Behaviour::RefuseFirst(3, starting));
    let survey = Survey::take(&deployment_at(&through(&bench, &proxy).await, vec![shop()])).await;
    assert_eq!(survey.services[0].access, Access::Absent, "{:?}", survey.databases);
}

#[tokio::test]
async fn a_role_with_a_single_connection_is_enough_for_one_job_and_told_so_for_more() {
    let bench = Bench::new();
    let role = bench.role("single", "CONNECTION LIMIT 1").await;
    bench
        .execute(&format!(
            "GRANT CREATE ON DATABASE {} TO {role}",
            bench.rows("SELECT current_database()").await.concat()
        ))
        .await;
    // Longer than a session is waited for.
    let slow = |name| service(name, vec![step("m20250101_000001_create_item").up("SELECT pg_sleep(7)")]);
    let deployment = deployment_at(&bench.url_as(&role), vec![slow("shop"), slow("crm")]);
    let many = run(&deployment, &everything(), &options()).await.unwrap();
    let [RunError::Connect(error @ ConnectError::Refused { .. })] = &many.failures[..] else {
        panic!("{many:#?}")
    };
    assert!(error.hint().to_string().contains("with_jobs"), "{error:?}");
    let quick = |name| service(name, vec![step("m20250101_000001_create_item")]);
    let deployment = deployment_at(&bench.url_as(&role), vec![quick("shop"), quick("crm")]);
    let one = options().with_jobs(1);
    let report = run(&deployment, &everything(), &one).await.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    let verified =
        migration_coordinator::verify(&deployment, &[], migration_coordinator::Scope::Everything).await;
    assert!(verified.iter().all(|service| service.results.is_ok()), "{verified:#?}");
}
