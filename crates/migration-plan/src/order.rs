//! The one order of all migrations of a catalog. Every plan is a part of it, so that what is applied bit by bit and
//! what is applied at once come in the same relative order.
//!
//! Among the services whose next migration is ready, the first in the catalog goes next.
//! Migrations that are added later at the ends of the lists therefore never change the order of those before them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// The graph to be ordered. Migrations are numbered through, service by service, in the order of their lists.
pub(crate) struct Graph<'a> {
    /// Service of each migration.
    pub(crate) service_of: &'a [usize],
    /// First migration of each service, and the number of all migrations at the end.
    pub(crate) first_of: &'a [usize],
    /// Requirements of each migration.
    pub(crate) requires: &'a OfSome<usize>,
    /// Those that require each migration.
    pub(crate) required_by: &'a OfSome<usize>,
}

impl Graph<'_> {
    /// All migrations, each after its requirements and after the earlier ones of its service; if that is impossible,
    /// a cycle: each of its migrations needs the next one, the last needs the first.
    pub(crate) fn order(&self) -> Result<Vec<usize>, Vec<usize>> {
        let n_migrations = self.service_of.len();
        let n_needed =
            |migration| self.requires.of(migration).len() + usize::from(self.previous(migration).is_some());
        let mut n_open: Vec<usize> = (0..n_migrations).map(n_needed).collect();
        // A service waits with at most one migration at a time: the number of a migration is also its rank among those.
        let ready = (0..n_migrations).filter(|&migration| n_open[migration] == 0);
        let mut ready: BinaryHeap<_> = ready.map(Reverse).collect();
        let mut order = Vec::with_capacity(n_migrations);
        let mut placed = vec![false; n_migrations];
        while let Some(Reverse(migration)) = ready.pop() {
            placed[migration] = true;
            order.push(migration);
            for waiting in self.required_by.of(migration).iter().copied().chain(self.next(migration)) {
                n_open[waiting] -= 1;
                if n_open[waiting] == 0 {
                    ready.push(Reverse(waiting));
                }
            }
        }
        if order.len() == n_migrations { Ok(order) } else { Err(self.cycle(&placed)) }
    }

    fn previous(&self, migration: usize) -> Option<usize> {
        (migration > self.first_of[self.service_of[migration]]).then(|| migration - 1)
    }

    fn next(&self, migration: usize) -> Option<usize> {
        (migration + 1 < self.first_of[self.service_of[migration] + 1]).then_some(migration + 1)
    }

    /// A cycle among the migrations that could not be placed: each of them needs another one of them.
    fn cycle(&self, placed: &[bool]) -> Vec<usize> {
        let mut position = vec![None; placed.len()];
        let mut path = Vec::new();
        let mut current = placed.iter().position(|placed| !placed);
        while let Some(migration) = current {
            if let Some(start) = position[migration] {
                path.drain(..start);
                break;
            }
            position[migration] = Some(path.len());
            path.push(migration);
            let needs = self.requires.of(migration).iter().copied().chain(self.previous(migration));
            current = needs.into_iter().find(|&needed| !placed[needed]);
        }
        self.shortened(&path)
    }

    /// The cycle without those that are only between two others of their service.
    fn shortened(&self, cycle: &[usize]) -> Vec<usize> {
        let service = |at: usize| self.service_of[cycle[at % cycle.len()]];
        let between =
            |at: usize| service(at + cycle.len() - 1) == service(at) && service(at + 1) == service(at);
        let kept: Vec<_> = (0..cycle.len()).filter(|&at| !between(at)).map(|at| cycle[at]).collect();
        if kept.is_empty() { cycle.to_vec() } else { kept }
    }
}

/// A list for each migration, by its number; most are empty.
#[derive(Debug, Clone)]
pub(crate) struct OfSome<T>(BTreeMap<usize, Vec<T>>);

impl<T> Default for OfSome<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> OfSome<T> {
    /// The list of a migration.
    pub(crate) fn of(&self, migration: usize) -> &[T] {
        self.0.get(&migration).map_or(&[], Vec::as_slice)
    }

    /// All of them, in the order of the numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.values().flatten()
    }

    /// Adds to the end of a migration's list.
    pub(crate) fn add(&mut self, migration: usize, one: T) {
        self.0.entry(migration).or_default().push(one);
    }
}
