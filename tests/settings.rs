//! Every setting that can be set for a role, at each of its other values: none changes what a run makes of a database, nor
//! what a command answers.
//!
//! The server is asked which settings there are, so that a later version's are tried too. All are set at once, each to its
//! first other value, then each to its second, and so on; only where something differs is the culprit searched for.

use std::fmt::Write;
use std::sync::OnceLock;

use postgres_sandbox::{Cluster, Database};

use crate::support::digest::{difference, rows, schema};
use crate::support::{Lab, ROWS, run};

/// Services whose migrations carry rows over, with rejects, triggers, checks and indexes.
const SERVICES: [&str; 2] = ["assessments", "bookreader"];

/// What is run and asked, in this order: all that is done to a database with a past, in and outside of transactions.
const COMMANDS: [&[&str]; 8] = [
    &["up", "assessments", "bookreader", "--quiet"],
    &["verify"],
    &["status"],
    &["plan", "assessments", "bookreader", "--contract"],
    &["down", "assessments@-3", "bookreader@-1", "--allow-data-loss", "--quiet"],
    &["up", "assessments", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"],
    &["verify"],
    &["status"],
];

/// What is not set, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("temp_file_limit", "an operator's limit; what it stops fails"),
    ("default_transaction_read_only", "such a database is refused before anything is changed"),
    ("transaction_read_only", "as with `default_transaction_read_only`"),
    ("default_tablespace", "where data lies is the operator's matter"),
    ("temp_tablespaces", "as with `default_tablespace`"),
    ("default_table_access_method", "as with `default_tablespace`"),
    ("default_text_search_config", "the language of the data is the operator's matter"),
];

/// The values of settings that are text, or of which the smallest and the largest number say too little.
const CHOSEN: &[(&str, &[&str])] = &[
    ("application_name", &["x"]),
    ("backtrace_functions", &["errfinish"]),
    // What is logged, and how much of it, is one matter.
    ("client_min_messages", &["debug1", "error"]),
    ("log_min_messages", &["debug1", "panic"]),
    ("log_min_error_statement", &["debug1", "panic"]),
    ("icu_validation_level", &["disabled", "error"]),
    ("client_encoding", &["LATIN1", "SQL_ASCII"]),
    ("createrole_self_grant", &["set, inherit"]),
    ("DateStyle", &["German, DMY", "SQL, YMD", "Postgres, DMY"]),
    ("dynamic_library_path", &["/nowhere:$libdir"]),
    ("extension_control_path", &["/nowhere:$system"]),
    ("extension_destdir", &["/nowhere"]),
    ("lc_messages", &["POSIX"]),
    ("lc_monetary", &["POSIX"]),
    ("lc_numeric", &["POSIX"]),
    ("lc_time", &["POSIX"]),
    ("local_preload_libraries", &[]),
    ("output_plugin_libraries", &["pgoutput"]),
    ("plpgsql.extra_errors", &["all"]),
    ("plpgsql.extra_warnings", &["all"]),
    ("restrict_nonsystem_relation_kind", &["view", "foreign-table", "view, foreign-table"]),
    ("search_path", &["nowhere", "pg_temp, pg_catalog"]),
    ("session_preload_libraries", &["auto_explain"]),
    ("TimeZone", &["Asia/Kathmandu", "America/New_York"]),
    // A session would ask for all of it at once.
    ("temp_buffers", &["100"]),
    ("timezone_abbreviations", &["Australia", "India"]),
    // More only lasts.
    ("vacuum_cost_delay", &["0.1"]),
    ("vacuum_cost_limit", &["100"]),
    ("wal_consistency_checking", &["all"]),
    // A session needs some time to begin, before it can set them.
    ("statement_timeout", &["500"]),
    ("transaction_timeout", &["500"]),
    ("idle_session_timeout", &["500"]),
    // A lower bound is respected.
    ("idle_in_transaction_session_timeout", &["5000"]),
];

