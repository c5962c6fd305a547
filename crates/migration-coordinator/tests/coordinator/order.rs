//! Services that need each other, and services that do not.

use migration_coordinator::{Goal, run};
use migration_kit::Service;
use migration_plan::{ContractSteps, Selection, UnknownApplied};

use crate::support::{Bench, Step, done, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const GRANT: &str = "m20250102_000001_add_view";
const USE: &str = "m20250103_000001_add_reference";

/// `crm` needs the second migration of `shop`, and that one the first of `crm`.
fn entangled() -> Vec<Service> {
    let create = || step(CREATE).up("CREATE TABLE item (id integer)").down("DROP TABLE item");
    let view = step(GRANT)
        .up("CREATE VIEW combined AS SELECT id FROM item UNION ALL SELECT id FROM crm.item")
        .down("DROP VIEW combined")
        .details(|d| d.requires("crm:m20250101_000001_create_item"));
    let reads = step(USE)
        .up("CREATE VIEW all_items AS SELECT id FROM shop.combined")
        .down("DROP VIEW all_items")
        .details(|d| d.requires("shop:m20250102_000001_add_view"));
    vec![service("crm", vec![create(), reads]), service("shop", vec![create(), view])]
}

fn goal(selection: &str) -> Goal {
    Goal::Apply {
        selections: vec![selection.parse::<Selection>().unwrap()],
        contract: ContractSteps::HoldBack,
        unknown: UnknownApplied::Refuse,
    }
}

#[tokio::test]
async fn what_is_required_is_pulled_in_and_comes_first() {
    let bench = Bench::new();
    let deployment = bench.deployment(entangled());
    let report = run(&deployment, &goal("crm"), &options()).await.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    let done = done(&report);
    let place = |id: &str| done.iter().position(|done| done == id).unwrap();
    assert_eq!(done.len(), 4);
    assert!(place(&format!("crm:{CREATE}")) < place(&format!("shop:{GRANT}")));
    assert!(place(&format!("shop:{GRANT}")) < place(&format!("crm:{USE}")));
}

#[tokio::test]
async fn a_single_job_works_off_entangled_services_too() {
    let bench = Bench::new();
    let deployment = bench.deployment(entangled());
    let options = options().with_jobs(1);
    let report = run(&deployment, &goal("crm"), &options).await.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    assert_eq!(done(&report).len(), 4);
}

#[tokio::test]
async fn reverting_and_redoing_go_through_services_in_order() {
    let bench = Bench::new();
    bench.up_well(entangled()).await;
    let deployment = bench.deployment(entangled());
    let needed = Goal::Revert { selections: vec!["shop@base".parse().unwrap()] };
    let error = run(&deployment, &needed, &options()).await.unwrap_err();
    assert!(error.to_string().contains("is still needed by"), "{error}");
    let redo = Goal::Redo { selections: vec!["crm".parse().unwrap()] };
    let report = run(&deployment, &redo, &options()).await.unwrap();
    assert_eq!(done(&report), [format!("-crm:{USE}"), format!("crm:{USE}")]);
    let base = ["crm@base", "shop@base"].map(|text| text.parse::<Selection>().unwrap());
    let report = run(&deployment, &Goal::Revert { selections: base.to_vec() }, &options()).await.unwrap();
    assert!(report.failures.is_empty(), "{report:#?}");
    assert_eq!(done(&report).first(), Some(&format!("-crm:{USE}")));
    assert_eq!(bench.tables("shop").await, Vec::<String>::new());
}

#[tokio::test]
async fn independent_services_run_side_by_side() {
    let bench = Bench::new();
    bench.gate().await;
    let opens =
        |step: Step| step.up("UPDATE public.gate SET open = true").details(|d| d.touches("public.gate"));
    let services = vec![
        // One after the other, the first would wait for ever.
        service("alpha", vec![step(CREATE).wait_at_gate()]),
        service("beta", vec![opens(step(CREATE))]),
    ];
    assert_eq!(bench.up_well(services).await.len(), 2);
}

#[tokio::test]
async fn after_a_failure_nothing_new_begins() {
    let bench = Bench::new();
    let failing = service("alpha", vec![step(CREATE).up("SELECT 1 / 0")]);
    let working = service("beta", vec![step(CREATE), step(GRANT)]);
    let deployment = bench.deployment(vec![failing, working]);
    let options = options().with_jobs(1);
    let all = Goal::Apply {
        selections: Vec::new(),
        contract: ContractSteps::HoldBack,
        unknown: UnknownApplied::Refuse,
    };
    let report = run(&deployment, &all, &options).await.unwrap();
    assert_eq!((report.failures.len(), done(&report)), (1, vec![]));
}
