//! The names that a service's schema may have: each works in every command, or is refused before anything is connected.

use crate::support::{Lab, Ran, run};

fn migrate(lab: &Lab, schema: &str, arguments: &[&str]) -> Ran {
    run(lab.command(arguments).env("RAG_DATABASE_SCHEMA", schema))
}

#[test]
fn a_schema_works_under_every_name_that_postgresql_takes() {
    let longest = "x".repeat(63);
    for schema in
        ["Chat", "a b", " a b ", "a\"b", "a'b", "a\\b", "a.b", "a,b", "ünïcode", "select", "$users", &longest]
    {
        let lab = Lab::empty();
        let does = |arguments: &[&str], code: i32| migrate(&lab, schema, arguments).exits(code);
        does(&["up", "rag"], 0);
        // A revert in a transaction, and in steps.
        does(&["down", "rag@base"], 0);
        does(&["up", "rag@+1"], 0);
        does(&["up", "rag"], 0);
        let status = does(&["status", "rag", "--check", "--json"], 0).json();
        assert_eq!(status["services"][0]["schema"], schema.trim());
        assert_eq!(status["services"][0]["applied"], 2, "{schema}");
        does(&["verify", "rag"], 0);
        does(&["rejects", "rag"], 0);
        does(&["space", "rag"], 0);
        let path = does(&["psql", "rag", "--", "-Atc", "SELECT current_schema()"], 0).stdout;
        assert_eq!(path.trim_end(), schema.trim());
        let schemas =
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'";
        assert_eq!(lab.query(schemas), schema.trim());
    }
}

#[test]
fn a_schema_that_cannot_have_its_name_is_refused_before_anything_is_connected() {
    let lab = Lab::empty();
    let too_long = "x".repeat(64);
    for (schema, why) in [
        (too_long.as_str(), "it is longer than 63 bytes, where PostgreSQL cuts names"),
        (&"ü".repeat(32), "it is longer than 63 bytes, where PostgreSQL cuts names"),
        ("$user", "a `search_path` takes it for the name of the role"),
        ("pg_x", "names that begin with `pg_` are the server's own"),
        ("pg_catalog", "names that begin with `pg_` are the server's own"),
        ("information_schema", "it is the server's own"),
        ("a\tb", "control character"),
    ] {
        for arguments in [&["up"][..], &["down", "rag@base"], &["status"], &["verify"], &["rejects", "rag"]] {
            let mut command = lab.command(arguments);
            // Nobody listens there.
            command
                .env("DATABASE_URL", "postgres://nobody@localhost:1/none")
                .env("RAG_DATABASE_SCHEMA", schema);
            let ran = run(&mut command).exits(2);
            assert!(
                ran.stderr.contains(why) && ran.stderr.contains("RAG_DATABASE_SCHEMA"),
                "{}",
                ran.shown()
            );
        }
    }
    // Empty counts as not set.
    migrate(&lab, " ", &["up", "rag"]).exits(0);
    assert_eq!(lab.query("SELECT to_regclass('rag.user_knowledge')"), "rag.user_knowledge");
}

/// Two services whose tables bear one name are not half applied before that shows.
#[test]
fn services_whose_tables_collide_in_one_schema_are_refused_before_anything_is_connected() {
    let lab = Lab::empty();
    for arguments in [&["up"][..], &["up", "chat"], &["status"], &["plan"]] {
        let mut command = lab.command(arguments);
        command
            .env("DATABASE_URL", "postgres://nobody@localhost:1/none")
            .env("ASSESSMENTS_DATABASE_SCHEMA", "public")
            .env("BOOKREADER_DATABASE_SCHEMA", "public");
        let ran = run(&mut command).exits(2);
        assert!(
            ran.stderr.contains(
                "`assessments` and `bookreader` both have a table `users`, and share the schema `public`"
            ) && ran.stderr.contains("give `bookreader` a schema of its own"),
            "{}",
            ran.shown()
        );
    }
    // The role that connects makes no difference.
    let mut command = lab.command(&["up"]);
    command
        .env("DATABASE_URL", "postgres://nobody@localhost:1/none")
        .env("BOOKREADER_DATABASE_URL", "postgres://somebody@localhost:1/none")
        .env("ASSESSMENTS_DATABASE_SCHEMA", "public")
        .env("BOOKREADER_DATABASE_SCHEMA", "public");
    let ran = run(&mut command).exits(2);
    assert!(ran.stderr.contains("both have a table `users`"), "{}", ran.shown());
    // Those that do not collide share it.
    let mut command = lab.command(&["up", "chat", "rag"]);
    command.env("CHAT_DATABASE_SCHEMA", "shared").env("RAG_DATABASE_SCHEMA", "shared");
    run(&mut command).exits(0);
}

/// One server goes by many names. Services that share a schema there are refused until their addresses show it, whether or not
/// their names collide: neither would know the other's tables.
#[test]
fn services_of_one_schema_whose_addresses_differ_are_refused_before_anything_is_made() {
    let lab = Lab::empty();
    // The server's socket is in a directory, which is the last part of the address.
    let url = lab.database.url();
    let other = format!("{url}/.");
    let migrate = |[first, second]: [&str; 2], arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command.env(format!("{second}_DATABASE_URL"), &other);
        for service in [first, second] {
            command.env(format!("{service}_DATABASE_SCHEMA"), "shared");
        }
        run(&mut command)
    };
    for (services, says) in [
        (["ASSESSMENTS", "BOOKREADER"], "`assessments` and `bookreader` share the schema `shared`"),
        (["CHAT", "RAG"], "`chat` and `rag` share the schema `shared`"),
    ] {
        let touched = services.map(str::to_lowercase);
        let base = format!("{}@base", touched[0]);
        for arguments in
            [&["up"][..], &["up", &touched[0]], &["up", &touched[1]], &["plan"], &["down", &base]]
        {
            let ran = migrate(services, arguments).exits(2);
            let how = format!("write the address of `{}` as that of `{}`", touched[1], touched[0]);
            assert!(ran.stderr.contains(says) && ran.stderr.contains(&how), "{arguments:?}: {}", ran.shown());
            assert!(ran.stderr.contains("/.:5432` are one database"), "{}", ran.shown());
        }
        let status = migrate(services, &["status"]).exits(0);
        for service in &touched {
            let line = format!("{service}: `up` refuses to begin: {says}");
            assert!(status.stdout.contains(&line) && !status.stdout.contains("next: "), "{}", status.shown());
        }
        let status = migrate(services, &["status", "--check", "--json"]).exits(2).json();
        let refused = status["services"].as_array().unwrap().iter().filter(|of| !of["refused"].is_null());
        assert_eq!(refused.count(), 2, "{status}");
        let doctor = migrate(services, &["doctor"]).exits(2);
        assert!(doctor.stdout.contains(says), "{}", doctor.shown());
    }
    assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'shared'"), "0");
    // Who is not concerned is not kept back; and in schemas of their own, services may spell the server as they like.
    migrate(["ASSESSMENTS", "BOOKREADER"], &["up", "chat", "--quiet"]).exits(0);
    let mut command = lab.command(&["up", "--quiet"]);
    run(command.env("RAG_DATABASE_URL", &other)).exits(0);
}
