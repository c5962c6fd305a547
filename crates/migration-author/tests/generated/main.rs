//! What is written compiles: it is a part of this test, and what is written now is the same, byte by byte.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use migration_author::{AuthorError, Body, Form, NewMigration};
use migration_kit::Service;

migration_kit::migrations! {
    m20251120_184900_create_notes,
    m20251120_184901_index_notes,
    m20251120_184902_add_tags,
    m20251120_184903_drop_drafts,
}

/// Name of the service.
pub const NAME: &str = "shop";

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated");

/// 2025-11-20 18:49:00 UTC.
const AT: i64 = 1_763_664_540;

fn new(name: &str, form: Form, contract: bool) -> NewMigration<'_> {
    let requires = if contract {
        vec!["billing:m20250101_000001_create_orders".parse().unwrap(), "mail:m1".parse().unwrap()]
    } else {
        Vec::new()
    };
    let service = "shop".parse().unwrap();
    NewMigration { service, name, form, contract, requires, at: AT, body: Body::Unwritten }
}

/// The source of a service without migrations, in a directory of its own.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = env::temp_dir().join(format!("migration_author_{name}_{}", process::id()));
        fs::create_dir_all(root.join("shop/src")).unwrap();
        let tree = Self(root);
        tree.write("shop/src/lib.rs", "pub const NAME: &str = \"shop\";\n\nmigration_kit::migrations! {}\n");
        // As the workspace lays its source out.
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rustfmt.toml"), tree.0.join("rustfmt.toml"))
            .unwrap();
        tree
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    /// Every file with its text.
    fn files(&self) -> Vec<(PathBuf, String)> {
        fn below(directory: &Path, files: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, files);
                } else {
                    files.push((path.clone(), fs::read_to_string(path).unwrap()));
                }
            }
        }
        let mut files = Vec::new();
        below(&self.0, &mut files);
        files.sort();
        files
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn what_is_written_is_what_is_compiled_here() {
    let tree = Tree::new("written");
    for (name, form, contract) in [
        ("create_notes", Form::Transaction, false),
        ("index_notes", Form::Steps, false),
        ("add_tags", Form::Sql, false),
        ("drop_drafts", Form::Transaction, true),
    ] {
        let draft = new(name, form, contract).draft(&tree.0).unwrap();
        for path in draft.write().unwrap().iter().filter(|path| !path.ends_with("lib.rs")) {
            let file = path.file_name().unwrap();
            let (written, compiled) = (fs::read_to_string(path).unwrap(), Path::new(SOURCE).join(file));
            assert_eq!(written, fs::read_to_string(&compiled).unwrap_or_default(), "{}", compiled.display());
        }
    }
    assert_eq!(
        tree.read("shop/src/lib.rs"),
        "pub const NAME: &str = \"shop\";\n\nmigration_kit::migrations! {\n    m20251120_184900_create_notes,\n    \
         m20251120_184901_index_notes,\n    m20251120_184902_add_tags,\n    m20251120_184903_drop_drafts,\n}\n"
    );
    let service = Service::new(NAME, migrations()).unwrap();
    let known: Vec<_> =
        service.known().migrations.into_iter().map(|m| (m.transactional, m.requires.len())).collect();
    assert_eq!(known, [(true, 0), (false, 0), (true, 0), (true, 2)]);
}

#[test]
fn a_folder_of_sql_files_gets_two_more() {
    let tree = Tree::new("sql");
    fs::create_dir_all(tree.0.join("mail/sql/0002_more")).unwrap();
    tree.write("mail/sql/0001_init.sql", "SELECT 1");
    let mail =
        |name, form, contract| NewMigration { service: "mail".parse().unwrap(), ..new(name, form, contract) };
    let draft = mail("add_a", Form::Steps, false).draft(&tree.0).unwrap();
    draft.write().unwrap();
    assert_eq!(draft.name(), "20251120184900_add_a");
    let twice = mail("more", Form::Sql, false).draft(&tree.0);
    assert!(matches!(twice, Err(AuthorError::Duplicate { .. })), "{:?}", twice.err());
    let contract = mail("add_b", Form::Sql, true).draft(&tree.0);
    assert!(matches!(contract, Err(AuthorError::NotInSql { .. })), "{:?}", contract.err());
    // A folder without files is no migration.
    fs::remove_dir(tree.0.join("mail/sql/0002_more")).unwrap();
    let service = Service::from_sql_directory("mail", tree.0.join("mail/sql")).unwrap();
    let last = service.known().migrations.pop().unwrap();
    assert_eq!((last.name.as_str(), last.transactional), ("20251120184900_add_a", false));
}

#[test]
fn what_is_refused_changes_nothing() {
    let tree = Tree::new("refused");
    new("create_notes", Form::Transaction, false).draft(&tree.0).unwrap().write().unwrap();
    let before = tree.files();
    for name in ["", "..", "../add_tags", "Add", "add.tags", "add/tags", "mod", &"a".repeat(81)] {
        let refused = new(name, Form::Steps, false).draft(&tree.0);
        assert!(matches!(refused, Err(AuthorError::Name { .. })), "{name}: {:?}", refused.err());
    }
    let twice = new("create_notes", Form::Steps, false).draft(&tree.0);
    assert!(matches!(twice, Err(AuthorError::Duplicate { .. })), "{:?}", twice.err());
    let other = NewMigration { service: "other".parse().unwrap(), ..new("a", Form::Sql, false) };
    assert!(matches!(other.draft(&tree.0), Err(AuthorError::NoService { .. })));
    // Made by somebody else, or changed, after it was decided.
    let draft = new("add_tags", Form::Steps, false).draft(&tree.0).unwrap();
    assert_eq!(before, tree.files());
    let library = tree.read("shop/src/lib.rs");
    tree.write("shop/src/lib.rs", "// other\n");
    assert!(matches!(draft.write(), Err(AuthorError::Changed { .. })));
    tree.write("shop/src/lib.rs", &library);
    assert_eq!(before, tree.files());
    let there = draft.created().next().unwrap().to_owned();
    fs::write(&there, "theirs").unwrap();
    assert!(matches!(draft.write(), Err(AuthorError::Changed { .. })));
    fs::remove_file(&there).unwrap();
    assert_eq!(before, tree.files());
    for library in ["fn f() {}\n", "migrations! {}\nmigrations! {}\n", "migrations! {\n"] {
        tree.write("shop/src/lib.rs", library);
        let before = tree.files();
        assert!(
            matches!(new("a", Form::Sql, false).draft(&tree.0), Err(AuthorError::Unfit { .. })),
            "{library}"
        );
        assert_eq!(before, tree.files());
    }
}
