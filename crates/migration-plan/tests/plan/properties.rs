//! What holds for every catalog and every history.

use std::collections::{BTreeMap, HashSet};

use migration_plan::{
    AppliedMigration, ApplyOptions, Catalog, ContractSteps, Direction, History, MigrationId, Phase, Plan,
    Redo, Selection, ServiceState, TargetPoint, UnknownApplied, integrity, status, statuses,
};
use proptest::prelude::*;

use crate::generated::{any_history, catalog, done, done_until, selections, stopped, written};
use crate::notation::{self, NOW};

/// One run of the command line: what was selected, and whether contract steps were asked for.
type Run = (Vec<Selection>, bool);

fn runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec((selections(), any::<bool>()), 0..5)
}

fn options(contract: bool, now: i64) -> ApplyOptions {
    let contract = if contract { ContractSteps::Apply } else { ContractSteps::HoldBack };
    ApplyOptions { contract, unknown: UnknownApplied::Refuse, now }
}

/// The history after some runs, an hour apart, and the time of the next one.
fn after_runs(catalog: &Catalog, runs: &[Run]) -> (History, i64) {
    let (mut history, mut now) = (History::empty_of(catalog), NOW);
    for (selections, contract) in runs {
        if let Ok(plan) = Plan::apply(catalog, &history, selections, &options(*contract, now)) {
            history = done(&history, &plan, now);
        }
        now += 3_600;
    }
    (history, now)
}

/// What must be applied before a migration: its requirements and the earlier expand steps of its service, for a contract
/// step all earlier steps.
fn before(catalog: &Catalog, id: &MigrationId) -> Vec<MigrationId> {
    let service = catalog.service(&id.service).expect("known");
    let own = catalog.migration(id).expect("known");
    let earlier = service.migrations.iter().take_while(|migration| migration.name != id.name);
    let earlier = earlier.filter(|migration| migration.phase == Phase::Expand || own.phase != Phase::Expand);
    let earlier =
        earlier.map(|migration| MigrationId { service: id.service.clone(), name: migration.name.clone() });
    earlier.chain(own.requires.iter().cloned()).collect()
}

/// Asserts that a plan's steps can be done one after the other, and side by side if each waits for its `after`.
fn assert_in_order(catalog: &Catalog, history: &History, plan: &Plan) {
    let mut seen = HashSet::new();
    for step in plan.steps() {
        match step.direction {
            Direction::Apply => {
                assert!(!history.is_applied(&step.id), "{} is applied already", step.id);
                // What was begun is finished whatever is held back before it.
                let needed = match step.begun {
                    None => before(catalog, &step.id),
                    Some(_) => catalog.migration(&step.id).expect("known").requires.clone(),
                };
                for needed in needed {
                    assert!(
                        history.is_applied(&needed) || seen.contains(&needed),
                        "{} before {needed}",
                        step.id
                    );
                    let waits = step.after.contains(&needed) || needed.service == step.id.service;
                    assert!(history.is_applied(&needed) || waits, "{} does not wait for {needed}", step.id);
                }
            }
            Direction::Revert => {
                assert!(is_present(history, &step.id), "{} is not applied", step.id);
                for dependent in catalog.requirements().filter(|requirement| *requirement.required == step.id)
                {
                    let dependent = dependent.dependent;
                    assert!(
                        !is_present(history, dependent) || seen.contains(dependent),
                        "{} before {dependent}",
                        step.id
                    );
                }
            }
        }
        assert!(step.after.iter().all(|other| seen.contains(other)), "{} waits for a later step", step.id);
        assert!(seen.insert(step.id.clone()), "{} stands twice", step.id);
    }
}

/// Whether all or something of the migration is there.
fn is_present(history: &History, id: &MigrationId) -> bool {
    history.is_applied(id) || history.begun(&id.service).any(|(name, _)| *name == id.name)
}

