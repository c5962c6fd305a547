//! Databases in which an earlier system has left its tables: no empty twin is made beside them without a word.

use insta::assert_snapshot;
use serde_json::Value;

use crate::adopted::{ASSESSMENTS, BOOKREADER, BOOKREADER_OCTOBER, CHAT, PROFOCHATBOT, RAG, migrate};
use crate::support::{Lab, ROWS, run};

const OLD_MESSAGES: &str = "CREATE TABLE public.messages (id int); INSERT INTO public.messages VALUES (1)";

#[test]
fn an_empty_service_beside_an_old_table_asks_for_a_decision() {
    let lab = Lab::empty();
    lab.query(OLD_MESSAGES);
    let said = "elsewhere in the database there is `public.messages` with rows";
    let refused = lab.migrate(&["up"]).exits(7);
    assert!(
        refused.stderr.contains(&format!("`chat` is empty in schema `chat`, and {said}")),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains(
            "hint to take it over, set `CHAT_DATABASE_SCHEMA=public` and run `adopt chat --from schema`"
        ),
        "{}",
        refused.stderr
    );
    assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname IN ('chat', 'rag')"), "0");
    for (looking, code) in [("status", 0), ("plan", 7)] {
        let shown = lab.migrate(&[looking]).exits(code).stdout;
        assert!(
            shown.contains("chat: empty here, and elsewhere there is `public.messages` with rows"),
            "{shown}"
        );
        assert!(!shown.contains("next: "), "{shown}");
    }
    let status = lab.migrate(&["status", "--json"]).exits(0).json();
    assert_eq!(status["services"][0]["elsewhere"][0]["table"], "public.messages");
    assert_eq!(status["services"][0]["elsewhere"][0]["has_rows"], true);
    // Whoever looks beforehand is told what `up` would say.
    let same = |hint: &Value| refused.stderr.contains(&format!("hint {}", hint.as_str().unwrap()));
    let plan = lab.migrate(&["plan", "--json"]).exits(7).json();
    assert!(plan["refused"].as_array().unwrap().len() == 1 && same(&plan["refused"][0]["hint"]), "{plan}");
    let doctor = lab.migrate(&["doctor", "--json"]).exits(7).json();
    let findings = doctor["findings"].as_array().unwrap();
    let bad: Vec<_> = findings.iter().filter(|finding| finding["verdict"] == "bad").collect();
    assert!(bad.len() == 1 && bad[0]["of"] == "chat" && same(&bad[0]["hint"]), "{doctor}");
    let deploy = ["deploy", "--dry-run", "--no-backup"];
    let deployed = lab.migrate(&deploy).exits(7);
    assert!(
        deployed.stderr.contains(said) && !deployed.stdout.contains("0 that would stop"),
        "{}",
        deployed.shown()
    );
    lab.migrate(&["deploy", "--no-backup", "--stop-command", "touch stopped"]).exits(7);
    assert!(!lab.directory.path().join("stopped").exists());
    lab.migrate(&[&deploy[..], &["--new-beside"]].concat()).exits(0);
    // Other services are not concerned, and an empty table is no twin.
    lab.migrate(&["deploy", "rag", "--dry-run", "--no-backup"]).exits(0);
    lab.migrate(&["up", "bookreader"]).exits(0);
    lab.query("DELETE FROM public.messages");
    lab.migrate(&["doctor"]).exits(0);
    lab.migrate(&["up", "chat@+1"]).exits(0);
    // What has begun is not asked about again.
    lab.query("INSERT INTO public.messages VALUES (1)");
    lab.migrate(&["up"]).exits(0);
    assert!(!lab.migrate(&["status"]).exits(0).stdout.contains("elsewhere"));
}

/// A table elsewhere, whether it has rows, and whether `up rag` then asks for a decision.
#[test]
fn what_an_earlier_system_leaves_is_recognized() {
    for (table, has_rows, asks) in [
        ("alembic_version", true, true),
        ("seaql_migrations", true, true),
        ("_sqlx_migrations", true, true),
        ("__diesel_schema_migrations", true, true),
        ("flyway_schema_history", true, true),
        ("django_migrations", true, true),
        ("schema_migrations", true, true),
        ("user_knowledge", true, true),
        ("user_knowledge", false, false),
        ("embeddings", true, false),
    ] {
        let lab = Lab::empty();
        lab.query(&format!("CREATE SCHEMA old; CREATE TABLE old.{table} (version text)"));
        if has_rows {
            lab.query(&format!("INSERT INTO old.{table} VALUES ('1')"));
        }
        let up = lab.migrate(&["up", "rag"]).exits(if asks { 7 } else { 0 }).stderr;
        assert_eq!(up.contains(&format!("`old.{table}` with rows")), asks, "{table}: {up}");
        lab.migrate(&["up", "rag", "--new-beside"]).exits(0);
        lab.migrate(&["up", "rag"]).exits(0);
    }
}

