//! Which pending migrations are held back, and why. One pass over the catalog's order.

use std::time::Duration;

use crate::facts::Facts;
use crate::{Catalog, ContractSteps, HeldBack, HoldReason, Phase};

/// Why a pending migration is held back, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    ContractNotAsked,
    Soaking { until: i64 },
    Needs(usize),
}

/// For each migration why it is held back, if it is pending and held back.
///
/// A migration is also held back if one of its requirements or an earlier expand step of its service is; a contract step,
/// if an earlier contract step is. One that was begun and not finished is held back by what it requires
/// only: it was asked for before, and half of it serves neither the old application nor the new one.
///
/// In a first install there is no old code that a contract step could break, so none is held back for its own reason.
///
/// `now` is in seconds since 1970-01-01 UTC; pending expand steps count as applied now, since a contract step that
/// comes after them comes after them in the same run.
pub(crate) fn holds(
    catalog: &Catalog,
    facts: &Facts,
    contract: ContractSteps,
    now: i64,
) -> Vec<Option<Hold>> {
    let mut holds = vec![None; catalog.n_migrations()];
    let mut earlier = vec![Earlier::default(); catalog.n_services()];
    for &migration in catalog.numbers_in_order() {
        let service = catalog.service_of(migration);
        let earlier = &mut earlier[service];
        let applied_at = facts.applied_at(migration);
        let phase = catalog.known(migration).phase;
        if applied_at.is_none() {
            let required = catalog.requires(migration).iter().copied().find(|&n| holds[n].is_some());
            let is_free = facts.begun(migration).is_some()
                || match contract {
                    ContractSteps::HoldBack => false,
                    ContractSteps::FirstInstall | ContractSteps::Apply => facts.is_first_install(service),
                    ContractSteps::IgnoreSoak => true,
                };
            let own = if is_free { None } else { own_hold(phase, earlier.last_expand_at, contract, now) };
            let before = if facts.begun(migration).is_some() { None } else { earlier.held_before(phase) };
            holds[migration] = own.or(required.or(before).map(Hold::Needs));
        }
        let held = holds[migration].map(|_| migration);
        match phase {
            Phase::Expand => {
                earlier.last_expand_at = earlier.last_expand_at.max(Some(applied_at.unwrap_or(now)));
                earlier.held_expand = held.or(earlier.held_expand);
            }
            Phase::Contract { .. } => earlier.held_contract = held.or(earlier.held_contract),
        }
    }
    holds
}

/// What comes earlier in a service's list.
#[derive(Debug, Clone, Default)]
struct Earlier {
    /// When the latest expand step was or will be applied.
    last_expand_at: Option<i64>,
    /// The last expand step that is held back.
    held_expand: Option<usize>,
    /// The last contract step that is held back.
    held_contract: Option<usize>,
}

impl Earlier {
    fn held_before(&self, phase: Phase) -> Option<usize> {
        match phase {
            Phase::Expand => self.held_expand,
            Phase::Contract { .. } => self.held_expand.or(self.held_contract),
        }
    }
}

/// The hold of a migration in the words of a plan.
pub(crate) fn held_back(catalog: &Catalog, migration: usize, hold: Hold) -> HeldBack {
    let reason = match hold {
        Hold::ContractNotAsked => HoldReason::ContractNotAsked,
        Hold::Soaking { until } => HoldReason::Soaking { until },
        Hold::Needs(needed) => HoldReason::RequiresHeldBack { requirement: catalog.id(needed).clone() },
    };
    HeldBack { id: catalog.id(migration).clone(), reason }
}

fn own_hold(phase: Phase, last_expand_at: Option<i64>, contract: ContractSteps, now: i64) -> Option<Hold> {
    let Phase::Contract { soak } = phase else { return None };
    // Without a soak time there is nothing to wait for, not even for a clock that runs ahead.
    let since = last_expand_at.filter(|_| !soak.is_zero());
    let until = since.map(|at| at.saturating_add(whole_seconds(soak)));
    match (until, contract) {
        (Some(until), _) if until > now => Some(Hold::Soaking { until }),
        (_, ContractSteps::HoldBack | ContractSteps::FirstInstall) => Some(Hold::ContractNotAsked),
        (_, ContractSteps::Apply | ContractSteps::IgnoreSoak) => None,
    }
}

/// The duration in the version table's unit, rounded up: a soak time is never cut short.
fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