/// Asserts that the steps stand in the one order of the catalog.
fn assert_in_catalog_order(catalog: &Catalog, plan: &Plan) {
    let mut order = catalog.order();
    assert!(plan.steps().iter().all(|step| order.any(|id| *id == step.id)), "not in the catalog's order");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_keeps_every_order(written in written(), runs in runs(), next in selections(), contract: bool) {
        let catalog = catalog(&written);
        let (history, now) = after_runs(&catalog, &runs);
        prop_assert_eq!(integrity(&catalog, &history), vec![]);
        if let Ok(plan) = Plan::apply(&catalog, &history, &next, &options(contract, now)) {
            assert_in_order(&catalog, &history, &plan);
            assert_in_catalog_order(&catalog, &plan);
        }
    }

    #[test]
    fn applying_twice_is_applying_once(written in written(), runs in runs(), mut next in selections(), contract: bool) {
        // `+N` asks for more each time.
        next.retain(|selection| !matches!(selection.target, Some(TargetPoint::Forward(_))));
        let catalog = catalog(&written);
        let (history, now) = after_runs(&catalog, &runs);
        if let Ok(plan) = Plan::apply(&catalog, &history, &next, &options(contract, now)) {
            let again = Plan::apply(&catalog, &done(&history, &plan, now), &next, &options(contract, now)).unwrap();
            prop_assert!(again.is_empty(), "{again:?}");
            prop_assert_eq!(again.held_back(), plan.held_back());
        }
    }

    #[test]
    fn reverting_undoes_applying(written in written(), runs in runs(), next in selections(), contract: bool) {
        let catalog = catalog(&written);
        let (mut history, now) = after_runs(&catalog, &runs);
        let Ok(plan) = Plan::apply(&catalog, &history, &next, &options(contract, now)) else { return Ok(()) };
        if plan.is_empty() {
            return Ok(());
        }
        let mut n_steps = BTreeMap::new();
        for step in plan.steps() {
            *n_steps.entry(&step.id.service).or_insert(0) += 1;
            // Reverting leaves an empty version table.
            history.record(step.id.service.clone(), history.applied(&step.id.service).to_vec());
        }
        let back = n_steps.into_iter().map(|(service, n)| format!("{service}@-{n}").parse().unwrap());
        let back: Vec<Selection> = back.collect();
        let applied = done(&history, &plan, now);
        let revert = Plan::revert(&catalog, &applied, &back).unwrap();
        assert_in_order(&catalog, &applied, &revert);
        let backward: Vec<_> = plan.steps().iter().rev().map(|step| &step.id).collect();
        prop_assert_eq!(revert.steps().iter().map(|step| &step.id).collect::<Vec<_>>(), backward);
        prop_assert_eq!(done(&applied, &revert, now), history.clone());
        let redo = Plan::redo(&catalog, &applied, &back).unwrap();
        prop_assert_eq!(&redo.revert, &revert);
        assert_in_order(&catalog, &history, &redo.apply);
        prop_assert_eq!(done(&history, &redo.apply, now), applied);
    }

    #[test]
    fn what_was_begun_is_finished_first_in_both_directions(
        written in written(), runs in runs(), next in selections(), mode in 0_usize..3, stop: prop::sample::Index,
        later in selections(), contract: bool,
    ) {
        let catalog = catalog(&written);
        let (history, now) = after_runs(&catalog, &runs);
        let plan = match mode {
            0 => Plan::apply(&catalog, &history, &next, &options(contract, now)),
            1 => Plan::revert(&catalog, &history, &next),
            _ => Plan::redo(&catalog, &history, &next).map(Redo::in_sequence),
        };
        let Ok(plan) = plan else { return Ok(()) };
        if plan.is_empty() {
            return Ok(());
        }
        let (history, begun) = stopped(&history, &plan, stop.index(plan.steps().len()), now);
        let service = &begun.id.service;
        let status = status(&catalog, &history, service, now).unwrap();
        prop_assert_eq!(status.state, ServiceState::Dirty);
        prop_assert_eq!(&status.begun, &[(begun.id.name.clone(), begun.direction)]);
        prop_assert!(status.pending.contains(&begun.id.name), "held back: {:?}", status.held_back);

        let up = Plan::apply(&catalog, &history, &[], &options(false, now)).unwrap();
        assert_in_order(&catalog, &history, &up);
        let resumed = up.steps_of(service).find(|step| step.id == begun.id).unwrap();
        prop_assert_eq!((&resumed.id, resumed.begun), (&begun.id, Some(begun.direction)));
        let finished = done(&history, &up, now);
        prop_assert_eq!(integrity(&catalog, &finished), vec![]);
        prop_assert!(catalog.services().all(|service| finished.begun(&service.name).next().is_none()));

        let last: Selection = format!("{service}@-1").parse().unwrap();
        let back = Plan::revert(&catalog, &history, std::slice::from_ref(&last)).unwrap();
        prop_assert_eq!(back.steps().iter().map(|step| &step.id).collect::<Vec<_>>(), vec![&begun.id]);
        prop_assert_eq!(back.steps()[0].begun, Some(begun.direction));
        let reverted = done(&history, &back, now);
        prop_assert!(!is_present(&reverted, &begun.id));
        prop_assert_eq!(integrity(&catalog, &reverted), vec![]);
        let redo = Plan::redo(&catalog, &history, &[last]).unwrap();
        prop_assert_eq!(&redo.revert, &back);
        prop_assert_eq!(&redo.apply.steps()[0].id, &begun.id);

        // Whatever is asked for of its service next: it is dealt with, and first, or the whole is refused. Applying may
        // catch up on what comes before it in the list.
        if later.iter().any(|selection| selection.service == *service) {
            if let Ok(plan) = Plan::apply(&catalog, &history, &later, &options(contract, now)) {
                prop_assert!(plan.steps_of(service).any(|step| step.id == begun.id));
            }
            let revert = Plan::revert(&catalog, &history, &later);
            let redo = Plan::redo(&catalog, &history, &later).map(Redo::in_sequence);
            for plan in [revert, redo].into_iter().flatten() {
                prop_assert_eq!(plan.steps_of(service).next().map(|step| &step.id), Some(&begun.id));
            }
        }
    }

    #[test]
    fn a_first_install_goes_to_the_end_however_often_it_is_interrupted(
        written in written(), stops in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
    ) {
        let catalog = catalog(&written);
        let options = ApplyOptions { contract: ContractSteps::FirstInstall, ..options(false, NOW) };
        let installing = |mut history: History| {
            catalog.services().for_each(|service| history.record_first_install(service.name.clone()));
            history
        };
        let empty = installing(History::empty_of(&catalog));
        let whole = Plan::apply(&catalog, &empty, &[], &options).unwrap();
        assert_in_order(&catalog, &empty, &whole);
        prop_assert!(whole.held_back().is_empty(), "{:?}", whole.held_back());
        prop_assert!(whole.steps().iter().map(|step| &step.id).eq(catalog.order()));

        let mut history = empty.clone();
        for (stop, is_midway) in stops {
            let plan = Plan::apply(&catalog, &history, &[], &options).unwrap();
            if plan.is_empty() {
                break;
            }
            let n_done = stop.index(plan.steps().len());
            history = installing(if is_midway {
                stopped(&history, &plan, n_done, NOW).0
            } else {
                done_until(&history, &plan.steps()[..n_done], NOW)
            });
        }
        let rest = Plan::apply(&catalog, &history, &[], &options).unwrap();
        assert_in_order(&catalog, &history, &rest);
        prop_assert!(rest.held_back().is_empty(), "{:?}", rest.held_back());
        prop_assert_eq!(installing(done(&history, &rest, NOW)), installing(done(&empty, &whole, NOW)));
        // Of a service with a past, contract steps wait, whatever the others are.
        let mut with_a_past = History::empty_of(&catalog);
        catalog.services().skip(1).for_each(|service| with_a_past.record_first_install(service.name.clone()));
        let plan = Plan::apply(&catalog, &with_a_past, &[], &options).unwrap();
        let past = catalog.services().next().unwrap();
        let n_contract = past.migrations.iter().filter(|known| known.phase != Phase::Expand).count();
        let held = plan.held_back().iter().filter(|held| held.id.service == past.name).count();
        prop_assert!(held >= n_contract, "{held} of {n_contract}");
    }

    #[test]
    fn no_clock_spoils_the_order_of_reverting(written in written(), seconds in prop::collection::vec(0_i64..9, 24)) {
        let catalog = catalog(&written);
        let mut history = History::empty_of(&catalog);
        let mut seconds = seconds.into_iter();
        for service in catalog.services() {
            let rows = service.migrations.iter().zip(&mut seconds);
            let rows = rows.map(|(known, applied_at)| AppliedMigration { name: known.name.clone(), applied_at });
            history.record(service.name.clone(), rows.collect());
        }
        let all: Vec<Selection> = catalog.services().map(|s| format!("{}@base", s.name).parse().unwrap()).collect();
        let plan = Plan::revert(&catalog, &history, &all).unwrap();
        assert_in_order(&catalog, &history, &plan);
    }

    #[test]
    fn what_is_written_later_leaves_the_order(written in written(), n_first in 0_usize..24) {
        let first = catalog(&written[..n_first.min(written.len())]);
        let all = catalog(&written);
        let known_first = all.order().filter(|id| first.migration(id).is_some());
        prop_assert!(known_first.eq(first.order()));
    }

    #[test]
    fn status_and_plan_agree(written in written(), runs in runs()) {
        let catalog = catalog(&written);
        let (history, now) = after_runs(&catalog, &runs);
        let plan = Plan::apply(&catalog, &history, &[], &options(false, now)).unwrap();
        for status in statuses(&catalog, &history, now) {
            prop_assert!(plan.steps_of(&status.service).map(|step| &step.id.name).eq(&status.pending));
            let held = plan.held_back().iter().filter(|held| held.id.service == status.service);
            prop_assert!(held.eq(&status.held_back));
        }
    }

    #[test]
    fn no_history_and_no_target_is_too_odd(
        written in written(), history in any_history(), next in selections(), contract: bool, now: i64,
    ) {
        let catalog = catalog(&written);
        for unknown in [UnknownApplied::Refuse, UnknownApplied::AllowAhead, UnknownApplied::AllowAny] {
            match Plan::apply(&catalog, &history, &next, &ApplyOptions { unknown, ..options(contract, now) }) {
                Ok(plan) => assert_in_order(&catalog, &history, &plan),
                Err(error) => prop_assert!(error.hint().is_some() && !error.to_string().is_empty()),
            }
        }
        match Plan::revert(&catalog, &history, &next) {
            Ok(plan) => assert_in_order(&catalog, &history, &plan),
            Err(error) => prop_assert!(error.hint().is_some() && !error.to_string().is_empty()),
        }
        let _ = (Plan::redo(&catalog, &history, &next), integrity(&catalog, &history));
        let _ = statuses(&catalog, &history, now);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z@+0-9_-]{0,12}|.{0,12}") {
        if let Ok(selection) = text.parse::<Selection>() {
            prop_assert_eq!(selection.to_string().parse::<Selection>(), Ok(selection));
        }
    }
}

