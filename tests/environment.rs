//! Where addresses come from: the process, `.env`, and a service's own variables.

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::{Lab, Ran, run};

/// `status --json` with no address but what `.env` says.
fn status(lab: &Lab) -> Ran {
    run(lab.command(&["status", "--json"]).env_remove("DATABASE_URL"))
}

#[test]
fn dotenv_is_read() {
    let lab = Lab::empty();
    lab.directory.write(".env", &format!("# comment\nexport DATABASE_URL='{}'\n", lab.database.url()));
    assert_eq!(status(&lab).exits(0).json()["database"]["name"], lab.database.name());
}

#[test]
fn dotenv_is_found_above_the_working_directory() {
    let lab = Lab::empty();
    lab.directory.write(".env", &format!("DATABASE_URL={}", lab.database.url()));
    let below = lab.directory.path().join("crates");
    std::fs::create_dir(&below).unwrap();
    let mut command = lab.command(&["status", "--json"]);
    let ran = run(command.env_remove("DATABASE_URL").current_dir(below));
    assert_eq!(ran.exits(0).json()["database"]["name"], lab.database.name());
}

#[test]
fn a_variable_of_the_process_wins() {
    let lab = Lab::empty();
    lab.directory.write(".env", "DATABASE_URL=postgres://ada@127.0.0.1:1/shop");
    let ran = lab.migrate(&["status", "--json"]).exits(0);
    assert_eq!(ran.json()["database"]["name"], lab.database.name());
}

#[test]
fn a_malformed_dotenv_is_refused_without_its_content() {
    let lab = Lab::empty();
    lab.directory.write(".env", "DATABASE_URL=postgres://ada:s3cr3t-pass@h/d\ns3cr3t-pass without a name\n");
    assert_snapshot!(lab.migrate(&["status"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.env` cannot be read: each line must be `NAME=value`
      hint compare it with `.env.example`
    ");
}

#[test]
fn a_service_moves_to_a_database_of_its_own() {
    let lab = Lab::empty();
    let other = Cluster::shared().create_database().unwrap();
    let migrate = |arguments: &[&str]| run(lab.command(arguments).env("CHAT_DATABASE_URL", other.url()));
    migrate(&["up", "chat", "rag"]).exits(0);
    let tables =
        "SELECT to_regclass('chat.messages') IS NOT NULL, to_regclass('rag.user_knowledge') IS NOT NULL";
    assert_eq!(lab.query(tables), "f|t");
    assert_eq!(other.psql(tables).unwrap().trim(), "t|f");
    let document = migrate(&["status", "--json"]).exits(0).json();
    let databases = document["databases"].as_array().unwrap();
    let chat = document["services"][0]["database"].as_u64().unwrap();
    assert_eq!(databases.len(), 2);
    assert_eq!(databases[usize::try_from(chat).unwrap()]["name"], other.name());
    assert_snapshot!(migrate(&["status", "chat", "rag"]).shown(), @"
    exit 0
    --- stdout
    SERVICE  STATE    APPLIED  PENDING  CURRENT                                        VERSION TABLE
    chat     current  4        0        m20261120_000002_check_messages                chat.seaql_migrations_chat
    rag      current  2        0        m20261120_000001_drop_redundant_user_id_index  rag.seaql_migrations_rag
    rag: tables of the AI manager that are not there: `public.embeddings`, `public.message_embeddings`
    rag: tables of the forum that are not there: `public.users`, `public.topics`, `public.messages`
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    assert_snapshot!(migrate(&["psql", "chat", "--", "-At", "-c", "SELECT current_schema()"]).shown(), @"
    exit 0
    --- stdout
    chat
    --- stderr
    ");
}

#[test]
fn a_service_that_lives_in_public_stays_there() {
    let lab = Lab::empty();
    lab.query("CREATE TABLE public.users (id int); INSERT INTO public.users VALUES (1)");
    let migrate = |arguments: &[&str]| run(lab.command(arguments).env("RAG_DATABASE_SCHEMA", "public"));
    migrate(&["up", "rag"]).exits(0);
    migrate(&["status", "--check", "rag"]).exits(0);
    assert_eq!(lab.query("SELECT to_regclass('public.seaql_migrations_rag') IS NOT NULL"), "t");
    assert_eq!(lab.query("SELECT to_regnamespace('rag') IS NULL"), "t");
    migrate(&["down", "rag@base"]).exits(0);
    assert_eq!(lab.query("SELECT id FROM public.users"), "1");
}
