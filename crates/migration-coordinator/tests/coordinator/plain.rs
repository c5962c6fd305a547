//! Version tables are sea-orm's own: its migrator and the coordinator take over from each other.

use migration_kit::{Check, ServiceMigration, plain, version_table};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sea_orm_migration::prelude::*;

use crate::support::{Bench, Step, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const ADD: &str = "m20250102_000001_add_row";

fn steps() -> Vec<Step> {
    vec![
        step(CREATE).up("CREATE TABLE item (id integer)").down("DROP TABLE item"),
        step(ADD).up("INSERT INTO item VALUES (1)").down("DELETE FROM item"),
    ]
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        plain(steps().into_iter().map(|step| -> Box<dyn ServiceMigration> { Box::new(step) }).collect())
    }

    fn migration_table_name() -> DynIden {
        version_table("shop").into_iden()
    }
}

async fn connect(bench: &Bench) -> DatabaseConnection {
    let mut options = ConnectOptions::new(bench.url());
    options.max_connections(1).set_schema_search_path("shop").sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

#[tokio::test]
async fn what_sea_orm_applied_is_applied_here() {
    let bench = Bench::new();
    bench.execute("CREATE SCHEMA shop").await;
    let db = connect(&bench).await;
    Migrator::up(&db, Some(1)).await.unwrap();
    assert_eq!(bench.up_well(vec![service("shop", steps())]).await, [format!("shop:{ADD}")]);
    assert_eq!(bench.rows("SELECT id FROM shop.item").await, ["1"]);
}

#[tokio::test]
async fn what_was_applied_here_is_applied_for_sea_orm() {
    let bench = Bench::new();
    bench.up_well(vec![service("shop", steps())]).await;
    let db = connect(&bench).await;
    assert!(Migrator::get_pending_migrations(&db).await.unwrap().is_empty());
    Migrator::up(&db, None).await.unwrap();
    Migrator::down(&db, Some(1)).await.unwrap();
    assert_eq!(bench.rows("SELECT version FROM shop.seaql_migrations_shop").await, [CREATE]);
    assert_eq!(bench.up_well(vec![service("shop", steps())]).await, [format!("shop:{ADD}")]);
    assert_eq!(bench.rows("SELECT id FROM shop.item").await, ["1"]);
}

#[tokio::test]
async fn a_search_path_that_a_migration_changes_leads_nobody_astray() {
    let bench = Bench::new();
    for (index, change) in ["SELECT pg_catalog.set_config('search_path', '', false)", "SET search_path = ''"]
        .into_iter()
        .enumerate()
    {
        for (kind, stepwise) in [("transactional", false), ("stepwise", true)] {
            let name = format!("{kind}_{index}");
            let lost = |name| if stepwise { step(name).stepwise() } else { step(name) };
            let steps = vec![
                step(CREATE).up("CREATE TABLE item (id integer)"),
                lost(ADD).up(change).details(|d| d.verify(Check::no_index("item_idx"))),
                step("m20250103_000001_add_row").up("INSERT INTO item VALUES (1)"),
                lost("m20250104_000001_add_row").up("INSERT INTO item VALUES (2)").up(change),
                step("m20250105_000001_add_column").stepwise().up("ALTER TABLE item ADD COLUMN name text"),
            ];
            assert_eq!(bench.up_well(vec![service(&name, steps)]).await.len(), 5);
            assert_eq!(bench.rows(&format!("SELECT count(name), count(*) FROM {name}.item")).await, ["0|2"]);
        }
    }
}

/// As in a file that `pg_dump` has written. The migration's own statements mean what it has set; its checks and all else do not.
#[tokio::test]
async fn a_setting_that_a_migration_changes_concerns_no_other() {
    let bench = Bench::new();
    for (kind, stepwise) in [("transactional", false), ("stepwise", true)] {
        let setting = |name, sql| {
            let lost = if stepwise { step(name).stepwise() } else { step(name) };
            lost.up("SET standard_conforming_strings = off").up("SET DateStyle = 'SQL, DMY'").up(sql).details(
                |d| {
                    let meant =
                        r"SELECT note FROM item WHERE note !~ '^\\?d$' OR '02/03/2026'::date <> '2026-02-03'";
                    d.verify(Check::none("a backslash is one, and months come first", meant))
                },
            )
        };
        let steps = vec![
            step(CREATE).up("CREATE TABLE item (note text)"),
            setting(ADD, r"INSERT INTO item VALUES ('\\d')"),
            step("m20250103_000001_add_row").up(r"INSERT INTO item VALUES ('\d')"),
            setting(
                "m20250104_000001_add_row",
                "INSERT INTO item SELECT 'd' WHERE '02/03/2026'::date = '2026-03-02'",
            ),
            step("m20250105_000001_add_row").stepwise().up(r"INSERT INTO item VALUES ('\d')"),
        ];
        assert_eq!(bench.up_well(vec![service(kind, steps)]).await.len(), 5);
        let notes = bench.rows(&format!("SELECT string_agg(note, ' ' ORDER BY ctid) FROM {kind}.item")).await;
        assert_eq!(notes, [r"\d \d d \d"], "{kind}");
    }
}