/// The candidates: names and values of all settings that can be set for a role, without those that they have.
const CANDIDATES: &str = "LOAD 'plpgsql'; \
    CREATE TEMP TABLE candidate AS SELECT name, value, chosen.name IS NOT NULL AS is_chosen, nr, vartype \
    FROM pg_settings LEFT JOIN chosen USING (name), LATERAL unnest(coalesce(chosen.values, CASE vartype \
      WHEN 'bool' THEN '{on,off}' WHEN 'enum' THEN enumvals WHEN 'real' THEN ARRAY[min_val, least(max_val::float8, 1000)::text] \
      WHEN 'integer' THEN ARRAY[min_val, (min_val::int8 + 1)::text, max_val] ELSE '{no value is chosen}' END)) \
      WITH ORDINALITY AS v(value, nr) \
    WHERE context IN ('user', 'superuser') AND value <> reset_val";

/// Leaves those candidates that the server accepts.
const ACCEPTED: &str = "DO $$ DECLARE c record; BEGIN FOR c IN SELECT name, value FROM candidate LOOP BEGIN \
    EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I = %L', current_database(), c.name, c.value); \
    EXCEPTION WHEN OTHERS THEN DELETE FROM candidate WHERE (name, value) = (c.name, c.value) AND NOT is_chosen; \
    END; END LOOP; EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I RESET ALL', current_database()); END $$";

/// A setting and its other values.
type Candidate = (String, Vec<String>);
/// A setting and a value.
type Setting = (String, String);

#[test]
fn no_setting_changes_schema_rows_or_answers() {
    let candidates = candidates();
    let undisturbed = outcome(&[]);
    let n_rounds = candidates.iter().map(|(_, values)| values.len()).max().unwrap();
    for round in 0..n_rounds {
        let value = |values: &[String]| values[round % values.len()].clone();
        let all: Vec<Setting> =
            candidates.iter().map(|(name, values)| (name.clone(), value(values))).collect();
        let found = outcome(&all);
        let differences = difference(&undisturbed, &found);
        if !differences.is_empty() {
            let culprits = culprits(&all, &undisturbed);
            panic!("round {round}: {culprits:?}\n{differences}");
        }
    }
}

