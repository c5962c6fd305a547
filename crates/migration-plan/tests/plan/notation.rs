//! A short notation for catalogs and histories, and the way back from plans to text.
//!
//! A catalog: `a: m1 m2(contract 1h) m3(requires b:m1, online); b: m1(irreversible)`. A short name such as `m2` stands
//! for a conventional one, both in what is given and in what is shown; any other word stands for itself.
//!
//! A history: `a: m1@10 m2@20; b: -; c: ?`. `@` gives seconds (otherwise a row has as many as its place), `-` says that
//! there is no version table, as for services left out, and `?` that it was not read. `m1>` was begun to be applied and
//! not finished, `m1<` begun to be reverted. `new` before the rows says that the service is
//! installed for the first time.

use std::fmt::{Display, Write};
use std::time::Duration;

use expect_test::Expect;
use migration_plan::{
    AppliedMigration, ApplyOptions, Catalog, CatalogError, ContractSteps, Direction, History, KnownMigration,
    KnownService, MigrationId, MigrationName, Phase, Plan, PlanError, Selection, ServiceName, UnknownApplied,
    Utc,
};

/// The present of these tests, in seconds since 1970-01-01 UTC.
pub(crate) const NOW: i64 = 100_000;

pub(crate) fn check_apply(known: &str, applied: &str, arguments: &str, expect: &Expect) {
    let catalog = catalog(known);
    let (selections, options) = self::arguments(arguments);
    let plan = Plan::apply(&catalog, &history(&catalog, applied), &selections, &options);
    expect.assert_eq(&shown(plan.as_ref().map(plan_text)));
}

pub(crate) fn check_revert(known: &str, applied: &str, arguments: &str, expect: &Expect) {
    let catalog = catalog(known);
    let (selections, _) = self::arguments(arguments);
    let plan = Plan::revert(&catalog, &history(&catalog, applied), &selections);
    expect.assert_eq(&shown(plan.as_ref().map(plan_text)));
}

pub(crate) fn check_redo(known: &str, applied: &str, arguments: &str, expect: &Expect) {
    let catalog = catalog(known);
    let (selections, _) = self::arguments(arguments);
    let redo = Plan::redo(&catalog, &history(&catalog, applied), &selections);
    let text = redo.as_ref().map(|redo| plan_text(&redo.revert) + &plan_text(&redo.apply));
    expect.assert_eq(&shown(text));
}

pub(crate) fn catalog(known: &str) -> Catalog {
    try_catalog(known).expect("the catalog of a test is valid")
}

pub(crate) fn try_catalog(known: &str) -> Result<Catalog, CatalogError> {
    Catalog::new(sections(known).map(|(name, words)| service(name, words)).collect())
}

pub(crate) fn history(catalog: &Catalog, applied: &str) -> History {
    let mut history = History::empty_of(catalog);
    for (name, words) in sections(applied) {
        match words {
            "-" => history.record_absent(service_name(name)),
            "?" => history = without(&history, name),
            _ => {
                let rows = words.strip_prefix("new");
                if rows.is_some() {
                    history.record_first_install(service_name(name));
                }
                let words = rows.unwrap_or(words);
                let (begun, rows): (Vec<&str>, Vec<&str>) =
                    words.split_whitespace().partition(|word| word.ends_with(['<', '>']));
                history.record(service_name(name), rows.into_iter().enumerate().map(row).collect());
                for word in begun {
                    let direction = if word.ends_with('>') { Direction::Apply } else { Direction::Revert };
                    let id = MigrationId {
                        service: service_name(name),
                        name: self::name(word.trim_end_matches(['<', '>'])),
                    };
                    history.record_begun(id, direction);
                }
            }
        }
    }
    history
}

/// Selections and options of a command: `a@m2 b --contract --allow-ahead --allow-any`.
fn arguments(text: &str) -> (Vec<Selection>, ApplyOptions) {
    let mut options =
        ApplyOptions { contract: ContractSteps::default(), unknown: UnknownApplied::Refuse, now: NOW };
    let mut selections = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "--contract" => options.contract = ContractSteps::Apply,
            "--ignore-soak" => options.contract = ContractSteps::IgnoreSoak,
            "--hold-back" => options.contract = ContractSteps::HoldBack,
            "--allow-ahead" => options.unknown = UnknownApplied::AllowAhead,
            "--allow-any" => options.unknown = UnknownApplied::AllowAny,
            _ => {
                let (service, target) = word.split_once('@').map_or((word, None), |(s, t)| (s, Some(t)));
                let target = target.map_or(String::new(), |target| format!("@{}", long(target)));
                selections
                    .push(format!("{service}{target}").parse().expect("a selection of a test is valid"));
            }
        }
    }
    (selections, options)
}

