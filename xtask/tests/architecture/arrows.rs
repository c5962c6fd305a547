//! Who may depend on whom.

use std::process::Command;

use crate::metadata::{Dependency, Metadata, Package, metadata};
use crate::{nothing_wrong, read, relative, root, services};

/// What each crate may depend on within the workspace, other than for its tests.
const ARROWS: [(&str, &[&str]); 12] = [
    ("migration-plan", &[]),
    ("postgres-sandbox", &[]),
    ("postgres-schema", &[]),
    ("migration-author", &["migration-plan"]),
    ("migration-kit", &["migration-plan"]),
    ("migration-coordinator", &["migration-kit", "migration-plan"]),
    (
        "migration-rehearsal",
        &["migration-coordinator", "migration-kit", "migration-plan", "postgres-sandbox", "postgres-schema"],
    ),
    (
        "migration-backup",
        &["migration-coordinator", "migration-kit", "migration-plan", "postgres-sandbox", "postgres-schema"],
    ),
    ("migration-report", &["migration-coordinator", "migration-kit", "migration-plan"]),
    (
        "migration-cli",
        &[
            "migration-author",
            "migration-backup",
            "migration-coordinator",
            "migration-kit",
            "migration-plan",
            "migration-rehearsal",
            "migration-report",
            "migration-serve",
            "postgres-sandbox",
        ],
    ),
    ("migration-serve", &["migration-coordinator", "migration-plan", "migration-report"]),
    (
        "migration-testing",
        &[
            "migration-coordinator",
            "migration-kit",
            "migration-plan",
            "migration-rehearsal",
            "postgres-sandbox",
            "postgres-schema",
        ],
    ),
];

/// What a service may depend on within the workspace, and what only its command line may.
const SERVICE: [&str; 2] = ["migration-kit", "migration-plan"];
const SERVICE_CLI: [&str; 1] = ["migration-cli"];

/// What a service's tests may depend on besides.
const SERVICE_TESTS: [&str; 3] = ["migration-coordinator", "migration-testing", "postgres-sandbox"];

/// What the programs of the workspace may depend on; `xtask` on the services besides, which the benchmarks do not know.
const PROGRAMS: [&str; 3] = ["migration-cli", "migration-kit", "postgres-sandbox"];

/// What draws and reads a command line.
const TERMINAL: [&str; 5] = ["anstream", "anstyle", "clap", "clap_complete", "indicatif"];

fn package<'m>(metadata: &'m Metadata, name: &str) -> &'m Package {
    metadata.packages.iter().find(|package| package.name == name).unwrap()
}

fn is_service(metadata: &Metadata, name: &str) -> bool {
    let of = |package: &Package| relative(&package.manifest_path).starts_with("services/");
    metadata.packages.iter().any(|package| package.name == name && of(package))
}

fn is_for_tests(dependency: &Dependency) -> bool {
    dependency.kind.as_deref() == Some("dev")
}

