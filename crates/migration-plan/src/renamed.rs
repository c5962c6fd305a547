//! What an applied name that is not known means beside the known ones: a migration that was renamed, or one that is newer
//! than all that is known. Looked up, not searched for: there may be thousands of either.

use std::collections::HashMap;

use crate::facts::Facts;
use crate::{Catalog, MigrationName, MigrationNumber};

/// The known migrations of a service by their numbers.
pub(crate) struct Numbered<'a> {
    /// The greatest number, if there is any: lists need not be sorted.
    newest: Option<MigrationNumber<'a>>,
    /// Whether all names are numbered, and in one way.
    is_comparable: bool,
    /// Those that have the number of an unknown one.
    same: HashMap<MigrationNumber<'a>, Same<'a>>,
}

/// Names with one number.
#[derive(Default)]
struct Same<'a> {
    n_unknown: usize,
    pending: Vec<&'a MigrationName>,
}

impl<'a> Numbered<'a> {
    pub(crate) fn new(catalog: &'a Catalog, facts: &Facts<'a>, service: usize) -> Self {
        let mut same: HashMap<_, Same<'_>> = HashMap::new();
        for number in facts.unknown(service).iter().filter_map(|name| name.number()) {
            same.entry(number).or_default().n_unknown += 1;
        }
        let (mut newest, mut is_comparable) = (None, true);
        for migration in catalog.numbers_of(service) {
            let name = &catalog.known(migration).name;
            let Some(number) = name.number() else {
                is_comparable = false;
                continue;
            };
            if let Some(same) = same.get_mut(&number).filter(|_| !facts.is_present(migration)) {
                same.pending.push(name);
            }
            is_comparable &= newest.as_ref().is_none_or(|newest| number.is_comparable_to(newest));
            newest = newest.max(Some(number));
        }
        Self { newest, is_comparable, same }
    }

    /// The pending migration that this unknown one surely is: they alone have this number.
    pub(crate) fn renamed(&self, unknown: &MigrationName) -> Option<&'a MigrationName> {
        let same = self.same.get(&unknown.number()?)?;
        match same.pending[..] {
            [only] if same.n_unknown == 1 => Some(only),
            _ => None,
        }
    }

    /// Whether the name's number is greater than that of every known one. A name without a number cannot be newer than
    /// anything, and names numbered in different ways cannot be compared.
    pub(crate) fn is_behind(&self, unknown: &MigrationName) -> bool {
        let Some(number) = unknown.number().filter(|_| self.is_comparable) else { return false };
        self.newest.as_ref().is_none_or(|newest| newest.is_comparable_to(&number) && *newest < number)
    }
}