pub(crate) fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    for step in plan.steps() {
        let _ = write!(text, "{} {}", step.direction, step.id);
        if !step.transactional {
            text.push_str(" online");
        }
        if let Some(direction) = step.begun {
            let _ = write!(text, " begun to {direction}");
        }
        if !step.after.is_empty() {
            let _ = write!(text, " after {}", list(&step.after));
        }
        if let Some(puller) = &step.pulled_in_by {
            let _ = write!(text, " for {puller}");
        }
        if let Some(until) = step.ignored_soak {
            let _ = write!(text, " although it soaks until {}", Utc(until));
        }
        text.push('\n');
    }
    for held in plan.held_back() {
        let _ = writeln!(text, "hold {}: {}", held.id, held.reason);
    }
    if text.is_empty() { "nothing\n".to_owned() } else { text }
}

pub(crate) fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn shown(result: Result<String, &PlanError>) -> String {
    short(&result.unwrap_or_else(|error| {
        let hint = error.hint().expect("every refusal says what to do next");
        format!("error: {error}\nhint: {hint}\n")
    }))
}

/// The text with conventional names made short again.
pub(crate) fn short(text: &str) -> String {
    let mut parts = text.split("m20250101_");
    let mut shortened = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("_step") {
            Some((number, rest)) if number.len() == 6 => {
                let _ = write!(shortened, "m{}{rest}", number.trim_start_matches('0'));
            }
            _ => {
                let _ = write!(shortened, "m20250101_{part}");
            }
        }
    }
    shortened
}

pub(crate) fn long(name: &str) -> String {
    let number = name.strip_prefix('m').and_then(|digits| digits.parse::<u32>().ok());
    number
        .filter(|&number| number < 1_000)
        .map_or(name.to_owned(), |number| format!("m20250101_{number:06}_step"))
}

pub(crate) fn name(text: &str) -> MigrationName {
    long(text).parse().expect("a migration name of a test is valid")
}

pub(crate) fn service_name(text: &str) -> ServiceName {
    text.parse().expect("a service name of a test is valid")
}

fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let sections = text.split(';').map(str::trim).filter(|section| !section.is_empty());
    sections.map(|section| {
        let (name, words) = section.split_once(':').expect("a section of a test is `service: migrations`");
        (name.trim(), words.trim())
    })
}

fn service(name: &str, words: &str) -> KnownService {
    let mut migrations = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let end = rest.find([' ', '(']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let (attributes, after) = match after.strip_prefix('(') {
            Some(inside) => inside.split_once(')').expect("a parenthesis of a test is closed"),
            None => ("", after),
        };
        migrations.push(migration(word, attributes));
        rest = after.trim_start();
    }
    KnownService { name: service_name(name), migrations }
}

fn migration(word: &str, attributes: &str) -> KnownMigration {
    let mut migration = KnownMigration {
        name: name(word),
        phase: Phase::Expand,
        transactional: true,
        irreversible: None,
        replaces: Vec::new(),
        loses: None,
        requires: Vec::new(),
    };
    for attribute in attributes.split(',').map(str::trim).filter(|attribute| !attribute.is_empty()) {
        match attribute.split_once(' ').unwrap_or((attribute, "")) {
            ("contract", soak) => {
                let hours: u64 = soak.strip_suffix('h').map_or(0, |hours| hours.parse().expect("hours"));
                migration.phase = Phase::Contract { soak: Duration::from_hours(hours) };
            }
            ("requires", id) => {
                let (service, required) = id.split_once(':').expect("a requirement is `service:migration`");
                migration.requires.push(MigrationId { service: service_name(service), name: name(required) });
            }
            ("replaces", id) => migration.replaces.push(id.to_owned()),
            ("irreversible", _) => migration.irreversible = Some("the old values are gone".to_owned()),
            ("online", _) => migration.transactional = false,
            other => panic!("a test uses an attribute that does not exist: {other:?}"),
        }
    }
    migration
}

fn row((place, word): (usize, &str)) -> AppliedMigration {
    let (text, seconds) = word.split_once('@').unwrap_or((word, ""));
    let place = i64::try_from(place).expect("few rows");
    let applied_at = if seconds.is_empty() { place } else { seconds.parse().expect("seconds") };
    AppliedMigration { name: name(text), applied_at }
}

/// The history as if one service had not been read.
fn without(history: &History, unread: &str) -> History {
    let mut others = History::new();
    for service in history.services().filter(|service| service.as_str() != unread) {
        if history.has_table(service) {
            others.record(service.clone(), history.applied(service).to_vec());
        } else {
            others.record_absent(service.clone());
        }
    }
    others
}
