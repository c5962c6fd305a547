//! Extensions belong to the database: made once, whoever needs them, found by every service, and taken from none.

use migration_coordinator::{RunError, StepError, run};
use migration_kit::{Check, Service};

use crate::support::{Bench, Events, Step, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const INDEX: &str = "m20250102_000001_index_item";
const ADD: &str = "m20250103_000001_add_more";

const MAKE: &str = "CREATE EXTENSION IF NOT EXISTS pg_trgm";

/// A service whose index needs `pg_trgm`, and whose check calls a function of it.
fn searching(name: &str, how: How) -> Service {
    let index = match how {
        How::Declared => step(INDEX),
        How::Plain => step(INDEX).up(MAKE),
    };
    let index = index
        .up("CREATE INDEX item_name ON item USING gin (name gin_trgm_ops)")
        .down("DROP INDEX item_name")
        .details(|d| d.verify(Check::holds("names are alike", "SELECT similarity('a', 'a') = 1")));
    let create = step(CREATE).up("CREATE TABLE item (name text)").down("DROP TABLE item");
    let service = service(name, vec![create, index]);
    match how {
        How::Declared => service.with_extensions(["pg_trgm"]),
        How::Plain => service,
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// `Service::with_extensions`.
    Declared,
    /// A migration of each service says `CREATE EXTENSION IF NOT EXISTS`.
    Plain,
}

#[tokio::test]
async fn services_that_need_the_same_extension_start_side_by_side() {
    // (how it is asked for, what is there before, how often, schemas it may be in)
    for (how, before, times, schemas) in [
        (How::Declared, "", 10, "public"),
        (How::Plain, "", 10, "crm shop"),
        (How::Declared, "CREATE EXTENSION pg_trgm SCHEMA public", 1, "public"),
        (How::Plain, "CREATE EXTENSION pg_trgm SCHEMA public", 1, "public"),
        (How::Declared, "CREATE SCHEMA \"Ext\"; CREATE EXTENSION pg_trgm SCHEMA \"Ext\"", 1, "Ext"),
        (How::Plain, "CREATE SCHEMA \"Ext\"; CREATE EXTENSION pg_trgm SCHEMA \"Ext\"", 1, "Ext"),
        (How::Declared, "DROP SCHEMA public", 1, "extensions"),
    ] {
        for time in 0..times {
            let bench = Bench::new();
            bench.execute(before).await;
            let both = || vec![searching("shop", how), searching("crm", how)];
            let events = Events::collect();
            bench.up_well(both()).await;
            // Whoever of the two comes first, it is made and told once.
            let is_made = matches!(how, How::Declared) && !before.contains("EXTENSION");
            let told = events.of("extension_created");
            assert_eq!(told.len(), usize::from(is_made), "{told:?}");
            assert!(told.iter().all(|line| line.contains("extension=\"pg_trgm\"")), "{told:?}");
            let schema = bench
                .rows("SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'")
                .await;
            let schema = schema[0].trim_matches('"');
            assert!(
                schemas.split(' ').any(|s| s == schema),
                "{how:?} after `{before}`, run {time}: in {schema}"
            );
            // A later run finds it, whoever made it.
            bench.down_well(both(), "shop@base crm@base").await;
            assert_eq!(bench.up_well(both()).await.len(), 4, "{how:?} after `{before}`");
        }
    }
}

/// `IF NOT EXISTS` then does nothing, and the transaction's `search_path` does not lead to what was made.
#[tokio::test]
async fn an_extension_that_another_session_makes_within_a_migration_is_found() {
    let bench = Bench::new();
    bench.execute("CREATE SCHEMA elsewhere").await;
    let until_made = "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') LOOP \
                      PERFORM pg_sleep(0.01); END LOOP; END $$";
    let index = "CREATE INDEX item_name ON item USING gin (name gin_trgm_ops)";
    let create = step(CREATE).up("CREATE TABLE item (name text)").up(until_made).up(MAKE).up(index);
    let beside = async {
        let is_waiting = "SELECT count(*) = 1 FROM pg_stat_activity \
                          WHERE datname = current_database() AND query LIKE 'DO $$ BEGIN WHILE%'";
        bench.until(is_waiting).await;
        bench.execute("CREATE EXTENSION pg_trgm SCHEMA elsewhere").await;
    };
    let (done, ()) = tokio::join!(bench.up_well(vec![service("shop", vec![create])]), beside);
    assert_eq!(done.len(), 1);
}

#[tokio::test]
async fn an_extension_that_cannot_be_made_is_refused_before_anything_is_done() {
    let bench = Bench::new();
    let needs = |extension: &str| {
        service("shop", vec![step(CREATE).up("CREATE TABLE item (name text)")]).with_extensions([extension])
    };
    let error = bench.up(vec![needs("no_such")]).await.unwrap_err();
    assert!(matches!(&error, RunError::NoExtension { extension, .. } if extension == "no_such"), "{error:?}");

    let role = bench.role("maker", "").await;
    bench.execute(&format!("GRANT CREATE ON DATABASE {} TO {role}", bench.name())).await;
    // A trusted one needs no superuser; this one does.
    for (extension, may) in [("pg_trgm", true), ("pageinspect", false)] {
        let deployment = bench.deployment_as(&role, vec![needs(extension)]);
        let ran = run(&deployment, &everything(), &options()).await;
        if may {
            let report = ran.unwrap();
            assert!(report.failures.is_empty(), "{:#?}", report.failures);
            bench.execute("DROP SCHEMA shop CASCADE").await;
        } else {
            let error = ran.unwrap_err();
            assert!(
                matches!(&error, RunError::Extension { extension, .. } if extension == "pageinspect"),
                "{error:?}"
            );
            assert!(
                error.hint().unwrap().to_string().contains("CREATE EXTENSION \"pageinspect\""),
                "{:?}",
                error.hint()
            );
        }
        assert_eq!(bench.rows("SELECT to_regnamespace('shop')").await, [""], "{extension}");
    }
}

/// Another schema in `search_path` must not make a table there pass for the service's own.
#[tokio::test]
async fn a_check_is_not_answered_by_the_schema_of_an_extension() {
    let bench = Bench::new();
    bench.execute("CREATE EXTENSION pg_trgm SCHEMA public; CREATE TABLE public.item (name text)").await;
    let create = step(CREATE).details(|d| d.verify(Check::table("item", &["name text"])));
    let (error, _) = bench.up_badly(vec![service("shop", vec![create])]).await;
    assert!(matches!(&error, RunError::Step(StepError::Verify { .. })), "{error:?}");
}

/// Its members are named by their extension, and what a service made in its schema stays its own.
#[tokio::test]
async fn an_extension_of_the_database_is_not_changed_by_one_service() {
    let refused = |bench: &'static str, touch: Step| async move {
        let b = Bench::new();
        b.execute(bench).await;
        let made = service("shop", vec![step(CREATE).up("CREATE EXTENSION IF NOT EXISTS pg_trgm"), touch]);
        let report = b.up(vec![made]).await.unwrap();
        match report.failures.first() {
            None => Vec::new(),
            Some(RunError::Step(StepError::Isolation { violations, .. })) => {
                violations.iter().map(ToString::to_string).collect::<Vec<_>>()
            }
            Some(other) => panic!("{other:?}"),
        }
    };
    let public = "CREATE EXTENSION pg_trgm SCHEMA public";
    let dropped = "extension `pg_trgm` of role `postgres` was dropped";
    let altered = "extension `pg_trgm` of role `postgres` was created or altered";
    for (before, sql, expected) in [
        (public, "DROP EXTENSION pg_trgm", vec![dropped]),
        (public, "ALTER EXTENSION pg_trgm SET SCHEMA shop", vec![altered]),
        ("", "DROP EXTENSION pg_trgm", vec![]),
        ("", "CREATE EXTENSION hstore SCHEMA public", vec![]),
        ("", "CREATE SCHEMA annex", vec!["schema `annex` of role `postgres` was created or altered"]),
    ] {
        let found = refused(before, step(ADD).up(sql)).await;
        assert!(expected.iter().all(|e| found.contains(&(*e).to_owned())), "`{sql}`: {found:?}");
        assert!(
            found.len() <= expected.len().max(1) && found.is_empty() == expected.is_empty(),
            "`{sql}`: {found:?}"
        );
    }
}
