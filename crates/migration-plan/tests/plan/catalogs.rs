//! What is a catalog, what is refused as one, and what it tells.

use expect_test::{Expect, expect};

use migration_plan::{IntegrityError, integrity};

use crate::notation::{catalog, history, list, short, try_catalog};

fn check(known: &str, expect: &Expect) {
    let text = try_catalog(known).map(|catalog| list(&catalog.order().collect::<Vec<_>>()));
    expect.assert_eq(&short(&text.unwrap_or_else(|error| format!("error: {error}"))));
}

#[test]
fn no_service_is_a_catalog() {
    check("", &expect![[""]]);
}

#[test]
fn the_earlier_service_goes_first_as_far_as_requirements_allow() {
    check("a: m1 m2(requires b:m2) m3; b: m1 m2 m3; c: m1", &expect!["a:m1 b:m1 b:m2 a:m2 a:m3 b:m3 c:m1"]);
}

#[test]
fn an_added_migration_leaves_the_order_of_the_others() {
    check("a: m1; b: m1 m2; c: m1", &expect!["a:m1 b:m1 b:m2 c:m1"]);
    check("a: m1 m2(requires c:m1); b: m1 m2; c: m1", &expect!["a:m1 b:m1 b:m2 c:m1 a:m2"]);
}

#[test]
fn names_stand_once() {
    check("a: m1; b: m1; a: m2", &expect!["error: service `a` is listed twice"]);
    check("a: m1 m2 m1", &expect!["error: migration `a:m1` is listed twice"]);
}

#[test]
fn names_are_any_text_in_the_order_of_the_list() {
    check(
        "a: m0000010_init create_messages 0001_initial; b-c.d: m1",
        &expect!["a:m0000010_init a:create_messages a:0001_initial b-c.d:m1"],
    );
}

/// What an unknown applied name is, beside the known ones: newer than this build, or missing from it.
#[test]
fn names_of_every_scheme_tell_which_is_newer() {
    for (known, unknown, is_newer) in [
        ("m20250101_000001_a", "m20250101_000002_b", true),
        ("m20250101_000002_a", "m20250101_000001_b", false),
        ("m0000009_init", "m0000010_next", true),
        ("m9_init", "m10_next", true),
        ("m20230404_create_user", "m20240101_000001_create_order", true),
        ("0009_initial", "0010_more", true),
        ("2019-11-15-182353_a", "2020-01-01-000000_b", true),
        ("m0000009_init", "0010_more", false),
        ("create_user", "m0000010_next", false),
        ("m0000009_init", "create_order", false),
    ] {
        let catalog = catalog(&format!("a: {known}"));
        let errors = integrity(&catalog, &history(&catalog, &format!("a: {known} {unknown}")));
        let is_ahead = matches!(errors[..], [IntegrityError::Ahead { .. }]);
        assert_eq!(is_ahead, is_newer, "{unknown} beside {known}: {errors:?}");
    }
}

#[test]
fn requirements_exist() {
    check(
        "a: m1(requires b:m2); b: m1",
        &expect!["error: migration `a:m1` requires `b:m2`, which does not exist"],
    );
    check(
        "a: m1(requires b:m20250101); b: m1",
        &expect!["error: migration `a:m1` requires `b:m20250101`, which does not exist"],
    );
}

#[test]
fn cycles_are_shown() {
    check(
        "a: m1(requires b:m2); b: m1 m2(requires a:m1)",
        &expect!["error: migrations need each other: `a:m1` -> `b:m2` -> `a:m1`"],
    );
    check(
        "a: m1(requires b:m1) m2; b: m1(requires c:m1); c: m1(requires a:m2)",
        &expect!["error: migrations need each other: `a:m1` -> `b:m1` -> `c:m1` -> `a:m2` -> `a:m1`"],
    );
    check(
        "a: m1(requires b:m4) m2 m3 m4; b: m1(requires a:m4) m2 m3 m4",
        &expect!["error: migrations need each other: `a:m1` -> `b:m4` -> `b:m1` -> `a:m4` -> `a:m1`"],
    );
    check("a: m1(requires a:m1)", &expect!["error: migrations need each other: `a:m1` -> `a:m1`"]);
    check(
        "a: m1(requires a:m4) m2 m3 m4",
        &expect!["error: migrations need each other: `a:m1` -> `a:m4` -> `a:m3` -> `a:m2` -> `a:m1`"],
    );
    check(
        "a: m1; b: m1 m2(requires c:m1) m3; c: m1(requires b:m2)",
        &expect!["error: migrations need each other: `b:m2` -> `c:m1` -> `b:m2`"],
    );
}

#[test]
fn requirements_are_told_with_their_place() {
    let catalog = catalog("a: m1(requires z:m9, requires b:m1) m2(requires y:m1, requires z:m8); b: m1");
    let lines = catalog.requirements().map(|requirement| {
        format!("{} -> {} {:?}\n", requirement.dependent, requirement.required, requirement.place)
    });
    expect![[r#"
        a:m1 -> b:m1 Inside
        a:m1 -> z:m9 Outside
        a:m2 -> y:m1 Outside
        a:m2 -> z:m8 Outside
    "#]]
    .assert_eq(&short(&lines.collect::<String>()));
    expect!["y z"].assert_eq(&list(&catalog.outside_services()));
}
