//! Backfills in a run: after a revert.

use migration_coordinator::{Goal, run};
use migration_kit::Service;

use crate::support::{Bench, Step, done, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const ADD: &str = "m20250102_000001_add_n";
const FILL: &str = "m20250103_000001_backfill_n";

/// A service with a hundred items, a column, and this migration that fills it.
fn shop(fill: Step) -> Service {
    let create = step(CREATE)
        .up("CREATE TABLE item (id integer PRIMARY KEY)")
        .up("INSERT INTO item SELECT generate_series(1, 100)")
        .down("DROP TABLE item");
    let add = step(ADD).up("ALTER TABLE item ADD COLUMN n integer").down("ALTER TABLE item DROP COLUMN n");
    service("shop", vec![create, add, fill])
}

#[tokio::test]
async fn a_revert_makes_open_backfills_begin_anew() {
    let bench = Bench::new();
    let statement = "UPDATE item AS source SET n = 1 / (CASE WHEN source.id = 55 AND \
                     to_regclass('public.trouble') IS NOT NULL THEN 0 ELSE 1 END) WHERE {batch} AND source.n IS NULL";
    let shop = || shop(step(FILL).backfill("shop", "item", statement));
    bench.execute("CREATE TABLE public.trouble ()").await;
    bench.up_badly(vec![shop()]).await;
    assert_eq!(bench.rows("SELECT count(n) FROM shop.item").await, ["50"]);

    let goal = Goal::Revert { selections: vec![format!("shop@{CREATE}").parse().unwrap()] };
    let report = run(&bench.deployment(vec![shop()]), &goal, &options()).await.unwrap();
    // What is half applied comes first.
    assert_eq!(done(&report), [format!("-shop:{FILL}"), format!("-shop:{ADD}")], "{report:#?}");
    bench.execute("DROP TABLE public.trouble").await;

    bench.up_well(vec![shop()]).await;

    assert_eq!(bench.rows("SELECT count(n) FROM shop.item").await, ["100"]);
}
