//! Catalogs, histories and targets for the properties.

use std::time::Duration;

use migration_plan::{
    AppliedMigration, Catalog, Direction, History, KnownMigration, KnownService, MigrationId, Phase, Plan,
    Selection, Step, TargetPoint,
};
use proptest::prelude::*;

use crate::notation::{name, service_name};

/// A migration in the order in which a team wrote it: after all that it requires.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    service: usize,
    phase: Phase,
    /// Which earlier ones it requires: each number modulo how many there are.
    requires: Vec<usize>,
}

/// All migrations of some services in the order in which they were written.
pub(crate) fn written() -> impl Strategy<Value = Vec<Written>> {
    let phase = prop_oneof![
        3 => Just(Phase::Expand),
        1 => (0_u64..3).prop_map(|hours| Phase::Contract { soak: Duration::from_hours(hours) }),
    ];
    let requires = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<usize>(), 1..3)];
    let one = (0..SERVICES.len(), phase, requires).prop_map(|(service, phase, requires)| Written {
        service,
        phase,
        requires,
    });
    prop::collection::vec(one, 0..24)
}

/// The catalog of what was written.
pub(crate) fn catalog(written: &[Written]) -> Catalog {
    let mut services: Vec<_> = SERVICES
        .iter()
        .map(|name| KnownService { name: service_name(name), migrations: Vec::new() })
        .collect();
    let mut ids: Vec<MigrationId> = Vec::new();
    for written in written {
        let service = &mut services[written.service];
        let name = name(&format!("m{}", service.migrations.len() + 1));
        let id = MigrationId { service: service.name.clone(), name: name.clone() };
        let requires =
            written.requires.iter().filter(|_| !ids.is_empty()).map(|n| ids[n % ids.len()].clone());
        service.migrations.push(KnownMigration {
            name,
            phase: written.phase,
            transactional: true,
            irreversible: None,
            replaces: Vec::new(),
            loses: None,
            requires: requires.collect(),
        });
        ids.push(id);
    }
    Catalog::new(services).expect("what was written in some order has no cycle")
}

/// Selections that mean something in many catalogs.
pub(crate) fn selections() -> impl Strategy<Value = Vec<Selection>> {
    let steps = 1_u32..5;
    let target = prop_oneof![
        Just(None),
        Just(Some(TargetPoint::Head)),
        Just(Some(TargetPoint::Base)),
        steps.clone().prop_map(|n| n.try_into().ok().map(TargetPoint::Forward)),
        steps.prop_map(|n| n.try_into().ok().map(TargetPoint::Back)),
        (1_u32..9).prop_map(|n| Some(TargetPoint::Name(name(&format!("m{n}")).to_string()))),
        ".{0,4}".prop_map(|text| Some(TargetPoint::Name(text))),
    ];
    let service = prop::sample::select(&SERVICES[..]).prop_map(service_name);
    prop::collection::vec((service, target).prop_map(|(service, target)| Selection { service, target }), 0..4)
}

/// Any rows in any version tables, read or not, and anything begun: also such as no run could have left.
pub(crate) fn any_history() -> impl Strategy<Value = History> {
    let row = (
        prop_oneof![9 => (1_u32..9).prop_map(|n| format!("m{n}")), 1 => Just("legacy".to_owned())],
        prop_oneof![0_i64..20, any::<i64>()],
    )
        .prop_map(|(text, applied_at)| AppliedMigration { name: name(&text), applied_at });
    let table = prop::option::of(prop::collection::vec(row, 0..9));
    let begun = (prop::sample::select(&SERVICES[..]), 1_u32..9, any::<bool>());
    let begun = prop::collection::vec(begun, 0..4);
    let tables = prop::collection::vec(prop::option::weighted(0.9, table), SERVICES.len());
    (tables, begun).prop_map(|(tables, begun)| {
        let mut history = History::new();
        for (service, table) in SERVICES.iter().zip(tables) {
            match table {
                Some(Some(rows)) => history.record(service_name(service), rows),
                Some(None) => history.record_absent(service_name(service)),
                None => {}
            }
        }
        for (service, number, is_revert) in begun {
            let id = MigrationId { service: service_name(service), name: name(&format!("m{number}")) };
            history.record_begun(id, if is_revert { Direction::Revert } else { Direction::Apply });
        }
        history
    })
}

/// The history once a plan is done, at a time in seconds.
pub(crate) fn done(history: &History, plan: &Plan, at: i64) -> History {
    done_until(history, plan.steps(), at)
}

/// The history once these steps are done.
pub(crate) fn done_until(history: &History, steps: &[Step], at: i64) -> History {
    steps.iter().fold(history.clone(), |history, step| {
        let row = AppliedMigration { name: step.id.name.clone(), applied_at: at };
        changed(&history, &step.id, (step.direction == Direction::Apply).then_some(&row))
    })
}

/// The history if the first so many steps of a plan are done, and the next one was begun and not finished.
pub(crate) fn stopped(history: &History, plan: &Plan, n_done: usize, at: i64) -> (History, Step) {
    let begun = &plan.steps()[n_done];
    let history = done_until(history, &plan.steps()[..n_done], at);
    // What is begun loses its row: it is neither applied nor reverted.
    let mut stopped = changed(&history, &begun.id, None);
    stopped.record_begun(begun.id.clone(), begun.direction);
    (stopped, begun.clone())
}

/// The history with another row of one migration, or none, and nothing of it begun.
fn changed(history: &History, id: &MigrationId, row: Option<&AppliedMigration>) -> History {
    let mut changed = History::new();
    for service in history.services() {
        let mut rows = history.applied(service).to_vec();
        if *service == id.service {
            rows.retain(|row| row.name != id.name);
            rows.extend(row.cloned());
        }
        if history.has_table(service) || *service == id.service {
            changed.record(service.clone(), rows);
        } else {
            changed.record_absent(service.clone());
        }
        for (name, direction) in history.begun(service) {
            let begun = MigrationId { service: service.clone(), name: name.clone() };
            if begun != *id {
                changed.record_begun(begun, direction);
            }
        }
    }
    changed
}

const SERVICES: [&str; 4] = ["d", "b", "a", "c"];
