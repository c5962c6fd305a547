//! A real PgBouncer, in every mode of pooling and set up as its users do: nothing is read or written through it, and who
//! comes that way is told why and where to go.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use postgres_sandbox::Cluster;

use crate::support::{Lab, run};

/// Where packages put it: the search path of users often lacks `sbin`.
const PLACES: [&str; 3] = ["pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];

/// Every way to set it up that matters to a start-up option and a transaction, and what it does there.
const SETUPS: [(&str, &str, &str); 6] = [
    ("session", "", "refuses start-up options"),
    ("transaction", "", "refuses start-up options"),
    ("statement", "", "refuses start-up options"),
    ("session", IGNORED, "drops start-up options"),
    ("transaction", IGNORED, "drops start-up options"),
    ("statement", IGNORED, "pools statements and refuses transactions"),
];

/// What its users have it ignore, so that drivers can connect.
const IGNORED: &str = "extra_float_digits,options";

/// A pooler before the shared server, until it is dropped.
struct Pooler {
    child: Child,
    directory: PathBuf,
}

impl Pooler {
    /// Runs as whoever owns the server's files: it refuses to be root.
    fn start(program: &str, lab: &Lab, name: &str, mode: &str, ignored: &str) -> Self {
        let cluster = Cluster::shared();
        let directory = lab.directory.path().join(name);
        fs::create_dir(&directory).unwrap();
        let owner = fs::metadata(cluster.data_directory()).unwrap();
        let users = directory.join("users.txt");
        fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let configuration = directory.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={server}\n[pgbouncer]\nlisten_port = 5432\nunix_socket_dir = {directory}\n\
             auth_type = trust\nauth_file = {users}\npool_mode = {mode}\nignore_startup_parameters = {ignored}\n",
            server = cluster.socket_directory().display(),
            directory = directory.display(),
            users = users.display(),
        );
        fs::write(&configuration, text).unwrap();
        chown(&directory, Some(owner.uid()), Some(owner.gid())).unwrap();
        let mut command = Command::new(program);
        command.arg(&configuration).uid(owner.uid()).gid(owner.gid()).current_dir("/");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        // It says so when it listens; what it says later is read too, so that it never waits for a reader.
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("process up")), "PgBouncer does not come up");
        std::thread::spawn(move || lines.count());
        Self { child, directory }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.directory.display())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_pooler_is_named_and_nothing_is_done_through_it() {
    let Some(program) = PLACES.into_iter().find(|program| is_there(program)) else {
        eprintln!("there is no `pgbouncer` here: what a real one does was not looked at");
        return;
    };
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    for (number, (mode, ignored, does)) in SETUPS.into_iter().enumerate() {
        let pooler = Pooler::start(program, &lab, &number.to_string(), mode, ignored);
        let ask = |arguments: &[&str]| {
            run(lab.command(arguments).env("DATABASE_URL", pooler.url(lab.database.name())))
        };
        let through = format!("is behind a proxy that {does}");
        for (arguments, codes) in [
            (&["up"] as &[&str], &[8] as &[i32]),
            (&["down", "chat@-1"], &[8]),
            // Its prerequisites see it, whether or not reading works.
            (&["deploy", "--no-backup", "--on-failure", "keep"], &[4, 8]),
            (&["doctor"], &[4, 8]),
        ] {
            let ran = ask(arguments);
            let said = ran.shown();
            assert!(codes.contains(&ran.code), "{mode}, {ignored:?}: {arguments:?}\n{said}");
            assert!(said.contains(&through), "{mode}, {ignored:?}: {said}");
            assert!(
                said.contains("to the server itself") || said.contains("directly to the server"),
                "{said}"
            );
        }
        // Whoever stops an application first is told before.
        assert!(!lab.directory.path().join("deployments/deployment.json").exists());
    }
    let applied = "SELECT count(*), to_regnamespace('rag') FROM chat.seaql_migrations_chat";
    assert_eq!(lab.query(applied), "1|");
}
