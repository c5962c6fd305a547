//! A service that shares its schema may change its own tables there, and what it makes, and nothing else.

use migration_coordinator::{Deployment, DeploymentError, Placement, RunError, StepError};
use migration_kit::{Check, Service};

use crate::support::{Bench, Step, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const TOUCH: &str = "m20250102_000001_add_touch";

fn shop(touch: Step) -> Service {
    let create = step(CREATE)
        .up("CREATE TABLE item (id integer CONSTRAINT item_pkey PRIMARY KEY)")
        .up("CREATE TABLE extra (id bigint GENERATED ALWAYS AS IDENTITY)")
        .up("CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        .up("CREATE TYPE size AS ENUM ('s')")
        .up("CREATE VIEW items AS SELECT id FROM item");
    service("shop", vec![create, touch]).with_default_schema("public").with_tables(["item", "extra"])
}

/// Its tables' names begin like the shop's.
fn stock() -> Service {
    let create = step(CREATE).up("CREATE TABLE item_stock (id bigint GENERATED ALWAYS AS IDENTITY)");
    service("stock", vec![create]).with_default_schema("public").with_tables(["item_stock"])
}

async fn bench() -> Bench {
    let bench = Bench::new();
    bench.up_well(vec![stock(), shop(step(TOUCH))]).await;
    bench.execute("CREATE TABLE public.wiki (id integer)").await;
    bench.execute("CREATE VIEW public.wiki_view AS SELECT id FROM public.wiki").await;
    bench.execute("CREATE FUNCTION public.wiki() RETURNS integer LANGUAGE sql AS 'SELECT 1'").await;
    bench
}

async fn refused(sql: &str) -> Vec<String> {
    let bench = bench().await;
    let next = step("m20250103_000001_add_touch").up(sql);
    let services = vec![stock(), {
        let create = step(CREATE);
        service("shop", vec![create, step(TOUCH), next])
            .with_default_schema("public")
            .with_tables(["item", "extra"])
    }];
    let report = bench.up(services).await.unwrap();
    let mut found: Vec<String> = report
        .failures
        .iter()
        .flat_map(|failure| match failure {
            RunError::Step(StepError::Isolation { violations, .. }) => {
                violations.iter().map(ToString::to_string).collect::<Vec<_>>()
            }
            other => panic!("`{sql}`: {other:?}"),
        })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn what_a_service_names_or_makes_is_its_own() {
    for sql in [
        "ALTER TABLE item ADD COLUMN note text",
        "ALTER TABLE extra ALTER COLUMN id SET CACHE 10",
        "INSERT INTO extra DEFAULT VALUES",
        "CREATE TABLE anything (id serial PRIMARY KEY)",
        "CREATE FUNCTION public.anything() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW anything AS SELECT id FROM wiki",
        "CREATE TYPE anything AS ENUM ('a')",
        "CREATE INDEX item_idx ON item (id)",
        "DROP TABLE extra",
    ] {
        assert_eq!(refused(sql).await, Vec::<String>::new(), "`{sql}`");
    }
}

#[tokio::test]
async fn what_others_have_there_is_not() {
    for (sql, violation) in [
        ("ALTER TABLE wiki ADD COLUMN note text", "table `public.wiki` of role `postgres` was altered"),
        // Under its new name it would pass for one of the shop's own.
        ("ALTER TABLE wiki RENAME TO item_wiki", "table `public.wiki` of role `postgres` was altered"),
        ("ALTER VIEW wiki_view RENAME TO w", "view `public.wiki_view` of role `postgres` was altered"),
        (
            "INSERT INTO item_stock DEFAULT VALUES",
            "table `public.item_stock` of service `stock` was written to",
        ),
        ("DROP TABLE wiki CASCADE", "table `public.wiki` of role `postgres` was dropped"),
        (
            "CREATE OR REPLACE FUNCTION public.wiki() RETURNS integer LANGUAGE sql AS 'SELECT 2'",
            "function `public.wiki` of role `postgres` was created or replaced",
        ),
        (
            "DELETE FROM seaql_migrations_stock",
            "table `public.seaql_migrations_stock` of service `stock` was written to",
        ),
    ] {
        let found = refused(sql).await;
        assert!(found.contains(&violation.to_owned()), "`{sql}`: {found:?}");
    }
}

/// However many migrations are applied, what they made is looked at from one other connection.
#[tokio::test]
async fn a_run_sees_its_migrations_from_one_connection() {
    let bench = Bench::new();
    let create = |number: u32| {
        let name = format!("m20250101_{number:06}_create_item");
        step(name.leak()).up(format!("CREATE TABLE item_{number} (id integer)"))
    };
    let shop =
        service("shop", (1..=12).map(create).collect()).with_default_schema("public").with_tables(["item"]);
    let mut session = bench.session().await;
    let n_sessions = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    let before: u32 = session.rows(n_sessions).await.concat().parse().unwrap();
    assert_eq!(bench.up_well(vec![shop]).await.len(), 12);
    bench.until("SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = current_database()").await;
    let after: u32 = session.rows(n_sessions).await.concat().parse().unwrap();
    // Two that survey, one that migrates, one that looks, and one that waited for their end.
    assert!((3..=8).contains(&(after - before)), "{before} {after}");
}

/// What two services cannot have both is refused before anything is connected.
#[test]
fn services_that_cannot_share_a_schema_are_refused() {
    let named = |name: &str, tables: &[&str]| service(name, vec![step(CREATE)]).with_tables(tables);
    let said = |first: Service, second: Service| {
        let place = |(service, schema): (Service, &str)| Placement {
            service,
            schema: schema.to_owned(),
            url: "postgres://nobody@127.0.0.1:1/none".parse().unwrap(),
        };
        Deployment::new([(first, "public"), (second, "public")].into_iter().map(place).collect())
            .err()
            .map(|error: DeploymentError| error.to_string())
    };
    let shop = || named("shop", &["item", "users"]);
    let expected = [
        (named("crm", &["client"]), None),
        (
            named("crm", &["client", "users"]),
            Some("`shop` and `crm` both have a table `users`, and share the schema `public`"),
        ),
        (
            named("crm", &["client"]).with_types(["item"]),
            Some("`shop` has a table `item`, `crm` has a type `item`, and share the schema `public`"),
        ),
        (named("crm", &["client"]).with_functions(["item()"]), None),
        (
            named("crm", &[]),
            Some("`crm` shares the schema `public` with `shop` and names no tables of its own"),
        ),
        (
            named("crm", &["client"]).owning_schema(),
            Some(
                "`crm` and `shop` cannot both have the schema `public`: `owning_schema` says that all of it is one service's own",
            ),
        ),
        (
            named("crm", &["client"]).with_schemas(["public"]),
            Some(
                "`crm` and `shop` cannot both have the schema `public`: `with_schemas` names it as one service's own",
            ),
        ),
    ];
    for (other, says) in expected {
        assert_eq!(said(shop(), other).as_deref(), says);
    }
    let utils = |name| named(name, &[name]).with_schemas(["utils"]);
    let says =
        "`shop` and `crm` cannot both have the schema `utils`: `with_schemas` names it as one service's own";
    assert_eq!(said(utils("shop"), utils("crm")).as_deref(), Some(says));
}

/// What is there under a name that a service would make is met before the first migration, whatever it is and whosever.
#[tokio::test]
async fn a_taken_name_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    bench.execute("CREATE TABLE wiki (id integer)").await;
    let shop = || {
        let create = step(CREATE)
            .up("CREATE TYPE size AS ENUM ('s')")
            .up("CREATE TABLE item (id integer, size size)")
            .up("CREATE INDEX item_by_size ON item (size)")
            .up("CREATE FUNCTION stamp(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'")
            .details(|details| details.verify(Check::index("item_by_size")));
        let shop = service("shop", vec![create]).with_default_schema("public");
        vec![shop.with_tables(["item"]).with_types(["size"]).with_functions(["stamp(integer)"])]
    };
    for (taken, is) in [
        ("TABLE item (id integer)", "table `item`"),
        ("VIEW item AS SELECT 1", "view `item`"),
        ("MATERIALIZED VIEW item AS SELECT 1", "materialized view `item`"),
        ("SEQUENCE item", "sequence `item`"),
        ("INDEX item ON wiki (id)", "index `item`"),
        ("TYPE item AS (id integer)", "type `item`"),
        ("DOMAIN item AS integer", "type `item`"),
        ("TYPE size AS ENUM ('l')", "type `size`"),
        ("TABLE size (id integer)", "table `size`"),
        ("VIEW size AS SELECT 1", "view `size`"),
        ("INDEX item_by_size ON wiki (id)", "index `item_by_size`"),
        ("TABLE item_by_size (id integer)", "table `item_by_size`"),
        (
            "FUNCTION stamp(n integer) RETURNS text LANGUAGE sql AS 'SELECT now()'",
            "function `stamp(n integer)`",
        ),
        ("PROCEDURE stamp(integer) LANGUAGE sql AS 'SELECT 1'", "procedure `stamp(IN integer)`"),
    ] {
        bench.execute(&format!("CREATE {taken}")).await;
        match bench.up(shop()).await {
            Err(RunError::Collisions { collisions, .. }) => {
                assert_eq!(collisions.to_string(), format!("{is} of role `postgres`"), "{taken}");
            }
            other => panic!("`{taken}`: {other:?}"),
        }
        let dropped =
            is.replace("type `item`", if taken.starts_with("DOMAIN") { "domain item" } else { "type item" });
        bench.execute(&format!("DROP {}", dropped.replace('`', ""))).await;
    }
    // What only looks alike is in nobody's way.
    bench.execute("CREATE INDEX size ON wiki (id)").await;
    bench.execute("CREATE FUNCTION stamp(text) RETURNS integer LANGUAGE sql AS 'SELECT 1'").await;
    bench.execute("CREATE TYPE item_by_size AS ENUM ('s')").await;
    bench.up_well(shop()).await;
}

/// A foreign chain at home in `public`, with a schema beside it and its old runner's version table.
#[tokio::test]
async fn a_service_may_own_public_and_more() {
    let create = || {
        step(CREATE)
            .up("CREATE TABLE item (id serial PRIMARY KEY)")
            .up("CREATE FUNCTION stamp() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
            .up("CREATE SCHEMA utils")
            .up("CREATE TABLE utils.number (n integer)")
            .up("DELETE FROM _sqlx_migrations WHERE version = 1")
            .down("DROP SCHEMA utils CASCADE")
            .down("DROP FUNCTION stamp()")
            .down("DROP TABLE item")
    };
    let later = step(TOUCH)
        .up("ALTER TABLE item RENAME TO article")
        .up("CREATE OR REPLACE FUNCTION stamp() RETURNS integer LANGUAGE sql AS 'SELECT 2'")
        .up("INSERT INTO utils.number VALUES (1)")
        .up("COMMENT ON SCHEMA utils IS 'ours'")
        .down("ALTER TABLE article RENAME TO item");
    let services = |later: Step| {
        let shop = service("shop", vec![create(), later])
            .with_default_schema("public")
            .owning_schema()
            .with_schemas(["utils"])
            .with_stand_in("_sqlx_migrations", "version bigint, checksum bytea");
        vec![shop]
    };
    let bench = Bench::new();
    bench.up_well(services(step(TOUCH))).await;
    bench.down_well(services(step(TOUCH)), "shop@base").await;
    bench.up_well(services(later)).await;
    assert_eq!(bench.rows("SELECT to_regclass('public.article'), n FROM utils.number").await, ["article|1"]);
}
