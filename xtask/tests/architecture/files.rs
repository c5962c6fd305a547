//! How files are laid out.

use crate::{below, list, nothing_wrong, read, relative, root, services};

/// Past this many lines a file says why in its `//!`, in a sentence with the word `long`.
const EXPLAINED: usize = 400;

/// Past this many it is split.
const LONGEST: usize = 600;

fn module_documentation(text: &str) -> String {
    text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent = below(root(), "rs").into_iter();
    let silent = silent.filter(|path| module_documentation(&read(path)).is_empty());
    let wrong: Vec<String> =
        silent.map(|path| format!("{}: it does not begin with `//!`", relative(&path))).collect();
    nothing_wrong(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for path in below(root(), "rs") {
        let text = read(&path);
        let n_lines = text.lines().count();
        let explained = module_documentation(&text).contains("long");
        if n_lines > LONGEST {
            wrong.push(format!("{}: split its {n_lines} lines", relative(&path)));
        } else if n_lines > EXPLAINED && !explained {
            wrong.push(format!("{}: say in its `//!` why it is {n_lines} lines long", relative(&path)));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_migration_file_is_listed() {
    let mut wrong = Vec::new();
    for service in services() {
        let library = read(format!("services/{service}/src/lib.rs"));
        let (_, after) = library.split_once("migrations! {").expect("a service declares its migrations");
        let (listed, _) = after.split_once('}').expect("the list ends");
        let listed: Vec<&str> = listed.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let files: Vec<String> = list(format!("services/{service}/src"))
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".rs")?.to_owned()))
            .filter(|name| name.starts_with("m2"))
            .collect();
        let unlisted = files.iter().filter(|file| !listed.contains(&file.as_str()));
        wrong.extend(unlisted.map(|file| format!("services/{service}/src/lib.rs: `{file}` is not listed")));
        if !listed.is_sorted() {
            wrong.push(format!("services/{service}/src/lib.rs: the list is not in the order of the names"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_service_describes_itself() {
    let has = |service: &str, file: &str| root().join("services").join(service).join(file).is_file();
    let mut wrong = Vec::new();
    for service in services() {
        for file in ["README.md", "Cargo.toml", "src/lib.rs", "src/main.rs"] {
            if !has(&service, file) {
                wrong.push(format!("services/{service}: `{file}` is missing"));
            }
        }
    }
    nothing_wrong(&wrong);
}

/// A published migration is described where its readers look for it.
#[test]
fn every_migration_stands_in_its_services_readme() {
    let mut wrong = Vec::new();
    for service in services() {
        let readme = read(format!("services/{service}/README.md"));
        for path in list(format!("services/{service}/src")) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            if name.starts_with("m2") && !readme.contains(name) {
                wrong.push(format!("services/{service}/README.md: `{name}` is missing"));
            }
        }
    }
    nothing_wrong(&wrong);
}