#[test]
fn hundreds_of_services_are_planned() {
    let (n_services, n_migrations) = (500, 20);
    let mut known = String::new();
    for service in 0..n_services {
        known += &format!("s{service}:");
        for migration in 1..=n_migrations {
            known += &format!(" m{migration}");
            if service > 0 {
                known += &format!("(requires s{}:m{migration}, requires s0:m1)", service - 1);
            }
        }
        known += ";";
    }
    let catalog = notation::catalog(&known);
    let empty = History::empty_of(&catalog);
    let plan = Plan::apply(&catalog, &empty, &[], &options(false, NOW)).unwrap();
    assert_eq!(plan.steps().len(), n_services * n_migrations);
    let last: Vec<Selection> = vec!["s499".parse().unwrap()];
    assert_eq!(Plan::apply(&catalog, &empty, &last, &options(false, NOW)).unwrap().steps().len(), 10_000);
    let all_back: Vec<Selection> = (0..n_services).map(|n| format!("s{n}@base").parse().unwrap()).collect();
    let applied = (0..n_services).map(|n| {
        format!("s{n}: m{}", (1..=n_migrations).map(|m| m.to_string()).collect::<Vec<_>>().join(" m"))
    });
    let history = notation::history(&catalog, &applied.collect::<Vec<_>>().join("; "));
    assert_eq!(Plan::revert(&catalog, &history, &all_back).unwrap().steps().len(), 10_000);
    assert_eq!(statuses(&catalog, &history, NOW).len(), n_services);
}
