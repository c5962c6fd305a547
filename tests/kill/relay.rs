//! A relay between a program and its server that notes the statements passing by, and kills the program at one of them.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use postgres_sandbox::Cluster;

use crate::statement::{Id, Moment, Point, Seen, shape};

/// The number of SIGKILL.
const KILL: i32 = 9;

/// The state of a session that is in no transaction, as the server reports it after each statement.
const IDLE: u8 = b'I';

/// How a run through the relay ended.
pub(crate) struct Outcome {
    /// The statements that the program sent, in this order.
    pub(crate) statements: Vec<Seen>,
    /// Whether it died of being killed; a program can be done before the chosen statement.
    pub(crate) killed: bool,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

struct Shared {
    point: Option<Point>,
    seen: Mutex<Vec<Seen>>,
    program: Mutex<Option<Child>>,
}

/// Runs a program whose `DATABASE_URL` leads through a relay to this database.
pub(crate) fn run(mut command: Command, cluster: &Cluster, database: &str, point: Option<&Point>) -> Outcome {
    let directory = Directory::new();
    let listener = UnixListener::bind(directory.0.join(".s.PGSQL.5432")).unwrap();
    let server = cluster.socket_directory().join(".s.PGSQL.5432");
    let shared =
        Arc::new(Shared { point: point.cloned(), seen: Mutex::default(), program: Mutex::default() });
    let accepting = Arc::clone(&shared);
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let (shared, server) = (Arc::clone(&accepting), server.clone());
            thread::spawn(move || relay(&client, &server, &shared));
        }
    });
    let url = format!(
        "postgres://postgres@localhost:5432/{database}?host={}&sslmode=disable",
        directory.0.display()
    );
    let child =
        command.env("DATABASE_URL", url).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = String::new();
    let mut pipe = shared.program.lock().unwrap().insert(child).stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    let status = shared.program.lock().unwrap().as_mut().unwrap().wait().unwrap();
    let statements = std::mem::take(&mut *shared.seen.lock().unwrap());
    Outcome { statements, killed: status.signal() == Some(KILL), status, stderr }
}

/// Passes a connection on, both ways, until one side ends it.
fn relay(client: &UnixStream, server: &Path, shared: &Arc<Shared>) {
    let Ok(server) = UnixStream::connect(server) else { return };
    let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let session = Arc::new(Mutex::new(Session::default()));
    let (answered, answering) = (Arc::clone(&session), Arc::clone(shared));
    let answering = thread::spawn(move || {
        drop(pass_answers(&answers, &back, &answered, &answering));
        drop(back.shutdown(std::net::Shutdown::Both));
    });
    // Either side may be gone at any time: that is what this is for.
    drop(pass_requests(client, &server, &session, shared));
    drop(server.shutdown(std::net::Shutdown::Both));
    drop(answering.join());
}

/// What is known of one connection.
#[derive(Default)]
struct Session {
    /// The text of each prepared statement, and that of the one which is bound.
    prepared: HashMap<Vec<u8>, String>,
    bound: String,
    /// Where the statements stand that wait for their answer.
    waiting: Vec<usize>,
    /// What the transaction has written so far.
    written: Vec<String>,
}

fn pass_requests(
    mut client: &UnixStream,
    mut server: &UnixStream,
    session: &Mutex<Session>,
    shared: &Shared,
) -> io::Result<()> {
    // The first message has no type.
    let mut message = vec![0; 4];
    client.read_exact(&mut message)?;
    body(client, &mut message, 0)?;
    server.write_all(&message)?;
    loop {
        let mut message = vec![0; 5];
        client.read_exact(&mut message)?;
        body(client, &mut message, 1)?;
        let sql = session.lock().unwrap().request(&message);
        let id = sql.map(|sql| shared.note(&sql, session));
        server.write_all(&message)?;
        if id.is_some_and(|id| shared.is_point(&id, Moment::Sent)) {
            shared.kill();
            return Ok(());
        }
    }
}

fn pass_answers(
    server: &UnixStream,
    mut client: &UnixStream,
    session: &Mutex<Session>,
    shared: &Shared,
) -> io::Result<()> {
    let mut server = BufReader::new(server);
    let mut answers = Vec::new();
    loop {
        let mut message = vec![0; 5];
        server.read_exact(&mut message)?;
        body(&mut server, &mut message, 1)?;
        // ReadyForQuery: what was sent is done.
        if message[0] == b'Z' && shared.answered(message[5], session) {
            shared.kill();
            return Ok(());
        }
        answers.extend(message);
        if server.buffer().is_empty() {
            client.write_all(&answers)?;
            answers.clear();
        }
    }
}

/// Reads the rest of a message whose length stands at `at`.
fn body(mut from: impl Read, message: &mut Vec<u8>, at: usize) -> io::Result<()> {
    let length = u32::from_be_bytes(message[at..at + 4].try_into().unwrap()) as usize;
    let read = message.len();
    message.resize(at + length, 0);
    from.read_exact(&mut message[read..])
}

impl Session {
    /// The statement that a message has the server run.
    fn request(&mut self, message: &[u8]) -> Option<String> {
        let mut texts = message[5..].split(|&byte| byte == 0);
        let mut text = || texts.next().unwrap_or_default();
        match message[0] {
            b'Q' => Some(String::from_utf8_lossy(text()).into_owned()),
            b'P' => {
                let name = text().to_owned();
                self.prepared.insert(name, String::from_utf8_lossy(text()).into_owned());
                None
            }
            b'B' => {
                // The portal's name comes first.
                text();
                self.bound = self.prepared.get(text()).cloned().unwrap_or_default();
                None
            }
            b'E' => Some(self.bound.clone()),
            _ => None,
        }
    }
}

impl Shared {
    /// Notes a statement that is about to be sent.
    fn note(&self, sql: &str, session: &Mutex<Session>) -> Id {
        let shape = shape(sql);
        let mut seen = self.seen.lock().unwrap();
        let nth = seen.iter().filter(|seen| seen.id.shape == shape).count();
        let id = Id { shape, nth };
        session.lock().unwrap().waiting.push(seen.len());
        seen.push(Seen { id: id.clone(), change: None });
        id
    }

    /// Notes that the statements of a session have been answered; says whether the program is to be killed now.
    fn answered(&self, state: u8, session: &Mutex<Session>) -> bool {
        let mut seen = self.seen.lock().unwrap();
        let mut session = session.lock().unwrap();
        let waiting = std::mem::take(&mut session.waiting);
        let mut is_point = false;
        for place in waiting {
            let statement = &mut seen[place];
            if statement.id.writes() {
                session.written.push(statement.id.keywords());
            }
            if state == IDLE {
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

    fn kill(&self) {
        // `Child::kill` is SIGKILL.
        if let Some(program) = self.program.lock().unwrap().as_mut() {
            drop(program.kill());
        }
    }
}

/// A directory of its own that goes with its owner; short, since a socket's path is.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("relay-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
