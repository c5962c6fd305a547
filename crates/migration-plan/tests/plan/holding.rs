//! Which steps are held back, for how long, and what waits for them.

use expect_test::expect;

use crate::notation::check_apply;

#[test]
fn contract_steps_are_held_back_and_later_expand_steps_are_not() {
    check_apply(
        "a: m1 m2(contract) m3",
        "",
        "",
        &expect![[r#"
            apply a:m1
            apply a:m3
            hold a:m2: it is a contract step, and those were not asked for
        "#]],
    );
}

#[test]
fn contract_steps_are_applied_when_asked_for() {
    check_apply(
        "a: m1 m2(contract) m3",
        "a: m1 m3",
        "a --contract",
        &expect![[r#"
            apply a:m2
        "#]],
    );
}

#[test]
fn contract_steps_soak_since_the_latest_earlier_expand_step() {
    // 96_401 + 1 h = 100_001, one second too late; m4 comes later and does not count.
    check_apply(
        "a: m1 m2 m3(contract 1h) m4",
        "a: m1@10 m2@96401 m4@99999",
        "a --contract",
        &expect![[r#"
            hold a:m3: it waits until 1970-01-02 03:46:41 UTC
        "#]],
    );
}

#[test]
fn contract_steps_have_soaked_on_the_second() {
    check_apply(
        "a: m1 m2(contract 1h)",
        "a: m1@96400",
        "a --contract",
        &expect![[r#"
            apply a:m2
        "#]],
    );
}

#[test]
fn expand_steps_of_the_same_plan_begin_to_soak_with_it() {
    check_apply(
        "a: m1 m2 m3(contract 1h)",
        "a: m1@10",
        "--contract",
        &expect![[r#"
            apply a:m2
            hold a:m3: it waits until 1970-01-02 04:46:40 UTC
        "#]],
    );
}

#[test]
fn a_soak_time_holds_on_an_empty_database() {
    check_apply(
        "a: m1 m2(contract 24h)",
        "",
        "--contract",
        &expect![[r#"
            apply a:m1
            hold a:m2: it waits until 1970-01-03 03:46:40 UTC
        "#]],
    );
}

#[test]
fn a_first_install_goes_to_the_end() {
    for arguments in ["", "--contract", "a@m4 b"] {
        check_apply(
            "a: m1 m2(contract 24h) m3 m4(contract, requires b:m2); b: m1 m2(contract 7d) m3(requires a:m2)",
            "a: new; b: new m1@99999",
            arguments,
            &expect![[r#"
                apply a:m1
                apply a:m2
                apply a:m3
                apply b:m2
                apply a:m4 after b:m2
                apply b:m3 after a:m2
            "#]],
        );
    }
}

#[test]
fn a_first_install_frees_no_other_service_and_can_be_held_back() {
    let known = "a: m1 m2(contract 24h); b: m1 m2(contract 24h)";
    check_apply(
        known,
        "a: new; b: m1@99000",
        "",
        &expect![[r#"
            apply a:m1
            apply a:m2
            hold b:m2: it waits until 1970-01-03 03:30:00 UTC
        "#]],
    );
    check_apply(
        known,
        "a: new; b: new",
        "--hold-back",
        &expect![[r#"
            apply a:m1
            apply b:m1
            hold a:m2: it waits until 1970-01-03 03:46:40 UTC
            hold b:m2: it waits until 1970-01-03 03:46:40 UTC
        "#]],
    );
}

#[test]
fn an_ignored_soak_time_is_named() {
    check_apply(
        "a: m1 m2(contract 24h) m3 m4(contract 24h) m5(contract)",
        "a: m1@10",
        "--ignore-soak",
        &expect![[r#"
            apply a:m2
            apply a:m3
            apply a:m4 although it soaks until 1970-01-03 03:46:40 UTC
            apply a:m5
        "#]],
    );
}

#[test]
fn no_soak_time_passes_at_once() {
    check_apply(
        "a: m1 m2(contract)",
        "a: m1@100005",
        "--contract",
        &expect![[r#"
            apply a:m2
        "#]],
    );
}

#[test]
fn a_contract_step_without_earlier_expand_steps_has_nothing_to_soak_since() {
    check_apply(
        "a: m1(contract 24h)",
        "",
        "--contract",
        &expect![[r#"
            apply a:m1
        "#]],
    );
}

#[test]
fn what_soaks_is_said_even_if_contract_steps_were_not_asked_for() {
    check_apply(
        "a: m1 m2(contract 1h)",
        "a: m1@99000",
        "",
        &expect![[r#"
            hold a:m2: it waits until 1970-01-02 04:30:00 UTC
        "#]],
    );
}

#[test]
fn contract_steps_wait_for_each_other() {
    check_apply(
        "a: m1 m2(contract 24h) m3(contract)",
        "a: m1@99000",
        "--contract",
        &expect![[r#"
            hold a:m2: it waits until 1970-01-03 03:30:00 UTC
            hold a:m3: it comes after `a:m2`, which is held back
        "#]],
    );
}

#[test]
fn what_requires_a_held_back_step_is_held_back_with_all_that_follows() {
    check_apply(
        "a: m1 m2(requires b:m2) m3; b: m1 m2(contract)",
        "",
        "a",
        &expect![[r#"
            apply a:m1
            hold b:m2: it is a contract step, and those were not asked for
            hold a:m2: it comes after `b:m2`, which is held back
            hold a:m3: it comes after `a:m2`, which is held back
        "#]],
    );
}

#[test]
fn an_expand_step_waits_for_a_contract_step_that_it_requires() {
    check_apply(
        "a: m1 m2(contract) m3(requires a:m2)",
        "",
        "",
        &expect![[r#"
            apply a:m1
            hold a:m2: it is a contract step, and those were not asked for
            hold a:m3: it comes after `a:m2`, which is held back
        "#]],
    );
}

#[test]
fn a_contract_step_waits_for_held_back_expand_steps() {
    check_apply(
        "a: m1(requires b:m2) m2(contract); b: m1 m2(contract 1h)",
        "",
        "--contract",
        &expect![[r#"
            apply b:m1
            hold b:m2: it waits until 1970-01-02 04:46:40 UTC
            hold a:m1: it comes after `b:m2`, which is held back
            hold a:m2: it comes after `a:m1`, which is held back
        "#]],
    );
}

#[test]
fn a_held_back_step_that_was_merged_late_holds_what_follows() {
    check_apply(
        "a: m1(requires b:m1) m2 m3; b: m1(contract)",
        "a: m2",
        "a",
        &expect![[r#"
            hold b:m1: it is a contract step, and those were not asked for
            hold a:m1: it comes after `b:m1`, which is held back
            hold a:m3: it comes after `a:m1`, which is held back
        "#]],
    );
}

#[test]
fn a_pulled_in_contract_step_brings_the_earlier_ones() {
    check_apply(
        "a: m1(requires b:m4); b: m1 m2(contract) m3 m4(contract) m5",
        "",
        "a --contract",
        &expect![[r#"
            apply b:m1 for a:m1
            apply b:m2 for a:m1
            apply b:m3 for a:m1
            apply b:m4 for a:m1
            apply a:m1 after b:m4
        "#]],
    );
}
