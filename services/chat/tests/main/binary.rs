//! The command line for this service alone.

use std::process::{Command, Output};

use chat_migration::service;
use migration_testing::Scratch;

/// Runs `chat-migration` with these arguments in a directory without a `.env`, with this address.
fn run(arguments: &[&str], url: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-migration"));
    command.args(arguments).current_dir("/").env("DATABASE_URL", url).env_remove("CHAT_DATABASE_URL");
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn it_brings_its_one_service_to_its_head() {
    let scratch = Scratch::new(service()).await;
    assert_eq!(run(&["status", "--check"], scratch.url()).status.code(), Some(3));
    let up = run(&["up"], scratch.url());
    assert_eq!(up.status.code(), Some(0), "{up:?}");
    let says = format!("1 service up to date · {} migrations", service().migrations().count());
    assert!(stdout(&up).contains(&says), "{}", stdout(&up));
    assert_eq!(run(&["status", "--check"], scratch.url()).status.code(), Some(0));
}

#[test]
fn it_knows_no_other_service() {
    let help = run(&["--help"], "postgres://ada@127.0.0.1:1/shop");
    assert!(stdout(&help).contains("Usage: chat-migration"), "{}", stdout(&help));
    assert_eq!(run(&["status", "rag"], "postgres://ada@127.0.0.1:1/shop").status.code(), Some(2));
}
