//! From catalog, history and targets to the plan that reverts, and to the pair of plans that does it over.

use crate::apply::step;
use crate::facts::Facts;
use crate::{
    Catalog, Direction, History, IntegrityError, MigrationId, MigrationName, Plan, PlanError, Redo,
    Selection, Step, TargetPoint, resolve,
};

impl Plan {
    /// Plans to revert services to their targets: a name is the migration to stay at, `-N` counts applied migrations,
    /// `base` means all.
    ///
    /// The order is the reverse of that of application. Where the version table's seconds do not tell, the order of the
    /// lists decides; no clock can put a migration after one that it requires. What was begun and not finished, in either
    /// direction, counts as the last to be applied: it is reverted before those below it.
    ///
    /// Requirements of programs that carry other services are not known here, so they cannot be protected.
    ///
    /// # Errors
    /// [`PlanError`]: no selection, one without a target or one that goes forward; an applied migration that cannot be
    /// reverted, is not known, or is still required by one that stays; a history that was not read.
    pub fn revert(catalog: &Catalog, history: &History, selections: &[Selection]) -> Result<Self, PlanError> {
        if selections.is_empty() {
            return Err(PlanError::NothingSelected);
        }
        let draft = Draft::new(catalog, history, selections, None)?;
        Ok(draft.revert())
    }

    /// Plans to revert migrations and to apply the same ones again, in the order in which they were applied; a service
    /// without a target stands for its last one.
    ///
    /// Contract steps among them are applied again without being held back: they were applied before.
    ///
    /// # Errors
    /// As [`Plan::revert`], and [`PlanError::Integrity`] if one of them could not be applied again because something
    /// that it requires is not applied.
    pub fn redo(catalog: &Catalog, history: &History, selections: &[Selection]) -> Result<Redo, PlanError> {
        if selections.is_empty() {
            return Err(PlanError::NothingSelected);
        }
        let draft = Draft::new(catalog, history, selections, Some(&LAST))?;
        draft.check_requirements(history)?;
        Ok(Redo { revert: draft.revert(), apply: draft.apply() })
    }
}

/// What a service without a target means to `redo`.
const LAST: TargetPoint = TargetPoint::Back(std::num::NonZeroU32::MIN);

/// A plan in the making.
struct Draft<'a> {
    catalog: &'a Catalog,
    facts: Facts<'a>,
    /// Applied and begun migrations in the order of application.
    applied: Vec<usize>,
    /// Migrations to be reverted.
    chosen: Vec<bool>,
}

impl<'a> Draft<'a> {
    fn new(
        catalog: &'a Catalog,
        history: &'a History,
        selections: &[Selection],
        without_target: Option<&TargetPoint>,
    ) -> Result<Self, PlanError> {
        let facts = Facts::new(catalog, history);
        let applied = facts.in_order_of_application(catalog);
        let mut draft = Self { catalog, facts, applied, chosen: vec![false; catalog.n_migrations()] };
        let mut applied_of = vec![Vec::new(); catalog.n_services()];
        for &migration in &draft.applied {
            applied_of[catalog.service_of(migration)].push(migration);
        }
        for (service, selection) in resolve::services(catalog, selections)? {
            let target = selection.target.as_ref().or(without_target);
            let target = target.ok_or_else(|| PlanError::NoTarget { service: selection.service.clone() })?;
            draft.check_known(history, service)?;
            let n_kept = draft.n_kept(service, target, &applied_of[service])?;
            for &migration in &applied_of[service][n_kept..] {
                draft.chosen[migration] = true;
            }
        }
        draft.check_reversible(history)?;
        Ok(draft)
    }