#[test]
fn what_may_not_be_read_is_unknown_and_not_empty() {
    let lab = Lab::empty();
    let role = lab.role("");
    let up = |arguments: &[&str]| {
        let arguments = [&["up", "rag"], arguments].concat();
        run(lab.command(&arguments).env("DATABASE_URL", lab.url_of(&role)))
    };
    lab.query("CREATE TABLE public.user_knowledge (id int)");
    lab.query(&format!("GRANT CREATE ON DATABASE {} TO {role}", lab.database.name()));
    let refused = up(&[]).exits(7).stderr;
    assert!(refused.contains("`public.user_knowledge`, which this role may not read"), "{refused}");
    // Row security hides rows instead of refusing: a role that it concerns cannot count.
    lab.query(&format!(
        "GRANT SELECT ON public.user_knowledge TO {role}; ALTER TABLE public.user_knowledge ENABLE ROW LEVEL SECURITY"
    ));
    let refused = up(&[]).exits(7).stderr;
    assert!(refused.contains("`public.user_knowledge`, which this role may not read"), "{refused}");
    up(&["--new-beside"]).exits(0);
}

/// A table that another transaction locks is said to be locked, and only that one is not known.
#[test]
fn what_is_locked_is_unknown_and_hides_no_other() {
    let lab = Lab::empty();
    lab.query(OLD_MESSAGES);
    lab.query(
        "CREATE TABLE public.user_knowledge (id int); CREATE SCHEMA old; CREATE TABLE old.messages (id int)",
    );
    let mut holder = lab.session();
    holder.query("BEGIN");
    holder.query("LOCK TABLE public.user_knowledge");
    let status = lab.migrate(&["status"]).exits(0).stdout;
    assert!(
        status.contains(
            "rag: empty here, and elsewhere there is `public.user_knowledge`, which another transaction locks"
        ),
        "{status}"
    );
    assert!(
        status.contains("chat: empty here, and elsewhere there is `public.messages` with rows"),
        "{status}"
    );
    assert!(!status.contains("old.messages"), "{status}");
    let refused = lab.migrate(&["up", "rag", "--lock-patience", "1s"]).exits(7).stderr;
    assert!(refused.contains("`public.user_knowledge`, which another transaction locks"), "{refused}");
    holder.query("ROLLBACK");
    lab.migrate(&["up", "rag"]).exits(0);
}

