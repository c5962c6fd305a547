//! `generate --from-entities`: what it writes is compiled into the demo, and is run here; it closes the difference, and its `down`
//! opens it again.

use std::fs;

use crate::support::{Directory, Lab, Ran, run};

/// The service's first migration, made by hand, and the two that were written from the entities.
const FIRST: &str = "create_note";
const EXPANDED: &str = "create_note,add_fields";
const CONTRACTED: &str = "create_note,add_fields,drop_old";

const RENAMED: &str = "note.headline=subtitle";

/// The source of the service, without migrations.
fn source() -> Directory {
    let directory = Directory::of_demo();
    let source = directory.path().join("grown/src");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("lib.rs"), "migration_kit::migrations! {}\n").unwrap();
    // As the workspace lays its source out.
    let layout = concat!(env!("CARGO_MANIFEST_DIR"), "/../rustfmt.toml");
    fs::copy(layout, directory.path().join("rustfmt.toml")).unwrap();
    directory
}

fn generate(directory: &Directory, arguments: &[&str]) -> Ran {
    run(&mut directory.command(&[&["generate", "grown"], arguments, &["--from-entities"]].concat()))
}

/// Writes a migration and compares it with the one that is compiled.
fn is_as_compiled(arguments: &[&str], compiled: &str, left: &[&str]) {
    let directory = source();
    let document = generate(&directory, &[arguments, &["--json"]].concat()).exits(0).json();
    let written =
        fs::read_to_string(directory.path().join(document["created"][0].as_str().unwrap())).unwrap();
    assert_eq!(written, compiled);
    assert_eq!(document["left"], serde_json::json!(left));
}

#[test]
fn what_is_written_is_what_is_compiled() {
    is_as_compiled(
        &["add_fields", "--grown", FIRST, "--rename", RENAMED],
        include_str!("demo/grown/m20260102_000001_add_fields.rs"),
        &[
            "~ column note.headline: is called subtitle: `--contract` writes it",
            "~ column note.rank: type integer → bigint: `--contract` writes it",
            "~ column note.shelf: takes null, and its field does not: `--contract` writes it",
            "~ column note.token: give rows a value; then `--contract` makes it refuse null",
            "~ column note.lang: give rows a value; then `--contract` makes it refuse null",
        ],
    );
    is_as_compiled(
        &["drop_old", "--grown", EXPANDED, "--contract", "--rename", RENAMED, "--drop", "note.legacy"],
        include_str!("demo/grown/m20260103_000001_drop_old.rs"),
        &[],
    );
    is_as_compiled(
        &["create_all", "--grown", "nothing"],
        include_str!("demo/grown/m20260104_000001_create_all.rs"),
        &[],
    );
}

#[test]
fn what_is_written_closes_the_difference() {
    let lab = Lab::empty_demo();
    let migrate = |arguments: &[&str], words: &str| lab.migrate(&[arguments, &["--grown", words]].concat());
    migrate(&["up"], FIRST).exits(0);
    lab.query("INSERT INTO grown.note (title, body, rank, shelf, headline, legacy) VALUES ('a', 'b', 1, 2, 'c', '2026-01-01')");
    migrate(&["up"], EXPANDED).exits(0);
    migrate(&["drift"], EXPANDED).exits(0);
    let found = migrate(&["diff", "--json"], EXPANDED).exits(4).json();
    let differences = found["services"][0]["differences"].as_array().unwrap();
    let expands = differences.iter().filter(|difference| difference["phase"] == "expand");
    // The column that is renamed, since nobody said so here.
    assert_eq!(expands.map(|difference| &difference["name"]).collect::<Vec<_>>(), ["subtitle"]);

    let contract = ["up", "--contract", "--ignore-soak", "--allow-data-loss"];
    let refused = migrate(&contract, CONTRACTED).exits(6).stderr;
    assert!(refused.contains("it is null in 1 row(s)"), "{refused}");
    lab.query("UPDATE grown.note SET token = DEFAULT, lang = 'en'");
    migrate(&contract, CONTRACTED).exits(0);
    migrate(&["diff"], CONTRACTED).exits(0);
    migrate(&["drift"], CONTRACTED).exits(0);
    migrate(&["verify"], CONTRACTED).exits(0);
    assert_eq!(lab.query("SELECT rank, subtitle, lang FROM grown.note"), "1|c|en");

    migrate(&["down", "grown@-1", "--allow-data-loss"], CONTRACTED).exits(0);
    migrate(&["drift"], EXPANDED).exits(0);
    lab.query("UPDATE grown.note SET legacy = '2026-01-01'");
    migrate(&["down", "grown@-1", "--allow-data-loss"], EXPANDED).exits(0);
    migrate(&["drift"], FIRST).exits(0);
    assert_eq!(lab.query("SELECT title, rank, headline FROM grown.note"), "a|1|c");
}