    fn check_known(&self, history: &History, service: usize) -> Result<(), PlanError> {
        let name = self.catalog.service_name(service);
        if !history.was_read(name) {
            return Err(PlanError::HistoryNotRead { service: name.clone() });
        }
        let id = |name: &&MigrationName| MigrationId {
            service: self.catalog.service_name(service).clone(),
            name: (*name).clone(),
        };
        let doubled = self.facts.doubled(service).iter().map(|name| IntegrityError::Doubled { id: id(name) });
        let errors: Vec<_> = doubled.collect();
        if !errors.is_empty() {
            return Err(PlanError::Integrity { errors });
        }
        let unknown = self.facts.unknown(service).iter().chain(self.facts.unknown_begun(service));
        let unknown: Vec<_> = unknown.map(|&name| name.clone()).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(PlanError::RevertUnknown { service: name.clone(), unknown })
        }
    }

    /// How many of a service's applied migrations stay, counted from the first to be applied.
    fn n_kept(&self, service: usize, target: &TargetPoint, applied: &[usize]) -> Result<usize, PlanError> {
        let name = self.catalog.service_name(service);
        match target {
            TargetPoint::Base => Ok(0),
            TargetPoint::Head | TargetPoint::Forward(_) => {
                Err(PlanError::RevertForward { service: name.clone(), target: target.clone() })
            }
            TargetPoint::Back(count) => {
                let asked = usize::try_from(count.get()).unwrap_or(usize::MAX);
                applied.len().checked_sub(asked).ok_or_else(|| PlanError::TooFewApplied {
                    service: name.clone(),
                    n_asked: count.get(),
                    n_applied: applied.len(),
                })
            }
            TargetPoint::Name(text) => {
                let kept = resolve::migration(self.catalog, service, text)?;
                let at = applied.iter().position(|&n| n == kept && self.facts.is_applied(n));
                at.map(|at| at + 1)
                    .ok_or_else(|| PlanError::TargetNotApplied { id: self.catalog.id(kept).clone() })
            }
        }
    }

    /// Checks that each can be reverted and that none that stays requires it.
    fn check_reversible(&self, history: &History) -> Result<(), PlanError> {
        for migration in self.oldest_first().rev() {
            let id = self.catalog.id(migration);
            if let Some(reason) = &self.catalog.known(migration).irreversible {
                return Err(PlanError::Irreversible { id: id.clone(), reason: reason.clone() });
            }
            let mut by = Vec::new();
            for &dependent in self.catalog.required_by(migration) {
                let dependent_id = self.catalog.id(dependent);
                if !history.was_read(&dependent_id.service) {
                    return Err(PlanError::HistoryNotRead { service: dependent_id.service.clone() });
                }
                if self.facts.is_present(dependent) && !self.chosen[dependent] {
                    by.push(dependent_id.clone());
                }
            }
            if !by.is_empty() {
                return Err(PlanError::StillNeeded { id: id.clone(), by });
            }
        }
        Ok(())
    }

    /// Checks that each could be applied again.
    fn check_requirements(&self, history: &History) -> Result<(), PlanError> {
        let mut errors = Vec::new();
        for migration in self.oldest_first() {
            let inside = self.catalog.requires(migration).iter().copied();
            let inside = inside.filter(|&n| !self.facts.is_applied(n) && !self.chosen[n]);
            let inside = inside.map(|requirement| self.catalog.id(requirement));
            let outside =
                self.catalog.requires_outside(migration).iter().filter(|id| !history.is_applied(id));
            for requirement in inside.chain(outside).filter(|id| history.was_read(&id.service)) {
                let (id, requirement) = (self.catalog.id(migration).clone(), requirement.clone());
                errors.push(IntegrityError::BeforeRequirement { id, requirement });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(PlanError::Integrity { errors }) }
    }

    fn oldest_first(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.applied.iter().copied().filter(|&migration| self.chosen[migration])
    }

    fn revert(&self) -> Plan {
        let steps = self.oldest_first().rev().map(|migration| Step {
            begun: self.facts.begun(migration),
            ..step(self.catalog, migration, Direction::Revert, &self.chosen)
        });
        Plan { steps: steps.collect(), held_back: Vec::new() }
    }

    fn apply(&self) -> Plan {
        let steps = self
            .oldest_first()
            .map(|migration| step(self.catalog, migration, Direction::Apply, &self.chosen));
        Plan { steps: steps.collect(), held_back: Vec::new() }
    }
}
