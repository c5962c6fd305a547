//! Names: that they are unique and well-formed is refused where a service is made, so what is left is their order.

use migration_kit::Service;

use super::Finding;

pub(super) fn check(service: &Service) -> Vec<Finding> {
    let names: Vec<_> = service.migrations().map(migration_kit::Listed::name).collect();
    let n_conventional = names.iter().filter(|name| name.is_conventional()).count();
    // Names of other tools are in no order of ours.
    if n_conventional == 0 {
        return Vec::new();
    }
    let strange = names.iter().filter(|name| !name.is_conventional());
    let strange = strange
        .map(|name| Finding::of(name, "its name is not `mYYYYMMDD_HHMMSS_verb_noun`, as the others' are"));
    let disorder = names.windows(2).filter(|pair| pair[0] >= pair[1]);
    let disorder = disorder.map(|pair| {
        Finding::of(pair[1], format!("it is listed after `{}`, and its name is before", pair[0]))
    });
    strange.chain(disorder).collect()
}