#[test]
fn tables_are_written_into_one_transaction() {
    let lab = Lab::empty_demo();
    for arguments in [&["up"][..], &["diff"], &["drift"], &["down", "grown@base"], &["up"]] {
        lab.migrate(&[arguments, &["--grown", "create_all"]].concat()).exits(0);
    }
}

#[test]
fn what_is_written_keeps_what_check_asks_of_it() {
    let lab = Lab::empty_demo();
    let checked = lab.migrate(&["check", "grown", "--grown", CONTRACTED, "--json"]).exits(4).json();
    let mut found = Vec::new();
    for check in checked["services"][0]["checks"].as_array().unwrap() {
        // There are no lock file and no schema beside it.
        for finding in check["findings"].as_array().unwrap().iter().filter(|_| check["check"] != "files") {
            let message = finding["message"].as_str().unwrap().split(": ").take(2).collect::<Vec<_>>();
            found.push(format!("{}: {}", check["check"].as_str().unwrap(), message.join(": ")));
        }
    }
    // What was asked for by name, which its author has to accept or to do otherwise.
    let retyped = ["hazards: cached-plan: note.title", "hazards: cached-plan: note.rank"];
    // Its notes name authors, of whom there are none yet.
    let refused = "rows: it cannot be applied to tables with rows: migration `grown:m20260102_000001_add_fields` stopped midway while applying";
    let others = ["hazards: rename: note.headline", "hazards: table-rewrite: note", refused];
    assert_eq!(found, [&retyped[..], &others].concat());
}

#[test]
fn what_cannot_be_decided_is_refused_and_nothing_is_written() {
    let directory = source();
    for (arguments, why) in [
        (&["add_a", "--grown", FIRST][..], "`note.subtitle` may be `note.headline` under another name"),
        (&["add_a", "--grown", "create_all"], "say nothing that its migrations do not make"),
        (&["add_a", "--grown", CONTRACTED], "say nothing that its migrations do not make"),
        (&["add_a", "--grown", FIRST, "--drop", "note.legacy"], "--contract"),
        (
            &["add_a", "--grown", FIRST, "--contract", "--drop", "note.title"],
            "`note.title` cannot be dropped",
        ),
        (&["add_a", "--grown", FIRST, "--rename", "note.title=subtitle"], "`note.title` cannot be renamed"),
        (&["add_a", "--grown", FIRST, "--rename", "note=subtitle"], "expected `table.column`"),
        (
            &["add_a", "--grown", FIRST, "--new", "note.title"],
            "`note.title` is no field that lacks its column",
        ),
        (&["add_a", "--grown", FIRST, "--sql"], "cannot be used with"),
        (&["Add", "--grown", FIRST], "does not begin with a lower-case letter"),
    ] {
        let refused = generate(&directory, arguments).exits(2);
        assert!(refused.stderr.contains(why), "{arguments:?}: {}", refused.shown());
        assert_eq!(refused.stderr.matches("error").count(), 1, "{}", refused.shown());
    }
    let demo = run(&mut directory.command(&["generate", "demo", "add_a", "--from-entities"])).exits(2);
    assert!(demo.stderr.contains("is the source of no service"), "{}", demo.shown());
    fs::rename(directory.path().join("grown"), directory.path().join("demo")).unwrap();
    let demo = run(&mut directory.command(&["generate", "demo", "add_a", "--from-entities"])).exits(2);
    assert!(demo.stderr.contains("`demo` has no entities to write from"), "{}", demo.shown());
    let files = fs::read_dir(directory.path().join("demo/src")).unwrap();
    assert_eq!(files.count(), 1);
}
