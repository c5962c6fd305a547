//! What cannot be done is refused with one clear message and the next step.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::{Lab, Ran, run};

/// `status` of one service at this address.
fn status_at(lab: &Lab, address: &str) -> Ran {
    run(lab.command(&["status", "chat"]).env("DATABASE_URL", address))
}

/// `up` of one service at this address.
fn up_at(lab: &Lab, address: &str) -> Ran {
    run(lab.command(&["up", "chat"]).env("DATABASE_URL", address))
}

#[test]
fn an_address_that_is_none() {
    let lab = Lab::empty();
    assert_snapshot!(up_at(&lab, "mysql://ada@localhost/shop").shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `DATABASE_URL` from the environment: the database URL does not begin with `postgres://` or `postgresql://`
      hint write `postgres://user:password@host:5432/database`
    ");
    assert_snapshot!(up_at(&lab, "postgres://ada@localhost:port/shop").shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `DATABASE_URL` from the environment: the port is not a number from 1 to 65535, or special characters in user or password are not percent-encoded
      hint write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23 and `%` as %25
    ");
    assert_snapshot!(up_at(&lab, "postgres://ada@localhost:5432").shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `DATABASE_URL` from the environment: the database URL names no database
      hint write `postgres://user:password@host:5432/database`
    ");
    let ran = run(lab.command(&["up"]).env("CHAT_DATABASE_URL", "localhost"));
    assert_snapshot!(ran.shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `CHAT_DATABASE_URL` from the environment: the database URL does not begin with `postgres://` or `postgresql://`
      hint write `postgres://user:password@host:5432/database`
    ");
}

#[test]
fn a_server_that_is_not_there() {
    let lab = Lab::empty();
    assert_snapshot!(up_at(&lab, "postgres://ada@127.0.0.1:1/shop").shown(), @"
    exit 8
    --- stdout
    --- stderr
    error: cannot reach `shop@127.0.0.1:1`
      because Connection refused (os error [number])
      hint check that the server runs and that host and port of DATABASE_URL are right
    ");
    assert_snapshot!(status_at(&lab, "postgres://ada@127.0.0.1:1/shop").shown(), @"
    exit 8
    --- stdout
    SERVICE  STATE        APPLIED  PENDING  HELD BACK  CURRENT  VERSION TABLE
    chat     unreachable        ?        ?          ?  ?        chat.seaql_migrations_chat
    --- stderr
    error: cannot reach `shop@127.0.0.1:1`
      because Connection refused (os error [number])
      hint check that the server runs and that host and port of DATABASE_URL are right
    ");
    let json = run(lab.command(&["up", "--json"]).env("DATABASE_URL", "postgres://ada@127.0.0.1:1/shop"));
    let document = json.exits(8).json();
    assert_eq!((&document["ok"], &document["exit_code"]), (&false.into(), &8.into()));
    assert_eq!(document["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn a_role_or_a_database_that_does_not_exist() {
    let lab = Lab::empty();
    assert_snapshot!(up_at(&lab, &lab.url_of("nobody_here")).shown(), @r#"
    exit 8
    --- stdout
    --- stderr
    error: `[database]@[socket]:5432` refuses the connection
      because role "nobody_here" does not exist (28000)
      hint check user, password and database name of DATABASE_URL
    "#);
    let missing = lab.database.url().replace(lab.database.name(), "no_such_database");
    assert_snapshot!(up_at(&lab, &missing).shown(), @r#"
    exit 8
    --- stdout
    --- stderr
    error: `no_such_database@[socket]:5432` refuses the connection
      because database "no_such_database" does not exist (3D000)
      hint check user, password and database name of DATABASE_URL
    "#);
}

#[test]
fn a_wrong_password() {
    let cluster = Cluster::temporary().unwrap();
    let lab = Lab::empty();
    cluster.psql("postgres", "CREATE ROLE ada LOGIN PASSWORD 'right'").unwrap();
    let rules = cluster.data_directory().join("pg_hba.conf");
    let trusting = fs::read_to_string(&rules).unwrap();
    fs::write(&rules, format!("local all ada scram-sha-256\n{trusting}")).unwrap();
    cluster.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    let address = cluster.url("postgres").replacen("postgres@", "ada:wrong@", 1);
    assert_snapshot!(up_at(&lab, &address).shown(), @r#"
    exit 8
    --- stdout
    --- stderr
    error: `postgres@[socket]:5432` refuses the connection
      because password authentication failed for user "ada" (28P01)
      hint check user, password and database name of DATABASE_URL
    "#);
}

#[test]
fn a_role_that_may_not_create() {
    let lab = Lab::empty();
    let role = lab.role("");
    assert_snapshot!(up_at(&lab, &lab.url_of(&role)).shown(), @"
    exit 8
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `[role]`
    error: `chat`: role `[role]` may not create schemas in database `[database]`
      hint connect as the owner of the schema, or have the right granted
    ");
    lab.migrate(&["up", "chat@m20251016"]).exits(0);
    lab.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}"
    ));
    assert_snapshot!(up_at(&lab, &lab.url_of(&role)).shown(), @"
    exit 8
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `[role]`
    error: `chat`: role `[role]` may not create tables in its schema
      hint connect as the owner of the schema, or have the right granted
    ");
}

#[test]
fn a_role_that_may_not_create_temporary_tables() {
    let lab = Lab::empty();
    let role = lab.role("");
    let database = lab.database.name();
    lab.query(&format!(
        "GRANT CREATE ON DATABASE {database} TO {role}; REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    ));
    assert_snapshot!(up_at(&lab, &lab.url_of(&role)).shown(), @"
    exit 8
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `[role]`
    error: `chat`: role `[role]` may not create temporary tables in database `[database]`
      hint connect as the owner of the schema, or have the right granted
    ");
    assert_eq!(lab.query("SELECT to_regnamespace('chat') IS NULL"), "t");
    // A migration in a transaction needs none.
    run(lab.command(&["up", "chat@+1"]).env("DATABASE_URL", lab.url_of(&role))).exits(0);
}

#[test]
fn a_role_that_may_not_read() {
    let lab = Lab::migrated();
    let role = lab.role("");
    assert_snapshot!(up_at(&lab, &lab.url_of(&role)).shown(), @"
    exit 8
    --- stdout
    --- stderr
    error: `chat`: role `[role]` may not read `chat.seaql_migrations_chat`
      hint it needs USAGE on the schema and SELECT on `chat.seaql_migrations_chat`
    ");
}

#[test]
fn one_transaction_where_a_migration_needs_several() {
    let lab = Lab::empty();
    assert_snapshot!(lab.migrate(&["up", "--atomic", "chat"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: one transaction for all migrations is not possible: `chat:m20251017_000001_add_message_source` does not run in a transaction
      hint leave `--atomic` out: each migration is then its own transaction
    ");
    assert_eq!(lab.query("SELECT to_regnamespace('chat')"), "");
    assert_snapshot!(lab.migrate(&["up", "--atomic", "rag@m2025", "chat@m20251016"]).exits(0).stdout, @"
    chat  m20251016_000001_create_messages        ok [time]
    rag   m20250727_000001_create_user_knowledge  ok [time]
    0 of 5 services up to date · 2 migrations in [time]
    ");
}

#[test]
fn a_migration_whose_guard_could_not_hold() {
    let lab = Lab::empty();
    lab.migrate(&["up", "rag@m2025"]).exits(0);
    lab.query("ALTER TABLE rag.user_knowledge DROP CONSTRAINT user_knowledge_user_id_key");
    assert_snapshot!(lab.migrate(&["up", "rag"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: `rag` is not as its applied migrations make it: `user_knowledge.user_knowledge_user_id_key` is missing or not validated
      hint nothing was changed; `drift rag --repair` prints the statements that make what is missing; if an earlier system made this database, `adopt rag --from schema` finds and records what it has applied; what does not matter is accepted by name with `--accept rag:user_knowledge.user_knowledge_user_id_key`
    ");
    let index = "SELECT to_regclass('rag.ix_user_knowledge_user_id') IS NOT NULL";
    assert_eq!(lab.query(index), "t");
    assert_eq!(lab.query("SELECT count(*) FROM rag.seaql_migrations_rag"), "1");
    let document = lab.migrate(&["up", "rag", "--json"]).exits(7).json();
    assert_eq!((&document["ok"], &document["exit_code"]), (&false.into(), &7.into()));

    lab.query("ALTER TABLE rag.user_knowledge ADD CONSTRAINT user_knowledge_user_id_key UNIQUE (user_id)");
    lab.migrate(&["up", "rag"]).exits(0);
    assert_eq!(lab.query(index), "f");
}

#[test]
fn words_that_are_no_command() {
    let lab = Lab::empty();
    assert_snapshot!(lab.migrate(&["frobnicate"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'frobnicate'

    Usage: cargo xtask migrate [OPTIONS] [COMMAND]

    For more information, try '--help'.
    ");
    assert_snapshot!(lab.migrate(&["up", "--wait", "5"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: invalid value '5' for '--wait <DURATION>': the unit is missing: `ms`, `s`, `m` or `h`

    For more information, try '--help'.
    ");
    assert_snapshot!(lab.migrate(&["status", "--format", "ndjson"]).shown(), @r#"
    exit 2
    --- stdout
    {"seq":1,"ts":"[timestamp]","level":"error","kind":"error","message":"`--format ndjson` is for `up`, `down`, `redo` and `apply`","hint":"use `--json`"}
    {"seq":2,"ts":"[timestamp]","level":"info","kind":"ended","ok":false,"exit_code":2}
    --- stderr
    "#);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = Lab::migrated();
    let binary = env!("CARGO_BIN_EXE_xtask");
    let mut shell = Command::new("sh");
    // `true` is gone long before the first line is written.
    shell.args(["-c", &format!("{{ '{binary}' migrate redo chat --quiet; echo $? >&2; }} | true")]);
    shell.current_dir(lab.directory.path()).env("DATABASE_URL", lab.database.url());
    let ran = run(&mut shell);
    assert_eq!(ran.stderr.trim(), "0", "{}", ran.shown());
}

#[test]
fn many_unknown_migrations_are_counted() {
    let lab = Lab::migrated();
    lab.query("INSERT INTO chat.seaql_migrations_chat SELECT 'm20200101_' || n || '_legacy', 1 FROM generate_series(100001, 105000) n");
    for (command, code) in [(&["up"][..], 4), (&["plan"], 4), (&["status"], 0)] {
        let ran = lab.migrate(command).exits(code);
        assert!(ran.shown().contains("and 4990 more"), "{}", ran.shown());
        assert!(ran.shown().len() < 4_000, "{}", ran.shown().len());
    }
}

/// Whatever a command writes, a place where nothing can ever be written is wrongly named.
#[test]
fn a_place_that_can_never_be_written_is_wrong_usage_whatever_is_written_there() {
    let lab = Lab::empty();
    lab.directory.write("a_file", "");
    lab.directory.write("more.sql", "CREATE TABLE more (id bigint PRIMARY KEY);");
    let asked: [(&[&str], Option<&str>); 9] = [
        (&["plan", "chat", "--out", "[place]/a.json"], None),
        (&["sql", "chat", "--out", "[place]/scripts"], None),
        (&["sql", "chat", "--down", "--out", "[place]/scripts"], None),
        (&["check", "more.sql", "--junit", "[place]/report"], None),
        (&["check", "more.sql", "--sarif", "[place]/report"], None),
        (&["artifacts", "chat", "--directory", "[place]"], None),
        (&["backup", "chat", "--to", "[place]"], None),
        (&["up", "chat", "--backup"], Some("MIGRATE_BACKUP_DIR")),
        (&["deploy", "chat", "--no-backup"], Some("MIGRATE_DEPLOY_DIR")),
    ];
    for place in ["a_file/below", "/proc/none"] {
        for (arguments, variable) in asked {
            let arguments: Vec<String> =
                arguments.iter().map(|argument| argument.replace("[place]", place)).collect();
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = lab.command(&words);
            if let Some(variable) = variable {
                command.env(variable, place);
            }
            let refused = run(&mut command).exits(2);
            let said = refused.stderr.lines().find(|line| line.starts_with("error: could not write `"));
            assert!(said.is_some_and(|said| said.contains(place)), "{}", refused.shown());
            assert!(refused.stderr.contains("that can be written"), "{}", refused.shown());
        }
    }
    lab.migrate(&["status", "chat", "--check"]).exits(3);
}
