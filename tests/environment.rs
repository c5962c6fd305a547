//! Where addresses come from: the process, `.env`, and a service's own variables. It is long because each way to be wrong
//! about an address has its test.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

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
fn dotenv_may_hold_what_it_likes_in_lines_of_others() {
    let lab = Lab::empty();
    let url = lab.database.url();
    lab.directory.write(
        ".env",
        &format!(
            "\u{feff}APP=My Great App\nMSG=don't\nHOST_OF={url}\nFOO: bar\nHOME=C:\\Users\nmy-key=1\n1KEY=1\nword\n\
             KEY=-----BEGIN KEY-----\nMIIB+/=\n-----END KEY-----\n\n\
             DATABASE_URL=\"${{HOST_OF}}\" # ours\nMORE='open"
        ),
    );
    assert_eq!(status(&lab).exits(0).json()["database"]["name"], lab.database.name());
}

#[test]
fn a_fault_in_dotenv_is_named_by_file_and_line_and_only_where_it_matters() {
    let lab = Lab::empty();
    lab.directory.write(".env", "# ours\nDATABASE_URL='postgres://ada:s3cr3t-pass@h/d\n");
    assert_snapshot!(run(lab.command(&["status"]).env_remove("DATABASE_URL")).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.env`, line 2: `DATABASE_URL` has a quote that is not closed
      hint each line must be `NAME=value`; `.env.example` explains quotes
    ");
    lab.migrate(&["status"]).exits(0);
    lab.directory.write(".env", "DATABASE_URL=postgres://ada:s3cr3t$pass@h/d\n");
    assert_snapshot!(run(lab.command(&["status"]).env_remove("DATABASE_URL")).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.env`, line 1: `DATABASE_URL` has a `$` that refers to a variable that is not set
      hint set it, or write the value in single quotes if the `$` is part of it
    ");
    lab.directory.write(".env", "DATABASE_URL=postgres://ada:s3cr3t$$pass@h/d\n");
    let doubled = run(lab.command(&["status"]).env_remove("DATABASE_URL")).exits(2).stderr;
    assert!(doubled.contains("line 1: `DATABASE_URL` has a `$`") && !doubled.contains("s3cr3t"), "{doubled}");
    lab.directory.write(".env", "DATABASE_URL=postgres://ada:s3cr3t/pass@h/d\n");
    assert_snapshot!(run(lab.command(&["status"]).env_remove("DATABASE_URL")).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `DATABASE_URL` from `[directory]/.env`, line 1: the database URL has a special character that is not percent-encoded in user, password or database name
      hint write `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23 and `%` as %25
    ");
}

#[test]
fn an_address_from_dotenv_that_does_not_work_is_said_to_be_from_there() {
    let lab = Lab::empty();
    lab.directory.write(".env", "\nDATABASE_URL=postgres://ada@127.0.0.1:1/shop\n");
    for command in ["status", "up"] {
        let ran = run(lab.command(&[command]).env_remove("DATABASE_URL")).exits(8);
        let note = format!("`DATABASE_URL` is from `{}/.env`, line 2\n", lab.directory.path().display());
        assert_eq!(ran.stderr.matches(&note).count(), 1, "{}", ran.shown());
    }
}

#[test]
fn a_variable_whose_name_is_nearly_one_of_ours_is_pointed_out() {
    const NOTES: [(&str, &str); 7] = [
        ("MIGRATE_EMBEDED", "; did you mean `MIGRATE_EMBEDDED`?"),
        ("MIGRATE_QUICKLY", ", and has no effect"),
        ("DATABASE_URI", "; did you mean `DATABASE_URL`?"),
        ("CHAT_DATABSE_URL", "; did you mean `CHAT_DATABASE_URL`?"),
        ("CHATS_DATABASE_URL", "; did you mean `CHAT_DATABASE_URL`?"),
        ("CHAT_DATABASE_SCHEME", "; did you mean `CHAT_DATABASE_SCHEMA`?"),
        ("ASSESSMENT_DATABASE_URL", "; did you mean `ASSESSMENTS_DATABASE_URL`?"),
    ];
    let lab = Lab::empty();
    for (name, end) in NOTES {
        let ran = run(lab
            .command(&["status"])
            .env_remove("DATABASE_URL")
            .env("MIGRATE_EMBEDDED", "never")
            .env(name, "x"));
        // One that is set under its right name was not misspelt.
        let expected = format!("`{name}` from the environment is not a variable of this program{end}");
        let stderr = ran.exits(2).stderr;
        assert_eq!(stderr.contains(&expected), name != "MIGRATE_EMBEDED", "{stderr}");
    }
    lab.directory.write(
        ".env",
        "MIGRATE_EMBEDED=never\nDATABASE_URI=here\nAPP_DATABASE_URL=there\nBAG_DATABASE_URL=x\nCHAT-DATABASE_URL=x\n",
    );
    let shown = lab.migrate(&["status", "--no-embedded"]).exits(0).shown();
    assert_snapshot!(shown.lines().filter(|line| line.starts_with("note")).collect::<Vec<_>>().join("\n"), @"
    note `CHAT-DATABASE_URL` from `[directory]/.env`, line 5, is not a variable of this program; did you mean `CHAT_DATABASE_URL`?
    note `MIGRATE_EMBEDED` from `[directory]/.env`, line 1, is not a variable of this program; did you mean `MIGRATE_EMBEDDED`?
    ");
    fs::remove_file(lab.directory.path().join(".env")).unwrap();
    fs::create_dir(lab.directory.path().join(".env")).unwrap();
    let shown = lab.migrate(&["status"]).exits(0).shown();
    assert_snapshot!(shown.lines().filter(|line| line.starts_with("note")).collect::<Vec<_>>().join("\n"), @"note `[directory]/.env` is a directory, and no variable is read from it");
}

#[test]
fn a_dotenv_that_cannot_be_read_is_refused_where_it_could_say_something() {
    let lab = Lab::empty();
    std::os::unix::fs::symlink("nowhere", lab.directory.path().join(".env")).unwrap();
    assert_snapshot!(lab.migrate(&["status"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.env` cannot be read: No such file or directory (os error [number])
      hint make it readable, or change to another directory
    ");
    for command in [&["completions", "bash"][..], &["graph"], &["--help"]] {
        lab.migrate(command).exits(0);
    }
}

#[test]
fn an_empty_variable_counts_as_not_set_and_one_that_is_no_text_is_refused() {
    let lab = Lab::empty();
    lab.directory
        .write(".env", &format!("DATABASE_URL={}\nRAG_DATABASE_SCHEMA=' public '", lab.database.url()));
    let ran = run(lab.command(&["status", "--json"]).env("DATABASE_URL", " "));
    let document = ran.exits(0).json();
    assert_eq!(document["database"]["name"], lab.database.name());
    assert_eq!(document["services"][1]["schema"], "public");
    let ran = run(lab.command(&["status"]).env("RAG_DATABASE_SCHEMA", "a\tb"));
    assert!(
        ran.exits(2).stderr.contains("`RAG_DATABASE_SCHEMA` from the environment holds a control character")
    );
    let bytes = OsStr::from_bytes(b"postgres://ada:p\xe4ss@127.0.0.1:1/shop");
    assert_snapshot!(run(lab.command(&["status"]).env("DATABASE_URL", bytes)).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `DATABASE_URL` from the environment is not UTF-8
      hint percent-encode what is not ASCII in an address: `ä` is %C3%A4
    ");
}

#[test]
fn without_an_address_nothing_is_migrated_where_that_is_a_mistake() {
    let lab = Lab::empty();
    let ask = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = lab.command(arguments);
        run(command.env_remove("DATABASE_URL").envs(variables.iter().copied())).exits(2).stderr
    };
    for (arguments, variables, said) in [
        (
            &["up"][..],
            &[("CI", "true")][..],
            "`DATABASE_URL` is not set, and no private server is used, since `CI` is set",
        ),
        (&["up"], &[("MIGRATE_EMBEDDED", "never")], "since `MIGRATE_EMBEDDED` is `never`"),
        (&["up", "--no-embedded"], &[("MIGRATE_EMBEDDED", "allow")], "since `--no-embedded` is given"),
        (&["psql", "chat"], &[("CI", "1")], "since `CI` is set"),
        (&["up"], &[("MIGRATE_EMBEDDED", "yes")], "write `allow` or `never`"),
        (
            &["up"],
            &[("CI", "true"), ("DATABASE_URL", "")],
            "`DATABASE_URL` is set in the environment, but empty",
        ),
        (
            &["status"],
            &[("CI", "true"), ("CHAT_DATABASE_URL", " ")],
            "`CHAT_DATABASE_URL` is set in the environment, but empty",
        ),
    ] {
        let stderr = ask(arguments, variables);
        assert!(stderr.contains(said), "{arguments:?} {variables:?}: {stderr}");
    }
    assert!(!lab.directory.path().join(".postgres").exists());
}

#[test]
fn an_address_says_what_is_wrong_with_it() {
    let lab = Lab::empty();
    for (address, said) in [
        (
            "postgres://u@h/d?sslrootcert=/no/ca.pem",
            "`DATABASE_URL` from the environment: `/no/ca.pem` cannot be read",
        ),
        ("postgres://u@h/d?ssl=true", "the parameter `ssl` of the database URL is not supported"),
        ("postgres://u@h1,h2/d", "the database URL names several hosts"),
    ] {
        let ran = run(lab.command(&["status"]).env("DATABASE_URL", address)).exits(2);
        assert!(ran.stderr.contains(said), "{address}: {}", ran.shown());
    }
    let url = format!("{}&connect_timeout=3", lab.database.url());
    let ran = run(lab.command(&["status"]).env("DATABASE_URL", url)).exits(0);
    let note = "note `DATABASE_URL` from the environment: the parameter `connect_timeout` of the database URL has no effect\n";
    assert_eq!(ran.stderr.matches(note).count(), 1, "{}", ran.shown());
}

#[test]
fn a_connection_that_fails_for_its_encryption_says_so() {
    let lab = Lab::empty();
    let at_socket = format!("{}&sslmode=require", lab.database.url());
    run(lab.command(&["status"]).env("DATABASE_URL", at_socket)).exits(0);
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.directory.write("a.sql", "SELECT 1");
    lab.directory.write("pg_hba.conf", "local all ada reject\nlocal all all trust\n");
    let file = lab.directory.path().join("pg_hba.conf").display().to_string();
    let cluster = Cluster::builder().setting("hba_file", &file).start().unwrap();
    let port = relay(Cluster::shared().socket_directory().join(".s.PGSQL.5432"));
    let at_port = |port: u16, rest: &str| format!("postgres://postgres@[::1]:{port}/{rest}");
    // Whatever is wrong with an address, the variable is named that holds it.
    let faults = [
        (at_port(port, "postgres?sslmode=require"), "check `sslmode` and `sslrootcert` of "),
        (cluster.url("postgres").replacen("postgres@", "ada@", 1), "try `sslmode=require` in "),
        (at_port(1, "postgres"), "check that the server runs and that host and port of "),
        (cluster.url("nowhere"), "check user, password and database name of "),
    ];
    let commands = [
        ("DATABASE_URL", &["status"][..]),
        ("CHAT_DATABASE_URL", &["status", "chat"]),
        ("CHAT_DATABASE_URL", &["locks"]),
        ("BOOKREADER_DATABASE_URL", &["doctor"]),
        ("CHAT_NEW_DATABASE_URL", &["move", "chat", "--to", "CHAT_NEW_DATABASE_URL"]),
        ("OTHER_DATABASE_URL", &["check", "a.sql", "--base", "OTHER_DATABASE_URL"]),
    ];
    for (url, hint) in faults {
        for (variable, command) in commands {
            let ran = run(lab.command(command).env(variable, &url)).exits(8);
            let named =
                if variable == "DATABASE_URL" { variable.to_owned() } else { format!("`{variable}`") };
            assert!(ran.stderr.contains(&format!("{hint}{named}")), "{hint}{named}\n{}", ran.shown());
        }
    }
}

#[test]
fn a_password_comes_from_the_address_a_variable_a_file_or_a_descriptor() {
    const PASSWORD: &str = " p@s:s/w?r#d%\\";
    let lab = Lab::empty();
    lab.directory.write("pg_hba.conf", "local all ada password\nlocal all all trust\n");
    let file = lab.directory.path().join("pg_hba.conf").display().to_string();
    let cluster = Cluster::builder().setting("hba_file", &file).start().unwrap();
    cluster.psql("postgres", &format!("CREATE ROLE ada LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let passfile = lab.directory.path().join("passfile");
    std::fs::write(
        &passfile,
        format!("localhost:*:*:ada:{}\n", PASSWORD.replace('\\', "\\\\").replace(':', "\\:")),
    )
    .unwrap();
    std::fs::set_permissions(&passfile, PermissionsExt::from_mode(0o600)).unwrap();
    let url = cluster.url("postgres").replacen("postgres@", "ada@", 1);
    let encoded: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let in_url = url.replacen("ada@", &format!("ada:{encoded}@"), 1);
    for (dotenv, variables) in [
        (String::new(), vec![("DATABASE_URL", in_url.as_str())]),
        (String::new(), vec![("DATABASE_URL", &url), ("PGPASSWORD", PASSWORD)]),
        (format!("PGPASSWORD='{PASSWORD}'"), vec![("DATABASE_URL", &url)]),
        ("PGPASSFILE=~/passfile".to_owned(), vec![("DATABASE_URL", &url)]),
        ("PGPASSFILE=passfile".to_owned(), vec![("DATABASE_URL", &in_url), ("PGPASSWORD", "wrong")]),
    ] {
        lab.directory.write(".env", &dotenv);
        for command in [&["status"][..], &["psql", "chat", "--", "-wc", "SELECT 1"]] {
            let mut command = lab.command(command);
            command.env("HOME", lab.directory.path()).envs(variables.iter().copied());
            run(&mut command).exits(0);
        }
    }
    // From a file descriptor, which wins over what is wrong elsewhere.
    lab.directory.write(".env", "");
    lab.directory.write("secret", &format!("{PASSWORD}\n"));
    let by_descriptor = |from: &str, arguments: &[&str]| {
        let program = lab.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{from} exec \"$0\" \"$@\"")]).arg(program.get_program());
        shell.args(program.get_args()).current_dir(lab.directory.path());
        shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(shell.env("DATABASE_URL", &url).env("PGPASSWORD", "wrong"))
    };
    for command in [&["status"][..], &["psql", "chat", "--", "-wc", "SELECT 1"]] {
        let command = [&["--password-fd", "0"], command].concat();
        by_descriptor("exec 0< secret;", &command).exits(0);
        by_descriptor("exec 3< secret;", &[&["--password-fd", "3"], &command[2..]].concat()).exits(0);
    }
    for (from, why) in [("exec 3< .env;", "holds no password"), ("exec 3<&-;", "cannot be read: ")] {
        let ran = by_descriptor(from, &["status", "--password-fd", "3"]).exits(2);
        assert!(ran.stderr.contains(&format!("file descriptor 3 {why}")), "{}", ran.shown());
    }
    lab.directory.write(".env", "PGPASSFILE=passfile");
    std::fs::set_permissions(&passfile, PermissionsExt::from_mode(0o644)).unwrap();
    let ran = run(lab.command(&["status"]).env("DATABASE_URL", &url)).exits(8);
    assert!(ran.stderr.contains("passfile` is ignored: others may read it"), "{}", ran.shown());
}

#[test]
fn an_ipv6_address_is_one_for_psql_too() {
    let lab = Lab::empty();
    let port = relay(Cluster::shared().socket_directory().join(".s.PGSQL.5432"));
    for host in ["[::1]", ""] {
        let parameter = if host.is_empty() { "?host=::1" } else { "" };
        let url = format!("postgres://postgres@{host}:{port}/{}{parameter}", lab.database.name());
        let ran = run(lab.command(&["status"]).env("DATABASE_URL", &url)).exits(0);
        assert!(ran.stderr.contains(&format!(" at [::1]:{port}, ")), "{}", ran.shown());
        let psql = ["psql", "chat", "--", "-Atc", "SELECT current_database()"];
        let ran = run(lab.command(&psql).env("DATABASE_URL", &url)).exits(0);
        assert_eq!(ran.stdout.trim(), lab.database.name());
    }
}

/// Listens on a port of `::1` and passes each connection on to a socket.
fn relay(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                drop(io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Write));
            });
            let (mut from, mut to) = (server, client);
            thread::spawn(move || {
                drop(io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Write));
            });
        }
    });
    port
}

