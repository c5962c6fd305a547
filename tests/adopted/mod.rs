//! Databases that each service's earlier system made with its own scripts: taken over, and taken to head. A base that lacks
//! what later migrations rely on, whether it never had it or lost it, is refused before anything is applied.

mod accepted;
mod alembic;

use postgres_sandbox::Cluster;

use crate::support::{Lab, Ran, run};

pub(crate) const BOOKREADER: &str = include_str!("bookreader.sql");
pub(crate) const BOOKREADER_OCTOBER: &str = include_str!("bookreader_october.sql");
pub(crate) const BOOKREADER_AUGUST: &str = include_str!("bookreader_august.sql");
pub(crate) const CHAT: &str = include_str!("chat.sql");
pub(crate) const CHAT_SOURCE: &str = include_str!("chat_source.sql");
pub(crate) const ASSESSMENTS: &str = include_str!("assessments.sql");
const ASSESSMENTS_OPTIMIZED: &str = include_str!("assessments_optimized.sql");
pub(crate) const PROFOCHATBOT: &str = include_str!("profochatbot.sql");
pub(crate) const RAG: &str = include_str!("rag.sql");

/// A service, the scripts that its earlier system has run, and the migrations that those stand for.
type Past = (&'static str, &'static [&'static str], &'static [&'static str]);

/// As each document leaves its database: before its last chapter, or after it.
const PASTS: [Past; 8] = [
    ("chat", &[CHAT], &["m20251016_000001_create_messages"]),
    (
        "chat",
        &[CHAT, CHAT_SOURCE],
        &["m20251016_000001_create_messages", "m20251017_000001_add_message_source"],
    ),
    ("rag", &[RAG], &[]),
    (
        "assessments",
        &[ASSESSMENTS],
        &["m20260116_000001_create_assessments", "m20260122_000001_create_questions"],
    ),
    (
        "assessments",
        &[ASSESSMENTS, ASSESSMENTS_OPTIMIZED],
        &["m20260116_000001_create_assessments", "m20260122_000001_create_questions"],
    ),
    ("profochatbot", &[PROFOCHATBOT], &["m20240101_000001_create_profochatbot"]),
    (
        "bookreader",
        &[BOOKREADER, BOOKREADER_OCTOBER],
        &[
            "m20250823_000001_create_bookreader",
            "m20251019_234800_add_reading_location_cfi",
            "m20251020_232800_add_scroll_offset_percent",
        ],
    ),
    (
        "bookreader",
        &[BOOKREADER, BOOKREADER_AUGUST, BOOKREADER_OCTOBER],
        &[
            "m20250823_000001_create_bookreader",
            "m20250824_143000_add_book_rating",
            "m20250824_154500_create_user_preferences",
            "m20250824_154501_backfill_user_preferences",
            "m20250824_154502_drop_reader_settings",
            "m20250824_162000_optimize_queries",
            "m20251019_234800_add_reading_location_cfi",
            "m20251020_232800_add_scroll_offset_percent",
        ],
    ),
];

/// A database with such a past, in `public`, its migrations recorded by hand.
fn lab((service, scripts, recorded): Past) -> Lab {
    let lab = Lab::empty();
    for script in scripts {
        lab.query(script);
    }
    if !recorded.is_empty() {
        let rows = recorded.iter().map(|name| format!("('{name}', 1)")).collect::<Vec<_>>().join(", ");
        lab.query(&format!(
            "CREATE TABLE seaql_migrations_{service} (version varchar PRIMARY KEY, applied_at bigint NOT NULL); \
             INSERT INTO seaql_migrations_{service} VALUES {rows}"
        ));
    }
    lab
}

pub(crate) fn migrate(lab: &Lab, service: &str, arguments: &[&str]) -> Ran {
    run(lab.command(arguments).env(format!("{}_DATABASE_SCHEMA", service.to_uppercase()), "public"))
}

#[test]
fn what_the_documents_made_is_taken_over_and_goes_to_head() {
    for past in PASTS {
        let (lab, service) = (lab(past), past.0);
        migrate(&lab, service, &["plan", service]).exits(0);
        migrate(&lab, service, &["up", service]).exits(0);
        migrate(&lab, service, &["verify", service]).exits(0);
        let rest = ["up", service, "--contract", "--ignore-soak", "--allow-data-loss"];
        migrate(&lab, service, &rest).exits(0);
        migrate(&lab, service, &["verify", service]).exits(0);
        migrate(&lab, service, &["status", service, "--check"]).exits(0);
    }
}

/// The server's ids: what the old application did without is added, and only that is taken back.
#[test]
fn defaults_that_were_added_go_with_their_migration() {
    let lab = lab(PASTS[6]);
    lab.query("ALTER TABLE books ALTER COLUMN id SET DEFAULT gen_random_uuid()");
    let with_default = "SELECT string_agg(attrelid::regclass::text, ' ' ORDER BY 1) FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid \
                        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attname = 'id' AND atthasdef \
                        AND relname NOT LIKE 'migration%'";
    assert_eq!(lab.query(with_default), "books");
    migrate(&lab, "bookreader", &["up", "bookreader"]).exits(0);
    assert_eq!(lab.query(with_default).split(' ').count(), 8);
    migrate(&lab, "bookreader", &["down", "bookreader@-1"]).exits(0);
    assert_eq!(lab.query(with_default), "books user_preferences");
}

/// What is taken away, as a query for statements and the names of what they take: every fourth column of all tables, then at
/// once all that is of one kind.
fn losses() -> Vec<String> {
    let table = "pg_class AS t JOIN pg_namespace AS n ON n.oid = relnamespace AND nspname = 'public' AND relkind = 'r' \
                 AND relname !~ '^(seaql_migrations|migration_journal)_'";
    let column = format!("{table} JOIN pg_attribute ON attrelid = t.oid AND attnum > 0");
    let alter = "'ALTER TABLE %I ALTER COLUMN %I ";
    let mut losses: Vec<String> = (0..4)
        .map(|n| {
            format!(
                "SELECT format('ALTER TABLE %I DROP COLUMN %I CASCADE', relname, attname), relname || '.' || attname \
                 FROM {column} AND attnum % 4 = {n}"
            )
        })
        .collect();
    losses.push(format!(
        "SELECT format({alter}DROP DEFAULT', relname, attname), relname || '.' || attname FROM {column} AND atthasdef"
    ));
    losses.push(format!(
        "SELECT format({alter}DROP IDENTITY', relname, attname), relname || '.' || attname FROM {column} AND attidentity <> ''"
    ));
    losses.push(format!(
        "SELECT format({alter}DROP NOT NULL', relname, attname), relname || '.' || attname FROM {column} AND attnotnull \
         AND attidentity = '' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary AND attnum = ANY (indkey))"
    ));
    losses.push(format!(
        "SELECT format('ALTER TABLE %I DROP CONSTRAINT IF EXISTS %I CASCADE', relname, conname), relname || '.' || conname \
         FROM {table} JOIN pg_constraint ON conrelid = t.oid AND contype <> 'n'"
    ));
    losses.push(format!(
        "SELECT format('DROP INDEX %I', indexrelid::regclass), indexrelid::regclass FROM {table} \
         JOIN pg_index ON indrelid = t.oid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
    ));
    losses
}

/// Takes away from copies of a database what its base has, one kind after the other, and expects to hear of all of it.
fn lacks_nothing_in_silence(template: &Lab, service: &str) {
    let n_applied = template.query(&format!("SELECT count(*) FROM seaql_migrations_{service}"));
    let journal = format!("SELECT to_regclass('migration_journal_{service}')");
    let journal_before = template.query(&journal);
    for loss in losses() {
        let found = template.query(&loss);
        let taken: Vec<(&str, &str)> = found.lines().map(|row| row.split_once('|').unwrap()).collect();
        if taken.is_empty() {
            continue;
        }
        let lab = Lab::with(Cluster::shared().create_database_from(template.database.name()).unwrap());
        lab.query(&taken.iter().map(|(statement, _)| *statement).collect::<Vec<_>>().join("; "));
        let refused = migrate(&lab, service, &["up", service]).exits(7);
        let unnamed = |object: &&str| !refused.stderr.contains(&format!("`{object}` "));
        let unnamed: Vec<&str> = taken.iter().map(|(_, object)| *object).filter(unnamed).collect();
        assert!(unnamed.is_empty(), "{service}, {loss}\n{unnamed:?} of\n{}", refused.stderr);
        let applied = lab.query(&format!("SELECT count(*) FROM seaql_migrations_{service}"));
        assert_eq!(
            (applied, lab.query(&journal)),
            (n_applied.clone(), journal_before.clone()),
            "{service}, {loss}"
        );
    }
}

#[test]
fn a_base_that_lacks_anything_is_refused_naming_it() {
    for past in [PASTS[0], PASTS[3], PASTS[5], PASTS[6]] {
        lacks_nothing_in_silence(&lab(past), past.0);
    }
}

/// Whoever has recorded it, `adopt` or `up` itself: what was lost since is not built upon.
#[test]
fn what_was_lost_since_is_refused_naming_it() {
    for (service, script, accept) in [
        ("chat", CHAT, &[][..]),
        ("assessments", ASSESSMENTS, &["--accept", "*_at"]),
        ("profochatbot", PROFOCHATBOT, &["--accept", "*"]),
        ("bookreader", BOOKREADER, &["--accept", "*"]),
    ] {
        let adopted = Lab::empty();
        adopted.query(script);
        migrate(&adopted, service, &[&["adopt", service, "--from", "schema"], accept].concat()).exits(0);
        lacks_nothing_in_silence(&adopted, service);
        let ours = Lab::empty();
        migrate(&ours, service, &["up", &format!("{service}@+1")]).exits(0);
        // Old systems of bookreader made their ids themselves: a later migration adds what gives them, and promises it.
        if service != "bookreader" {
            lacks_nothing_in_silence(&ours, service);
        }
    }
}

/// What is lost is made again as the refusal says, or by reverting first what made it, or it is accepted.
#[test]
fn what_was_lost_since_is_brought_back_or_accepted() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@m20251017_000001"]).exits(0);
    let copy = || Lab::with(Cluster::shared().create_database_from(lab.database.name()).unwrap());
    let lost = "DROP INDEX chat.idx_messages_source";
    for way in ["repair", "redo", "accept"] {
        let lab = copy();
        lab.query(lost);
        let refused = lab.migrate(&["up", "chat"]).exits(7).stderr;
        assert!(
            refused.contains("`idx_messages_source` is missing") && refused.contains("`drift chat --repair`"),
            "{refused}"
        );
        let mut up = vec!["up", "chat"];
        match way {
            "repair" => drop(lab.query(&lab.migrate(&["drift", "chat", "--repair"]).exits(4).stdout)),
            "redo" => drop(lab.migrate(&["redo", "chat"]).exits(0)),
            _ => up.extend(["--accept", "chat:idx_messages_source"]),
        }
        lab.migrate(&up).exits(0);
        lab.migrate(&["verify", "chat"]).exits(0);
    }
}
