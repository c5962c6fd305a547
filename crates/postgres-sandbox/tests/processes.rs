//! Several processes, and processes that are killed. The children are this very test binary, told their part by `PART`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres_sandbox::{Cluster, PersistentCluster};

const PART: &str = "SANDBOX_TEST_PART";

/// A child that runs one test of this binary and said which server it uses.
struct Process {
    child: Child,
    // Held open: the child ends its part when it reads the end.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    server_pid: u32,
    directory: PathBuf,
}

impl Process {
    fn spawn(test: &str, part: &Path) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(PART, part);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn ready(mut child: Child) -> Self {
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = stdout.by_ref().lines();
        let line = lines
            .map_while(Result::ok)
            .find(|line| line.contains("using:"))
            .expect("the child uses a server");
        let (_, said) = line.split_once("using:").unwrap();
        let (server_pid, directory) = said.split_once(':').unwrap();
        let (server_pid, directory) = (server_pid.parse().unwrap(), PathBuf::from(directory));
        Self { stdin: child.stdin.take(), stdout, child, server_pid, directory }
    }

    fn end(mut self) {
        drop(self.stdin.take());
        self.stdout.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The part given to us, if we are a child.
fn part() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
    std::env::var_os(PART).map(PathBuf::from)
}

/// What a child does: say which server it uses, and use it until its standard input ends.
#[expect(clippy::print_stdout, reason = "how a child tells its test")]
fn use_until_told(cluster: &Cluster) {
    println!("using:{}:{}", cluster.server_pid().unwrap(), cluster.socket_directory().display());
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Waits for something that another process does; the deadline only bounds a failing test.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the process exists; one that has ended and whose parent never asks counts as gone.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn a_killed_process_leaves_nothing_of_its_temporary_cluster() {
    if part().is_some() {
        return use_until_told(Cluster::shared());
    }
    let child =
        Process::spawn("a_killed_process_leaves_nothing_of_its_temporary_cluster", Path::new("child"));
    let process = Process::ready(child);
    let (server_pid, directory) = (process.server_pid, process.directory.clone());
    assert!(is_alive(server_pid) && directory.exists());
    process.kill();
    eventually("the end of the server", || !is_alive(server_pid));
    eventually("the removal of the directory", || !directory.exists());
}

#[test]
fn a_process_that_exits_leaves_nothing_of_its_shared_cluster() {
    if part().is_some() {
        return use_until_told(Cluster::shared());
    }
    let child =
        Process::spawn("a_process_that_exits_leaves_nothing_of_its_shared_cluster", Path::new("child"));
    let process = Process::ready(child);
    let (server_pid, directory) = (process.server_pid, process.directory.clone());
    process.end();
    eventually("the end of the server", || !is_alive(server_pid));
    eventually("the removal of the directory", || !directory.exists());
}

#[test]
fn processes_that_start_a_persistent_cluster_at_once_share_one_server() {
    if let Some(directory) = part() {
        return use_until_told(&Cluster::persistent(directory).unwrap());
    }
    let home = std::env::temp_dir().join(format!("sandbox-at-once-{}", std::process::id()));
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let directory = home.join(".postgres");
    let cluster = PersistentCluster::at(&directory);

    let test = "processes_that_start_a_persistent_cluster_at_once_share_one_server";
    let children: Vec<Child> = (0..4).map(|_| Process::spawn(test, &directory)).collect();
    let mut processes: Vec<Process> = children.into_iter().map(Process::ready).collect();
    let server_pid = processes[0].server_pid;
    assert!(processes.iter().all(|process| process.server_pid == server_pid));

    // Neither one that ends nor one that is killed stops the server under the others.
    processes.pop().unwrap().end();
    processes.pop().unwrap().kill();
    processes.pop().unwrap().end();
    assert_eq!(cluster.status().unwrap().pid, Some(server_pid));
    processes.pop().unwrap().end();
    assert!(!cluster.is_running());

    // The server of a killed last user stays, is used again, and then stops.
    let killed = Process::ready(Process::spawn(test, &directory));
    let server_pid = killed.server_pid;
    killed.kill();
    let next = Process::ready(Process::spawn(test, &directory));
    assert_eq!(next.server_pid, server_pid);
    next.end();
    assert!(!cluster.is_running());
    fs::remove_dir_all(&home).unwrap();
}
