//! A database and a directory of one's own, and the real binary in them.

pub(crate) mod digest;
mod directory;
pub(crate) mod filters;
mod hanging;
mod relay;
mod running;
mod session;

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use insta::internals::SettingsBindDropGuard;
use postgres_sandbox::{Cluster, Database};
use serde_json::Value;

pub(crate) use directory::Directory;
pub(crate) use hanging::{Hanging, SESSIONS};
pub(crate) use relay::{Fault, Relay};
pub(crate) use running::Running;
pub(crate) use session::Session;

/// What each service's tables hold that were in use before there were migrations.
pub(crate) const ROWS: [(&str, &str); 5] = [
    ("chat", include_str!("../kill/data/chat.sql")),
    ("rag", include_str!("../kill/data/rag.sql")),
    ("assessments", include_str!("../kill/data/assessments.sql")),
    ("profochatbot", include_str!("../kill/data/profochatbot.sql")),
    ("bookreader", BOOKREADER_ROWS),
];

/// Those of the bookreader service: 4,000 users, of every eighth of whom one setting or all cannot be carried over.
pub(crate) const BOOKREADER_ROWS: &str = include_str!("../kill/data/bookreader.sql");

/// An empty directory, a database, and filters for snapshots, for as long as the test runs.
pub(crate) struct Lab {
    pub(crate) database: Database,
    pub(crate) directory: Directory,
    _filters: SettingsBindDropGuard,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    /// With an empty database.
    pub(crate) fn empty() -> Self {
        Self::with(Cluster::shared().create_database().unwrap())
    }

    /// With a database that has a past: each service's first migration was applied, then `up` was run, which holds contract
    /// steps back.
    pub(crate) fn migrated() -> Self {
        static TEMPLATE: OnceLock<Database> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let lab = Self::empty();
            let first = ROWS.map(|(service, _)| format!("{service}@+1"));
            let first: Vec<&str> =
                ["up", "--quiet"].into_iter().chain(first.iter().map(String::as_str)).collect();
            lab.migrate(&first).exits(0);
            lab.migrate(&["up", "--quiet"]).exits(0);
            lab.database
        });
        Self::with(Cluster::shared().create_database_from(template.name()).unwrap())
    }

    /// With a database in which every service came to head over rows, good and bad ones, that stood there since its first
    /// migration.
    pub(crate) fn inherited() -> Self {
        static TEMPLATE: OnceLock<Database> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let lab = Self::empty();
            for (service, rows) in ROWS {
                lab.migrate(&["up", &format!("{service}@+1"), "--quiet"]).exits(0);
                lab.query(rows);
            }
            lab.migrate(&["up", "--quiet"]).exits(0);
            lab.database
        });
        Self::with(Cluster::shared().create_database_from(template.name()).unwrap())
    }

    /// With an empty database, where commands are the demo's.
    pub(crate) fn empty_demo() -> Self {
        Self::demo_with(Cluster::shared().create_database().unwrap())
    }

    /// With this database, where commands are the demo's.
    pub(crate) fn demo_with(database: Database) -> Self {
        Self { directory: Directory::of_demo(), ..Self::with(database) }
    }

    /// Where commands are the demo's, with a database that has a past: the first migration was applied, then `up` was run,
    /// which holds the contract step back.
    pub(crate) fn demo() -> Self {
        let lab = Self::empty_demo();
        lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
        lab.migrate(&["up", "--quiet"]).exits(0);
        lab
    }

    /// With this database.
    pub(crate) fn with(database: Database) -> Self {
        Self { database, directory: Directory::new(), _filters: filters::bind() }
    }

    /// `migrate` with these arguments, in the directory, with `DATABASE_URL` and no other variable of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.directory.command(arguments);
        command.env("DATABASE_URL", self.database.url());
        command
    }

    /// Runs `migrate` with these arguments to its end.
    pub(crate) fn migrate(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Starts `migrate` with these arguments.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Rows of a query, fields parted by `|`, a line each.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> String {
        self.database.psql(sql).unwrap().trim_end().to_owned()
    }

    /// A session of one's own, for holding locks and for asking again and again.
    pub(crate) fn session(&self) -> Session {
        Session::open(self.database.url())
    }

    /// URL of this database for another user.
    pub(crate) fn url_of(&self, user: &str) -> String {
        self.database.url().replacen("postgres@", &format!("{user}@"), 1)
    }

    /// A role that nobody else has, since roles belong to the whole cluster; `clauses` as in `CREATE ROLE`.
    pub(crate) fn role(&self, clauses: &str) -> String {
        let role = format!("role_{}", self.database.name());
        self.query(&format!("CREATE ROLE {role} LOGIN {clauses}"));
        role
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().expect("the command ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// Fails unless the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    /// Everything, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    /// The document that `--json` printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not a JSON document: {error}\n{}", self.shown()));
        assert_eq!(document["schema"], "migrate/v1", "{}", self.shown());
        document
    }
}
