//! `generate`: the source of a new migration. What it writes is compiled by the tests of `migration-author`.

use std::fs;
use std::path::Path;

use crate::support::{Directory, Ran, run};

fn generate(directory: &Directory, arguments: &[&str]) -> Ran {
    run(&mut directory.command(&[&["generate"], arguments, &["--directory", "services"]].concat()))
}

/// The names and texts of a service's files.
fn files(directory: &Directory) -> Vec<(String, String)> {
    let service = directory.path().join("services/chat");
    let read = |directory: &Path| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect::<Vec<_>>()
    };
    let mut files = [read(&service), read(&service.join("src"))].concat();
    files.sort();
    files
}

#[test]
fn a_migration_is_written_and_registered() {
    let directory = Directory::new();
    directory.copy_source("chat");
    let before = files(&directory);
    for (arguments, why) in [
        (&["chat", ""][..], "it is empty"),
        (&["chat", "Add_tags"], "does not begin with a lower-case letter"),
        (&["chat", "../add_tags"], "does not begin with a lower-case letter"),
        (&["chat", "add.tags"], "something other than"),
        (&["chat", "mod"], "is a keyword of Rust"),
        (&["chat", "create_messages"], "`m20251016_000001_create_messages`"),
        (&["chatt", "add_tags"], "did you mean `chat`"),
        (&["rag", "add_tags"], "`services/rag` is the source of no service"),
        (&["chat", "add_tags", "--requires", "rag:m1"], "there is no migration `rag:m1`"),
        (&["chat", "add_tags", "--requires", "ragg:m1"], "did you mean `rag`"),
        (&["chat", "add_tags", "--requires", "chat:m20251016_000001_create_messages"], "of the same service"),
        (&["chat", "add_tags", "--requires", "m1"], "expected `service:migration`"),
        (&["chat", "add_tags", "--steps", "--sql"], "cannot be used with"),
    ] {
        let refused = generate(&directory, arguments).exits(2).stderr;
        assert!(refused.contains(why), "{arguments:?}: {refused}");
    }
    assert_eq!(before, files(&directory));

    let required = "rag:m20250727_000001_create_user_knowledge";
    let arguments = ["chat", "add_tags", "--steps", "--contract", "--requires", required, "--json"];
    let document = generate(&directory, &arguments).exits(0).json();
    let migration = document["migration"].as_str().unwrap();
    let read = |file: &str| fs::read_to_string(directory.path().join("services/chat").join(file)).unwrap();
    let module = read(&format!("src/{migration}.rs"));
    assert!(module.contains("Details::contract(SOAK)") && module.contains(required), "{module}");
    let line = format!("    m20261120_000002_check_messages,\n    {migration},\n}}\n");
    assert!(read("src/lib.rs").contains(&line));
    let readme = read("README.md");
    assert!(readme.contains(&format!("\n| `{migration}` | – | Adds tags | – | – |\n")), "{readme}");
    let again = generate(&directory, &["chat", "add_tags"]).exits(2).stderr;
    assert!(again.contains(migration), "{again}");
}
