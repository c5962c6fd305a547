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
/// `now` is in seconds since 1970-01-01 UTC; pending expand steps count as applied now, since a contract step that
/// comes after them comes after them in the same run.
pub(crate) fn holds(
    catalog: &Catalog,
    facts: &Facts,
    contract: ContractSteps,
    now: i64,
) -> Vec<Option<Hold>> {
    let mut holds = vec![None; catalog.n_migrations()];
    let mut last_expand_at: Vec<Option<i64>> = vec![None; catalog.n_services()];
    for &migration in catalog.numbers_in_order() {
        let last_expand_at = &mut last_expand_at[catalog.service_of(migration)];
        let applied_at = facts.applied_at(migration);
        let phase = catalog.known(migration).phase;
        if applied_at.is_none() {
            holds[migration] = own_hold(phase, *last_expand_at, contract, now).or_else(|| {
                catalog.needs(migration).iter().copied().find(|&n| holds[n].is_some()).map(Hold::Needs)
            });
        }
        if phase == Phase::Expand {
            *last_expand_at = (*last_expand_at).max(Some(applied_at.unwrap_or(now)));
        }
    }
    holds
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
        (_, ContractSteps::HoldBack) => Some(Hold::ContractNotAsked),
        (_, ContractSteps::Apply) => None,
    }
}

/// The duration in the version table's unit, rounded up: a soak time is never cut short.
fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
