//! How targets are written, and which migration a name means.

use expect_test::{Expect, expect};
use migration_plan::Selection;

use crate::notation::check_apply;

const KNOWN: &str =
    "chat: m20251016_000001_create_messages m20251017_000001_add_source m20251017_000002_index_source";

fn check(text: &str, expect: &Expect) {
    expect.assert_eq(&match text.parse::<Selection>() {
        Ok(selection) => format!("{:?} {selection}", selection.target),
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            format!("error: {error}{}", source.unwrap_or_default())
        }
    });
}

#[test]
fn selections_are_read_and_written() {
    check("chat", &expect!["None chat"]);
    check("chat@head", &expect!["Some(Head) chat@head"]);
    check("chat@base", &expect!["Some(Base) chat@base"]);
    check("chat@+3", &expect!["Some(Forward(3)) chat@+3"]);
    check("chat@-04", &expect!["Some(Back(4)) chat@-4"]);
    check("chat@m2025", &expect![[r#"Some(Name("m2025")) chat@m2025"#]]);
    check("chat:m2025", &expect![[r#"Some(Name("m2025")) chat@m2025"#]]);
    check("chat:-1", &expect![["Some(Back(1)) chat@-1"]]);
    check("chat@0", &expect![[r#"Some(Name("0")) chat@0"#]]);
}

#[test]
fn what_is_no_selection_is_refused() {
    check("", &expect!["error: a target is empty"]);
    check(
        "Chat@head",
        &expect![
            "error: `Chat@head` is not a target: `Chat` is not a service name: a lower-case letter, then lower-case letters, digits, `_`, `-` or `.`, at most 40 bytes"
        ],
    );
    check(
        "@head",
        &expect![
            "error: `@head` is not a target: `` is not a service name: a lower-case letter, then lower-case letters, digits, `_`, `-` or `.`, at most 40 bytes"
        ],
    );
    check("chat@", &expect!["error: `chat@` names no point after the service"]);
    check("chat@+0", &expect!["error: `chat@+0` counts no step"]);
    check("chat@-", &expect!["error: `chat@-` has a sign but no number of steps"]);
    check("chat@++1", &expect!["error: `chat@++1` has a sign but no number of steps"]);
    check("chat@+99999999999", &expect!["error: `chat@+99999999999` counts more than 4294967295 steps"]);
    check("chat@-1x", &expect!["error: `chat@-1x` has a sign but no number of steps"]);
}

#[test]
fn a_unique_prefix_is_enough() {
    check_apply(
        KNOWN,
        "",
        "chat@m20251016",
        &expect![[r#"
            apply chat:m20251016_000001_create_messages
        "#]],
    );
}

#[test]
fn the_leading_m_may_be_left_out() {
    check_apply(
        KNOWN,
        "",
        "chat@20251016",
        &expect![[r#"
            apply chat:m20251016_000001_create_messages
        "#]],
    );
    check_apply(
        KNOWN,
        "",
        "chat@20251016_000001_create_messages",
        &expect![[r#"
            apply chat:m20251016_000001_create_messages
        "#]],
    );
}

#[test]
fn a_whole_name_wins_over_longer_ones() {
    check_apply(
        "a: m20250101_000001_add m20250102_000001_x m20250101_000001_add_more",
        "",
        "a@m20250101_000001_add",
        &expect![[r#"
            apply a:m20250101_000001_add
        "#]],
    );
}

#[test]
fn a_predecessors_id_means_the_migration_that_replaces_it() {
    const REPLACING: &str = "a: m1(replaces e65a515f830d, replaces e65b) m2(replaces ab12) m3(replaces ab34)";
    for text in ["a@e65a515f830d", "a@e65b", "a@e65"] {
        check_apply(
            REPLACING,
            "",
            text,
            &expect![[r#"
                apply a:m1
            "#]],
        );
    }
    check_apply(
        REPLACING,
        "",
        "a@ab",
        &expect![[r#"
            error: several migrations of `a` begin with `ab`: `m2`, `m3`
            hint: give more of the name
        "#]],
    );
}

#[test]
fn an_ambiguous_prefix_is_refused_with_its_candidates() {
    check_apply(
        KNOWN,
        "",
        "chat@m20251017",
        &expect![[r#"
            error: several migrations of `chat` begin with `m20251017`: `m20251017_000001_add_source`, `m20251017_000002_index_source`
            hint: give more of the name
        "#]],
    );
    check_apply(
        "a: m1 m2 m3 m4 m5 m6 m7",
        "",
        "a@m2025",
        &expect![[r#"
            error: several migrations of `a` begin with `m2025`: `m1`, `m2`, `m3`, `m4`, `m5` and 2 more
            hint: give more of the name
        "#]],
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    check_apply(
        KNOWN,
        "",
        "chat@m20251016_000001_create_mesages",
        &expect![[r#"
            error: no migration of `chat` is or begins with `m20251016_000001_create_mesages`
            hint: did you mean `chat:m20251016_000001_create_messages`?
        "#]],
    );
    check_apply(
        KNOWN,
        "",
        "chat@20251117_000002",
        &expect![[r#"
            error: no migration of `chat` is or begins with `20251117_000002`
            hint: did you mean `chat:m20251017_000002_index_source`?
        "#]],
    );
    check_apply(
        KNOWN,
        "",
        "chat@index_source",
        &expect![[r#"
            error: no migration of `chat` is or begins with `index_source`
            hint: did you mean `chat:m20251017_000002_index_source`?
        "#]],
    );
    check_apply(
        KNOWN,
        "",
        "chat@zero",
        &expect![[r#"
            error: no migration of `chat` is or begins with `zero`
            hint: the history of `chat` lists its migrations
        "#]],
    );
}