#[test]
fn crates_depend_on_what_their_part_allows() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| **name == package.name) else {
            let outside = relative(&package.manifest_path);
            if outside.starts_with("crates/") {
                wrong.push(format!("{}: what may it depend on? say so in `ARROWS`", package.name));
            }
            continue;
        };
        let own = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        for dependency in own.filter(|dependency| !is_for_tests(dependency)) {
            if !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
        for dependency in &package.dependencies {
            if is_service(&metadata, &dependency.name) {
                wrong.push(format!("{} must not know the service {}", package.name, dependency.name));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn planning_needs_no_database_and_no_runtime() {
    let metadata = metadata();
    let plan = package(&metadata, "migration-plan");
    let names: Vec<&str> =
        plan.dependencies.iter().filter(|d| !is_for_tests(d)).map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["thiserror"]);
}

#[test]
fn the_sandbox_needs_the_standard_library_only() {
    assert!(package(&metadata(), "postgres-sandbox").dependencies.is_empty());
}

#[test]
fn services_know_neither_each_other_nor_who_runs_them() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for service in services() {
        let package = package(&metadata, &format!("{service}-migration"));
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let name = dependency.name.as_str();
            let allowed = SERVICE.contains(&name)
                || (dependency.optional && SERVICE_CLI.contains(&name))
                || (is_for_tests(dependency) && SERVICE_TESTS.contains(&name));
            if !allowed {
                wrong.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    nothing_wrong(&wrong);
}

/// Of the libraries, that is: `xtask` and `benches` are command lines, and a service's own command line is a feature of it.
#[test]
fn only_the_command_line_prints_and_reads_arguments() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        if ["benches", "migration-cli", "xtask"].contains(&package.name.as_str()) {
            continue;
        }
        for dependency in &package.dependencies {
            let leaves_the_library = dependency.optional || is_for_tests(dependency);
            if TERMINAL.contains(&dependency.name.as_str()) && !leaves_the_library {
                wrong.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_crate_can_be_published() {
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        let manifest = relative(&package.manifest_path);
        let Some(directory) = manifest.strip_suffix("/Cargo.toml").filter(|path| path.starts_with("crates/"))
        else {
            if package.publish.is_none() {
                wrong.push(format!("{manifest}: only what is in `crates/` is published"));
            }
            continue;
        };
        for (what, is_there) in [
            ("a description", package.description.is_some()),
            ("a licence", package.license.is_some()),
            ("a readme", package.readme.is_some()),
            ("keywords", !package.keywords.is_empty()),
            ("categories", !package.categories.is_empty()),
            ("permission to be published", package.publish.is_none()),
            ("the text of its licences", root().join(directory).join("LICENSE-MIT").is_file()),
            (
                "examples that are compiled",
                read(format!("{directory}/src/lib.rs")).contains("include_str!(\"../README.md\")"),
            ),
        ] {
            if !is_there {
                wrong.push(format!("{manifest}: {what} is missing"));
            }
        }
        let unversioned = |dependency: &&Dependency| dependency.path.is_some() && dependency.req == "*";
        let unversioned = package.dependencies.iter().filter(unversioned);
        wrong.extend(
            unversioned.map(|dependency| format!("{manifest}: `{}` needs a version", dependency.name)),
        );
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_dependency_and_every_lint_is_inherited() {
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        let manifest = relative(&package.manifest_path);
        let text = read(&manifest);
        if !text.contains("[lints]\nworkspace = true\n") {
            wrong.push(format!("{manifest}: the lints are not the workspace's"));
        }
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            }
            let is_entry = section.ends_with("dependencies]") && line.contains('=') && !line.starts_with('#');
            if is_entry && !line.contains("workspace = true") {
                wrong.push(format!("{manifest}: `{line}` is not the workspace's"));
            }
            if section == line && line.contains("dependencies.") {
                wrong.push(format!("{manifest}: write `{line}` on one line, with `workspace = true`"));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_service_is_known_to_xtask() {
    let metadata = metadata();
    let xtask = package(&metadata, "xtask");
    let source = read("xtask/src/services.rs");
    let mut wrong = Vec::new();
    for service in services() {
        if !xtask.dependencies.iter().any(|dependency| dependency.name == format!("{service}-migration")) {
            wrong.push(format!("xtask/Cargo.toml: `{service}-migration` is missing"));
        }
        let call = format!("{}_migration::service()", service.replace('-', "_"));
        if !source.contains(&call) {
            wrong.push(format!("xtask/src/services.rs: `{call}` is missing"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn xtask_has_no_logic_of_the_engine() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for program in ["benches", "xtask"] {
        let own = package(&metadata, program).dependencies.iter().filter(|own| own.path.is_some());
        for name in own.filter(|own| !is_for_tests(own)).map(|own| own.name.as_str()) {
            let is_service = program == "xtask" && is_service(&metadata, name);
            if !PROGRAMS.contains(&name) && !is_service {
                wrong.push(format!("{program} must not depend on {name}"));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_command_line_contains_neither_rehearsal_nor_web_server_unless_it_asks_for_it() {
    for service in services() {
        let package = format!("{service}-migration");
        let own = tree(&["--package", &package]);
        assert!(contains(&own, "migration-cli"), "{own}");
        for name in ["migration-rehearsal", "axum", "hyper", "maud"] {
            assert!(!contains(&own, name), "`{service}` contains `{name}`:\n{own}");
        }
        let asked_for = tree(&["--package", &package, "--features", "migration-cli/serve"]);
        assert!(contains(&asked_for, "axum"), "`{service}` has no `serve`:\n{asked_for}");
    }
}

#[test]
fn an_application_on_async_std_contains_no_tokio() {
    let tree = tree(&["--package", "async-std-application", "--features", "runtime-async-std"]);
    assert!(contains(&tree, "async-std") && contains(&tree, "sqlx-postgres"), "{tree}");
    assert!(!contains(&tree, "tokio"), "{tree}");
}

#[test]
fn an_application_that_embeds_its_service_contains_no_command_line() {
    for service in services() {
        let package = format!("{service}-migration");
        let tree = tree(&["--package", &package, "--no-default-features", "--features", "runtime-tokio"]);
        assert!(contains(&tree, "tokio"), "{tree}");
        for name in TERMINAL.iter().chain(&[
            "migration-cli",
            "migration-coordinator",
            "migration-rehearsal",
            "postgres-sandbox",
        ]) {
            assert!(!contains(&tree, name), "`{package}` contains `{name}`:\n{tree}");
        }
    }
}

/// The packages that are built for these arguments, one a line.
fn tree(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none"]).args(arguments);
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn contains(tree: &str, package: &str) -> bool {
    tree.lines().any(|line| line.split(' ').next() == Some(package))
}
