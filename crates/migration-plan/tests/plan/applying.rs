//! What is applied, and in which order.

use expect_test::expect;
use migration_plan::{ApplyOptions, ContractSteps, Plan, UnknownApplied};

use crate::notation::{NOW, catalog, check_apply, history, list, short};

#[test]
fn everything_goes_to_its_head() {
    check_apply(
        "a: m1 m2; b: m1(online)",
        "a: m1",
        "",
        &expect![[r#"
            apply a:m2
            apply b:m1 online
        "#]],
    );
}

#[test]
fn nothing_is_pending() {
    check_apply(
        "a: m1 m2; b:",
        "a: m1 m2",
        "",
        &expect![[r#"
            nothing
        "#]],
    );
}

#[test]
fn a_selection_leaves_other_services_alone() {
    check_apply(
        "a: m1 m2; b: m1",
        "",
        "a",
        &expect![[r#"
            apply a:m1
            apply a:m2
        "#]],
    );
}

#[test]
fn a_target_is_the_last_to_be_applied() {
    check_apply(
        "a: m1 m2 m3",
        "",
        "a@m2",
        &expect![[r#"
            apply a:m1
            apply a:m2
        "#]],
    );
}

#[test]
fn a_reached_target_asks_for_nothing() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m2",
        "a@m2",
        &expect![[r#"
            nothing
        "#]],
    );
}

#[test]
fn head_is_all_of_the_service() {
    check_apply(
        "a: m1 m2",
        "",
        "a@head",
        &expect![[r#"
            apply a:m1
            apply a:m2
        "#]],
    );
}

#[test]
fn forward_counts_steps_that_can_be_applied() {
    check_apply(
        "a: m1 m2(contract) m3 m4",
        "a: m1",
        "a@+1",
        &expect![[r#"
            apply a:m3
            hold a:m2: it is a contract step, and those were not asked for
        "#]],
    );
}

#[test]
fn forward_takes_no_more_than_there_are() {
    check_apply(
        "a: m1 m2",
        "a: m1",
        "a@+2",
        &expect![[r#"
            error: `a` has fewer than 2 migrations to apply: 1
            hint: to apply all, use `apply a`
        "#]],
    );
}

#[test]
fn a_list_need_not_be_sorted() {
    check_apply(
        "a: m2 m1",
        "",
        "",
        &expect![[r#"
            apply a:m2
            apply a:m1
        "#]],
    );
}

#[test]
fn one_that_was_merged_late_is_caught_up_on() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m3",
        "",
        &expect![[r#"
            apply a:m2
        "#]],
    );
}

#[test]
fn a_target_that_was_merged_late_stays_reached() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m3 m2",
        "a@m2",
        &expect![[r#"
            nothing
        "#]],
    );
}

#[test]
fn requirements_come_first() {
    check_apply(
        "a: m1 m2(requires b:m2); b: m1 m2 m3",
        "",
        "",
        &expect![[r#"
            apply a:m1
            apply b:m1
            apply b:m2
            apply a:m2 after b:m2
            apply b:m3
        "#]],
    );
}

#[test]
fn requirements_are_pulled_in_with_what_they_need() {
    check_apply(
        "a: m1(requires b:m2); b: m1 m2(requires c:m1) m3; c: m1 m2",
        "",
        "a",
        &expect![[r#"
            apply b:m1 for a:m1
            apply c:m1 for b:m2
            apply b:m2 after c:m1 for a:m1
            apply a:m1 after b:m2
        "#]],
    );
}

#[test]
fn what_was_merged_late_is_pulled_in_too() {
    check_apply(
        "a: m1(requires b:m3); b: m1 m2 m3",
        "b: m2",
        "a",
        &expect![[r#"
            apply b:m1 for a:m1
            apply b:m3 for a:m1
            apply a:m1 after b:m3
        "#]],
    );
}

#[test]
fn pulled_in_contract_steps_leave_earlier_expand_steps_only() {
    check_apply(
        "a: m1(requires b:m3); b: m1 m2(contract) m3",
        "",
        "a --contract",
        &expect![[r#"
            apply b:m1 for a:m1
            apply b:m3 for a:m1
            apply a:m1 after b:m3
        "#]],
    );
}

#[test]
fn applied_requirements_are_not_waited_for() {
    check_apply(
        "a: m1(requires b:m1); b: m1",
        "b: m1",
        "",
        &expect![[r#"
            apply a:m1
        "#]],
    );
}

#[test]
fn services_without_dependency_keep_the_order_of_the_catalog() {
    check_apply(
        "b: m1 m2; a: m1 m2",
        "",
        "",
        &expect![[r#"
            apply b:m1
            apply b:m2
            apply a:m1
            apply a:m2
        "#]],
    );
}

#[test]
fn a_requirement_of_another_program_may_be_applied_already() {
    check_apply(
        "a: m1(requires z:m1)",
        "z: m1",
        "",
        &expect![[r#"
            apply a:m1
        "#]],
    );
}

#[test]
fn an_older_build_may_pass_over_newer_migrations() {
    check_apply(
        "a: m1 m2",
        "a: m1 m9",
        "--allow-ahead",
        &expect![[r#"
            apply a:m2
        "#]],
    );
}

#[test]
fn all_unknown_migrations_may_be_passed_over() {
    check_apply(
        "a: m1 m3",
        "a: m1 m2 legacy m9",
        "--allow-any",
        &expect![[r#"
            apply a:m3
        "#]],
    );
}

#[test]
fn a_selection_is_not_bothered_by_what_does_not_fit_elsewhere() {
    check_apply(
        "a: m1; b: m2; c: m1",
        "b: m1; c: ?",
        "a",
        &expect![[r#"
            apply a:m1
        "#]],
    );
}

#[test]
fn what_was_applied_before_its_requirement_is_repaired_by_applying_that_alone() {
    check_apply(
        "a: m1(requires b:m1); b: m1",
        "a: m1",
        "b",
        &expect![[r#"
            apply b:m1
        "#]],
    );
}

#[test]
fn a_plan_is_seen_service_by_service() {
    let catalog = catalog("a: m1(requires b:m1) m2; b: m1 m2; c: m1");
    let history = history(&catalog, "c: m1");
    let options =
        ApplyOptions { contract: ContractSteps::HoldBack, unknown: UnknownApplied::Refuse, now: NOW };
    let plan = Plan::apply(&catalog, &history, &[], &options).unwrap();
    let of = |service| short(&list(&plan.steps_of(service).map(|step| &step.id).collect::<Vec<_>>()));
    let lines = plan.services().into_iter().map(|service| format!("{service}: {}\n", of(service)));
    expect![[r#"
        b: b:m1 b:m2
        a: a:m1 a:m2
    "#]]
    .assert_eq(&lines.collect::<String>());
}

#[test]
fn what_was_begun_is_applied_again() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m2<",
        "",
        &expect![[r#"
            apply a:m2 begun to revert
            apply a:m3
        "#]],
    );
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m2>",
        "a@+1",
        &expect![[r#"
            apply a:m2 begun to apply
        "#]],
    );
    // Neither target nor service says it is not to be finished: it is needed.
    check_apply(
        "a: m1 m2(contract 1h) m3; b: m1(requires a:m3)",
        "a: m1 m2>",
        "b",
        &expect![[r#"
            apply a:m2 begun to apply for b:m1
            apply a:m3 for b:m1
            apply b:m1 after a:m3
        "#]],
    );
}

#[test]
fn what_was_begun_is_not_held_back() {
    check_apply(
        "a: m1 m2(contract) m3(contract 9h)",
        "a: m1 m3<",
        "",
        &expect![[r#"
            apply a:m3 begun to revert
            hold a:m2: it is a contract step, and those were not asked for
        "#]],
    );
}

#[test]
fn nothing_begun_is_left_beyond_a_target() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m3>",
        "a@m2",
        &expect![[r#"
            error: `a:m3` was begun and not finished, and lies beyond the target
            hint: `apply a:m3` finishes it, `revert a@-1` takes it back
        "#]],
    );
    check_apply(
        "a: m1 m2",
        "a: m1 m2<",
        "a@m1",
        &expect![[r#"
            error: `a:m2` was begun and not finished, and lies beyond the target
            hint: `apply a:m2` finishes it, `revert a@-1` takes it back
        "#]],
    );
}