/// All that can be set for a role, but for what is left out.
fn candidates() -> Vec<Candidate> {
    let lab = Lab::empty();
    let left_out = LEFT_OUT.map(|(name, _)| format!("'{name}'")).join(", ");
    let chosen: Vec<String> = CHOSEN
        .iter()
        .map(|(name, values)| {
            let values: Vec<String> = values.iter().map(|value| format!("$v${value}$v$")).collect();
            format!("('{name}', ARRAY[{}]::text[])", values.join(", "))
        })
        .collect();
    let rows = lab.query(&format!(
        "CREATE TEMP TABLE chosen AS SELECT * FROM (VALUES {}) AS chosen(name, values); {CANDIDATES}; \
         DELETE FROM candidate WHERE name IN ({left_out}); {ACCEPTED}; \
         SELECT name, value FROM candidate ORDER BY name, nr",
        chosen.join(", ")
    ));
    let mut candidates: Vec<Candidate> = Vec::new();
    for (name, value) in rows.lines().filter_map(|line| line.split_once('|')) {
        assert_ne!(value, "no value is chosen", "choose values for `{name}`, or leave it out with a reason");
        match candidates.last_mut() {
            Some((last, values)) if last == name => values.push(value.to_owned()),
            _ => candidates.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    assert!(candidates.len() > 150, "{} settings are few: {candidates:?}", candidates.len());
    candidates
}

/// Fewest settings that change the outcome, by halving; where only both halves together do, all of them.
fn culprits(settings: &[Setting], undisturbed: &str) -> Vec<Setting> {
    let (left, right) = settings.split_at(settings.len() / 2);
    let guilty = |half: &[Setting]| !difference(undisturbed, &outcome(half)).is_empty();
    match settings.len() > 1 {
        true if guilty(left) => culprits(left, undisturbed),
        true if guilty(right) => culprits(right, undisturbed),
        _ => settings.to_vec(),
    }
}

/// What a role with these settings makes of a database with a past, and what it is answered: steps in and outside of
/// transactions, backfills with rejects, checks, indexes, triggers, contract steps, a revert.
fn outcome(settings: &[Setting]) -> String {
    static TEMPLATE: OnceLock<(Database, String)> = OnceLock::new();
    let (template, role) = TEMPLATE.get_or_init(|| {
        let lab = Lab::empty();
        let role = lab.role("");
        lab.query(&format!("ALTER DATABASE {} OWNER TO {role}", lab.database.name()));
        for &(service, rows) in ROWS.iter().filter(|(service, _)| SERVICES.contains(service)) {
            run(lab
                .command(&["up", &format!("{service}@+1"), "--quiet"])
                .env("DATABASE_URL", lab.url_of(&role)))
            .exits(0);
            // A tenth of them: without hash and merge joins, time goes with their square.
            lab.query(&rows.replace("000)", "00)"));
        }
        (lab.database, role)
    });
    let lab = Lab::with(Cluster::shared().create_database_from(template.name()).unwrap());
    let database = lab.database.name();
    let set = settings.iter().map(|(name, value)| {
        format!("ALTER ROLE {role} IN DATABASE {database} SET \"{name}\" = $v${value}$v$; ")
    });
    lab.query(&format!("{}ALTER DATABASE {database} OWNER TO {role}", set.collect::<String>()));
    let mut outcome = String::new();
    for arguments in COMMANDS {
        let ran = run(lab.command(arguments).env("DATABASE_URL", lab.url_of(role)));
        // What is done says how long it took.
        let answer = if arguments.contains(&"--quiet") { "" } else { &ran.stdout };
        let error = if ran.code == 0 { "" } else { &ran.stderr };
        writeln!(outcome, "{arguments:?}: {}\n{}{error}", ran.code, without_times(answer)).unwrap();
    }
    outcome = outcome.replace(database, "[database]");
    for service in SERVICES {
        outcome += &schema(&lab.database, service);
        outcome += &rows(&lab.database, service);
    }
    outcome
}

/// The words of an answer, without dates and times of day, and without sizes on the disk.
fn without_times(answer: &str) -> String {
    let is_time = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(['-', ':']);
    answer.lines().filter(|line| !line.contains("· size of ")).fold(String::new(), |text, line| {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !is_time(word)).collect();
        text + &words.join(" ") + "\n"
    })
}

/// Limits of a role that end a session before any setting of ours is made in it: whoever reads, migrates, backs up or moves with it.
#[test]
fn limits_that_end_a_session_at_once_are_lifted() {
    let (lab, there) = (Lab::empty(), Lab::empty());
    let role = lab.role("SUPERUSER");
    for limit in [
        "statement_timeout = 1",
        "idle_in_transaction_session_timeout = 50",
        "lock_timeout = 1",
        "idle_session_timeout = 50",
    ] {
        lab.query(&format!("ALTER ROLE {role} RESET ALL; ALTER ROLE {role} SET {limit}"));
        let ask = |arguments: &[&str]| {
            run(lab
                .command(arguments)
                .env("DATABASE_URL", lab.url_of(&role))
                .env("THERE_DATABASE_URL", there.url_of(&role)))
        };
        for (arguments, code) in [
            (&["up", "chat", "--quiet"][..], 0),
            (&["status"], 0),
            (&["verify", "chat"], 0),
            (&["doctor"], 0),
            (&["drift", "chat"], 0),
            (&["backup", "chat", "--no-verify"], 0),
            (&["down", "chat@-1", "--allow-data-loss", "--quiet"], 0),
            (&["up", "chat"], 0),
            (&["move", "chat", "--to", "THERE_DATABASE_URL", "--yes"], 0),
        ] {
            let ran = ask(arguments);
            assert_eq!(ran.code, code, "{limit}: {arguments:?}\n{}", ran.shown());
        }
        for database in [&lab, &there] {
            database.query(
                "DO $$ DECLARE s name; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname ~ '^chat' LOOP \
                 EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$",
            );
        }
    }
}
