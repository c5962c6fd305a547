//! What was begun and not finished, in both directions: each run deals with it first, and nothing calls it done.

use std::time::Duration;

use migration_coordinator::{Goal, RunError, StepError, run};
use migration_kit::table_lock::Policy;
use migration_kit::{Check, Service};
use migration_plan::ServiceState;

use crate::support::{Bench, Step, done, everything, options, revert, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_create_more";
const ROWS: &str = "SELECT version || ' ' || (applied_at > 0) FROM shop.seaql_migrations_shop ORDER BY 1";

fn create() -> Step {
    step(CREATE).up("CREATE TABLE item (id integer)").down("DROP TABLE item")
}

/// Two steps in each direction; a condition of `0` stops it between them.
fn shop(up: &str, down: &str) -> Service {
    let next = step(NEXT)
        .stepwise()
        .up("CREATE TABLE IF NOT EXISTS more ()")
        .up(format!("SELECT 1 / {up}"))
        .up("ALTER TABLE item ADD COLUMN IF NOT EXISTS more integer")
        .down("ALTER TABLE item DROP COLUMN IF EXISTS more")
        .down(format!("SELECT 1 / {down}"))
        .down("DROP TABLE IF EXISTS more");
    service("shop", vec![create(), next])
}

#[tokio::test]
async fn a_revert_that_stopped_midway_is_applied_again_or_finished() {
    for next in ["up", "down", "redo", "down further"] {
        let bench = Bench::new();
        bench.up_well(vec![shop("1", "1")]).await;
        let (error, _) = bench.down_badly(vec![shop("1", "0")], "shop@-1").await;
        assert!(matches!(&error, RunError::Step(StepError::Partial { .. })), "{error:?}");
        assert_eq!(bench.state(shop("1", "1")).await, (ServiceState::Dirty, vec![format!("revert {NEXT}")]));
        let whole = (ServiceState::Current, vec![]);
        let services = || vec![shop("1", "1")];
        match next {
            "up" => {
                assert_eq!(bench.up_well(services()).await, [format!("shop:{NEXT}")]);
                assert_eq!(bench.state(shop("1", "1")).await, whole);
                assert_eq!(bench.rows("SELECT count(more) FROM shop.item").await, ["0"]);
            }
            "down" => {
                assert_eq!(bench.down_well(services(), "shop@-1").await, [format!("-shop:{NEXT}")]);
                assert_eq!(bench.tables("shop").await, ["item"]);
                assert_eq!(bench.state(shop("1", "1")).await.0, ServiceState::Behind);
            }
            "redo" => {
                let goal = Goal::Redo { selections: vec!["shop".parse().unwrap()] };
                let report = run(&bench.deployment(services()), &goal, &options()).await.unwrap();
                assert_eq!(done(&report), [format!("-shop:{NEXT}"), format!("shop:{NEXT}")]);
                assert_eq!(bench.state(shop("1", "1")).await, whole);
            }
            _ => {
                let both = [format!("-shop:{NEXT}"), format!("-shop:{CREATE}")];
                assert_eq!(bench.down_well(services(), "shop@base").await, both);
                assert_eq!(bench.tables("shop").await, Vec::<String>::new());
            }
        }
    }
}

#[tokio::test]
async fn an_apply_that_stopped_midway_is_reverted_before_what_is_below_it() {
    let bench = Bench::new();
    bench.up_badly(vec![shop("0", "1")]).await;
    assert_eq!(bench.state(shop("1", "1")).await, (ServiceState::Dirty, vec![format!("apply {NEXT}")]));
    let (error, _) = bench.down_badly(vec![shop("1", "0")], "shop@base").await;
    assert!(matches!(&error, RunError::Step(StepError::Partial { .. })), "{error:?}");
    assert_eq!(bench.state(shop("1", "1")).await, (ServiceState::Dirty, vec![format!("revert {NEXT}")]));
    assert_eq!(bench.down_well(vec![shop("1", "1")], "shop@-1").await, [format!("-shop:{NEXT}")]);
    assert_eq!(bench.tables("shop").await, ["item"]);
    assert_eq!(bench.rows(ROWS).await, [format!("{CREATE} true")]);
}

#[tokio::test]
async fn what_another_tool_finished_is_not_begun() {
    let bench = Bench::new();
    bench.up_badly(vec![shop("0", "1")]).await;
    bench.execute(&format!("INSERT INTO shop.seaql_migrations_shop VALUES ('{NEXT}', 1)")).await;
    assert_eq!(bench.state(shop("1", "1")).await, (ServiceState::Current, vec![]));
}

#[tokio::test]
async fn a_migration_that_ends_its_own_transaction_is_not_taken_for_applied() {
    let ending = |up: &str| {
        let next = step(NEXT).up(up).down("DROP TABLE more; COMMIT; BEGIN; SELECT 1");
        service("shop", vec![create(), next])
    };
    let mended = || ending("CREATE TABLE IF NOT EXISTS more ()");
    let begun = (ServiceState::Dirty, vec![format!("apply {NEXT}")]);
    for up in [
        "CREATE TABLE more (); COMMIT; BEGIN; CREATE TABLE lost ()",
        "CREATE TABLE more (); COMMIT; BEGIN; SELECT 1 / 0",
        "CREATE TABLE more (); COMMIT",
    ] {
        for atomic in [false, true] {
            let bench = Bench::new();
            bench.up_well(vec![service("shop", vec![create()])]).await;
            let mut options = options();
            options.atomic = atomic;
            let report = run(&bench.deployment(vec![ending(up)]), &everything(), &options).await.unwrap();
            assert!(
                matches!(&report.failures[..], [RunError::Step(StepError::EndedItsTransaction { .. })]),
                "{up}: {:?}",
                report.failures
            );
            assert_eq!(bench.tables("shop").await, ["item", "more"]);
            assert_eq!(bench.state(mended()).await, begun, "{up}");
            // The same again fails for another reason, and changes nothing about that.
            bench.up_badly(vec![ending(up)]).await;
            assert_eq!(bench.state(mended()).await, begun, "{up}");
            assert_eq!(bench.up_well(vec![mended()]).await, [format!("shop:{NEXT}")]);
            let (error, _) = bench.down_badly(vec![mended()], "shop@-1").await;
            assert!(matches!(&error, RunError::Step(StepError::EndedItsTransaction { .. })), "{error:?}");
            let half_reverted = (ServiceState::Dirty, vec![format!("revert {NEXT}")]);
            assert_eq!(bench.state(mended()).await, half_reverted);
            assert_eq!(bench.up_well(vec![mended()]).await, [format!("shop:{NEXT}")]);
            assert_eq!(bench.tables("shop").await, ["item", "more"]);
        }
    }
}

#[tokio::test]
async fn a_claim_that_outlived_its_transaction_is_no_application() {
    let shop = || service("shop", vec![create(), step(NEXT).up("SELECT 1").down("SELECT 1")]);
    for (claim, begun) in [(-1, "apply"), (-2, "revert")] {
        let bench = Bench::new();
        bench.up_well(vec![shop()]).await;
        // Killed after it ended its own transaction, so that nothing more was written.
        let claimed = format!(
            "UPDATE shop.seaql_migrations_shop SET applied_at = {claim} WHERE version = '{NEXT}'; \
             DELETE FROM shop.migration_journal_shop WHERE migration = '{NEXT}'; \
             COMMENT ON TABLE shop.seaql_migrations_shop IS NULL"
        );
        bench.execute(&claimed).await;
        assert_eq!(bench.state(shop()).await, (ServiceState::Dirty, vec![format!("{begun} {NEXT}")]));
        assert_eq!(bench.up_well(vec![shop()]).await, [format!("shop:{NEXT}")]);
        assert_eq!(bench.state(shop()).await, (ServiceState::Current, vec![]));
        bench.execute(&claimed).await;
        assert_eq!(bench.down_well(vec![shop()], "shop@-1").await, [format!("-shop:{NEXT}")]);
        assert_eq!(bench.rows(ROWS).await, [format!("{CREATE} true")]);
    }
}

/// What is refused writes its line in the journal, and is no step in its direction.
#[tokio::test]
async fn a_refused_command_does_not_change_what_is_said_of_what_was_interrupted() {
    let guarded = |guard: &'static str| {
        let next = step(NEXT).stepwise().up("CREATE TABLE IF NOT EXISTS more ()").up("SELECT 1 / 0");
        let next = next.details(|details| details.guard(Check::none("nothing is in the way", guard)));
        service("shop", vec![create(), next.down("SELECT 1 / 0")])
    };
    let well = || guarded("SELECT 1 WHERE false");
    // What was interrupted; what is refused, and whether because of a lock on the version table or a guard.
    for (interrupted, refused, in_the_way) in [
        ("apply", "apply", "lock"),
        ("apply", "revert", "lock"),
        ("apply", "apply", "guard"),
        ("revert", "apply", "lock"),
        ("revert", "revert", "lock"),
        ("revert", "apply", "guard"),
    ] {
        let bench = Bench::new();
        bench.up_badly(vec![well()]).await;
        if interrupted == "revert" {
            bench.down_badly(vec![well()], "shop@-1").await;
        }
        let first_install = |survey: migration_coordinator::Survey| survey.services[0].first_install;
        let before = (bench.state(well()).await, first_install(bench.survey(vec![well()]).await));
        assert_eq!(before.0, (ServiceState::Dirty, vec![format!("{interrupted} {NEXT}")]));
        let mut holder = bench.session().await;
        holder.execute("BEGIN").await;
        let services = if in_the_way == "guard" {
            vec![guarded("SELECT 1")]
        } else {
            holder.execute("LOCK TABLE shop.seaql_migrations_shop IN SHARE MODE").await;
            vec![well()]
        };
        let goal = if refused == "apply" { everything() } else { revert("shop@-1") };
        let options = options().with_table_locks(Policy::default().with_patience(Duration::from_millis(100)));
        let n_lines = bench.journal(well()).await.len();
        let report = run(&bench.deployment(services), &goal, &options).await.unwrap();
        holder.execute("ROLLBACK").await;
        let case = format!("{refused} refused by a {in_the_way} after an interrupted {interrupted}");
        assert_eq!(report.failures.len(), 1, "{case}: {report:?}");
        assert_eq!(bench.journal(well()).await.len(), n_lines + 1, "{case}: {report:?}");
        let after = (bench.state(well()).await, first_install(bench.survey(vec![well()]).await));
        assert_eq!(after, before, "{case}");
    }
}
