//! Variables that look like ours and are none: what they say has no effect, and nobody would learn of it.

use std::collections::HashSet;

use migration_kit::ServiceName;

use super::{OURS, variable};

/// Begins the variables that can only be meant for this program.
const PREFIX: &str = "MIGRATE_";

/// Ends the variables of one service; the first is also the name of the one for all of them.
const OF_A_SERVICE: [&str; 2] = ["DATABASE_URL", "DATABASE_SCHEMA"];

/// How many letters may differ.
const FARTHEST: usize = 2;

/// A service's name of fewer letters is near to too many others.
const LONG_NAME: usize = 4;

/// Those of these variables whose names are nearly ours, each with the end of a sentence that begins with it. One that is
/// set under its right name was not misspelt.
pub(super) fn misspelt<'v>(
    variables: &[&'v str],
    services: &[&ServiceName],
    is_set: impl Fn(&str) -> bool,
) -> Vec<(&'v str, String)> {
    let mut suspects = variables.iter().copied().filter(|name| is_like_ours(name)).peekable();
    if suspects.peek().is_none() {
        return Vec::new();
    }
    let of_services = || services.iter().flat_map(|service| OF_A_SERVICE.map(|suffix| (*service, suffix)));
    // Looked up, not searched for: there may be hundreds of services, each with its variables.
    let known: HashSet<String> = of_services().map(|(service, suffix)| variable(service, suffix)).collect();
    let is_known = |name: &str| OURS.contains(&name) || name == OF_A_SERVICE[0] || known.contains(name);
    let unknown = suspects.filter(|name| !is_known(name));
    let wrong = unknown.filter_map(|name| {
        let meant = if name.starts_with(PREFIX) {
            OURS.into_iter().find(|known| is_near(name, known)).map(str::to_owned)
        } else if is_near(name, OF_A_SERVICE[0]) {
            Some(OF_A_SERVICE[0].to_owned())
        } else {
            Some(of_services().find_map(|(service, suffix)| of(service, suffix, name))?)
        };
        match meant {
            Some(meant) if is_set(&meant) => None,
            Some(meant) => {
                Some((name, format!("is not a variable of this program; did you mean `{meant}`?")))
            }
            None => Some((name, "is not a variable of this program, and has no effect".to_owned())),
        }
    });
    wrong.collect()
}

/// Whether it is worth comparing the variable's name with those of all services.
fn is_like_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || OF_A_SERVICE.iter().any(|suffix| ends_nearly(name, suffix))
}

/// The service's own variable, if that is what was meant: one of its two parts is right, and the other nearly.
fn of(service: &ServiceName, suffix: &str, name: &str) -> Option<String> {
    let known = variable(service, suffix);
    let own = known.strip_suffix(suffix)?;
    let is_suffix_misspelt = name.strip_prefix(own).is_some_and(|rest| is_near(rest, suffix));
    let is_service_misspelt = own.len() > LONG_NAME
        && name.strip_suffix(suffix).is_some_and(|part| strsim::osa_distance(part, own) == 1);
    (is_suffix_misspelt || is_service_misspelt).then_some(known)
}

fn ends_nearly(name: &str, suffix: &str) -> bool {
    let lengths = suffix.len() - FARTHEST..=suffix.len() + FARTHEST;
    let begins = lengths.filter_map(|length| name.len().checked_sub(length));
    begins.filter_map(|begin| name.get(begin..)).any(|end| is_near(end, suffix))
}

fn is_near(name: &str, known: &str) -> bool {
    name.len().abs_diff(known.len()) <= FARTHEST && strsim::osa_distance(name, known) <= FARTHEST
}
