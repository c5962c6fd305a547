//! Which parts of a crate use which: no circle, so that each can be read, and taken out, after what it uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::{below, nothing_wrong, read, root};

/// Crates of which no part may use one that uses it, by whatever detour.
const WITHOUT_CIRCLES: [&str; 8] = [
    "migration-author",
    "migration-plan",
    "migration-kit",
    "migration-coordinator",
    "migration-rehearsal",
    "migration-report",
    "migration-cli",
    "postgres-sandbox",
];

/// For each top-level module of a crate, those that it names by `crate::`.
fn uses(name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let source = root().join("crates").join(name).join("src");
    let module = |path: &std::path::Path| {
        let first = path.strip_prefix(&source).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    let files = below(&source, "rs");
    let modules: BTreeSet<String> = files.iter().map(|path| module(path)).filter(|m| m != "lib").collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> =
        modules.iter().map(|module| (module.clone(), BTreeSet::new())).collect();
    for path in &files {
        let text = read(path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            for after in line.split("crate::").skip(1) {
                let grouped = after.strip_prefix('{').map(|group| group.split('}').next().unwrap_or(group));
                let named = grouped.map_or_else(|| vec![after], |group| group.split(", ").collect());
                let words = named.into_iter().map(|path| {
                    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
                });
                let module = module(path);
                let used = words.filter(|word| modules.contains(*word) && *word != module);
                let used: Vec<String> = used.map(str::to_owned).collect();
                uses.entry(module).or_default().extend(used);
            }
        }
    }
    uses
}

/// A way from a module back to itself, if there is one.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in &uses[way.last()?] {
            let further = [&way[..], std::slice::from_ref(next)].concat();
            if next == start {
                return Some(further);
            }
            if seen.insert(next.clone()) {
                ways.push(further);
            }
        }
    }
    None
}

#[test]
fn no_part_of_a_crate_uses_what_uses_it() {
    let mut wrong = Vec::new();
    for name in WITHOUT_CIRCLES {
        let uses = uses(name);
        assert!(uses.values().any(|used| !used.is_empty()), "{name}: no `crate::` was found");
        for module in uses.keys() {
            wrong.extend(circle(&uses, module).map(|way| format!("{name}: {}", way.join(" -> "))));
        }
    }
    nothing_wrong(&wrong);
}
