//! From what the user wrote to the service and migration that is meant, and what may have been meant otherwise.

use crate::{Catalog, KnownMigration, PlanError, Selection, ServiceName};

/// Number of the service of this name.
///
/// # Errors
/// [`PlanError::UnknownService`]
pub(crate) fn service(catalog: &Catalog, name: &ServiceName) -> Result<usize, PlanError> {
    catalog.service_number(name).ok_or_else(|| {
        let names = catalog.services().map(|service| &service.name);
        PlanError::UnknownService {
            service: name.clone(),
            nearest: nearest_of(name.as_str(), names.map(|known| (known, known.as_str()))).cloned(),
        }
    })
}

/// The selections with the number of their services, each service once.
///
/// # Errors
/// [`PlanError::UnknownService`], [`PlanError::SelectedTwice`]
pub(crate) fn services<'a>(
    catalog: &Catalog,
    selections: &'a [Selection],
) -> Result<Vec<(usize, &'a Selection)>, PlanError> {
    let mut seen = vec![false; catalog.n_services()];
    let mut resolved = Vec::with_capacity(selections.len());
    for selection in selections {
        let number = service(catalog, &selection.service)?;
        if std::mem::replace(&mut seen[number], true) {
            return Err(PlanError::SelectedTwice { service: selection.service.clone() });
        }
        resolved.push((number, selection));
    }
    Ok(resolved)
}

/// Number of the service's migration that a text means: its name or the id of a predecessor, or a unique prefix of either.
/// The leading `m` of a name may be left out.
///
/// # Errors
/// [`PlanError::UnknownTarget`], [`PlanError::AmbiguousTarget`]
pub(crate) fn migration(catalog: &Catalog, service: usize, text: &str) -> Result<usize, PlanError> {
    let all = || catalog.numbers_of(service).map(|migration| (migration, catalog.known(migration)));
    let is_named = |known: &KnownMigration| ids(known).any(|id| id == text);
    if let Some((exact, _)) = all().find(|(_, known)| is_named(known)) {
        return Ok(exact);
    }
    let begins = |known: &KnownMigration| ids(known).any(|id| id.starts_with(text));
    let candidates: Vec<_> = all().filter(|(_, known)| begins(known)).collect();
    let service = catalog.service_name(service).clone();
    match candidates[..] {
        [(only, _)] => Ok(only),
        [] => {
            let names = all().map(|(_, known)| (&known.name, known.name.as_str()));
            let nearest = nearest_of(text, names).cloned();
            Err(PlanError::UnknownTarget { service, text: text.to_owned(), nearest })
        }
        _ => {
            let candidates = candidates.into_iter().map(|(_, known)| known.name.clone()).collect();
            Err(PlanError::AmbiguousTarget { service, text: text.to_owned(), candidates })
        }
    }
}

/// What a migration can be called: its name with and without the `m`, and its predecessors' ids.
fn ids(known: &KnownMigration) -> impl Iterator<Item = &str> {
    let name = known.name.as_str();
    [Some(name), name.strip_prefix('m')]
        .into_iter()
        .flatten()
        .chain(known.replaces.iter().map(String::as_str))
}

/// The name that may have been meant: it contains the text, or one of its beginnings is a few typing errors away.
#[must_use]
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(text, names.into_iter().map(|name| (name, name)))
}

fn nearest_of<'a, T: ?Sized>(
    text: &str,
    candidates: impl Iterator<Item = (&'a T, &'a str)>,
) -> Option<&'a T> {
    const LONGEST: usize = 200;
    if text.len() > LONGEST {
        return None;
    }
    let letters: Vec<char> = text.chars().collect();
    // Two exchanged letters are two errors; a short text is near to everything.
    let farthest = (letters.len() / 2).min(2);
    let scored = candidates.filter_map(|(candidate, name)| {
        let distance = if letters.len() > 2 && name.contains(text) {
            0
        } else {
            let name: Vec<char> = name.chars().collect();
            let without_m = if name.first() == Some(&'m') { &name[1..] } else { &name[..] };
            distance_to_beginning(&letters, &name).min(distance_to_beginning(&letters, without_m))
        };
        (distance <= farthest).then_some((distance, candidate))
    });
    scored.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// How many insertions, deletions and replacements make the text a beginning of the name.
fn distance_to_beginning(text: &[char], name: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (done, letter) in text.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (at, other) in name.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row.into_iter().min().unwrap_or(text.len())
}
