//! `new-service`: the package of a new service, and its place in the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgres_sandbox::Cluster;

use crate::support::{Directory, Ran, run};

/// Every file below a directory, with its text.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else {
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn new_service(directory: &Directory, arguments: &[&str]) -> Ran {
    run(&mut directory.command(&[&["new-service"], arguments, &["--directory", "services"]].concat()))
}

/// The lines of a text that another one lacks; all others are the same, in the same order.
fn added(before: &[u8], after: &[u8]) -> String {
    let (before, after) = (std::str::from_utf8(before).unwrap(), std::str::from_utf8(after).unwrap());
    let mut known = before.split_inclusive('\n').peekable();
    let is_new = |line: &&str| known.next_if_eq(line).is_none();
    let added = after.split_inclusive('\n').filter(is_new).collect();
    assert_eq!(known.next(), None, "nothing is taken away");
    added
}

#[test]
fn a_service_is_written_and_registered() {
    let directory = Directory::new();
    directory.copy_workspace();
    let before = files(directory.path());
    let document = new_service(&directory, &["order-history", "--json"]).exits(0).json();
    let after = files(directory.path());
    let named = |field: &str| -> Vec<&str> {
        document[field].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect()
    };
    assert_eq!(named("created").len(), after.len() - before.len());
    assert_eq!(
        named("changed").len(),
        after.iter().filter(|(path, text)| before.get(*path).is_some_and(|before| before != *text)).count()
    );

    let added = |file: &str| added(&before[Path::new(file)], &after[Path::new(file)]);
    assert_eq!(
        added("Cargo.toml"),
        "order-history-migration = { path = \"services/order-history\", default-features = false }\n"
    );
    assert_eq!(
        added("xtask/Cargo.toml"),
        "order-history-migration = { workspace = true, features = [\"runtime-tokio\"] }\n"
    );
    assert_eq!(added("xtask/src/services.rs"), "        order_history_migration::service(),\n");
    assert_eq!(
        added(".env.example"),
        "#ORDER_HISTORY_DATABASE_URL=\n#ORDER_HISTORY_DATABASE_SCHEMA=order-history\n"
    );
    let job = added(".gitlab/migrations.yml");
    assert!(job.contains("SERVICE: order-history\n") && job.contains("services/order-history/**/*"), "{job}");
    assert_eq!(document["changed"].as_array().unwrap().len(), 5);

    // What is like another service's is that, so that it compiles as that does.
    let like_chat = |file: &str| {
        let chat = String::from_utf8(after[&Path::new("services/chat").join(file)].clone()).unwrap();
        chat.replace("chat_", "order_history_").replace("chat-", "order-history-")
    };
    let written = |file: &str| {
        String::from_utf8(after[&Path::new("services/order-history").join(file)].clone()).unwrap()
    };
    assert_eq!(written("src/main.rs"), like_chat("src/main.rs"));
    let packaged = |manifest: String| manifest.replace(manifest.lines().nth(2).unwrap(), "");
    assert_eq!(packaged(written("Cargo.toml")), packaged(like_chat("Cargo.toml")));

    let mut metadata = Command::new(env!("CARGO"));
    metadata
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(directory.path());
    let metadata = run(&mut metadata).exits(0).stdout;
    assert!(metadata.contains("\"name\":\"order-history-migration\""));

    for again in ["order-history", "order_history"] {
        let refused = new_service(&directory, &[again]).exits(2).stderr;
        assert!(refused.contains("there is a service or a schema `order-history`"), "{refused}");
    }
}

#[test]
fn a_service_has_its_job() {
    let directory = Directory::new();
    directory.copy_workspace();
    let git = |arguments: &[&str]| {
        let of_nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"];
        let mut git = Command::new("git");
        run(git.current_dir(directory.path()).args(of_nobody).args(arguments)).exits(0);
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "before"]);
    git(&["tag", "before"]);
    new_service(&directory, &["billing"]).exits(0);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "after"]);
    let mut changed = Command::new(directory.path().join(".ci/changed-services"));
    let jobs = run(changed.arg("before").current_dir(directory.path())).exits(0).stdout;
    assert!(jobs.contains("\"billing\""), "{jobs}");
}

#[test]
fn what_is_refused_changes_nothing() {
    let directory = Directory::new();
    directory.copy_workspace();
    let before = files(directory.path());
    let long = "a".repeat(41);
    for (name, why) in [
        ("", "it is empty"),
        (&long, "it is longer than 40 letters"),
        ("../billing", "does not begin with a lower-case letter"),
        ("billing/..", "something other than"),
        ("/tmp/billing", "does not begin with a lower-case letter"),
        ("Billing", "does not begin with a lower-case letter"),
        ("bill.ing", "something other than"),
        ("bill-ing_s", "it has both `_` and `-`"),
        ("mod", "is a keyword of Rust"),
        ("pg_billing", "PostgreSQL has schemas"),
        ("variables", "have another meaning"),
        ("chat", "there is a service or a schema `chat`"),
        ("new-migrations", "has something of this name"),
        ("sea-orm", "has a dependency `sea-orm-migration`"),
        ("sea_orm", "has a dependency `sea_orm-migration`"),
    ] {
        let refused = new_service(&directory, &[name]).exits(2).stderr;
        assert!(refused.contains(why), "{name}: {refused}");
    }
    // Another layout, and a file that is not as it has to be.
    let services = directory.path().join("xtask/src/services.rs");
    let list = fs::read(&services).unwrap();
    fs::write(&services, "fn services() -> Vec<Service> { found() }\n").unwrap();
    let refused = new_service(&directory, &["billing"]).exits(2).stderr;
    assert!(refused.contains("there is no `fn services` that ends with `vec![]`"), "{refused}");
    fs::remove_file(&services).unwrap();
    let refused = new_service(&directory, &["billing"]).exits(2).stderr;
    assert!(
        refused.contains("has no `xtask/src/services.rs`") && refused.contains("hint `--directory`"),
        "{refused}"
    );
    fs::write(&services, list).unwrap();
    let mut elsewhere =
        directory.command(&["new-service", "billing", "--directory", "crates/migration-kit/src"]);
    let refused = run(&mut elsewhere).exits(2).stderr;
    assert!(refused.contains("does not have all packages in it as members"), "{refused}");
    let alone = Directory::new();
    fs::create_dir(alone.path().join("services")).unwrap();
    let refused = new_service(&alone, &["billing"]).exits(2).stderr;
    assert!(refused.contains("it is in no workspace"), "{refused}");
    assert_eq!(before, files(directory.path()));
}

/// As the server has them: a schema of such a name has to be quoted wherever people write it.
#[test]
fn a_reserved_word_of_postgresql_is_no_name() {
    let words = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')";
    let words = Cluster::shared().create_database().unwrap().psql(words).unwrap();
    assert!(words.lines().count() > 90, "{words}");
    let directory = Directory::new();
    directory.copy_workspace();
    for word in words.lines() {
        let refused = new_service(&directory, &[word]).exits(2).stderr;
        assert!(refused.contains("cannot be the name of a service"), "{word}: {refused}");
    }
}
