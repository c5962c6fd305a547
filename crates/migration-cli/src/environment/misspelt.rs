//! Variables that look like ours and are none: what they say has no effect, and nobody would learn of it.

use migration_kit::ServiceName;

use super::{OURS, variable};

/// Begins the variables that can only be meant for this program.
const PREFIX: &str = "MIGRATE_";

/// How many letters may differ.
const FARTHEST: usize = 2;

/// A service's name of fewer letters is near to too many others.
const LONG_NAME: usize = 5;

/// What is wrong with a variable's name, as the end of a sentence that begins with it; `None` if it is ours, or somebody else's.
/// `is_set` knows which variables are set: one that is set under its right name was not misspelt.
pub(super) fn misspelt(
    name: &str,
    services: &[&ServiceName],
    is_set: impl Fn(&str) -> bool,
) -> Option<String> {
    const OF_SERVICES: [&str; 2] = ["DATABASE_URL", "DATABASE_SCHEMA"];
    let is_of_service =
        || services.iter().any(|service| OF_SERVICES.iter().any(|suffix| variable(service, suffix) == name));
    if OURS.contains(&name) || name == OF_SERVICES[0] || is_of_service() {
        return None;
    }
    let meant = if name.starts_with(PREFIX) {
        OURS.into_iter().find(|known| is_near(name, known)).map(str::to_owned)
    } else {
        let shared = is_near(name, OF_SERVICES[0]).then(|| OF_SERVICES[0].to_owned());
        let of_service = || {
            services
                .iter()
                .find_map(|service| OF_SERVICES.iter().find_map(|suffix| of(service, suffix, name)))
        };
        Some(shared.or_else(of_service)?)
    };
    match meant {
        Some(meant) if is_set(&meant) => None,
        Some(meant) => Some(format!("is not a variable of this program; did you mean `{meant}`?")),
        None => Some("is not a variable of this program, and has no effect".to_owned()),
    }
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

fn is_near(name: &str, known: &str) -> bool {
    name.len().abs_diff(known.len()) <= FARTHEST && strsim::osa_distance(name, known) <= FARTHEST
}
