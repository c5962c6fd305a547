//! Plays a step: runs its command through a relay, and lets happen what is to happen at its statement.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postgres_sandbox::{Database, Observer, Passing, Relay, Verdict};

use crate::disk::Disk;
use crate::server::{Server, command};
use crate::step::{Command, Fault, MEDDLING, Step};

/// Time after which a command is not going to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ends the sessions of the program.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE datname = current_database() AND application_name LIKE 'migrate%'";
/// A server process of the program.
const PROCESS: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'migrate%' ORDER BY pid DESC LIMIT 1";

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) command: Command,
    pub(crate) code: i32,
    pub(crate) stderr: String,
    /// Whether something may have happened to it.
    pub(crate) is_disturbed: bool,
}

/// Runs all commands of a step to their ends. Says, too, whether what was to happen has met the command.
pub(crate) fn play(server: &Server, database: &Database, step: &Step) -> (Vec<Ended>, bool) {
    let trigger = Arc::new(Trigger {
        fault: step.fault,
        at: step.at,
        before_the_answer: step.before_the_answer,
        psql: server.cluster.binaries().psql().clone(),
        disk: server.disk.clone(),
        url: database.url().to_owned(),
        table: of_meddling(server, step),
        n_statements: AtomicUsize::new(0),
        session: AtomicUsize::new(usize::MAX),
        has_fired: AtomicBool::new(false),
        program: OnceLock::new(),
        beside: Mutex::default(),
    });
    let relay = Relay::before(&server.cluster, Arc::clone(&trigger)).unwrap();
    let mut main = Run::start(&relay.url(database.name()), &step.command);
    trigger.program.set(main.child.id()).unwrap();
    let mut ended = Vec::new();
    match step.fault {
        Fault::Freeze { loses_lock } => {
            while !trigger.has_fired.load(Ordering::SeqCst) && !main.is_over() {
                thread::sleep(Duration::from_millis(5));
            }
            if loses_lock {
                database.psql(TERMINATE).unwrap();
            }
            for other in &step.others {
                ended.push(Run::start(database.url(), other).end(true));
            }
            signal(main.child.id(), "CONT");
        }
        Fault::Crowd(_) => {
            let others: Vec<Run> =
                step.others.iter().map(|other| Run::start(database.url(), other)).collect();
            ended.extend(others.into_iter().map(|other| other.end(true)));
        }
        _ => {}
    }
    ended.push(main.end(step.fault != Fault::Nothing));
    if let Some(disk) = &server.disk {
        disk.empty();
    }
    if let Some(beside) = trigger.beside.lock().unwrap().take() {
        beside.join().unwrap();
    }
    server.recovers(database);
    let has_met = match step.fault {
        Fault::Nothing => false,
        Fault::Crowd(_) | Fault::Slow(_) => true,
        Fault::FullDisk if server.disk.is_none() => false,
        _ => trigger.has_fired.load(Ordering::SeqCst),
    };
    (ended, has_met)
}

/// A table of the service that a step changes, which others use too.
fn of_meddling(server: &Server, step: &Step) -> (String, String) {
    let stock = &server.stock[step.changes().next().unwrap_or_default()];
    let of_service = format!("{}.", stock.name());
    let column = server.columns.iter().find(|column| column.starts_with(&of_service)).unwrap();
    let (table, _) = column.rsplit_once('.').unwrap();
    (stock.name().to_owned(), table.to_owned())
}

/// A command that runs.
struct Run {
    command: Command,
    child: Child,
    said: PathBuf,
}

impl Run {
    fn start(url: &str, of: &Command) -> Self {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let said = std::env::temp_dir().join(format!("chaos_{}_{number}", std::process::id()));
        let mut program = command(url, &of.arguments);
        program.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        Self { command: of.clone(), child: program.spawn().unwrap(), said }
    }

    fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn end(mut self, is_disturbed: bool) -> Ended {
        let begun = Instant::now();
        while !self.is_over() {
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("{} does not end\n{}", self.command, fs::read_to_string(&self.said).unwrap());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap();
        let stderr = fs::read_to_string(&self.said).unwrap();
        fs::remove_file(&self.said).unwrap();
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap();
        Ended { command: self.command, code, stderr, is_disturbed }
    }
}

/// Sends a signal to a process, which may be over.
fn signal(process: u32, name: &str) {
    drop(Program::new("kill").args([format!("-{name}"), process.to_string()]).stderr(Stdio::null()).status());
}

/// Watches the statements of a command, and lets happen what is to happen.
struct Trigger {
    fault: Fault,
    at: usize,
    before_the_answer: bool,
    psql: PathBuf,
    /// That of the server, where it is one that can be filled.
    disk: Option<Arc<Disk>>,
    url: String,
    /// A schema, and a table in it.
    table: (String, String),
    n_statements: AtomicUsize,
    /// The session that sent the statement.
    session: AtomicUsize,
    has_fired: AtomicBool,
    program: OnceLock<u32>,
    /// What somebody else does.
    beside: Mutex<Option<JoinHandle<()>>>,
}

impl Observer for Trigger {
    fn passes(&self, session: usize, passing: Passing<'_>) -> Verdict {
        let is_now = match passing {
            Passing::Statement(_) => {
                if let Fault::Slow(milliseconds) = self.fault {
                    thread::sleep(Duration::from_millis(milliseconds));
                }
                let is_it = self.n_statements.fetch_add(1, Ordering::SeqCst) == self.at;
                if is_it {
                    self.session.store(session, Ordering::SeqCst);
                }
                is_it && self.before_the_answer
            }
            Passing::Idle | Passing::InTransaction => {
                !self.before_the_answer
                    && self.session.load(Ordering::SeqCst) == session
                    && !self.has_fired.load(Ordering::SeqCst)
            }
        };
        if !is_now {
            return Verdict::Pass;
        }
        let verdict = match self.fault {
            Fault::Cut | Fault::Signal("KILL") => Verdict::Cut,
            Fault::HalfClose => Verdict::HalfClose,
            _ => Verdict::Pass,
        };
        if verdict == Verdict::Pass {
            self.happen();
        }
        self.has_fired.store(true, Ordering::SeqCst);
        verdict
    }

    fn cuts(&self) {
        if self.fault == Fault::Signal("KILL") {
            signal(*self.program.wait(), "KILL");
        }
    }
}

impl Trigger {
    fn happen(&self) {
        match self.fault {
            Fault::Nothing | Fault::Slow(_) | Fault::Cut | Fault::HalfClose | Fault::Crowd(_) => {}
            Fault::Signal(name) => signal(*self.program.wait(), name),
            Fault::Freeze { .. } => signal(*self.program.wait(), "STOP"),
            Fault::Terminate => drop(self.ask(TERMINATE)),
            Fault::FullDisk => {
                if let Some(disk) = &self.disk {
                    disk.fill();
                }
            }
            Fault::Crash => {
                if let Ok(process) = self.ask(PROCESS).parse() {
                    signal(process, "KILL");
                }
            }
            Fault::Meddle(nth) => {
                let (schema, table) = &self.table;
                let sql = MEDDLING[nth].replace("{schema}", schema).replace("{}", table);
                self.beside(&sql);
            }
        }
    }

    /// Asks in a session of its own.
    fn ask(&self, sql: &str) -> String {
        let ran = Program::new(&self.psql).args(["-XqAt", "-d", &self.url, "-c", sql]).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// Does something in a session of its own while the command continues.
    fn beside(&self, sql: &str) {
        let mut psql = Program::new(&self.psql);
        psql.args(["-Xq", "-d", &self.url]);
        for statement in sql.split("; ") {
            psql.args(["-c", statement]);
        }
        psql.stdout(Stdio::null()).stderr(Stdio::null());
        *self.beside.lock().unwrap() = Some(thread::spawn(move || drop(psql.status())));
    }
}
