//! Persistent clusters: data survives, leftovers of crashes do not confuse, strangers' directories are left alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use postgres_sandbox::{Cluster, PersistentCluster, SandboxError};

/// A directory that is removed at the end of the test, with the cluster in it.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("sandbox-{name}-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn cluster(&self) -> PersistentCluster {
        PersistentCluster::at(self.path())
    }

    fn path(&self) -> PathBuf {
        self.0.join(".postgres")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.cluster().stop());
        drop(fs::remove_dir_all(&self.0));
    }
}

fn kill(pid: u32) {
    assert!(Command::new("/bin/sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap().success());
}

#[test]
fn data_is_kept_over_a_restart_and_durable() {
    let home = Home::new("kept");
    assert!(!home.cluster().is_running());
    let cluster = Cluster::persistent(home.path()).unwrap();
    cluster.psql("postgres", "CREATE TABLE note (id int); INSERT INTO note VALUES (7);").unwrap();
    assert_eq!(cluster.psql("postgres", "SHOW fsync").unwrap(), "on\n");
    drop(cluster);
    assert!(!home.cluster().is_running());
    let cluster = Cluster::persistent(home.path()).unwrap();
    assert_eq!(cluster.psql("postgres", "SELECT id FROM note").unwrap(), "7\n");
}

#[test]
fn the_last_use_stops_the_server() {
    let home = Home::new("uses");
    let uses: Vec<Cluster> = thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| home.cluster().attach().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let pids: Vec<_> = uses.iter().map(|cluster| cluster.server_pid().unwrap()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    for cluster in uses {
        assert!(home.cluster().is_running());
        drop(cluster);
    }
    assert!(!home.cluster().is_running());
}

#[test]
fn a_started_server_stays_until_it_is_stopped() {
    let home = Home::new("started");
    let status = home.cluster().start().unwrap();
    assert!(status.keeps_running && status.pid.is_some() && status.size_bytes > 0, "{status:?}");
    drop(home.cluster().attach().unwrap());
    assert_eq!(home.cluster().status().unwrap().pid, status.pid);
    home.cluster().stop().unwrap();
    let status = home.cluster().status().unwrap();
    assert!(status.pid.is_none() && !status.keeps_running && status.url.is_none(), "{status:?}");
    home.cluster().stop().unwrap();
}

#[test]
fn files_left_by_a_killed_server_do_not_confuse() {
    let home = Home::new("stale");
    let cluster = home.cluster().attach().unwrap();
    cluster.psql("postgres", "CREATE TABLE note (id int)").unwrap();
    let pid_file = cluster.data_directory().join("postmaster.pid");
    let socket_lock = cluster.socket_directory().join(".s.PGSQL.5432.lock");
    let killed = cluster.server_pid().unwrap();
    let left = [&pid_file, &socket_lock].map(|file| fs::read_to_string(file).unwrap());
    kill(killed);
    drop(cluster);
    // As after a reboot, or where nobody collects a zombie: a process of the server's account has the number.
    let account = fs::metadata(pid_file.parent().unwrap()).unwrap();
    let mut other = Command::new("/bin/cat");
    other.uid(account.uid()).gid(account.gid()).stdin(Stdio::piped());
    let mut other = other.spawn().unwrap();
    for (file, left) in [&pid_file, &socket_lock].into_iter().zip(left) {
        fs::write(file, left.replacen(&killed.to_string(), &other.id().to_string(), 1)).unwrap();
    }
    let cluster = home.cluster().attach().unwrap();
    assert_ne!(cluster.server_pid(), Some(killed));
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert_eq!(cluster.psql("postgres", "SELECT count(*) FROM note").unwrap(), "0\n");
    kill(cluster.server_pid().unwrap());
    drop(cluster);
    // As after a crash of the machine: the file was made and never written.
    fs::write(&pid_file, "").unwrap();
    assert_eq!(
        home.cluster().attach().unwrap().psql("postgres", "SELECT count(*) FROM note").unwrap(),
        "0\n"
    );
}

#[test]
fn a_lost_socket_is_said_and_the_server_can_still_be_stopped() {
    let home = Home::new("socket");
    let status = home.cluster().start().unwrap();
    let socket = status.socket_directory.unwrap().join(".s.PGSQL.5432");
    fs::remove_file(socket).unwrap();
    let error = home.cluster().attach().unwrap_err();
    assert!(matches!(error, SandboxError::SocketLost { pid, .. } if Some(pid) == status.pid), "{error}");
    home.cluster().stop().unwrap();
    assert!(home.cluster().attach().unwrap().server_pid().is_some());
}

#[test]
fn a_path_too_long_for_a_socket_gets_a_short_socket_directory() {
    let home = Home::new("deep");
    let deep = home.0.join("x".repeat(120));
    let cluster = Cluster::persistent(&deep).unwrap();
    assert!(!cluster.socket_directory().starts_with(&home.0));
    let first = cluster.socket_directory().to_owned();
    drop(cluster);
    let cluster = Cluster::persistent(&deep).unwrap();
    assert_eq!(cluster.socket_directory(), first);
    assert_eq!(cluster.psql("postgres", "SELECT 1").unwrap(), "1\n");
    drop(cluster);
    fs::remove_dir_all(first).unwrap();
}

#[test]
fn reset_deletes_the_data_and_only_of_a_cluster_made_here() {
    let home = Home::new("reset");
    home.cluster().start().unwrap();
    home.cluster().reset().unwrap();
    let status = home.cluster().status().unwrap();
    assert_eq!((status.pid, status.major, status.size_bytes), (None, None, 0));

    let stranger = home.0.join("stranger");
    fs::create_dir_all(stranger.join("data")).unwrap();
    let is_refused = |result: Result<(), SandboxError>| matches!(result, Err(SandboxError::NotOurs { .. }));
    let cluster = PersistentCluster::at(&stranger);
    assert!(is_refused(cluster.reset()));
    assert!(is_refused(cluster.stop()));
    assert!(is_refused(cluster.start().map(|_| ())));
    assert!(is_refused(cluster.attach().map(|_| ())));
    assert!(Path::new(&stranger).join("data").exists());
}

#[test]
fn nothing_is_made_by_asking() {
    let home = Home::new("asking");
    assert_eq!(home.cluster().status().unwrap().pid, None);
    home.cluster().stop().unwrap();
    home.cluster().reset().unwrap();
    assert!(!home.path().exists());
}
