//! What can be asked for, and what can happen meanwhile. Every choice comes from the seed.

use std::fmt;

use fastrand::Rng;

use crate::server::{EVERYTHING, Stock};

/// Most statements after which something happens; a run to head sends more, most send less, and then nothing happens.
const STATEMENTS: usize = 120;

/// A command line, and what it may do.
#[derive(Clone)]
pub(crate) struct Command {
    pub(crate) arguments: Vec<String>,
    /// The services that it may change.
    pub(crate) changes: Vec<usize>,
    /// Whether it takes something back.
    pub(crate) reverts: bool,
}

/// What happens to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// A signal, by its name: `KILL`, `INT`, `TERM`.
    Signal(&'static str),
    /// The connection is cut.
    Cut,
    /// The program's half of the connection is closed.
    HalfClose,
    /// Each message takes so many milliseconds.
    Slow(u64),
    /// An administrator ends its sessions.
    Terminate,
    /// The server crashes and recovers.
    Crash,
    /// The server's disk is full until the command has ended.
    FullDisk,
    /// The program is stopped, and its sessions are ended if this says so; another command runs; then it continues.
    Freeze {
        loses_lock: bool,
    },
    /// Somebody else changes what they may.
    Meddle(usize),
    /// So many others run at the same time.
    Crowd(usize),
}

impl Fault {
    /// What happens, in words; of signals to stop and of frozen programs it is one kind each.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Signal("KILL") => "it is killed",
            Self::Signal(_) => "it is asked to stop by a signal",
            Self::Cut => "its connection is cut",
            Self::HalfClose => "its half of the connection is closed",
            Self::Slow(_) => "each message takes 1 to 7 ms",
            Self::Terminate => "an administrator ends its sessions",
            Self::Crash => "the server crashes and recovers",
            Self::FullDisk => "the server's disk is full",
            Self::Freeze { loses_lock: false } => "it is stopped while another command runs",
            Self::Freeze { loses_lock: true } => {
                "it is stopped and loses its locks while another command runs"
            }
            Self::Meddle(_) => "another session changes what it may",
            Self::Crowd(_) => "1 to 7 others run at the same time",
        }
    }
}

/// What others may do to a table at any time; `{}` is the table.
pub(crate) const MEDDLING: [&str; 6] = [
    "VACUUM (ANALYZE) {}",
    "CREATE INDEX of_an_operator ON {} ((true)); DROP INDEX {schema}.of_an_operator",
    "BEGIN; LOCK TABLE {} IN ACCESS SHARE MODE; SELECT pg_sleep(0.3); COMMIT",
    "BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.2); COMMIT",
    "CREATE TABLE public.of_nobody (a int); DROP TABLE public.of_nobody",
    "REINDEX TABLE {}",
];

/// A command and what happens to it.
pub(crate) struct Step {
    pub(crate) command: Command,
    pub(crate) fault: Fault,
    /// The statement at which it happens, and whether that is before its answer.
    pub(crate) at: usize,
    pub(crate) before_the_answer: bool,
    /// What runs while the command is stopped, or at the same time.
    pub(crate) others: Vec<Command>,
}

impl Step {
    pub(crate) fn choose(rng: &mut Rng, stock: &[Stock], with_contract: bool) -> Self {
        let fault = match rng.usize(..16) {
            0 | 1 => Fault::Nothing,
            2 | 3 => Fault::Signal("KILL"),
            4 => Fault::Signal(["INT", "TERM"][rng.usize(..2)]),
            5 | 6 => Fault::Cut,
            7 => Fault::Slow(rng.u64(1..8)),
            8 => Fault::Terminate,
            9 => Fault::Crash,
            10 | 11 => Fault::Freeze { loses_lock: rng.bool() },
            12 => Fault::Meddle(rng.usize(..MEDDLING.len())),
            13 => Fault::HalfClose,
            14 => Fault::FullDisk,
            _ => Fault::Crowd(rng.usize(1..8)),
        };
        let n_others = match fault {
            Fault::Freeze { .. } => 1,
            Fault::Crowd(n) => n,
            _ => 0,
        };
        Self {
            command: Command::choose(rng, stock, with_contract),
            fault,
            // Small numbers are as likely as all great ones together: most commands are short.
            at: if rng.bool() { rng.usize(..12) } else { rng.usize(..STATEMENTS) },
            before_the_answer: rng.bool(),
            others: (0..n_others).map(|_| Command::choose(rng, stock, with_contract)).collect(),
        }
    }

    /// The services that may be changed by it.
    pub(crate) fn changes(&self) -> impl Iterator<Item = usize> {
        self.commands().flat_map(|command| command.changes.iter().copied())
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        std::iter::once(&self.command).chain(&self.others)
    }
}

impl Command {
    fn choose(rng: &mut Rng, stock: &[Stock], with_contract: bool) -> Self {
        let number = rng.usize(..stock.len());
        let service = stock[number].name();
        // Before its first migration a service has no rows that could be lost.
        let n_migrations = stock[number].service.migrations().count();
        let nth = rng.usize(..n_migrations);
        let target = format!("{service}@{}", stock[number].service.migrations().nth(nth).unwrap().name());
        let everything = if with_contract { &EVERYTHING[..] } else { &[] };
        let (words, changes, reverts): (Vec<&str>, Vec<usize>, bool) = match rng.usize(..16) {
            0..4 => ([&["up"], everything].concat(), (0..stock.len()).collect(), false),
            4 => ([&["up", "--jobs", "1"], everything].concat(), (0..stock.len()).collect(), false),
            5 | 6 => ([&["up", service], everything].concat(), vec![number], false),
            7 | 8 => ([&["up", &target], everything].concat(), vec![number], false),
            9 | 10 => (vec!["down", &target, "--allow-data-loss"], vec![number], true),
            11 => (vec!["redo", &target, "--allow-data-loss"], vec![number], true),
            12 => (vec!["status", "--check"], vec![], false),
            13 => (vec!["verify"], vec![], false),
            14 => (vec!["plan"], vec![], false),
            _ => (vec![["history", "locks", "doctor"][rng.usize(..3)]], vec![], false),
        };
        let mut arguments: Vec<String> = words.into_iter().map(str::to_owned).collect();
        if !changes.is_empty() {
            arguments.extend(["--wait".to_owned(), "5s".to_owned()]);
        }
        Self { arguments, changes, reverts }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.arguments.join(" "))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = if self.before_the_answer { "sent" } else { "answered" };
        write!(f, "{}, {:?} when statement {} is {moment}", self.command, self.fault, self.at)?;
        self.others.iter().try_for_each(|other| write!(f, ", and {other}"))
    }
}