/// What an earlier system has left, by its scripts and the revision in `alembic_version`, the way that the hint names, and what
/// has to be accepted on it.
type Left =
    (&'static str, &'static [&'static str], Option<&'static str>, &'static str, &'static [&'static str]);

/// Whoever follows the hint arrives.
#[test]
fn the_hint_is_the_way_that_works_for_the_service() {
    let schema: &[&str] = &["--accept", "*.*"];
    let bookreader: &[&str] =
        &["--accept", "*.id", "--accept", "*.scroll_offset_percent", "--without", "m20250824_*"];
    let cases: [Left; 8] = [
        ("chat", &[CHAT], Some("e65a515f830d"), "adopt chat --from alembic", &[]),
        ("chat", &[CHAT], None, "adopt chat --from schema", &[]),
        ("rag", &[RAG], None, "up rag", &[]),
        ("rag", &[RAG], Some("294d3841e2d5"), "up rag", &[]),
        ("assessments", &[ASSESSMENTS], None, "adopt assessments --from schema", &["--accept", "*_at"]),
        ("profochatbot", &[PROFOCHATBOT], None, "adopt profochatbot --from schema", schema),
        ("profochatbot", &[PROFOCHATBOT], Some("a"), "adopt profochatbot --from schema", schema),
        (
            "bookreader",
            &[BOOKREADER, BOOKREADER_OCTOBER],
            Some("e94cab18247f"),
            "adopt bookreader --from alembic",
            bookreader,
        ),
    ];
    for (service, scripts, revision, way, accepted) in cases {
        let lab = Lab::empty();
        scripts.iter().for_each(|script| drop(lab.query(script)));
        let (_, rows) = ROWS.iter().find(|(of, _)| *of == service).unwrap();
        lab.query(&rows.replace(&format!("INTO {service}."), "INTO public."));
        if let Some(revision) = revision {
            lab.query(&format!(
                "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('{revision}')"
            ));
        }
        let refused = lab.migrate(&["up", service]).exits(7).stderr;
        let schema = format!("{}_DATABASE_SCHEMA=public", service.to_uppercase());
        assert!(
            refused.contains(&format!("set `{schema}` and run `{way}`")),
            "{service} {revision:?}\n{refused}"
        );
        let way: Vec<&str> = way.split(' ').chain(accepted.iter().copied()).collect();
        migrate(&lab, service, &way).exits(0);
        migrate(&lab, service, &["up", service]).exits(0);
        migrate(&lab, service, &["verify", service]).exits(0);
    }
    // Whoever adopts where the migrations do it by themselves is told so.
    let lab = Lab::empty();
    lab.query(RAG);
    let by_itself =
        "its migrations adopt `user_knowledge` where it is, with what they change of it: run `up rag`";
    let adopt = ["adopt", "rag", "--from", "schema"];
    for adopted in [lab.migrate(&adopt), migrate(&lab, "rag", &adopt)] {
        let adopted = adopted.exits(4).stderr;
        assert!(adopted.contains(by_itself), "{adopted}");
    }
    // A version table alone is nothing to take over.
    let lab = Lab::empty();
    lab.query("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('1')");
    let refused = lab.migrate(&["up", "rag"]).exits(7).stderr;
    assert!(
        refused
            .contains("hint tables of its names are not beside it; if it is another team's, `--new-beside`"),
        "{refused}"
    );
}

/// What is in a shared schema is somebody's: a declared table of others is not another service's of that name, and what is there
/// of another program or of nobody is met before anything is made.
#[test]
fn names_in_a_shared_schema_are_known_before_they_are_made() {
    let lab = Lab::empty();
    let migrate = |schemas: &[&str], arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command.envs(schemas.iter().map(|name| (format!("{name}_DATABASE_SCHEMA"), "public")));
        run(&mut command)
    };
    lab.query("CREATE TABLE public.topics (id int); CREATE TABLE public.messages (id int)");
    migrate(&["BOOKREADER"], &["up", "bookreader", "--quiet"]).exits(0);
    let status = migrate(&["BOOKREADER", "CHAT"], &["status"]).exits(0);
    let about =
        |word: &str| status.stdout.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n");
    assert_snapshot!(about("the forum"), @"rag: tables of the forum that are not there: `public.users` (the one that is there belongs to bookreader)");
    let there = "rag: tables of the forum that are there: `public.topics`, `public.messages`";
    assert!(!status.stdout.contains("that are there"), "{}", status.stdout);
    for arguments in [&["status", "rag"][..], &["status", "--verbose"]] {
        let asked = migrate(&["BOOKREADER"], arguments).exits(0).stdout;
        assert!(asked.contains(there), "{asked}");
    }
    assert_snapshot!(about("taken"), @"chat: nothing is applied, and names that it makes are taken: table `messages` of role `postgres`: `up` refuses to begin");
    let refused = migrate(&["CHAT"], &["up", "chat"]);
    assert_snapshot!(refused.shown(), @"
    exit 7
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: `chat` has nothing applied in schema `public`, and names that it makes are taken there: table `messages` of role `postgres`; in this schema is also the journal of `bookreader`
      hint nothing was changed; what an earlier system made for the service, `adopt chat --from schema` takes over; if it belongs to another application, set `CHAT_DATABASE_SCHEMA` to another schema
    ");
    assert_eq!(lab.query("SELECT to_regclass('public.seaql_migrations_chat') IS NULL"), "t");
    for arguments in [&["plan", "chat", "--json"][..], &["doctor", "--json"]] {
        let told = migrate(&["BOOKREADER", "CHAT"], arguments).json().to_string();
        assert!(told.contains("names that it makes are taken there: table `messages`"), "{told}");
    }
    let status = migrate(&["BOOKREADER", "CHAT"], &["status", "--json"]).exits(0).json();
    let service = |name: &str| {
        let mut services = status["services"].as_array().unwrap().iter();
        services.find(|service| service["name"] == name).unwrap()
    };
    assert_eq!(service("chat")["taken"][0]["name"], "messages");
    let users = &service("rag")["externals"][2];
    assert_eq!((&users["present"], &users["taken_by"]), (&false.into(), &"bookreader".into()));
}

/// What each service's README says of a database that an earlier system made: it is taken over.
#[test]
fn a_base_that_exists_is_taken_over_as_the_readmes_say() {
    for service in ["chat", "assessments", "bookreader", "profochatbot"] {
        let readme = format!("{}/../services/{service}/README.md", env!("CARGO_MANIFEST_DIR"));
        let readme = std::fs::read_to_string(readme).unwrap();
        let schema = format!("{}_DATABASE_SCHEMA", service.to_uppercase());
        let (_, command) = readme.split_once(&format!("{schema}=public cargo xtask migrate ")).unwrap();
        let command: Vec<&str> = command.lines().next().unwrap().split(' ').collect();
        let lab = Lab::empty();
        let migrate = |arguments: &[&str]| run(lab.command(arguments).env(&schema, "public"));
        migrate(&["up", &format!("{service}@+1")]).exits(0);
        lab.query(&format!("DROP TABLE seaql_migrations_{service}, migration_journal_{service}"));
        let refused = migrate(&["up", service]).exits(7).stderr;
        let said = format!(
            "`{service}` has nothing applied in schema `public`, and names that it makes are taken there: "
        );
        assert!(
            refused.contains(&said) && refused.contains(&format!("`adopt {service} --from")),
            "{refused}"
        );
        lab.query(
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); \
             INSERT INTO alembic_version VALUES ('e65a515f830d'), ('66ac03dc5ab6')",
        );
        migrate(&command).exits(0);
        let adopt = command.iter().copied().filter(|argument| *argument != "--dry-run");
        migrate(&adopt.collect::<Vec<_>>()).exits(0);
        migrate(&["up", service]).exits(0);
        migrate(&["verify", service]).exits(0);
    }
}
