//! From catalog, history and targets to the plan that applies.

use crate::facts::Facts;
use crate::holds::{Hold, held_back, holds};
use crate::integrity::{integrity_of, is_passed_over};
use crate::{
    Catalog, Direction, History, HoldReason, Phase, Plan, PlanError, Selection, Step, TargetPoint, resolve,
};

/// What `Plan::apply` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions {
    /// What becomes of contract steps.
    pub contract: ContractSteps,
    /// What becomes of applied migrations that are not known here.
    pub unknown: UnknownApplied,
    /// The present, in seconds since 1970-01-01 UTC.
    pub now: i64,
}

/// What becomes of contract steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContractSteps {
    /// They are held back, also in a first install.
    HoldBack,
    /// They are held back, but in a first install they are applied.
    #[default]
    FirstInstall,
    /// They are applied once their soak time has passed; in a first install at once.
    Apply,
    /// They are applied at once: nobody runs old code any more.
    IgnoreSoak,
}

/// What becomes of applied migrations that are not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownApplied {
    /// There is no plan.
    #[default]
    Refuse,
    /// Those newer than all that is known are passed over: an older build on purpose.
    AllowAhead,
    /// All are passed over.
    AllowAny,
}

impl Plan {
    /// Plans to bring services to their targets; without any selection, all services to their heads.
    ///
    /// Requirements in other services are pulled in, with all earlier expand steps that those need. A contract step is
    /// held back until it is asked for and its soak time has passed, counted from the latest earlier expand step of its
    /// service; those that are applied by the same plan count as applied at [`ApplyOptions::now`]. What a first install and
    /// an ignored soak time change, [`ContractSteps`] says. Expand steps do not wait for contract steps unless they require them; contract
    /// steps wait for each other. `+N` counts steps that can be applied; there must be as many.
    ///
    /// What was begun and not finished, in either direction, is applied again from its start, held back or not.
    ///
    /// Only services that are selected or pulled in have to fit the program: see [`PlanError::Integrity`].
    ///
    /// # Errors
    /// [`PlanError`]: a selection that means nothing or goes back, a target that is held back, a requirement outside of
    /// the program that is not applied, a history that was not read or does not fit.
    pub fn apply(
        catalog: &Catalog,
        history: &History,
        selections: &[Selection],
        options: &ApplyOptions,
    ) -> Result<Self, PlanError> {
        let facts = Facts::new(catalog, history);
        let holds = holds(catalog, &facts, options.contract, options.now);
        let ignored_soaks = match options.contract {
            ContractSteps::IgnoreSoak => self::holds(catalog, &facts, ContractSteps::Apply, options.now),
            _ => Vec::new(),
        };
        let mut draft = Draft {
            catalog,
            history,
            facts,
            holds,
            ignored_soaks,
            chosen: vec![false; catalog.n_migrations()],
            reported: vec![false; catalog.n_migrations()],
            touched: vec![false; catalog.n_services()],
            pulled_in_by: vec![None; catalog.n_migrations()],
        };
        if selections.is_empty() {
            for service in 0..catalog.n_services() {
                draft.select(service, usize::MAX)?;
            }
        }
        for (service, selection) in resolve::services(catalog, selections)? {
            let n_selected = draft.n_selected(service, selection, options.contract)?;
            draft.check_begun_within(service, n_selected)?;
            draft.select(service, n_selected)?;
        }
        draft.pull_in()?;
        draft.check_integrity(options.unknown)?;
        draft.check_outside()?;
        Ok(draft.finish())
    }
}

/// A plan in the making.
struct Draft<'a> {
    catalog: &'a Catalog,
    history: &'a History,
    facts: Facts<'a>,
    holds: Vec<Option<Hold>>,
    /// What would be held back if soak times were not ignored; empty if they are not.
    ignored_soaks: Vec<Option<Hold>>,
    /// Migrations that become steps.
    chosen: Vec<bool>,
    /// Migrations that are reported as held back.
    reported: Vec<bool>,
    /// Services that are selected or pulled in.
    touched: Vec<bool>,
    /// For a chosen migration that was not selected, the one of another service that needs it.
    pulled_in_by: Vec<Option<usize>>,
}

