//! What is said about services without planning anything.

use expect_test::{Expect, expect};
use migration_plan::{IntegrityError, MigrationName, integrity, status, statuses};

use crate::notation::{NOW, catalog, history, list, service_name, short};

/// Shows the status of service `a`.
fn check(known: &str, applied: &str, expect: &Expect) {
    let catalog = catalog(known);
    let status = status(&catalog, &history(&catalog, applied), &service_name("a"), NOW);
    let status = status.expect("the catalog of a test has a service `a`");
    let or_none = |name: &Option<MigrationName>| name.as_ref().map_or("none".to_owned(), ToString::to_string);
    let mut text = format!("{} {} of {}", status.state, or_none(&status.current), or_none(&status.head));
    let applied: Vec<_> = status.applied.iter().map(|applied| &applied.name).collect();
    let mut part = |title: &str, names: String| {
        if !names.is_empty() {
            text.push_str(&format!("; {title} {names}"));
        }
    };
    part("applied", list(&applied));
    part(
        "begun",
        list(&status.begun.iter().map(|(name, direction)| format!("{direction} {name}")).collect::<Vec<_>>()),
    );
    part("pending", list(&status.pending));
    part("missing", list(&status.missing));
    part("ahead", list(&status.ahead));
    part(
        "renamed",
        list(&status.renamed.iter().map(|(then, now)| format!("{then} to {now}")).collect::<Vec<_>>()),
    );
    part("out of order", list(&status.out_of_order));
    for held in &status.held_back {
        part("hold", format!("{}: {}", held.id.name, held.reason));
    }
    expect.assert_eq(&short(&text));
}

#[test]
fn all_is_applied() {
    check("a: m1 m2", "a: m1 m2", &expect!["current m2 of m2; applied m1 m2"]);
    check("a:", "", &expect!["current none of none"]);
}

#[test]
fn something_is_pending() {
    check("a: m1 m2 m3", "a: m1", &expect!["behind m1 of m3; applied m1; pending m2 m3"]);
}

#[test]
fn nothing_is_applied() {
    check("a: m1 m2", "a: -", &expect!["empty none of m2; pending m1 m2"]);
}

#[test]
fn what_is_held_back_is_not_pending() {
    check(
        "a: m1 m2(contract) m3",
        "a: m1 m3",
        &expect![
            "current m3 of m3; applied m1 m3; hold m2: it is a contract step, and those were not asked for"
        ],
    );
    check(
        "a: m1 m2(contract 1h)",
        "a: m1@99000",
        &expect!["current m1 of m2; applied m1; hold m2: it waits until 1970-01-02 04:30:00 UTC"],
    );
    check(
        "a: m1 m2(contract) m3(requires a:m2)",
        "a: m1",
        &expect![
            "current m1 of m3; applied m1; hold m2: it is a contract step, and those were not asked for; hold m3: it comes after `a:m2`, which is held back"
        ],
    );
}

#[test]
fn a_newer_build_was_here() {
    check("a: m1 m2", "a: m1 m2 m3", &expect!["ahead m2 of m2; applied m1 m2; ahead m3"]);
    check("a: m1 m2", "a: m1 m3", &expect!["ahead m1 of m2; applied m1; pending m2; ahead m3"]);
    check("a:", "a: m1", &expect!["ahead none of none; ahead m1"]);
}

#[test]
fn another_branch_was_here() {
    check(
        "a: m1 m3",
        "a: m1 m2 m4 zebra",
        &expect!["diverged m1 of m3; applied m1; pending m3; missing m2 zebra; ahead m4"],
    );
}

#[test]
fn the_newest_name_counts_where_the_list_is_not_sorted() {
    check("a: m5 m1", "a: m3", &expect!["diverged none of m1; pending m5 m1; missing m3"]);
}

#[test]
fn one_was_merged_late() {
    check(
        "a: m1 m2 m3 m4",
        "a: m1 m3",
        &expect!["behind m3 of m4; applied m1 m3; pending m2 m4; out of order m2"],
    );
}

#[test]
fn a_late_contract_step_is_in_order() {
    check("a: m1 m2(contract) m3", "a: m1@1 m3@2 m2@3", &expect!["current m3 of m3; applied m1 m2 m3"]);
}

#[test]
fn the_history_was_not_read() {
    check("a: m1", "a: ?", &expect!["unreachable none of m1"]);
}

#[test]
fn statuses_come_in_the_order_of_the_catalog() {
    let catalog = catalog("b: m1; a: m1");
    let history = history(&catalog, "a: m1");
    let states = statuses(&catalog, &history, NOW);
    let states: Vec<_> = states.iter().map(|status| format!("{} {}", status.service, status.state)).collect();
    expect!["b empty, a current"].assert_eq(&states.join(", "));
    assert_eq!(status(&catalog, &history, &service_name("c"), NOW), None);
}

#[test]
fn integrity_judges_all_services() {
    let catalog = catalog("a: m1 m3(requires b:m1, requires z:m1); b: m1; c: m1(requires d:m1); d: m1");
    let history = history(&catalog, "a: m2 m3 m9; c: m1; d: ?");
    let errors = integrity(&catalog, &history);
    let lines = errors.iter().map(|error: &IntegrityError| format!("{error}\n  {}\n", error.hint()));
    expect![[r#"
        migration `a:m2` is applied but missing here
          use the build that has `a:m2`, or bring its file back; if it was removed on purpose, the repair of `a` shows how to go on
        migration `a:m9` is applied but newer than this build
          use the build that applied `a:m9`, or a newer one; if the older application runs on purpose, say `UnknownApplied::AllowAhead`
        migration `a:m3` is applied but `b:m1`, which it requires, is not
          apply the requirement alone: `apply b:m1`
    "#]].assert_eq(&short(&lines.collect::<String>()));
}

#[test]
fn what_was_renamed_is_one_migration() {
    check(
        "a: m1 m20250101_000002_new m3",
        "a: m1 m2",
        &expect![
            "diverged m1 of m3; applied m1; pending m20250101_000002_new m3; renamed m2 to m20250101_000002_new"
        ],
    );
}

#[test]
fn what_was_begun_is_a_state_of_its_own() {
    check("a: m1 m2 m3", "a: m1 m2>", &expect!["dirty m1 of m3; applied m1; begun apply m2; pending m2 m3"]);
    check(
        "a: m1 m2(contract)",
        "a: m1 m2<",
        &expect!["dirty m1 of m2; applied m1; begun revert m2; pending m2"],
    );
    check("a: m1", "a: m1 m9>", &expect!["dirty m1 of m1; applied m1; begun apply m9"]);
    check("a: m1", "a: m1>", &expect!["dirty none of m1; begun apply m1; pending m1"]);
}
