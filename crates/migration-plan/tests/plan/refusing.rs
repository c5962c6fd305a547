//! What is not planned for applying, and what is said instead.

use expect_test::expect;
use migration_plan::{ApplyOptions, ContractSteps, IntegrityError, Plan, PlanError, UnknownApplied};

use crate::notation::{NOW, catalog, check_apply, check_revert, history};

#[test]
fn a_service_that_is_not_known() {
    check_apply(
        "chat: m1; rag: m1",
        "",
        "caht",
        &expect![[r#"
            error: service `caht` is not known
            hint: did you mean `chat`?
        "#]],
    );
    check_apply(
        "chat: m1; rag: m1",
        "",
        "billing",
        &expect![[r#"
            error: service `billing` is not known
            hint: the status lists the services
        "#]],
    );
}

#[test]
fn a_service_selected_twice() {
    check_apply(
        "a: m1",
        "",
        "a@m1 a",
        &expect![[r#"
            error: service `a` is selected twice
            hint: give each service one target
        "#]],
    );
}

#[test]
fn targets_that_go_back() {
    check_apply(
        "a: m1",
        "",
        "a@base",
        &expect![[r#"
            error: `a@base` goes back, and applying only goes forward
            hint: to revert, use `revert a@base`
        "#]],
    );
    check_apply(
        "a: m1",
        "",
        "a@-1",
        &expect![[r#"
            error: `a@-1` goes back, and applying only goes forward
            hint: to revert, use `revert a@-1`
        "#]],
    );
}

#[test]
fn a_target_that_is_behind() {
    check_apply(
        "a: m1 m2 m3",
        "a: m1 m2 m3",
        "a@m1",
        &expect![[r#"
            error: `a:m1` is behind `m3`, which is applied
            hint: to revert what was applied after it, use `revert a:m1`
        "#]],
    );
}

#[test]
fn a_contract_step_as_target_without_asking_for_it() {
    check_apply(
        "a: m1 m2(contract 1h)",
        "",
        "a@m2",
        &expect![[r#"
            error: `a:m2` is held back: it is a contract step, and those were not asked for
            hint: if no old application runs any more, ask for contract steps with `ContractSteps::Apply`
        "#]],
    );
}

#[test]
fn a_contract_step_as_target_that_soaks() {
    check_apply(
        "a: m1 m2(contract 1h)",
        "a: m1@99000",
        "a@m2 --contract",
        &expect![[r#"
            error: `a:m2` is held back: it waits until 1970-01-02 04:30:00 UTC
            hint: try again when its soak time has passed
        "#]],
    );
}

#[test]
fn a_target_that_requires_a_held_back_step() {
    check_apply(
        "a: m1(requires b:m1); b: m1(contract)",
        "",
        "a@m1",
        &expect![[r#"
            error: `a:m1` is held back: it comes after `b:m1`, which is held back
            hint: the plan for `b` says why `b:m1` is held back
        "#]],
    );
}

#[test]
fn a_requirement_beyond_the_target_of_its_service() {
    check_apply(
        "a: m1(requires b:m2); b: m1 m2",
        "",
        "a b@m1",
        &expect![[r#"
            error: `a:m1` requires `b:m2`, which lies beyond the target of `b`
            hint: give `b` no target, or `b:m2`
        "#]],
    );
}

#[test]
fn a_service_whose_history_was_not_read() {
    check_apply(
        "a: m1",
        "a: ?",
        "",
        &expect![[r#"
            error: the history of `a` was not read
            hint: make the database of `a` reachable for this role, then try again
        "#]],
    );
}

#[test]
fn a_requirement_whose_history_was_not_read() {
    check_apply(
        "a: m1(requires b:m1); b: m1",
        "b: ?",
        "a",
        &expect![[r#"
            error: the history of `b` was not read
            hint: make the database of `b` reachable for this role, then try again
        "#]],
    );
    check_apply(
        "a: m1(requires b:m1); b: m1(contract)",
        "b: ?",
        "a",
        &expect![[r#"
            error: the history of `b` was not read
            hint: make the database of `b` reachable for this role, then try again
        "#]],
    );
}

#[test]
fn a_requirement_of_another_program_that_nobody_asked() {
    check_apply(
        "a: m1(requires z:m1)",
        "",
        "",
        &expect![[r#"
            error: `a:m1` requires `z:m1`, and neither this program nor the history knows `z`
            hint: run it from the program that knows all services, or let this role read the version table of `z`
        "#]],
    );
}

#[test]
fn a_requirement_of_another_program_that_is_not_applied() {
    check_apply(
        "a: m1(requires z:m1)",
        "z: -",
        "",
        &expect![[r#"
            error: `a:m1` requires `z:m1`, which is not applied and which this program cannot apply
            hint: apply it first with the program of `z`: `apply z:m1`
        "#]],
    );
}

#[test]
fn applied_migrations_that_are_missing_here() {
    check_apply(
        "a: m1 m3",
        "a: m1 m2 legacy",
        "",
        &expect![[r#"
            error: migration `a:m2` is applied but missing here; migration `a:legacy` is applied but missing here
            hint: use the build that has `a:m2`, or bring its file back; if it was removed on purpose, the repair of `a` shows how to go on
        "#]],
    );
    check_apply(
        "a: m1 m3",
        "a: m1 m2",
        "--allow-ahead",
        &expect![[r#"
            error: migration `a:m2` is applied but missing here
            hint: use the build that has `a:m2`, or bring its file back; if it was removed on purpose, the repair of `a` shows how to go on
        "#]],
    );
}

/// An applied name that is not known and a pending one with its number are one migration, which is not applied again
/// whatever is allowed. Where more than these two have the number, which is which is not known.
#[test]
fn applied_migrations_that_were_renamed() {
    for (known, applied, now) in [
        ("m20250101_000001_new", "m20250101_000001_old", Some("m20250101_000001_new")),
        ("m20250101_000001_two_tables", "m20250101_000001_2_tables", Some("m20250101_000001_two_tables")),
        ("m20250101_000001_2_tables", "m20250101_000001_3_tables", Some("m20250101_000001_2_tables")),
        ("m0000001_init", "m1_initial", Some("m0000001_init")),
        ("0001_init", "1-initial", Some("0001_init")),
        ("m1 m20250101_000002_new m3", "m1 m2 m3", Some("m20250101_000002_new")),
        ("init", "initial", None),
        (
            "m20250101_000001_a m20250101_000001_b",
            "m20250101_000001_a m20250101_000001_c",
            Some("m20250101_000001_b"),
        ),
        ("m20250101_000001_a", "m20250101_000001_a m20250101_000001_b", None),
        ("m20250101_000001_a m20250101_000001_b", "m20250101_000001_c", None),
        ("m20250101_000001_a", "m20250101_000001_b m20250101_000001_c", None),
        ("m20250101_000001_a", "m20250101_000001_a> m20250101_000001_b", None),
    ] {
        let catalog = catalog(&format!("a: {known}"));
        let history = history(&catalog, &format!("a: {applied}"));
        for unknown in [UnknownApplied::Refuse, UnknownApplied::AllowAhead, UnknownApplied::AllowAny] {
            let options = ApplyOptions { contract: ContractSteps::default(), unknown, now: NOW };
            let plan = Plan::apply(&catalog, &history, &[], &options);
            let renamed = match &plan {
                Err(PlanError::Integrity { errors }) => errors.iter().find_map(|error| match error {
                    IntegrityError::Renamed { now, .. } => Some(now.as_str()),
                    _ => None,
                }),
                _ => None,
            };
            assert_eq!(renamed, now, "{known} / {applied} with {unknown:?}: {plan:?}");
            assert!(plan.is_err() || unknown == UnknownApplied::AllowAny, "{known} / {applied}: {plan:?}");
        }
    }
    check_apply(
        "a: m1 m20250101_000002_new",
        "a: m1 m2",
        "--allow-ahead",
        &expect![[r#"
        error: migration `a:m2` is applied, and is called `m20250101_000002_new` here
        hint: name the file `m2` again; or, once every build calls it `m20250101_000002_new`, the repair of `a` shows how to rename its row
    "#]],
    );
}

#[test]
fn applied_migrations_that_are_newer_than_this_build() {
    check_apply(
        "a: m1",
        "a: m1 m2",
        "",
        &expect![[r#"
            error: migration `a:m2` is applied but newer than this build
            hint: use the build that applied `a:m2`, or a newer one; if the older application runs on purpose, say `UnknownApplied::AllowAhead`
        "#]],
    );
}

#[test]
fn migrations_applied_before_their_requirements() {
    check_apply(
        "a: m1(requires b:m1); b: m1",
        "a: m1",
        "a",
        &expect![[r#"
            error: migration `a:m1` is applied but `b:m1`, which it requires, is not
            hint: apply the requirement alone: `apply b:m1`
        "#]],
    );
    check_apply(
        "a: m1(requires z:m1)",
        "a: m1; z: -",
        "",
        &expect![[r#"
            error: migration `a:m1` is applied but `z:m1`, which it requires, is not
            hint: apply the requirement alone: `apply z:m1`
        "#]],
    );
}

#[test]
fn what_does_not_fit_in_a_service_that_is_pulled_in() {
    check_apply(
        "a: m1(requires b:m2); b: m2",
        "b: m1",
        "a",
        &expect![[r#"
            error: migration `b:m1` is applied but missing here
            hint: use the build that has `b:m1`, or bring its file back; if it was removed on purpose, the repair of `b` shows how to go on
        "#]],
    );
}

#[test]
fn doubled_rows_and_what_others_began_are_refused() {
    check_apply(
        "a: m1 m2",
        "a: m1 m1",
        "",
        &expect![[r#"
            error: migration `a:m1` is in the version table more than once
            hint: delete all of its rows but one, and give the version table its primary key on `version` back
        "#]],
    );
    check_apply(
        "a: m1 m2",
        "a: m1 m9>",
        "",
        &expect![[r#"
            error: migration `a:m9` was begun and not finished, and is missing here
            hint: finish or revert `a:m9` with the build that began it; if there is none any more, the repair of `a` shows how to go on
        "#]],
    );
    check_apply(
        "a: m1 m2",
        "a: m1 m9>",
        "--allow-any",
        &expect![[r#"
            apply a:m2
        "#]],
    );
    check_revert(
        "a: m1 m2",
        "a: m1 m9>",
        "a@base",
        &expect![[r#"
            error: `a` has applied migrations that this build cannot revert: `m9`
            hint: revert with the build that applied them
        "#]],
    );
    // Another tool finished it: the version table outweighs the journal.
    check_apply(
        "a: m1 m2",
        "a: m1 m2 m2>",
        "",
        &expect![[r#"
            nothing
        "#]],
    );
}