#[test]
fn psql_connects_where_migrate_does_whatever_libpq_finds() {
    let lab = Lab::empty();
    let socket = Cluster::shared().socket_directory().display().to_string();
    let service = format!("[prod]\nhost={socket}\ndbname=postgres\nuser=postgres\n");
    lab.directory.write("pg_service.conf", &service);
    lab.directory.write("file", "");
    let directory = lab.directory.path().display().to_string();
    let (services, file) = (format!("{directory}/pg_service.conf"), format!("{directory}/file"));
    let where_it_is =
        ["psql", "chat", "--", "-XAtc", "SELECT current_database(), current_user, current_schema() IS NULL"];
    let expected = format!("{}|postgres|t\n", lab.database.name());
    for variables in [
        &[("PGSERVICE", "prod"), ("PGSERVICEFILE", services.as_str())][..],
        &[("PGSERVICE", "prod"), ("PGSYSCONFDIR", &directory)],
        &[("PGHOST", "/nonexistent")],
        &[("PGHOSTADDR", "127.0.0.9")],
        &[("PGPORT", "1")],
        &[("PGDATABASE", "template1")],
        &[("PGUSER", "nobody_here")],
        &[("PGPASSWORD", "wrong"), ("PGPASSFILE", "/nonexistent")],
        &[("PGOPTIONS", "-c search_path=pg_catalog")],
        &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &file)],
        &[("PGSSLCERT", &file), ("PGSSLKEY", &file)],
        &[("PGAPPNAME", "other")],
        &[("PGCHANNELBINDING", "require")],
        &[("PGGSSDELEGATION", "1")],
        &[("PGGSSENCMODE", "require")],
        &[("PGGSSLIB", "gssapi")],
        &[("PGKRBSRVNAME", "other")],
        &[("PGLOADBALANCEHOSTS", "nonsense")],
        &[("PGMINPROTOCOLVERSION", "nonsense")],
        &[("PGMAXPROTOCOLVERSION", "nonsense")],
        &[("PGREQUIREAUTH", "gss")],
        &[("PGREQUIREPEER", "nobody_here")],
        &[("PGREQUIRESSL", "1")],
        &[("PGSSLCERTMODE", "nonsense")],
        &[("PGSSLCOMPRESSION", "nonsense")],
        &[("PGSSLCRL", "/nonexistent"), ("PGSSLCRLDIR", "/nonexistent")],
        &[("PGSSLMINPROTOCOLVERSION", "nonsense")],
        &[("PGSSLMAXPROTOCOLVERSION", "nonsense")],
        &[("PGSSLNEGOTIATION", "nonsense")],
        &[("PGSSLSNI", "nonsense")],
        &[("PGTARGETSESSIONATTRS", "standby")],
    ] {
        let ran = run(lab.command(&where_it_is).envs(variables.iter().copied())).exits(0);
        assert_eq!(ran.stdout, expected, "{variables:?}");
    }
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
    SERVICE  STATE    APPLIED  PENDING  HELD BACK  CURRENT                                        VERSION TABLE
    chat     current        4        0          0  m20261120_000002_check_messages                chat.seaql_migrations_chat
    rag      current        2        0          0  m20261120_000001_drop_redundant_user_id_index  rag.seaql_migrations_rag
    rag: tables of the AI manager that are not there: `public.embeddings`, `public.message_embeddings`
    rag: tables of the forum that are not there: `public.users`, `public.topics`, `public.messages`
    2 services up to date · 6 migrations applied
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

/// A file of which no line can be read is not one without our variables.
#[test]
fn a_file_in_another_encoding_is_not_one_without_variables() {
    let lab = Lab::empty();
    let line = format!("DATABASE_URL={}\n", lab.database.url());
    let wide: String = line.chars().flat_map(|letter| [letter, '\0']).collect();
    for file in [wide, format!("A=\0\n{line}")] {
        lab.directory.write(".env", &file);
        let ran = run(lab.command(&["status"]).env_remove("DATABASE_URL")).exits(2);
        assert!(ran.stderr.contains("it has bytes that are zero; save it as UTF-8"), "{}", ran.shown());
    }
}
