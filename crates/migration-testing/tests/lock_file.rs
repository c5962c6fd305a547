//! A service runs with the lock file that a rehearsal makes for it.

use migration_kit::{LockFile, Service};
use migration_plan::Direction;
use migration_rehearsal::{Rules, artifacts};
use migration_testing::Scratch;

const CREATE: &str = "0001_create";
const FILES: [(&str, &[u8]); 4] = [
    ("0001_create.up.sql", b"CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int)"),
    ("0001_create.down.sql", b"DROP TABLE child; DROP TABLE parent"),
    ("0002_alter.up.sql", b"ALTER TABLE child ADD note text"),
    ("0002_alter.down.sql", b"ALTER TABLE child DROP note"),
];

fn service() -> Service {
    Service::from_sql_files("small", FILES).expect("the files are migrations")
}

#[tokio::test]
async fn a_recorded_table_that_does_not_exist_is_not_locked() {
    let lock_file =
        artifacts(vec![service()], Rules::default()).await.expect("it runs").swap_remove(0).lock_file;
    let with_gone = lock_file.replace("  revert child", "  revert gone in ACCESS EXCLUSIVE\n  revert child");
    let file = LockFile::parse(&with_gone).expect("it is well formed");
    let create = CREATE.parse().expect("it is a name");
    assert_eq!(file.locks(&create, Direction::Revert).len(), 3);
    let scratch = Scratch::new(service().with_lock_file(with_gone)).await;
    scratch.up().await;
    scratch.down_to("base").await;
    scratch.up().await;
    let checksums = "SELECT DISTINCT checksum FROM migration_journal_small WHERE migration = '0001_create'";
    assert_eq!(scratch.rows(checksums).await, [file.checksum(&create).expect("it is recorded")]);
}
