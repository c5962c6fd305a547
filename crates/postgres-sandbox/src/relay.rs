//! A relay between the clients of a cluster and its server: for tests of what an interruption leaves behind.
//!
//! It passes all messages on unchanged, reports the statements among them to an [`Observer`], and cuts a connection where the
//! observer says so, so that the points are the same in every run. It knows the protocol as far as it has to: which messages run
//! a statement, and when the server is done with it.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::{Cluster, SandboxError, place};

/// What passes through a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing<'a> {
    /// A statement, on its way to the server.
    Statement(&'a str),
    /// The answer to the statements before it, after which the session is in no transaction: what they wrote is committed, or
    /// rolled back.
    Idle,
    /// The answer to the statements before it, after which the session is in a transaction.
    InTransaction,
}

/// What becomes of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on.
    Pass,
    /// A statement is passed on, an answer is not, and then the connection is cut.
    Cut,
    /// It is passed on, and then the client's half of the connection is closed: nothing of the client reaches the server any more,
    /// which ends the session when it has done what it was sent. The client still gets what the server answers.
    HalfClose,
}

/// Watches a relay, and decides where connections are cut. Sessions are numbered in the order in which they connect.
pub trait Observer: Send + Sync + 'static {
    /// Decides about what passes.
    fn passes(&self, session: usize, passing: Passing<'_>) -> Verdict;

    /// Is called at a cut, before the client can notice it.
    fn cuts(&self);
}

/// A socket that passes connections on to the server of a cluster. It takes new connections after a cut, and none once it is
/// dropped.
pub struct Relay {
    directory: PathBuf,
    is_closed: Arc<AtomicBool>,
}

impl Relay {
    /// Opens a relay before a cluster.
    ///
    /// # Errors
    /// [`SandboxError::File`] if its socket cannot be made.
    pub fn before(cluster: &Cluster, observer: Arc<impl Observer>) -> Result<Self, SandboxError> {
        let name = place::unique_name("relay");
        let mut directory = std::env::temp_dir().join(&name);
        if !place::is_possible(&directory) {
            directory = PathBuf::from("/tmp").join(name);
        }
        DirBuilder::new().mode(0o700).create(&directory).map_err(SandboxError::file("create", &directory))?;
        let relay = Self { directory, is_closed: Arc::default() };
        let socket = place::socket(&relay.directory);
        let listener = UnixListener::bind(&socket).map_err(SandboxError::file("create", &socket))?;
        let server = place::socket(cluster.socket_directory());
        let is_closed = Arc::clone(&relay.is_closed);
        thread::spawn(move || {
            for (session, client) in listener.incoming().enumerate() {
                let Ok(client) = client else { return };
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let (observer, server) = (Arc::clone(&observer), server.clone());
                thread::spawn(move || pass(&client, &server, session, &observer));
            }
        });
        Ok(relay)
    }

    /// URL of a database of the cluster through the relay.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        // What is encrypted cannot be watched.
        format!("{}&sslmode=disable", place::url(&self.directory, database))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        drop(UnixStream::connect(place::socket(&self.directory)));
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Passes a connection on, both ways, until one side ends it. Either side may be gone at any time: that is what this is for.
fn pass<O: Observer>(client: &UnixStream, server: &Path, session: usize, observer: &Arc<O>) {
    let Ok(server) = UnixStream::connect(server) else { return };
    let (Ok(answers), Ok(back)) = (server.try_clone(), client.try_clone()) else { return };
    let answering = Arc::clone(observer);
    let answering = thread::spawn(move || {
        drop(pass_answers(&answers, &back, session, &*answering));
        drop(back.shutdown(Shutdown::Both));
    });
    let half = pass_requests(client, &server, session, &**observer);
    let open = if half.is_ok() { Shutdown::Write } else { Shutdown::Both };
    drop(server.shutdown(open));
    drop(answering.join());
}

/// Passes on what the client sends, until its half of the connection is to be closed; an error is its end or the cut.
fn pass_requests(
    mut client: &UnixStream,
    mut server: &UnixStream,
    session: usize,
    observer: &impl Observer,
) -> io::Result<()> {
    // The first message has no type.
    server.write_all(&message(client, 0)?)?;
    let mut statements = Statements::default();
    loop {
        let message = message(&mut client, 1)?;
        let statement = statements.run_by(&message);
        let verdict =
            statement.map_or(Verdict::Pass, |sql| observer.passes(session, Passing::Statement(&sql)));
        server.write_all(&message)?;
        match verdict {
            Verdict::Pass => {}
            Verdict::HalfClose => return Ok(()),
            Verdict::Cut => {
                observer.cuts();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }
}

/// Passes on what the server answers until either side ends the connection, or it is cut.
fn pass_answers(
    server: &UnixStream,
    mut client: &UnixStream,
    session: usize,
    observer: &impl Observer,
) -> io::Result<()> {
    let mut server = BufReader::new(server);
    let mut answers = Vec::new();
    loop {
        let message = message(&mut server, 1)?;
        // ReadyForQuery: what was sent is done. It says whether the session is in a transaction.
        let passing = if message[5..] == *b"I" { Passing::Idle } else { Passing::InTransaction };
        if message[0] == b'Z' {
            match observer.passes(session, passing) {
                Verdict::Pass => {}
                Verdict::HalfClose => server.get_ref().shutdown(Shutdown::Write)?,
                Verdict::Cut => {
                    observer.cuts();
                    return Ok(());
                }
            }
        }
        answers.extend(message);
        if server.buffer().is_empty() {
            client.write_all(&answers)?;
            answers.clear();
        }
    }
}

/// A whole message, whose length follows so many bytes.
fn message(mut from: impl Read, n_before: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; n_before + 4];
    from.read_exact(&mut message)?;
    let length = message[n_before..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    message.resize((n_before + length).max(n_before + 4), 0);
    from.read_exact(&mut message[n_before + 4..])?;
    Ok(message)
}

/// The statements that a connection has prepared, by name, and the one that is bound.
#[derive(Default)]
struct Statements {
    prepared: HashMap<Vec<u8>, String>,
    bound: String,
}

impl Statements {
    /// The statement that a message has the server run.
    fn run_by(&mut self, message: &[u8]) -> Option<String> {
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