impl Draft<'_> {
    /// How many migrations of the service's list the selection covers.
    fn n_selected(
        &self,
        service: usize,
        selection: &Selection,
        contract: ContractSteps,
    ) -> Result<usize, PlanError> {
        let numbers = self.catalog.numbers_of(service);
        match &selection.target {
            None | Some(TargetPoint::Head) => Ok(numbers.len()),
            Some(target @ (TargetPoint::Base | TargetPoint::Back(_))) => {
                Err(PlanError::ApplyBackward { service: selection.service.clone(), target: target.clone() })
            }
            Some(TargetPoint::Forward(count)) => {
                self.check_was_read(service)?;
                let asked = usize::try_from(count.get()).unwrap_or(usize::MAX);
                let applicable: Vec<usize> =
                    numbers.clone().filter(|&migration| self.is_applicable(migration)).collect();
                let last = applicable.get(asked - 1).ok_or_else(|| PlanError::TooFewPending {
                    service: selection.service.clone(),
                    n_asked: count.get(),
                    n_pending: applicable.len(),
                })?;
                Ok(last + 1 - numbers.start)
            }
            Some(TargetPoint::Name(text)) => {
                let target = resolve::migration(self.catalog, service, text)?;
                self.check_target(target, contract)?;
                Ok(target + 1 - numbers.start)
            }
        }
    }

    fn is_applicable(&self, migration: usize) -> bool {
        !self.facts.is_applied(migration) && self.holds[migration].is_none()
    }

    fn check_target(&self, target: usize, contract: ContractSteps) -> Result<(), PlanError> {
        let id = || self.catalog.id(target).clone();
        let service = self.catalog.service_of(target);
        self.check_was_read(service)?;
        if let Some(applied_at) = self.facts.applied_at(target) {
            // One that is later in the list but was applied earlier says nothing: the target was caught up on.
            let later = target + 1..self.catalog.numbers_of(service).end;
            let behind = later.rev().find(|&n| self.facts.applied_at(n).is_some_and(|at| at >= applied_at));
            return behind.map_or(Ok(()), |current| {
                Err(PlanError::TargetBehind { id: id(), current: self.catalog.known(current).name.clone() })
            });
        }
        let is_contract = matches!(self.catalog.known(target).phase, Phase::Contract { .. });
        let not_asked = matches!(contract, ContractSteps::HoldBack | ContractSteps::FirstInstall);
        if is_contract && not_asked && self.holds[target].is_some() {
            return Err(PlanError::TargetHeldBack { id: id(), reason: HoldReason::ContractNotAsked });
        }
        match self.holds[target] {
            Some(hold) => Err(PlanError::TargetHeldBack {
                id: id(),
                reason: held_back(self.catalog, target, hold).reason,
            }),
            None => Ok(()),
        }
    }

    /// A target says where the service shall be; with something half done beyond it, it would not be there.
    fn check_begun_within(&self, service: usize, n_selected: usize) -> Result<(), PlanError> {
        let mut beyond = self.catalog.numbers_of(service).skip(n_selected);
        beyond.find(|&migration| self.facts.begun(migration).is_some()).map_or(Ok(()), |migration| {
            Err(PlanError::BegunBeyondTarget { id: self.catalog.id(migration).clone() })
        })
    }

    /// Chooses what is pending among the first migrations of a service, and reports what is held back there.
    fn select(&mut self, service: usize, n_selected: usize) -> Result<(), PlanError> {
        self.check_was_read(service)?;
        self.touched[service] = true;
        for migration in self.catalog.numbers_of(service).take(n_selected) {
            if !self.facts.is_applied(migration) {
                let held = self.holds[migration].is_some();
                if held { self.reported[migration] = true } else { self.chosen[migration] = true }
            }
        }
        Ok(())
    }

    /// Adds all that the chosen need, and all that the reported wait for.
    ///
    /// What a migration needs comes before it in the catalog's order: one pass from the end sees everything.
    fn pull_in(&mut self) -> Result<(), PlanError> {
        let catalog = self.catalog;
        let selected = self.touched.clone();
        // Per service that was not selected, for whom its earlier steps are pulled in.
        let mut expand_for = vec![None; catalog.n_services()];
        let mut contract_for = vec![None; catalog.n_services()];
        for &migration in catalog.numbers_in_order().iter().rev() {
            let service = catalog.service_of(migration);
            let phase = catalog.known(migration).phase;
            let is_begun = self.facts.begun(migration).is_some();
            let puller =
                if phase == Phase::Expand || is_begun { expand_for[service] } else { contract_for[service] };
            if puller.is_some() && !self.chosen[migration] && !self.facts.is_applied(migration) {
                self.chosen[migration] = true;
                self.pulled_in_by[migration] = puller;
            }
            if self.chosen[migration] && !selected[service] {
                expand_for[service] = self.pulled_in_by[migration];
                if phase != Phase::Expand {
                    contract_for[service] = self.pulled_in_by[migration];
                }
            }
            if self.chosen[migration] || self.reported[migration] {
                self.pull_in_required(migration, &selected)?;
            }
            if let (true, Some(Hold::Needs(needed))) = (self.reported[migration], self.holds[migration]) {
                self.reported[needed] = true;
            }
        }
        Ok(())
    }

    /// Adds what a chosen migration requires, if it is not selected anyway.
    fn pull_in_required(&mut self, migration: usize, selected: &[bool]) -> Result<(), PlanError> {
        let catalog = self.catalog;
        for &required in catalog.requires(migration) {
            let service = catalog.service_of(required);
            self.check_was_read(service)?;
            if !self.chosen[migration] || self.chosen[required] || self.facts.is_applied(required) {
                continue;
            }
            if selected[service] {
                let (id, requirement) = (catalog.id(migration).clone(), catalog.id(required).clone());
                return Err(PlanError::BeyondTarget { id, requirement });
            }
            let same_service = service == catalog.service_of(migration);
            self.chosen[required] = true;
            self.pulled_in_by[required] =
                if same_service { self.pulled_in_by[migration] } else { Some(migration) };
            self.touched[service] = true;
        }
        Ok(())
    }

    fn check_was_read(&self, service: usize) -> Result<(), PlanError> {
        let service = self.catalog.service_name(service);
        if self.history.was_read(service) {
            Ok(())
        } else {
            Err(PlanError::HistoryNotRead { service: service.clone() })
        }
    }

    fn check_integrity(&self, unknown: UnknownApplied) -> Result<(), PlanError> {
        let touched = (0..self.catalog.n_services()).filter(|&service| self.touched[service]);
        let errors =
            touched.flat_map(|service| integrity_of(self.catalog, self.history, &self.facts, service));
        let errors: Vec<_> = errors.filter(|error| !is_passed_over(error, unknown)).collect();
        if errors.is_empty() { Ok(()) } else { Err(PlanError::Integrity { errors }) }
    }

    fn check_outside(&self) -> Result<(), PlanError> {
        for &migration in self.catalog.numbers_in_order().iter().filter(|&&migration| self.chosen[migration])
        {
            for requirement in self.catalog.requires_outside(migration) {
                let (id, requirement) = (self.catalog.id(migration).clone(), requirement.clone());
                if !self.history.was_read(&requirement.service) {
                    return Err(PlanError::RequirementOutside { id, requirement });
                }
                if !self.history.is_applied(&requirement) {
                    return Err(PlanError::RequirementNotApplied { id, requirement });
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Plan {
        let mut plan = Plan::default();
        for &migration in self.catalog.numbers_in_order() {
            if self.chosen[migration] {
                let mut step = step(self.catalog, migration, Direction::Apply, &self.chosen);
                step.begun = self.facts.begun(migration);
                step.pulled_in_by =
                    self.pulled_in_by[migration].map(|puller| self.catalog.id(puller).clone());
                step.ignored_soak = match self.ignored_soaks.get(migration) {
                    Some(Some(Hold::Soaking { until })) => Some(*until),
                    _ => None,
                };
                plan.steps.push(step);
            } else if let (true, Some(hold)) = (self.reported[migration], self.holds[migration]) {
                plan.held_back.push(held_back(self.catalog, migration, hold));
            }
        }
        plan
    }
}

/// The step that does a migration in a plan of the chosen ones.
pub(crate) fn step(catalog: &Catalog, migration: usize, direction: Direction, chosen: &[bool]) -> Step {
    let known = catalog.known(migration);
    let before = match direction {
        Direction::Apply => catalog.requires(migration),
        Direction::Revert => catalog.required_by(migration),
    };
    let elsewhere =
        |&other: &usize| chosen[other] && catalog.service_of(other) != catalog.service_of(migration);
    Step {
        id: catalog.id(migration).clone(),
        direction,
        phase: known.phase,
        transactional: known.transactional,
        begun: None,
        after: before.iter().copied().filter(elsewhere).map(|other| catalog.id(other).clone()).collect(),
        pulled_in_by: None,
        ignored_soak: None,
    }
}
