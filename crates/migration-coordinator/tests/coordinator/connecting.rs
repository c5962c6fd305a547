//! Who cannot connect is told why, and a proxy that pools transactions is found out.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use migration_coordinator::{Access, ConnectError, RunError, Survey, SurveyError, run};
use postgres_sandbox::Cluster;

use crate::support::{Bench, deployment_at, everything, options, service, step};

fn shop() -> migration_kit::Service {
    service("shop", vec![step("m20250101_000001_create_item")])
}

async fn error_at(url: &str) -> (Survey, ConnectError) {
    let deployment = deployment_at(url, vec![shop()]);
    let mut survey = Survey::take(&deployment).await;
    assert_eq!(survey.services[0].access, Access::Unreachable);
    let error = survey.databases.remove(0).unwrap_err();
    let error = run(&deployment, &everything(), &options()).await.map(|_| error).unwrap_err();
    match error {
        RunError::Survey(error) => match std::sync::Arc::try_unwrap(error).unwrap() {
            SurveyError::Connect(error) => (survey, error),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    let cluster = Cluster::temporary().unwrap();
    let url = cluster.url("postgres");
    drop(cluster);
    let (_, error) = error_at(&url).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_database_or_role_is_refused() {
    let bench = Bench::new();
    for url in [bench.url_as("nobody_knows"), bench.url().replacen("/scratch", "/no_scratch", 1)] {
        let (_, error) = error_at(&url).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{url}: {error:?}");
        assert!(!error.to_string().contains("host="), "{error}");
    }
}

#[tokio::test]
async fn one_database_that_is_down_hides_no_other() {
    let bench = Bench::new();
    bench.up_well(vec![shop()]).await;
    let place = |name: &str, url: &str| migration_coordinator::Placement {
        service: service(name, vec![step("m20250101_000001_create_item")]),
        schema: name.to_owned(),
        url: url.parse().unwrap(),
    };
    let services = vec![place("crm", "postgres://u@localhost/d?host=/nowhere"), place("shop", bench.url())];
    let survey = Survey::take(&migration_coordinator::Deployment::new(services).unwrap()).await;
    let access: Vec<Access> = survey.services.iter().map(|facts| facts.access).collect();
    assert_eq!(access, [Access::Unreachable, Access::Read]);
}

#[tokio::test]
async fn a_proxy_that_drops_start_up_options_is_refused() {
    let bench = Bench::new();
    let proxy = Proxy::before(Cluster::shared());
    let database = bench.rows("SELECT current_database()").await.concat();
    let url = format!("postgres://postgres@localhost/{database}?host={}", proxy.directory.display());
    let report = run(&deployment_at(&url, vec![shop()]), &everything(), &options()).await.unwrap();
    assert!(matches!(&report.failures[..], [RunError::Connect(ConnectError::Pooled { .. })]), "{report:#?}");
    assert_eq!(bench.rows("SELECT to_regnamespace('shop') IS NULL").await, ["t"]);
}

/// What PgBouncer does with `ignore_startup_parameters`: the connection is made, its options are lost.
struct Proxy {
    directory: PathBuf,
}

impl Proxy {
    fn before(cluster: &Cluster) -> Self {
        let directory = std::env::temp_dir().join(format!("migrate-proxy-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
        let server = cluster.socket_directory().join(".s.PGSQL.5432");
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(&server).unwrap();
                thread::spawn(move || relay(client.unwrap(), server));
            }
        });
        Self { directory }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// Declines encryption, passes the start-up message on without its `options`, then everything as it comes.
fn relay(mut client: UnixStream, mut server: UnixStream) {
    let mut message = start_up_message(&mut client);
    if message == SSL_REQUEST {
        client.write_all(b"N").unwrap();
        message = start_up_message(&mut client);
    }
    let (version, parameters) = message.split_at(4);
    let mut fields = parameters.split(|byte| *byte == 0);
    let mut kept = version.to_vec();
    while let (Some(name @ [_, ..]), Some(value)) = (fields.next(), fields.next()) {
        if name != b"options" {
            kept.extend([name, b"\0", value, b"\0"].concat());
        }
    }
    kept.push(0);
    server.write_all(&(u32::try_from(kept.len()).unwrap() + 4).to_be_bytes()).unwrap();
    server.write_all(&kept).unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    // It ends with the connection, in whichever way that ends.
    drop(std::io::copy(&mut server, &mut client));
}

/// The code of the message with which a client asks for encryption.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// The first message, which has no type: its content without its length.
fn start_up_message(client: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut message = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut message).unwrap();
    message
}
