//! A proxy before a cluster that does what poolers and starting servers do.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use postgres_sandbox::Cluster;

/// Fields of an error, each with its letter.
type Refusal = &'static [(&'static str, &'static str)];

/// What a proxy does.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Makes the connection and loses its options: PgBouncer with `ignore_startup_parameters`.
    DropOptions,
    /// Refuses connections that have options: PgBouncer.
    RefuseOptions(Refusal),
    /// Refuses the first query and hangs up: PgBouncer with `pool_mode = statement`, since ours begin with a transaction.
    RefuseTransactions(Refusal),
    /// Answers each query with this one text: another engine that says what it is.
    Answer(&'static str),
    /// Refuses the first connections: a server that is starting up.
    RefuseFirst(usize, Refusal),
}

/// A proxy in a directory of its own.
pub(crate) struct Proxy {
    directory: PathBuf,
}

impl Proxy {
    pub(crate) fn before(cluster: &Cluster, behaviour: Behaviour) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let directory = std::env::temp_dir().join(format!("migrate-proxy-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
        let server = cluster.socket_directory().join(".s.PGSQL.5432");
        thread::spawn(move || {
            for (n_before, client) in listener.incoming().enumerate() {
                let server = UnixStream::connect(&server).unwrap();
                thread::spawn(move || serve(client.unwrap(), server, behaviour, n_before));
            }
        });
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// Declines encryption, passes the start-up message on without its `options` or refuses it, then passes everything on as
/// it comes.
fn serve(mut client: UnixStream, mut server: UnixStream, behaviour: Behaviour, n_before: usize) {
    let mut message = start_up_message(&mut client);
    if message == SSL_REQUEST {
        client.write_all(b"N").unwrap();
        message = start_up_message(&mut client);
    }
    let (version, parameters) = message.split_at(4);
    let mut fields = parameters.split(|byte| *byte == 0);
    let mut kept = version.to_vec();
    let mut has_options = false;
    while let (Some(name @ [_, ..]), Some(value)) = (fields.next(), fields.next()) {
        if name == b"options" {
            has_options = true;
        } else {
            kept.extend([name, b"\0", value, b"\0"].concat());
        }
    }
    kept.push(0);
    match behaviour {
        Behaviour::RefuseOptions(refusal) if has_options => return refuse(&mut client, refusal),
        Behaviour::RefuseFirst(n, refusal) if n_before < n => return refuse(&mut client, refusal),
        Behaviour::RefuseTransactions(refusal) => {
            return answer_queries(&mut client, |client| {
                refuse(client, refusal);
                After::HangUp
            });
        }
        Behaviour::Answer(_) if has_options => {
            return refuse(&mut client, &[("C", "42704"), ("M", "unrecognized configuration parameter")]);
        }
        Behaviour::Answer(text) => {
            return answer_queries(&mut client, |client| {
                answer(client, text);
                After::Listen
            });
        }
        Behaviour::DropOptions => message = kept,
        Behaviour::RefuseOptions(_) | Behaviour::RefuseFirst(..) => {}
    }
    server.write_all(&(u32::try_from(message.len()).unwrap() + 4).to_be_bytes()).unwrap();
    server.write_all(&message).unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    // It ends with the connection, in whichever way that ends.
    drop(std::io::copy(&mut server, &mut client));
}

/// What follows an answer.
#[derive(PartialEq)]
enum After {
    Listen,
    HangUp,
}

/// Takes the connection, and answers each query so until either side leaves.
fn answer_queries(client: &mut UnixStream, answer: impl Fn(&mut UnixStream) -> After) {
    const READY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
    client.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0]).unwrap();
    client.write_all(&READY).unwrap();
    let mut kind = [0];
    while client.read_exact(&mut kind).is_ok() {
        start_up_message(client);
        if kind == *b"Q" {
            if answer(client) == After::HangUp {
                return;
            }
            client.write_all(&READY).unwrap();
        }
    }
}

fn refuse(client: &mut UnixStream, refusal: Refusal) {
    let mut fields = b"SERROR\0VERROR\0".to_vec();
    for (letter, value) in refusal {
        fields.extend([letter.as_bytes(), value.as_bytes(), b"\0"].concat());
    }
    fields.push(0);
    client.write_all(b"E").unwrap();
    client.write_all(&(u32::try_from(fields.len()).unwrap() + 4).to_be_bytes()).unwrap();
    client.write_all(&fields).unwrap();
}

/// One row of one text.
fn answer(client: &mut UnixStream, text: &str) {
    let mut column = vec![0, 1];
    column.extend(b"version\0");
    // Table and column that it is of, its type `text` with its size and modifier, as text.
    column.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    let mut row = vec![0, 1];
    row.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    row.extend(text.as_bytes());
    for (kind, content) in [(b"T", column), (b"D", row), (b"C", b"SELECT 1\0".to_vec())] {
        client.write_all(kind).unwrap();
        client.write_all(&(u32::try_from(content.len()).unwrap() + 4).to_be_bytes()).unwrap();
        client.write_all(&content).unwrap();
    }
}

/// The code of the message with which a client asks for encryption.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// A message without its type, as the first one is: its content without its length.
fn start_up_message(client: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut message = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut message).unwrap();
    message
}
