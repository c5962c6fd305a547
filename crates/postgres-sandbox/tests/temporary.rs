//! Temporary clusters: they work, whoever we are, they are private, and nothing is left of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use postgres_sandbox::{Cluster, SandboxError};

#[test]
fn a_temporary_cluster_is_private_and_vanishes_when_dropped() {
    let cluster = Cluster::temporary().unwrap();
    assert_eq!(cluster.psql("postgres", "SHOW listen_addresses").unwrap(), "\n");
    assert_eq!(cluster.psql("postgres", "SELECT 1, 'a b', NULL").unwrap(), "1|a b|\n");
    let directory = cluster.socket_directory().to_owned();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(cluster.server_pid().is_some());
    drop(cluster);
    assert!(!directory.exists());
}

#[test]
fn databases_are_isolated_and_dropped() {
    let cluster = Cluster::shared();
    let (one, other) = (cluster.create_database().unwrap(), cluster.create_database().unwrap());
    one.psql("CREATE TABLE note (id int PRIMARY KEY); INSERT INTO note VALUES (7);").unwrap();
    assert_eq!(other.psql("SELECT to_regclass('note') IS NULL").unwrap(), "t\n");

    let copy = cluster.create_database_from(one.name()).unwrap();
    assert_eq!(copy.psql("SELECT id FROM note").unwrap(), "7\n");
    assert!(copy.pg_dump(&["--schema-only"]).unwrap().contains("CREATE TABLE public.note"));

    let name = one.name().to_owned();
    drop(one);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(cluster.psql("postgres", &left).unwrap(), "0\n");
}

#[test]
fn databases_can_be_created_side_by_side() {
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Cluster::shared().create_database().unwrap())).collect();
        let databases: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for database in &databases {
            assert_eq!(database.psql("SELECT current_database()").unwrap().trim(), database.name());
        }
    });
}

#[test]
fn a_database_keeps_its_cluster_running() {
    let cluster = Cluster::temporary().unwrap();
    let directory = cluster.socket_directory().to_owned();
    let database = cluster.create_database().unwrap();
    drop(cluster);
    assert_eq!(database.psql("SELECT 1").unwrap(), "1\n");
    drop(database);
    assert!(!directory.exists());
}

#[test]
fn settings_win_over_the_defaults() {
    let cluster =
        Cluster::builder().setting("fsync", "on").setting("application_name", "a b'c").start().unwrap();
    assert_eq!(cluster.psql("postgres", "SHOW fsync; SHOW shared_buffers;").unwrap(), "on\n32MB\n");
}

#[test]
fn statements_can_be_traced_as_json() {
    let cluster = Cluster::builder()
        .setting("logging_collector", "on")
        .setting("log_destination", "jsonlog")
        .setting("log_min_duration_statement", "0")
        .start()
        .unwrap();
    cluster.psql("postgres", "SELECT 'traced'").unwrap();
    let mut logs = fs::read_dir(cluster.data_directory().join("log")).unwrap().flatten();
    let log =
        logs.find(|entry| entry.path().extension().is_some_and(|extension| extension == "json")).unwrap();
    // The session has ended, but the collector may still be writing.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(log.path()).unwrap().contains("SELECT 'traced'") {
        assert!(Instant::now() < deadline, "the statement did not come into the log");
        thread::yield_now();
    }
}

#[test]
fn a_server_that_does_not_start_says_why_and_leaves_nothing() {
    let parent = std::env::temp_dir().join(format!("sandbox-failing-{}", std::process::id()));
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Cluster::builder().below(&parent).setting("no_such_setting", "1").start().unwrap_err();
    assert!(matches!(&error, SandboxError::Start { log, .. } if log.contains("no_such_setting")), "{error}");
    assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    fs::remove_dir(&parent).unwrap();
}

#[test]
fn a_failing_statement_is_an_error_with_the_servers_message() {
    let error = Cluster::shared().psql("postgres", "SELECT 1;\nSELECT nope;").unwrap_err();
    assert!(error.to_string().contains("column \"nope\" does not exist"), "{error}");
}
