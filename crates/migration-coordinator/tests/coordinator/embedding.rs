//! An application that carries one service: it brings it to head, or asks where it stands and changes nothing.

use migration_coordinator::{Caller, Guard, bring_to_head};
use migration_kit::Service;

use crate::support::{Bench, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_add_more";

fn shop() -> Service {
    let next = step(NEXT).up("ALTER TABLE item ADD COLUMN more integer");
    service("shop", vec![step(CREATE).up("CREATE TABLE item (id integer)"), next])
}

fn with_checksum(checksum: &str) -> Service {
    shop()
        .with_lock_file(format!("{CREATE} expand transaction {checksum} -\n{NEXT} expand transaction c -\n"))
}

fn caller() -> Caller {
    Caller::new("shop 1.0")
}

#[tokio::test]
async fn an_application_brings_its_service_to_head() {
    let bench = Bench::new();
    let (one, other) = tokio::join!(
        bring_to_head(shop(), bench.url(), caller()),
        bring_to_head(shop(), bench.url(), caller())
    );
    assert_eq!(one.unwrap().done.len() + other.unwrap().done.len(), 2);
    assert_eq!(bench.rows("SELECT DISTINCT tool FROM shop.migration_journal_shop").await, ["shop 1.0"]);
    assert!(bring_to_head(shop(), bench.url(), caller()).await.unwrap().done.is_empty());

    let failing = service("mall", vec![step(CREATE).up("SELECT 1 / 0")]);
    let error = bring_to_head(failing, bench.url(), caller()).await.unwrap_err();
    assert!(error.to_string().contains(CREATE), "{error}");
    let error = bring_to_head(shop(), "mysql://localhost", caller()).await.unwrap_err();
    assert!(error.to_string().contains("postgres://"), "{error}");
}

/// Each standing, what brings a service there, and whether its application can serve.
#[tokio::test]
async fn a_guard_says_where_a_service_stands_and_changes_nothing() {
    let bench = Bench::new();
    let check = async |service: Service| {
        let standing = Guard::new(service, bench.url()).unwrap().check().await;
        (standing.to_string(), standing.is_served())
    };
    assert_eq!(check(shop()).await, (format!("behind: `{CREATE}`, `{NEXT}` pending"), false));
    assert_eq!(bench.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'").await, ["0"]);

    bring_to_head(with_checksum("a"), bench.url(), caller()).await.unwrap();
    assert_eq!(check(with_checksum("a")).await, ("current".to_owned(), true));
    assert_eq!(
        check(with_checksum("b")).await,
        (format!("diverged: `{CREATE}` not as in this build"), false)
    );

    let versions = "shop.seaql_migrations_shop";
    for (row, expected) in [
        (
            "m29990101_000001_newer",
            ("ahead: `m29990101_000001_newer` applied and newer than this build", true),
        ),
        ("m20240101_000001_gone", ("diverged: `m20240101_000001_gone` not as in this build", false)),
    ] {
        bench.execute(&format!("INSERT INTO {versions} VALUES ('{row}', 0)")).await;
        let (said, is_served) = check(shop()).await;
        assert_eq!((said.as_str(), is_served), expected);
        bench.execute(&format!("DELETE FROM {versions} WHERE version = '{row}'")).await;
    }

    let mut other = bench.session().await;
    other.execute("SELECT pg_advisory_lock(hashtextextended('migrate:shop.seaql_migrations_shop', 0))").await;
    let (said, is_served) = check(shop()).await;
    assert!(said.starts_with("running: pid ") && !is_served, "{said}");
    other.execute("SELECT pg_advisory_unlock_all()").await;

    bench
        .execute(
            "INSERT INTO shop.migration_journal_shop (run, migration, direction, started_at, outcome, host, tool) \
             SELECT run, migration, 'revert', now(), 'running', host, tool FROM shop.migration_journal_shop \
             ORDER BY id DESC LIMIT 1",
        )
        .await;
    bench.execute(&format!("DELETE FROM {versions} WHERE version = '{NEXT}'")).await;
    assert_eq!(check(shop()).await, (format!("unfinished: `{NEXT}` begun and not finished"), false));

    let role = bench.role("reader", "").await;
    let standing = Guard::new(shop(), &bench.url_as(&role)).unwrap().check().await;
    assert!(standing.to_string().starts_with("forbidden: ") && !standing.is_served(), "{standing}");
    let gone = bench.url().replace(bench.name(), "no_such_database");
    let standing = Guard::new(shop(), &gone).unwrap().check().await;
    assert!(standing.to_string().starts_with("unreachable: ") && !standing.is_served(), "{standing}");
}
