//! A relay between a program and its server that counts the statements passing by and kills the program at one of them.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use postgres_sandbox::Cluster;

/// The number of SIGKILL.
const KILL: i32 = 9;

/// How a run through the relay ended.
pub(crate) struct Outcome {
    /// How many statements the program sent, as far as it came.
    pub(crate) n_statements: usize,
    /// Whether it died of being killed; a program can be done before the chosen statement.
    pub(crate) killed: bool,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// When the program is killed: at the statement of this number, counted from 1; every other time before it is passed
/// on, otherwise after, while the server works on it.
#[derive(Clone, Copy)]
pub(crate) struct Point(pub(crate) usize);

struct Shared {
    point: Option<Point>,
    counted: AtomicUsize,
    program: Mutex<Option<Child>>,
}

/// Runs a program whose `DATABASE_URL` leads through a relay to this database.
pub(crate) fn run(mut command: Command, cluster: &Cluster, database: &str, point: Option<Point>) -> Outcome {
    let directory = Directory::new();
    let listener = UnixListener::bind(directory.0.join(".s.PGSQL.5432")).unwrap();
    let server = cluster.socket_directory().join(".s.PGSQL.5432");
    let shared = Arc::new(Shared { point, counted: AtomicUsize::new(0), program: Mutex::new(None) });
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
    Outcome {
        n_statements: shared.counted.load(Ordering::SeqCst),
        killed: status.signal() == Some(KILL),
        status,
        stderr,
    }
}

/// Passes a connection on, both ways, until one side ends it.
fn relay(client: &UnixStream, server: &Path, shared: &Shared) {
    let Ok(server) = UnixStream::connect(server) else { return };
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let answering = thread::spawn(move || {
        drop(io::copy(&mut answers, &mut back));
        drop(back.shutdown(std::net::Shutdown::Both));
    });
    // Either side may be gone at any time: that is what this is for.
    drop(requests(client, &server, shared));
    drop(server.shutdown(std::net::Shutdown::Both));
    drop(answering.join());
}

fn requests(mut client: &UnixStream, mut server: &UnixStream, shared: &Shared) -> io::Result<()> {
    // The first message has no type.
    let mut message = vec![0; 4];
    client.read_exact(&mut message)?;
    body(client, &mut message, 0)?;
    server.write_all(&message)?;
    loop {
        let mut message = vec![0; 5];
        client.read_exact(&mut message)?;
        let kind = message[0];
        body(client, &mut message, 1)?;
        // A simple query, or the execution of a prepared one.
        let number =
            if matches!(kind, b'Q' | b'E') { shared.counted.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let at_point = number > 0 && shared.point.is_some_and(|Point(at)| at == number);
        if at_point && number % 2 == 0 {
            shared.kill();
            return Ok(());
        }
        server.write_all(&message)?;
        if at_point {
            shared.kill();
            return Ok(());
        }
    }
}

/// Reads the rest of a message whose length stands at `at`.
fn body(mut from: &UnixStream, message: &mut Vec<u8>, at: usize) -> io::Result<()> {
    let length = u32::from_be_bytes(message[at..at + 4].try_into().unwrap()) as usize;
    let read = message.len();
    message.resize(at + length, 0);
    from.read_exact(&mut message[read..])
}

impl Shared {
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
