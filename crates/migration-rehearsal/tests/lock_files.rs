//! The files of a small service: what the server saw, and what is found when a migration is edited.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use migration_kit::{Details, LockFile, Online, Service, ServiceMigration};
use migration_plan::Direction;
use migration_rehearsal::{Artifacts, Rules, artifacts};
use sea_orm_migration::prelude::*;

const CREATE: &str = "m20250101_000001_create_tables";
const INDEX: &str = "m20250102_000001_index_child";
const CHECK: &str = "m20250103_000001_check_child";
const DROP: &str = "m20250104_000001_drop_child";
const NOTE: &str = "m20250105_000001_add_note";

/// One step of a small service; what it sends depends on its name and on `check`.
struct Migration {
    name: &'static str,
    check: &'static str,
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(self.name != INDEX)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let statements: &[&str] = match self.name {
            CREATE => &[
                "CREATE TABLE parent (id int CONSTRAINT parent_pkey PRIMARY KEY)",
                "CREATE TABLE child (id int CONSTRAINT child_pkey PRIMARY KEY, parent_id int)",
            ],
            CHECK => &[
                "SAVEPOINT before_it",
                "ALTER TABLE child ADD CONSTRAINT child_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parent (id)",
                self.check,
            ],
            DROP => &["DROP TABLE child"],
            NOTE => &["ALTER TABLE parent ADD COLUMN note text"],
            _ => {
                let online = Online::new(manager, "small", self.name).await?;
                return online.create_index("child_parent_id_idx", "child", ["parent_id"]).run().await;
            }
        };
        for statement in statements {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let statements: &[&str] = match self.name {
            CREATE => &["DROP TABLE child", "TRUNCATE parent", "DROP TABLE parent"],
            CHECK => &["ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey"],
            DROP => &[
                "CREATE TABLE child (id int CONSTRAINT child_pkey PRIMARY KEY, parent_id int \
                 CONSTRAINT child_parent_id_fkey REFERENCES parent (id))",
                "CREATE INDEX child_parent_id_idx ON child (parent_id)",
            ],
            NOTE => &[],
            _ => {
                let online = Online::new(manager, "small", self.name).await?;
                return online.drop_index("child_parent_id_idx").await;
            }
        };
        for statement in statements {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        match self.name {
            DROP => Details::contract(std::time::Duration::from_secs(3_600)),
            NOTE if self.check == "irreversible" => Details::expand().irreversible("the notes are needed"),
            _ => Details::expand(),
        }
    }
}

fn service(names: &[&'static str], check: &'static str) -> Service {
    let migration =
        |name: &&'static str| -> Box<dyn ServiceMigration> { Box::new(Migration { name, check }) };
    Service::new("small", names.iter().map(migration).collect()).unwrap()
}

async fn small(names: &[&'static str], check: &'static str) -> Artifacts {
    artifacts(vec![service(names, check)], Rules::default()).await.unwrap().swap_remove(0)
}

#[tokio::test]
async fn locks_and_checksums_are_what_the_server_saw() {
    let artifacts = small(&[CREATE, INDEX, CHECK, DROP], "SELECT 1").await;
    let file = LockFile::parse(&artifacts.lock_file).unwrap();
    let locks = |name: &str, direction| -> Vec<String> {
        let recorded = file.locks(&name.parse().unwrap(), direction);
        recorded.iter().map(|lock| format!("{} {}", lock.relation, lock.mode)).collect()
    };
    assert_eq!(locks(CREATE, Direction::Apply), [""; 0], "its tables are new");
    assert_eq!(locks(CREATE, Direction::Revert), ["child ACCESS EXCLUSIVE", "parent ACCESS EXCLUSIVE"]);
    assert_eq!(locks(INDEX, Direction::Apply), ["child SHARE UPDATE EXCLUSIVE"]);
    assert_eq!(locks(INDEX, Direction::Revert), ["child SHARE UPDATE EXCLUSIVE"]);
    assert_eq!(locks(CHECK, Direction::Apply), ["parent SHARE ROW EXCLUSIVE", "child SHARE ROW EXCLUSIVE"]);
    assert_eq!(locks(CHECK, Direction::Revert), ["parent ACCESS EXCLUSIVE", "child ACCESS EXCLUSIVE"]);
    assert_eq!(locks(DROP, Direction::Apply), ["parent ACCESS EXCLUSIVE", "child ACCESS EXCLUSIVE"]);
    assert_eq!(locks(DROP, Direction::Revert), ["parent SHARE ROW EXCLUSIVE"]);
    assert!(artifacts.schema.contains("CREATE TABLE small.parent"));
    assert!(!artifacts.schema.contains("small.child"), "contract steps are applied too");
    assert_eq!(
        artifacts,
        small(&[CREATE, INDEX, CHECK, DROP], "SELECT   1").await,
        "it is the same each time"
    );
}

#[tokio::test]
async fn an_empty_down_is_a_fault() {
    let faults = small(&[CREATE, NOTE], "SELECT 1").await.faults;
    let expected = "`small:m20250105_000001_add_note`: `down` does nothing: undo what `up` does, or declare it `irreversible`";
    assert_eq!(faults, [expected]);
    let declared = small(&[CREATE, NOTE], "irreversible").await;
    assert_eq!(declared.faults, [""; 0]);
    assert!(declared.lock_file.lines().any(|line| line.starts_with(NOTE) && line.ends_with(" -")));
}

#[tokio::test]
async fn an_edited_migration_and_a_missing_one_are_found() {
    let directory = std::env::temp_dir().join(format!("rehearsal-lock-files-{}", std::process::id()));
    let committed = small(&[CREATE, INDEX, CHECK], "SELECT 1").await;
    let missing = committed.stale(&directory).unwrap();
    missing.iter().for_each(|stale| stale.write().unwrap());
    assert_eq!(missing.len(), 2, "neither file was there");
    assert!(committed.stale(&directory).unwrap().is_empty());

    let edited = small(&[CREATE, INDEX, CHECK], "SELECT 2").await.stale(&directory).unwrap();
    assert_eq!(edited.len(), 1, "the schema is the same");
    assert_eq!(edited[0].edited(), [CHECK]);

    let added = small(&[CREATE, INDEX, CHECK, DROP], "SELECT 1").await.stale(&directory).unwrap();
    assert_eq!(added.len(), 2);
    assert_eq!(added[0].edited(), [""; 0]);
    assert!(added[0].difference().contains(&format!("+{DROP} contract transaction ")));
    fs::remove_dir_all(directory).unwrap();
}

/// A service that was written for other tools: a name that has to be quoted, a version table of another name, and a table
/// whose name begins like ours.
#[tokio::test]
async fn a_foreign_service_has_its_files_too() {
    let names = ["0001_init", "0002_note", "0003_drop"];
    let files: [(&str, &[u8]); 6] = [
        ("0001_init.up.sql", b"CREATE TABLE migration_plan (id int PRIMARY KEY)"),
        ("0001_init.down.sql", b"DROP TABLE migration_plan"),
        ("0002_note.up.sql", b"ALTER TABLE migration_plan ADD COLUMN note text"),
        ("0002_note.down.sql", b"ALTER TABLE migration_plan DROP COLUMN note"),
        ("0003_drop.up.sql", b"ALTER TABLE migration_plan DROP COLUMN note"),
        ("0003_drop.down.sql", b"ALTER TABLE migration_plan ADD COLUMN note text"),
    ];
    let service = Service::from_sql_files("ticket-desk.eu", files).unwrap().with_version_table("versions");
    let artifacts = artifacts(vec![service], Rules::default()).await.unwrap().swap_remove(0);
    let file = LockFile::parse(&artifacts.lock_file).unwrap();
    let locks = names.map(|name| {
        let recorded = file.locks(&name.parse().unwrap(), Direction::Apply);
        recorded.iter().map(|lock| format!("{} {}", lock.relation, lock.mode)).collect::<Vec<_>>()
    });
    let altered = vec!["migration_plan ACCESS EXCLUSIVE".to_owned()];
    assert_eq!(locks, [Vec::new(), altered.clone(), altered]);
    assert!(
        artifacts.schema.contains("CREATE TABLE \"ticket-desk.eu\".migration_plan"),
        "{}",
        artifacts.schema
    );
    assert!(!artifacts.schema.contains("versions"), "{}", artifacts.schema);
    assert_eq!(artifacts.faults, [""; 0]);
}
