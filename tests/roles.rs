//! `roles`: who may do what afterwards, and that nothing which runs is stopped.

use crate::support::{Lab, Session, run};

/// Who owns what the bookreader service has.
const OWNERS: &str = "SELECT string_agg(DISTINCT owner, ' ') FROM (\
     SELECT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace = 'bookreader'::regnamespace \
     UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'bookreader'::regnamespace \
     UNION SELECT typowner::regrole::text FROM pg_type WHERE typnamespace = 'bookreader'::regnamespace \
     UNION SELECT stxowner::regrole::text FROM pg_statistic_ext WHERE stxnamespace = 'bookreader'::regnamespace \
     UNION SELECT collowner::regrole::text FROM pg_collation WHERE collnamespace = 'bookreader'::regnamespace \
     UNION SELECT cfgowner::regrole::text FROM pg_ts_config WHERE cfgnamespace = 'bookreader'::regnamespace \
     UNION SELECT dictowner::regrole::text FROM pg_ts_dict WHERE dictnamespace = 'bookreader'::regnamespace \
     UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'bookreader') AS owners";

#[test]
fn the_owner_migrates_and_the_application_writes() {
    let lab = Lab::migrated();
    let prefix = format!("{}_", lab.database.name());
    let (deployer, application, earlier) =
        (format!("{prefix}deploy"), format!("{prefix}web"), format!("{prefix}earlier"));
    lab.query(&format!(
        "CREATE ROLE {deployer} LOGIN; CREATE ROLE {application} LOGIN; CREATE ROLE {earlier} LOGIN; \
         GRANT USAGE ON SCHEMA bookreader TO {earlier}; ALTER TABLE bookreader.books OWNER TO {earlier}; \
         CREATE STATISTICS bookreader.\"of books\" ON user_id, title FROM bookreader.books; \
         CREATE COLLATION bookreader.plain (locale = 'C'); \
         CREATE TEXT SEARCH CONFIGURATION bookreader.words (COPY = pg_catalog.simple); \
         CREATE TEXT SEARCH DICTIONARY bookreader.stems (TEMPLATE = pg_catalog.simple)"
    ));
    let roles =
        ["roles", "bookreader", "--prefix", &prefix, "--migrator", &deployer, "--application", &application];
    let count = format!("SELECT count(*) FROM pg_roles WHERE rolname LIKE '{prefix}bookreader%'");
    let script = lab.migrate(&[&roles[..], &["--sql"]].concat()).exits(0);
    assert!(
        script.stdout.contains(&format!("CREATE ROLE \"{prefix}bookreader_owner\" NOLOGIN;")),
        "{}",
        script.shown()
    );
    assert_eq!(lab.query(&count), "0");
    let done = lab.migrate(&roles).exits(0);
    assert_eq!(done.stdout, script.stdout);
    assert_eq!(lab.query(OWNERS), format!("{prefix}bookreader_owner"));
    let again = lab.migrate(&roles).exits(0);
    assert!(again.stdout.is_empty() && again.stderr.contains("nothing is missing"), "{}", again.shown());

    // The application writes while the triggers of an expand step stand, and so does who owned a table before.
    let insert = "INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at, \
                  reader_settings) VALUES (gen_random_uuid(), current_user, 'x', true, true, false, now(), now(), '{\"theme\": \"sepia\"}')";
    for login in [&application, &earlier] {
        let mut session = Session::open(&lab.url_of(login));
        session.query(insert);
        session.query("UPDATE bookreader.users SET reader_settings = '{\"theme\": \"dark\"}' WHERE email = current_user");
    }
    let themes = "SELECT string_agg(p.theme, ' ') FROM bookreader.user_preferences p JOIN bookreader.users u ON u.id = p.user_id";
    assert_eq!(lab.query(themes), "dark dark");
    let refused = |sql: &str| {
        let psql = ["psql", "bookreader", "--", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let ran = run(lab.command(&psql).env("DATABASE_URL", lab.url_of(&application)));
        let says = ["permission denied", "must be owner"];
        assert!(ran.code != 0 && says.iter().any(|says| ran.stderr.contains(says)), "{sql}: {}", ran.shown());
    };
    refused("DELETE FROM bookreader.seaql_migrations_bookreader");
    refused("ALTER TABLE bookreader.books ADD COLUMN mine int");
    refused("CREATE TABLE bookreader.mine ()");
    refused("TRUNCATE bookreader.books");
    refused("SELECT * FROM chat.messages");

    // The deployer brings it to head as the owner: also in steps, and what is made anew is the owner's and the application's.
    let deploy = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", lab.url_of(&deployer)));
    deploy(&["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"]).exits(0);
    deploy(&["down", "bookreader@-2", "--allow-data-loss", "--quiet"]).exits(0);
    deploy(&["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"]).exits(0);
    deploy(&["verify", "bookreader"]).exits(0);
    assert_eq!(lab.query(OWNERS), format!("{prefix}bookreader_owner"));
    // One that is no member of the owner is refused.
    let stranger = run(lab
        .command(&["down", "bookreader@-1", "--allow-data-loss"])
        .env("DATABASE_URL", lab.url_of(&application)));
    assert_eq!(stranger.code, 8, "{}", stranger.shown());

    // A service that has nothing yet is installed by its owner, and its history stays the owner's.
    lab.migrate(&["reset", "chat", "--quiet"]).exits(0);
    lab.query("DROP SCHEMA chat CASCADE");
    let roles =
        ["roles", "chat", "--prefix", &prefix, "--migrator", &deployer, "--application", &application];
    lab.migrate(&roles).exits(0);
    deploy(&["up", "chat", "--quiet"]).exits(0);
    refused("INSERT INTO chat.seaql_migrations_chat VALUES ('m1', 1)");
    refused("INSERT INTO chat.migration_journal_chat (run) VALUES ('1')");
    Session::open(&lab.url_of(&application)).query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) VALUES (1, 1, 'user', 'new', 3, now())",
    );
    // Rights on tables of rejects, which migrations make, are taken back by the next run.
    lab.migrate(&roles).exits(0);
    assert_eq!(lab.migrate(&roles).exits(0).stdout, "");

    // What is not possible is said.
    for (arguments, says) in [
        (["roles", "rag", "--application", "nobody_at_all"], "there is no role `nobody_at_all`"),
        (["roles", "rag", "--prefix", "pg_"], "as only the server's own roles do"),
    ] {
        let ran = lab.migrate(&arguments).exits(2);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
    }
}
