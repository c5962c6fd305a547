//! The names of a service's migrations in the order of its list, and where each is.
//!
//! A list is mostly in the order of its names, and what is looked up mostly comes in the order of the list. Both make
//! looking up ten thousand names a matter of comparing each with one other; neither is required.

use std::sync::Arc;

use crate::MigrationName;

/// The names of a service's migrations, in its order. Copies share them.
#[derive(Debug, Clone)]
pub struct MigrationList(Arc<Listed>);

#[derive(Debug)]
struct Listed {
    // Invariant: no name is listed twice.
    names: Vec<MigrationName>,
    // Invariant: places in `names` in the order of the names; empty if that is the order of the list.
    by_name: Vec<usize>,
}

impl MigrationList {
    /// The list of these names.
    ///
    /// # Errors
    /// The place at which a name is listed once more, the first of such places.
    pub fn new(names: Vec<MigrationName>) -> Result<Self, usize> {
        if names.is_sorted_by(|one, next| one < next) {
            return Ok(Self(Arc::new(Listed { names, by_name: Vec::new() })));
        }
        let mut by_name: Vec<usize> = (0..names.len()).collect();
        by_name.sort_by_key(|&place| &names[place]);
        let again = by_name.windows(2).filter(|pair| names[pair[0]] == names[pair[1]]).map(|pair| pair[1]);
        match again.min() {
            Some(place) => Err(place),
            None => Ok(Self(Arc::new(Listed { names, by_name }))),
        }
    }

    /// Where this name is.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        let Listed { names, by_name } = &*self.0;
        if by_name.is_empty() {
            names.binary_search_by(|known| known.as_str().cmp(name)).ok()
        } else {
            let found = by_name.binary_search_by(|&place| names[place].as_str().cmp(name));
            found.ok().map(|at| by_name[at])
        }
    }

    /// The same, where it is expected at this place.
    #[must_use]
    pub fn place_expected(&self, expected: usize, name: &str) -> Option<usize> {
        let is_it = self.0.names.get(expected).is_some_and(|known| known.as_str() == name);
        if is_it { Some(expected) } else { self.place(name) }
    }

    /// The names in their order.
    #[must_use]
    pub fn names(&self) -> &[MigrationName] {
        &self.0.names
    }
}

#[cfg(test)]
mod tests {
    use super::MigrationList;

    fn list(names: &[&str]) -> Result<MigrationList, usize> {
        MigrationList::new(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn each_name_is_found_in_whatever_order_they_are_listed() {
        for names in [&["a", "b", "c", "d"][..], &["d", "a", "c", "b"], &["a"], &[]] {
            let listed = list(names).unwrap();
            for (place, name) in names.iter().enumerate() {
                assert_eq!(listed.place(name), Some(place), "{names:?}");
                for expected in 0..=names.len() {
                    assert_eq!(listed.place_expected(expected, name), Some(place), "{names:?}");
                }
            }
            for other in ["", "0", "bb", "e"] {
                assert_eq!(listed.place(other), None, "{names:?}");
                assert_eq!(listed.place_expected(0, other), None, "{names:?}");
            }
        }
    }

    #[test]
    fn the_first_name_that_comes_again_is_found() {
        assert_eq!(list(&["a", "b", "b", "a"]).unwrap_err(), 2);
        assert_eq!(list(&["c", "a", "b", "c", "a"]).unwrap_err(), 3);
        assert_eq!(list(&["a", "a"]).unwrap_err(), 1);
    }
}
