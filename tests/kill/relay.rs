//! Runs a program through a relay, notes the statements passing by, and kills the program at one of them.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use postgres_sandbox::{Cluster, Observer, Passing, Relay, Verdict};

use crate::statement::{Id, Moment, Point, Seen, shape};

/// The number of SIGKILL.
const KILL: i32 = 9;

/// How a run through the relay ended.
pub(crate) struct Outcome {
    /// The statements that the program sent, in this order.
    pub(crate) statements: Vec<Seen>,
    /// Whether it died of being killed; a program can be done before the chosen statement.
    pub(crate) killed: bool,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// Runs a program whose `DATABASE_URL` leads through a relay to this database.
pub(crate) fn run(mut command: Command, cluster: &Cluster, database: &str, point: Option<&Point>) -> Outcome {
    let killer = Arc::new(Killer { point: point.cloned(), ..Killer::default() });
    let relay = Relay::before(cluster, Arc::clone(&killer)).unwrap();
    command.env("DATABASE_URL", relay.url(database)).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut stderr = String::new();
    let mut pipe = killer.program.lock().unwrap().insert(child).stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    let status = killer.program.lock().unwrap().as_mut().unwrap().wait().unwrap();
    let statements = std::mem::take(&mut *killer.seen.lock().unwrap());
    Outcome { statements, killed: status.signal() == Some(KILL), status, stderr }
}

/// Kills the program at a point.
#[derive(Default)]
struct Killer {
    point: Option<Point>,
    seen: Mutex<Vec<Seen>>,
    sessions: Mutex<HashMap<usize, Session>>,
    program: Mutex<Option<Child>>,
}

/// What is known of one connection.
#[derive(Default)]
struct Session {
    /// Where the statements are in the list that wait for their answer.
    waiting: Vec<usize>,
    /// What the transaction has written so far.
    written: Vec<String>,
}

impl Observer for Killer {
    fn passes(&self, session: usize, passing: Passing<'_>) -> Verdict {
        let is_point = match passing {
            Passing::Statement(sql) => self.is_point(&self.note(sql, session), Moment::Sent),
            Passing::Idle | Passing::InTransaction => self.answered(session, passing),
        };
        if is_point { Verdict::Cut } else { Verdict::Pass }
    }

    fn cuts(&self) {
        // `Child::kill` is SIGKILL.
        if let Some(program) = self.program.lock().unwrap().as_mut() {
            drop(program.kill());
        }
    }
}

impl Killer {
    /// Notes a statement that is about to be sent.
    fn note(&self, sql: &str, session: usize) -> Id {
        let shape = shape(sql);
        let mut seen = self.seen.lock().unwrap();
        let nth = seen.iter().filter(|seen| seen.id.shape == shape).count();
        let id = Id { shape, nth };
        self.sessions.lock().unwrap().entry(session).or_default().waiting.push(seen.len());
        seen.push(Seen { id: id.clone(), change: None });
        id
    }

    /// Notes that the statements of a session have been answered; says whether the program is to be killed now.
    fn answered(&self, session: usize, answer: Passing<'_>) -> bool {
        let mut seen = self.seen.lock().unwrap();
        let mut sessions = self.sessions.lock().unwrap();
        let session = sessions.entry(session).or_default();
        let waiting = std::mem::take(&mut session.waiting);
        let mut is_point = false;
        for place in waiting {
            let statement = &mut seen[place];
            if statement.id.writes() {
                session.written.push(statement.id.keywords());
            }
            if answer == Passing::Idle {
                let written = std::mem::take(&mut session.written);
                let is_change = !written.is_empty() && !statement.id.rolls_back();
                statement.change = is_change.then(|| written.join("; "));
            }
            is_point |= self.is_point(&statement.id, Moment::Answered);
        }
        is_point
    }

    fn is_point(&self, id: &Id, moment: Moment) -> bool {
        self.point.as_ref().is_some_and(|point| point.id == *id && point.moment == moment)
    }
}
