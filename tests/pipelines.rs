//! What the pipelines of GitHub and GitLab run: which services a change concerns, and what it adds.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Directory, Ran, run};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A repository in which nothing is committed yet.
struct Repository(Directory);

impl Repository {
    fn new() -> Self {
        let repository = Self(Directory::new());
        repository.git(&["init", "--quiet"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let of_nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"];
        run(self.command("git").args(of_nobody).args(arguments)).exits(0);
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.0.path());
        command
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Ran {
        run(self.command(Path::new(ROOT).join(".ci").join(name)).args(arguments))
    }
}

#[test]
fn a_change_needs_the_jobs_of_what_it_touches() {
    let repository = Repository::new();
    let services = ["services/chat/src/lib.rs", "services/rag/src/lib.rs"];
    repository.commit(&services.map(|file| (file, "")));
    let all = "[\"chat\",\"rag\"]";
    let cases: [(&[&str], &str); 8] = [
        (&["services/chat/src/lib.rs"], "[\"chat\"]"),
        (&["services/rag/migrations.lock", "docs/locks.md"], "[\"rag\"]"),
        (&["services/chat/src/a.rs", "services/rag/src/a.rs"], all),
        (&["crates/migration-kit/src/lib.rs"], all),
        (&["Cargo.lock", "services/chat/src/lib.rs"], all),
        (&["README.md", "services/chat/README.md"], "[]"),
        (&["docs/benchmarks/a.svg"], "[]"),
        (&["something/new"], all),
    ];
    for (number, (files, jobs)) in cases.into_iter().enumerate() {
        let text = number.to_string();
        repository.commit(&files.iter().map(|file| (*file, text.as_str())).collect::<Vec<_>>());
        let changed = repository.script("changed-services", &["HEAD~1"]).exits(0);
        assert_eq!(changed.stdout.trim_end(), jobs, "{files:?}");
    }
    // What is not known is not nothing.
    for base in ["0000000000000000000000000000000000000000", "gone"] {
        assert_eq!(repository.script("changed-services", &[base]).exits(0).stdout.trim_end(), all);
    }
    assert_ne!(repository.script("changed-services", &[]).code, 0);
}

#[test]
fn a_reviewer_sees_what_new_migrations_send_and_lock() {
    let lock_file = fs::read_to_string(Path::new(ROOT).join("services/chat/migrations.lock")).unwrap();
    let (old, _) = lock_file.split_once("m20261120_000001").unwrap();
    let repository = Repository::new();
    let path = "services/chat/migrations.lock";
    repository.commit(&[(path, old), ("services/rag/migrations.lock", "# none")]);
    repository.commit(&[(path, &lock_file)]);
    let of = |base| repository.script("new-migrations", &[base, env!("CARGO_BIN_EXE_xtask"), "migrate"]);
    let text = of("HEAD~1").exits(0).stdout;
    for said in [
        "### chat\n",
        "- `m20261120_000001_index_message_history` (expand, outside a transaction): Adds the index",
        "  - locks `messages` in `SHARE UPDATE EXCLUSIVE`",
        "CREATE INDEX CONCURRENTLY",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("### rag") && !text.contains("m20251016_000001_create_messages` ("), "{text}");
    let nothing = of("HEAD").exits(0).stdout;
    assert!(nothing.contains("This change adds no migration."), "{nothing}");
}
