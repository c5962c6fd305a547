//! A relay between the binary and its server on which the network fails, at a known message.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use postgres_sandbox::Cluster;

use super::{Directory, Lab};

/// What becomes of a `COMMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not reach the server.
    Unsent,
    /// Its answer does not come back.
    Unanswered,
    /// The same, and from then on nobody reaches the server.
    UnansweredForGood,
}

/// A relay. Its connections end with the binary that made them.
pub(crate) struct Relay {
    url: String,
    shared: Arc<Shared>,
    _directory: Directory,
}

struct Shared {
    server: PathBuf,
    fault: Option<Fault>,
    /// The journal's outcome that the transaction has written whose `COMMIT` fails.
    outcome: &'static str,
    n_faults: AtomicUsize,
    /// Words of a message at which the program is frozen, and its process once that is known.
    freezes_at: &'static str,
    program: AtomicU32,
    is_silent: AtomicBool,
    is_closed: AtomicBool,
}

impl Relay {
    /// Passes everything on, but for the first `COMMIT` of a transaction that has written a journal line with this outcome.
    pub(crate) fn at_commit(lab: &Lab, outcome: &'static str, fault: Fault) -> Self {
        Self::open(lab, outcome, Some(fault), "")
    }

    /// Passes everything on, until it falls silent.
    pub(crate) fn open_to_all(lab: &Lab) -> Self {
        Self::open(lab, "", None, "")
    }

    /// Passes everything on, but freezes the program once at the first message that contains these words.
    pub(crate) fn freezing_at(lab: &Lab, words: &'static str) -> Self {
        Self::open(lab, "", None, words)
    }

    /// Says which process is to be frozen.
    pub(crate) fn freezes(&self, program: u32) {
        self.shared.program.store(program, Ordering::SeqCst);
    }

    fn open(lab: &Lab, outcome: &'static str, fault: Option<Fault>, freezes_at: &'static str) -> Self {
        let directory = Directory::new();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let shared = Arc::new(Shared {
            server: Cluster::shared().socket_directory().join(".s.PGSQL.5432"),
            fault,
            outcome,
            n_faults: AtomicUsize::new(0),
            freezes_at,
            program: AtomicU32::new(0),
            is_silent: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let shared = Arc::clone(&accepting);
                // Either side may be gone at any time: that is what this is for.
                thread::spawn(move || drop(shared.relay(&client)));
            }
        });
        let url = format!(
            "postgres://postgres@localhost:5432/{}?host={}&sslmode=disable",
            lab.database.name(),
            directory.path().display()
        );
        Self { url, shared, _directory: directory }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on, nothing is passed on, in neither direction; all connections stay open.
    pub(crate) fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// How often a `COMMIT` has failed, or the words have passed.
    pub(crate) fn n_faults(&self) -> usize {
        self.shared.n_faults.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn relay(self: &Arc<Self>, client: &UnixStream) -> io::Result<()> {
        self.listen();
        if self.is_closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let server = UnixStream::connect::<&Path>(&self.server)?;
        let withhold = Arc::new(AtomicBool::new(false));
        let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
        let (shared, withheld) = (Arc::clone(self), Arc::clone(&withhold));
        let answering = thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(n_bytes) = answers.read(&mut buffer) {
                shared.listen();
                if n_bytes == 0 || withheld.load(Ordering::SeqCst) {
                    break;
                }
                if back.write_all(&buffer[..n_bytes]).is_err() {
                    break;
                }
            }
            drop(back.shutdown(Shutdown::Both));
        });
        drop(self.requests(client, &server, &withhold));
        if !withhold.load(Ordering::SeqCst) {
            drop(server.shutdown(Shutdown::Both));
        }
        drop(client.shutdown(Shutdown::Both));
        drop(answering.join());
        Ok(())
    }

    fn requests(
        &self,
        client: &UnixStream,
        mut server: &UnixStream,
        withhold: &AtomicBool,
    ) -> io::Result<()> {
        // The first message has no type.
        let mut message = message(client, 0)?;
        let mut has_written = false;
        loop {
            self.listen();
            server.write_all(&message)?;
            message = self::message(client, 1)?;
            if !self.freezes_at.is_empty()
                && contains(&message, self.freezes_at)
                && self.n_faults.fetch_add(1, Ordering::SeqCst) == 0
            {
                self.freeze();
            }
            // The outcome is a value that is bound to a prepared statement.
            has_written |= message[0] == b'B' && !self.outcome.is_empty() && contains(&message, self.outcome);
            let is_commit = message[0] == b'Q' && message[5..].starts_with(b"COMMIT");
            if let Some(fault) = self.fault
                && is_commit
                && has_written
                && self.n_faults.fetch_add(1, Ordering::SeqCst) == 0
            {
                if fault == Fault::UnansweredForGood {
                    self.is_closed.store(true, Ordering::SeqCst);
                }
                if fault == Fault::Unsent {
                    return Ok(());
                }
                withhold.store(true, Ordering::SeqCst);
            }
            has_written &= !is_commit;
        }
    }

    /// Stops the program, as soon as it is known which.
    fn freeze(&self) {
        while self.program.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let pid = self.program.load(Ordering::SeqCst).to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    }

    /// Waits for as long as the relay is silent: to the end of the test.
    fn listen(&self) {
        while self.is_silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A message whose length is at `at`.
fn message(mut from: &UnixStream, at: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; at + 4];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[at..].try_into().unwrap()) as usize;
    message.resize(at + length, 0);
    from.read_exact(&mut message[at + 4..])?;
    Ok(message)
}

fn contains(message: &[u8], text: &str) -> bool {
    message.windows(text.len()).any(|window| window == text.as_bytes())
}
