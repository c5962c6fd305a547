//! What remains when a migration fails, and how the next run goes on.

use migration_coordinator::{Remains, RunError, StepError};
use migration_kit::{Check, Details, Service, ServiceMigration};
use migration_plan::ServiceState;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::support::{Bench, Events, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_add_row";
const LAST: &str = "m20250103_000001_add_column";

fn create() -> crate::support::Step {
    step(CREATE).up("CREATE TABLE item (id integer)")
}

#[tokio::test]
async fn a_transactional_migration_leaves_nothing_behind() {
    let bench = Bench::new();
    let bad = || step(NEXT).up("CREATE TABLE half ()").up("INSERT INTO item VALUES (1)").up("SELECT 1 / 0");
    let (error, before) = bench.up_badly(vec![service("shop", vec![create(), bad(), step(LAST)])]).await;
    assert!(matches!(&error, RunError::Step(StepError::RolledBack { .. })), "{error:?}");
    assert_eq!(error.to_string(), format!("migration `shop:{NEXT}` failed while applying"));
    assert_eq!(before, [format!("shop:{CREATE}")]);
    assert_eq!(bench.tables("shop").await, ["item"]);
    assert_eq!(bench.rows("SELECT count(*) FROM shop.item").await, ["0"]);
    let shop = || service("shop", vec![create(), step(NEXT).up("INSERT INTO item VALUES (2)"), step(LAST)]);
    assert_eq!(bench.journal(shop()).await, [format!("{CREATE} succeeded"), format!("{NEXT} failed")]);
    assert_eq!(bench.state(shop()).await, (ServiceState::Behind, vec![]));
    assert_eq!(bench.up_well(vec![shop()]).await, [format!("shop:{NEXT}"), format!("shop:{LAST}")]);
    assert_eq!(bench.rows("SELECT id FROM shop.item").await, ["2"]);
}

#[tokio::test]
async fn a_stepwise_migration_that_stopped_midway_is_resumed() {
    let bench = Bench::new();
    let shop = |condition: &str| {
        let fill = step(NEXT)
            .stepwise()
            .up("CREATE TABLE IF NOT EXISTS half ()")
            .up("INSERT INTO item VALUES (1)")
            .up(format!("SELECT 1 / {condition}"));
        service("shop", vec![create(), fill])
    };
    let (error, _) = bench.up_badly(vec![shop("0")]).await;
    assert!(matches!(&error, RunError::Step(StepError::Partial { .. })), "{error:?}");
    assert_eq!(bench.tables("shop").await, ["half", "item"]);
    assert_eq!(
        bench.journal(shop("0")).await,
        [format!("{CREATE} succeeded"), format!("{NEXT} running"), format!("{NEXT} failed")]
    );
    assert_eq!(bench.state(shop("0")).await, (ServiceState::Dirty, vec![format!("apply {NEXT}")]));
    assert_eq!(bench.up_well(vec![shop("1")]).await, [format!("shop:{NEXT}")]);
    assert_eq!(bench.state(shop("1")).await, (ServiceState::Current, vec![]));
}

#[tokio::test]
async fn steps_of_which_the_first_failed_were_never_begun() {
    let shop = |up: &[&str], down: &[&str]| {
        let steps = up.iter().fold(step(NEXT).stepwise(), |step, sql| step.up(*sql));
        service("shop", vec![create(), down.iter().fold(steps, |step, sql| step.down(*sql))])
    };
    let cases: [(&[&str], bool); 6] = [
        (&["SELEC 1"], true),
        (&["SELECT 1 / 0"], true),
        (&["INSERT INTO item VALUES (1 / 0)"], true),
        (&["CREATE INDEX CONCURRENTLY item_id ON itme (id)"], true),
        (&["INSERT INTO item VALUES (1)", "SELECT 1 / 0"], false),
        (&["CREATE UNIQUE INDEX CONCURRENTLY item_id ON item ((1 / (id - 1)))"], false),
    ];
    for (statements, unchanged) in cases {
        let bench = Bench::new();
        bench.up_well(vec![service("shop", vec![create()])]).await;
        bench.execute("INSERT INTO shop.item VALUES (1)").await;
        let (error, _) = bench.up_badly(vec![shop(statements, &[])]).await;
        let was = matches!(&error, RunError::Step(StepError::RolledBack { .. }));
        assert_eq!(was, unchanged, "{statements:?}: {error:?}");
        let (state, last) =
            if unchanged { (ServiceState::Behind, "unchanged") } else { (ServiceState::Dirty, "failed") };
        assert_eq!(bench.state(shop(statements, &[])).await.0, state, "{statements:?}");
        assert_eq!(bench.journal(shop(statements, &[])).await.last(), Some(&format!("{NEXT} {last}")));
        // Once it was begun, a failure of the first step does not tell that nothing was done.
        let (error, _) = bench.up_badly(vec![shop(&["SELEC 1"], &[])]).await;
        assert_eq!(matches!(&error, RunError::Step(StepError::RolledBack { .. })), unchanged, "{error:?}");
        bench.execute("DROP INDEX IF EXISTS shop.item_id").await;
        assert_eq!(bench.up_well(vec![shop(&[], &[])]).await, [format!("shop:{NEXT}")]);
        let (error, _) = bench.down_badly(vec![shop(&[], &["SELEC 1"])], "shop@-1").await;
        assert!(matches!(&error, RunError::Step(StepError::RolledBack { .. })), "{error:?}");
        assert_eq!(
            bench.state(shop(&[], &[])).await,
            (ServiceState::Current, vec![]),
            "it has its row again"
        );
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() {
    for (stepwise, before) in [(false, "nothing"), (true, "nothing"), (true, "a table")] {
        let bench = Bench::new();
        let kind = |step: crate::support::Step| if stepwise { step.stepwise() } else { step };
        let shop = || {
            let panics = kind(step(NEXT)).panics("not yet implemented");
            let panics =
                if before == "nothing" { panics } else { panics.up("CREATE TABLE IF NOT EXISTS half ()") };
            vec![service("shop", vec![create(), panics, step(LAST)]), service("other", vec![create()])]
        };
        let (error, _) = bench.up_badly(shop()).await;
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("it panicked: not yet implemented"), "{source}");
        let is_partial = matches!(&error, RunError::Step(StepError::Partial { .. }));
        assert_eq!(is_partial, before != "nothing", "{error:?}");
        let outcome = if stepwise && !is_partial { "unchanged" } else { "failed" };
        assert_eq!(bench.journal(shop().remove(0)).await.last(), Some(&format!("{NEXT} {outcome}")));
        let mended = service("shop", vec![create(), kind(step(NEXT)), step(LAST)]);
        bench.up_well(vec![mended]).await;
    }
}

struct WithoutDetails;

impl MigrationName for WithoutDetails {
    fn name(&self) -> &'static str {
        NEXT
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WithoutDetails {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}

impl ServiceMigration for WithoutDetails {
    fn details(&self) -> Details {
        panic!("say when it may be applied")
    }
}

#[test]
fn a_panic_in_details_names_the_migration() {
    let made = Service::new("shop", vec![Box::new(create()), Box::new(WithoutDetails)]);
    assert_eq!(
        made.err().unwrap().to_string(),
        format!("`shop`: the details of `{NEXT}` cannot be made: it panicked: say when it may be applied")
    );
}

#[tokio::test]
async fn an_invalid_index_is_not_left_unsaid() {
    let bench = Bench::new();
    let shop = |statement: &str| {
        let index = step(NEXT).stepwise().up("INSERT INTO item VALUES (1), (1)").up(statement);
        service("shop", vec![create(), index])
    };
    let (error, _) =
        bench.up_badly(vec![shop("CREATE UNIQUE INDEX CONCURRENTLY item_id ON item (id)")]).await;
    assert!(matches!(&error, RunError::Step(StepError::Partial { .. })), "{error:?}");
    let (error, _) = bench
        .up_badly(vec![shop("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS item_id ON item (id)")])
        .await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("invalid indexes were left behind: item_id"), "{source}");
    assert!(source.contains("run `DROP INDEX CONCURRENTLY \"shop\".\"item_id\"` before it"), "{source}");
}

#[tokio::test]
async fn a_promise_that_is_not_kept_rolls_back() {
    let bench = Bench::new();
    let promising = |stepwise: bool| {
        let fill = step(NEXT)
            .up("INSERT INTO item VALUES (1)")
            .details(|d| d.verify(Check::none("no item is 1", "SELECT id FROM item WHERE id = 1")));
        service("shop", vec![create(), if stepwise { fill.stepwise() } else { fill }])
    };
    let (error, _) = bench.up_badly(vec![promising(false)]).await;
    assert!(
        matches!(&error, RunError::Step(StepError::Verify { remains: Remains::Nothing, .. })),
        "{error:?}"
    );
    assert!(error.to_string().ends_with("no item is 1: 1 row: (1)"), "{error}");
    assert_eq!(bench.rows("SELECT count(*) FROM shop.item").await, ["0"]);
    let (error, _) = bench.up_badly(vec![promising(true)]).await;
    assert!(
        matches!(&error, RunError::Step(StepError::Verify { remains: Remains::Everything, .. })),
        "{error:?}"
    );
    assert_eq!(bench.state(promising(true)).await.0, ServiceState::Dirty);
}

#[tokio::test]
async fn a_guard_refuses_before_anything_is_done() {
    let bench = Bench::new();
    let guarded = |stepwise: bool| {
        let drop = step(NEXT)
            .up("DROP TABLE item")
            .details(|d| d.guard(Check::none("item is empty", "SELECT id FROM item")));
        service("shop", vec![create(), if stepwise { drop.stepwise() } else { drop }])
    };
    bench.up_well(vec![service("shop", vec![create()])]).await;
    bench.execute("INSERT INTO shop.item VALUES (1)").await;
    for stepwise in [false, true] {
        let (error, _) = bench.up_badly(vec![guarded(stepwise)]).await;
        assert!(matches!(&error, RunError::Step(StepError::Guard { .. })), "{error:?}");
        assert!(error.to_string().ends_with("is refused: item is empty: 1 row: (1)"), "{error}");
        assert_eq!(bench.state(guarded(stepwise)).await.0, ServiceState::Behind, "nothing was begun");
    }
    assert_eq!(bench.tables("shop").await, ["item"]);
}

#[tokio::test]
async fn the_figures_of_guards_are_told_before_anything_is_done() {
    let (bench, events) = (Bench::new(), Events::collect());
    let counted = || {
        let drop = step(NEXT)
            .up("DROP TABLE item")
            .details(|d| d.guard(Check::report("items that are lost", "SELECT count(*)::text FROM item")));
        service("shop", vec![create(), drop])
    };
    bench.up_well(vec![counted()]).await;
    let told = events.of("check_reported").concat();
    assert!(told.contains("says=\"items that are lost\"") && told.contains("figure=\"0\""), "{told}");
}

#[test]
fn a_check_ends_with_a_later_migration_or_its_service_is_refused() {
    for (until, is_refused) in
        [(LAST, false), (NEXT, true), (CREATE, true), ("m20250103_000001_add_colunm", true)]
    {
        let check = Check::table("item", &["id integer"]).until(until);
        let steps: Vec<Box<dyn ServiceMigration>> = vec![
            Box::new(create()),
            Box::new(step(NEXT).details(|details| details.verify(check))),
            Box::new(step(LAST)),
        ];
        let made = Service::new("shop", steps).map(drop).map_err(|error| error.to_string());
        let expected = format!(
            "`shop`: a check of `{NEXT}` ends with `{until}`, which is no later migration of the service"
        );
        assert_eq!(made, if is_refused { Err(expected) } else { Ok(()) });
    }
}

#[tokio::test]
async fn checks_of_all_kinds_are_asked() {
    let bench = Bench::new();
    let shop = || {
        let create = step(CREATE).up("CREATE TABLE item (id integer)").details(|d| {
            d.verify(Check::none("no item", "SELECT id FROM item -- none"))
                .verify(Check::holds("there is a table", "SELECT to_regclass('item') IS NOT NULL;"))
                .verify(Check::report("size", "SELECT count(*)::text FROM item"))
                .verify(Check::report("all", "SELECT id::text FROM item ORDER BY id"))
                .verify(Check::table("item", &["id integer"]))
        });
        service("shop", vec![create])
    };
    bench.up_well(vec![shop()]).await;
    let found = |results: &[migration_coordinator::CheckResult]| {
        results.iter().map(|r| format!("{} {}", r.found, r.holds)).collect::<Vec<_>>()
    };
    let ask = async || {
        let verifications = migration_coordinator::verify(
            &bench.deployment(vec![shop()]),
            &[],
            migration_coordinator::Scope::Everything,
        )
        .await;
        found(verifications[0].results.as_ref().unwrap())
    };
    assert_eq!(ask().await, ["none true", "yes true", "0 true", " true", "none true"]);
    bench.execute("INSERT INTO shop.item VALUES (3), (4)").await;
    assert_eq!(ask().await, ["2 rows: (3), (4) false", "yes true", "2 true", "3, 4 true", "none true"]);
    bench.execute("ALTER TABLE shop.item ADD COLUMN note text").await;
    assert_eq!(ask().await[4], "none true");
    bench.execute("ALTER TABLE shop.item ALTER COLUMN id TYPE bigint").await;
    let other = ask().await[4].clone();
    assert!(
        other.contains("`item.id` is `bigint`, should be `integer`") && other.ends_with("false"),
        "{other}"
    );
    bench.execute("ALTER TABLE shop.item RENAME TO thing").await;
    let broken = ask().await;
    assert!(broken[0].starts_with("could not be asked: ") && broken[0].ends_with("false"), "{broken:?}");
    assert_eq!(broken[1], "no false");
    assert!(broken[4].contains("`item` is missing") && broken[4].ends_with("false"), "{broken:?}");
}
