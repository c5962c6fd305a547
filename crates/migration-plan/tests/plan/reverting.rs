//! What is reverted, in which order, what is refused, and what a redo does.
//!
//! It is long because the questions are one list: a case each, read one after the other.

use expect_test::expect;

use crate::notation::{check_redo, check_revert};

#[test]
fn back_counts_applied_migrations() {
    check_revert(
        "a: m1 m2 m3",
        "a: m1 m2",
        "a@-1",
        &expect![[r#"
            revert a:m2
        "#]],
    );
}

#[test]
fn a_name_is_the_migration_to_stay_at() {
    check_revert(
        "a: m1 m2 m3",
        "a: m1 m2 m3",
        "a@m1",
        &expect![[r#"
            revert a:m3
            revert a:m2
        "#]],
    );
}

#[test]
fn staying_where_one_is_reverts_nothing() {
    check_revert(
        "a: m1 m2",
        "a: m1 m2",
        "a@m2",
        &expect![[r#"
            nothing
        "#]],
    );
}

#[test]
fn base_reverts_all() {
    check_revert(
        "a: m1 m2; b: m1",
        "a: m1 m2; b: m1",
        "a@base",
        &expect![[r#"
            revert a:m2
            revert a:m1
        "#]],
    );
    check_revert(
        "a: m1 m2",
        "",
        "a@base",
        &expect![[r#"
            nothing
        "#]],
    );
}

#[test]
fn the_last_to_be_applied_goes_first() {
    check_revert(
        "a: m1 m2(contract) m3",
        "a: m1@1 m3@2 m2@3",
        "a@-2",
        &expect![[r#"
            revert a:m2
            revert a:m3
        "#]],
    );
    check_revert(
        "a: m1 m2(contract) m3",
        "a: m1@1 m3@2 m2@3",
        "a@m3",
        &expect![[r#"
            revert a:m2
        "#]],
    );
}

#[test]
fn the_list_decides_within_a_second() {
    check_revert(
        "a: m2 m1 m3",
        "a: m1@7 m2@7 m3@7",
        "a@base",
        &expect![[r#"
            revert a:m3
            revert a:m1
            revert a:m2
        "#]],
    );
}

#[test]
fn services_are_reverted_in_the_order_of_requirements() {
    check_revert(
        "a: m1 m2(requires b:m1); b: m1",
        "b: m1@2; a: m1@1 m2@3",
        "b@base a@m1",
        &expect![[r#"
            revert a:m2
            revert b:m1 after a:m2
        "#]],
    );
}

#[test]
fn no_clock_puts_a_migration_after_one_that_it_requires() {
    check_revert(
        "a: m1(requires b:m1); b: m1",
        "a: m1@5; b: m1@90",
        "a@base b@base",
        &expect![[r#"
            revert a:m1
            revert b:m1 after a:m1
        "#]],
    );
}

#[test]
fn nothing_is_reverted_without_a_selection() {
    check_revert(
        "a: m1",
        "a: m1",
        "",
        &expect![[r#"
            error: nothing is selected
            hint: name a service and how far, such as `SERVICE@-1` or `SERVICE@base`
        "#]],
    );
}

#[test]
fn nothing_is_reverted_without_a_target() {
    check_revert(
        "a: m1",
        "a: m1",
        "a",
        &expect![[r#"
            error: reverting `a` needs a target
            hint: `a@-1` reverts the last one, `a@NAME` all after that one, `a@base` all
        "#]],
    );
}

#[test]
fn targets_that_go_forward_are_refused() {
    check_revert(
        "a: m1",
        "a: m1",
        "a@head",
        &expect![[r#"
            error: `a@head` goes forward, and reverting only goes back
            hint: to apply, use `apply a@head`
        "#]],
    );
    check_revert(
        "a: m1",
        "a: m1",
        "a@+1",
        &expect![[r#"
            error: `a@+1` goes forward, and reverting only goes back
            hint: to apply, use `apply a@+1`
        "#]],
    );
}

#[test]
fn a_target_that_is_not_applied_is_refused() {
    check_revert(
        "a: m1 m2",
        "a: m1",
        "a@m2",
        &expect![[r#"
            error: `a:m2` is not applied, so there is no reverting to it
            hint: to apply it, use `apply a:m2`
        "#]],
    );
}

#[test]
fn more_steps_than_are_applied_are_refused() {
    check_revert(
        "a: m1 m2",
        "a: m1",
        "a@-2",
        &expect![[r#"
            error: `a` has fewer than 2 applied migrations: 1
            hint: to revert all, use `revert a@base`
        "#]],
    );
}

#[test]
fn what_cannot_be_reverted_is_refused_with_its_reason() {
    check_revert(
        "a: m1 m2(irreversible) m3",
        "a: m1 m2 m3",
        "a@m1",
        &expect![[r#"
            error: `a:m2` cannot be reverted: the old values are gone
            hint: stop before it, with `revert a:m2`, or go forward with a new migration
        "#]],
    );
    check_revert(
        "a: m1 m2(irreversible) m3",
        "a: m1 m2 m3",
        "a@m2",
        &expect![[r#"
            revert a:m3
        "#]],
    );
}

#[test]
fn what_others_still_need_is_refused() {
    check_revert(
        "a: m1; b: m1(requires a:m1); c: m1(requires a:m1); d: m1(requires a:m1)",
        "a: m1; b: m1; c: m1",
        "a@base",
        &expect![[r#"
            error: `a:m1` is still needed by `b:m1`, `c:m1`
            hint: revert that in the same command: give `b`, `c` a target too
        "#]],
    );
}

#[test]
fn what_others_needed_is_reverted_after_them() {
    check_revert(
        "a: m1; b: m1(requires a:m1); c: m1(requires a:m1)",
        "a: m1; b: m1; c: m1",
        "a@base b@base c@base",
        &expect![[r#"
            revert c:m1
            revert b:m1
            revert a:m1 after b:m1 c:m1
        "#]],
    );
}

#[test]
fn unread_services_may_still_need_it() {
    check_revert(
        "a: m1; b: m1(requires a:m1)",
        "a: m1; b: ?",
        "a@base",
        &expect![[r#"
            error: the history of `b` was not read
            hint: make the database of `b` reachable for this role, then try again
        "#]],
    );
    check_revert(
        "a: m1",
        "a: ?",
        "a@base",
        &expect![[r#"
            error: the history of `a` was not read
            hint: make the database of `a` reachable for this role, then try again
        "#]],
    );
}

#[test]
fn a_history_with_unknown_migrations_is_refused() {
    check_revert(
        "a: m1 m3",
        "a: m1 m2 m9",
        "a@-1",
        &expect![[r#"
            error: `a` has applied migrations that this build cannot revert: `m2`, `m9`
            hint: revert with the build that applied them
        "#]],
    );
}

#[test]
fn redo_does_the_last_one_over() {
    check_redo(
        "a: m1 m2(contract 24h)",
        "a: m1@1 m2@99999",
        "a",
        &expect![[r#"
            revert a:m2
            apply a:m2
        "#]],
    );
}

#[test]
fn redo_goes_back_as_far_as_its_target() {
    check_redo(
        "a: m1 m2 m3(requires b:m1); b: m1",
        "a: m1@1 m2@2 m3@4; b: m1@3",
        "a@m1 b@base",
        &expect![[r#"
            revert a:m3
            revert b:m1 after a:m3
            revert a:m2
            apply a:m2
            apply b:m1
            apply a:m3 after b:m1
        "#]],
    );
}

#[test]
fn redo_needs_a_selection() {
    check_redo(
        "a: m1",
        "a: m1",
        "",
        &expect![[r#"
            error: nothing is selected
            hint: name a service and how far, such as `SERVICE@-1` or `SERVICE@base`
        "#]],
    );
}

#[test]
fn redo_refuses_what_could_not_be_applied_again() {
    check_redo(
        "a: m1(requires b:m1); b: m1",
        "a: m1",
        "a",
        &expect![[r#"
            error: migration `a:m1` is applied but `b:m1`, which it requires, is not
            hint: apply the requirement alone: `apply b:m1`
        "#]],
    );
}

#[test]
fn what_was_begun_is_reverted_first() {
    check_revert(
        "a: m1 m2 m3",
        "a: m1@1 m2@2 m3>",
        "a@m1",
        &expect![[r#"
            revert a:m3 begun to apply
            revert a:m2
        "#]],
    );
    check_revert(
        "a: m1 m2(online)",
        "a: m1@1 m2<",
        "a@-1",
        &expect![[r#"
            revert a:m2 online begun to revert
        "#]],
    );
    check_revert(
        "a: m1 m2",
        "a: m1@1 m2>",
        "a@m2",
        &expect![[r#"
            error: `a:m2` is not applied, so there is no reverting to it
            hint: to apply it, use `apply a:m2`
        "#]],
    );
    check_redo(
        "a: m1 m2",
        "a: m1@1 m2<",
        "a",
        &expect![[r#"
            revert a:m2 begun to revert
            apply a:m2
        "#]],
    );
}

#[test]
fn what_another_service_began_still_needs_its_requirements() {
    let known = "a: m1; b: m1(requires a:m1)";
    check_revert(
        known,
        "a: m1; b: m1>",
        "a@base",
        &expect![[r#"
            error: `a:m1` is still needed by `b:m1`
            hint: revert that in the same command: give `b` a target too
        "#]],
    );
    check_revert(
        known,
        "a: m1; b: m1<",
        "a@base b@base",
        &expect![[r#"
            revert b:m1 begun to revert
            revert a:m1 after b:m1
        "#]],
    );
}

#[test]
fn doubled_rows_are_refused() {
    check_revert(
        "a: m1 m2",
        "a: m1 m2 m2",
        "a@-1",
        &expect![[r#"
            error: migration `a:m2` is in the version table more than once
            hint: delete all of its rows but one, and give the version table its primary key on `version` back
        "#]],
    );
}
