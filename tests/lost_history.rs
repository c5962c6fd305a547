//! Tables of a history that were dropped, emptied or cut: each is named by every command, stops what would build on it, and is mended by
//! what is named. What another tool leaves behind is no loss.

use crate::support::{BOOKREADER_ROWS, Lab, Ran, Running, SESSIONS, run};

/// Chat's migrations, by the last of which its lines and rows are cut.
const LAST: &str = "m20261120_000002_check_messages";

/// Where chat lives: a variable that says so, and its schema as SQL writes it. A schema that is shared, one whose name has to be quoted.
const PLACES: [(Option<&str>, &str); 3] =
    [(None, "chat"), (Some("public"), "public"), (Some("Chat \"2\""), "\"Chat \"\"2\"\"\"")];

/// A database in which chat is at head in one of these places, and what runs a command there.
struct Place {
    lab: Lab,
    schema: Option<&'static str>,
    /// As SQL writes it.
    quoted: &'static str,
}

impl Place {
    fn all() -> impl Iterator<Item = Self> {
        PLACES.into_iter().map(|(schema, quoted)| {
            let place = Self { lab: Lab::empty(), schema, quoted };
            place.migrate(&["up", "chat", "rag", "--quiet"]).exits(0);
            place.query("INSERT INTO {s}.messages VALUES (1, 1, 1, 'user', 'a word', 6)");
            place
        })
    }

    fn migrate(&self, arguments: &[&str]) -> Ran {
        let mut command = self.lab.command(arguments);
        if let Some(schema) = self.schema {
            command.env("CHAT_DATABASE_SCHEMA", schema);
        }
        run(&mut command)
    }

    /// `{s}` is the schema.
    fn query(&self, sql: &str) -> String {
        self.lab.query(&sql.replace("{s}", self.quoted))
    }

    /// Everything that a command could change of chat.
    fn picture(&self) -> String {
        let tables: Vec<String> = ["seaql_migrations_chat", "migration_journal_chat", "messages"]
            .map(|table| format!("coalesce(to_regclass('{}.{table}')::text, 'none')", self.quoted))
            .into();
        let there = self.query(&format!("SELECT {}", tables.join(", ")));
        let rows = |table: &str| {
            if self.query(&format!("SELECT to_regclass('{{s}}.{table}') IS NULL")) == "t" {
                return String::new();
            }
            self.query(&format!("SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM {{s}}.{table} AS t"))
        };
        format!("{there} {} {}", rows("seaql_migrations_chat"), rows("migration_journal_chat"))
    }

    /// Each command says this of chat, with this exit code, and changes nothing; those of others are well.
    fn is_named_by_all(&self, says: &str, code: i32, what: &str) {
        let before = self.picture();
        let commands: [&[&str]; 13] = [
            &["status", "chat"],
            &["status", "--check"],
            &["verify", "chat"],
            &["doctor"],
            &["repair", "chat"],
            &["plan", "chat"],
            &["sql", "chat"],
            &["up", "chat"],
            &["up"],
            &["down", "chat@-1", "--allow-data-loss"],
            &["redo", "chat"],
            &["deploy", "chat", "--dry-run", "--no-backup"],
            &["drift", "chat"],
        ];
        for command in commands {
            let ran = self.migrate(command);
            let case = format!("{what}: {command:?}: {}", ran.shown());
            assert_eq!(ran.code, code, "{case}");
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(says), "{case}");
            assert_eq!(self.picture(), before, "{case}");
        }
        for command in [&["status", "rag"][..], &["up", "rag"], &["verify", "rag"], &["repair", "rag"]] {
            self.migrate(command).exits(0);
        }
    }

    fn is_well(&self) {
        for command in [&["repair"][..], &["verify"], &["up", "chat"], &["status", "chat", "rag", "--check"]]
        {
            self.migrate(command).exits(0);
        }
    }
}

#[test]
fn a_journal_that_is_gone_or_cut_is_named_and_written_anew() {
    for (n_places, sql, says) in [
        (3, "DROP TABLE {s}.migration_journal_chat", "is gone: "),
        (1, "ALTER TABLE {s}.migration_journal_chat SET SCHEMA rag", "is gone: "),
        (1, "TRUNCATE {s}.migration_journal_chat RESTART IDENTITY", "of its lines: "),
        (1, "DELETE FROM {s}.migration_journal_chat", "of its lines: "),
        (
            3,
            "DELETE FROM {s}.migration_journal_chat WHERE id = (SELECT max(id) FROM {s}.migration_journal_chat)",
            "has lost 1 of its lines: ",
        ),
    ] {
        for place in Place::all().take(n_places) {
            place.query(sql);
            let what = format!("{sql} in {}", place.quoted);
            place.is_named_by_all(says, 4, &what);
            let rewrite = ["repair", "--rewrite-journal", "chat"];
            let shown = place.migrate(&["repair", "chat"]).exits(4).stdout;
            assert!(shown.contains("`repair --rewrite-journal chat`"), "{what}: {shown}");
            let before = place.picture();
            place.migrate(&[&rewrite[..], &["--dry-run"]].concat()).exits(0);
            assert_eq!(place.picture(), before, "{what}");
            place.migrate(&rewrite).exits(0);
            place.is_well();
            let again = place.migrate(&rewrite).exits(2).stderr;
            assert!(again.contains("has a line for everything that is applied"), "{again}");
        }
    }
}

/// What stopped midway left something that the applied migrations do not make.
#[test]
fn a_journal_is_not_written_anew_over_what_may_have_stopped_midway() {
    let place = Place::all().next().unwrap();
    place.query(&format!(
        "DELETE FROM {{s}}.seaql_migrations_chat WHERE version = '{LAST}'; DROP TABLE {{s}}.migration_journal_chat; \
         ALTER TABLE {{s}}.messages DROP CONSTRAINT messages_role_check"
    ));
    place.is_named_by_all("is gone: whether a migration stopped midway", 4, "half reverted");
    let before = place.picture();
    let refused = place.migrate(&["repair", "--rewrite-journal", "chat"]).exits(4).stderr;
    assert!(
        refused.contains("messages_message_length_check") && refused.contains("may have stopped midway"),
        "{refused}"
    );
    assert_eq!(place.picture(), before);
    // The way that is named.
    let script = place.migrate(&["drift", "chat", "--repair"]).exits(4).stdout;
    place.lab.query(&script);
    place.migrate(&["repair", "--rewrite-journal", "chat"]).exits(0);
    place.migrate(&["up", "chat"]).exits(0);
    place.is_well();
}

/// A tool that writes no journal, and a first install that was interrupted, leave one that says less than the version table.
#[test]
fn what_never_was_in_a_journal_is_not_lost() {
    for sql in [
        "DROP TABLE {s}.migration_journal_chat; COMMENT ON TABLE {s}.seaql_migrations_chat IS NULL",
        "DROP TABLE {s}.migration_journal_chat; COMMENT ON TABLE {s}.seaql_migrations_chat IS 'of the chat team'",
    ] {
        for place in Place::all() {
            place.query(sql);
            place.is_well();
            place.migrate(&["down", "chat@-1"]).exits(0);
            place.migrate(&["up", "chat"]).exits(0);
            place.is_well();
        }
    }
    // Reverted by it, so that what was made is gone: that is pending, and no row is lost.
    for place in Place::all() {
        place.query(&format!(
            "ALTER TABLE {{s}}.messages DROP CONSTRAINT messages_role_check, DROP CONSTRAINT messages_message_length_check; \
             DELETE FROM {{s}}.seaql_migrations_chat WHERE version = '{LAST}'"
        ));
        place.migrate(&["status", "chat", "--check"]).exits(3);
        place.migrate(&["repair", "chat"]).exits(0);
        place.migrate(&["up", "chat"]).exits(0);
        place.is_well();
    }
}

#[test]
fn rows_that_are_gone_are_named_and_made_again() {
    const NAMES: &str =
        "SELECT string_agg(version, ' ' ORDER BY applied_at, version) FROM {s}.seaql_migrations_chat";
    for (n_places, which, says) in [
        (3, "version = 'm20261120_000002_check_messages'", "m20261120_000002_check_messages"),
        (1, "version = 'm20251016_000001_create_messages'", "m20251016_000001_create_messages"),
        (1, "version LIKE 'm2026%'", "m20261120_000001_index_message_history"),
    ] {
        for place in Place::all().take(n_places) {
            let names = place.query(NAMES);
            place.query(&format!("DELETE FROM {{s}}.seaql_migrations_chat WHERE {which}"));
            let what = format!("{which} in {}", place.quoted);
            place.is_named_by_all(says, 4, &what);
            let restore = ["repair", "--restore-rows", "chat"];
            let refused = place.migrate(&["up", "chat"]).stderr;
            assert!(refused.contains("`repair chat` shows how to restore its rows"), "{what}: {refused}");
            let shown = place.migrate(&["repair", "chat"]).exits(4).stdout;
            assert!(shown.contains("`repair --restore-rows chat`"), "{what}: {shown}");
            place.migrate(&restore).exits(0);
            assert_eq!(place.query(NAMES), names, "{what}");
            place.is_well();
        }
    }
}

/// Both tables are gone, and those of the service are there: with rows or without, that is no empty service.
#[test]
fn tables_without_a_history_are_named_and_recorded() {
    for place in Place::all() {
        place.query("DROP TABLE {s}.seaql_migrations_chat, {s}.migration_journal_chat");
        let before = place.picture();
        let says = if place.schema.is_some() {
            "names that it makes are taken"
        } else {
            "its tables are there without a history"
        };
        for (command, code) in
            [(&["status", "chat"][..], 0), (&["history", "chat"], 0), (&["plan", "chat"], 7)]
        {
            let shown = place.migrate(command).exits(code).stdout;
            assert!(shown.contains(says) && shown.contains("`up` refuses"), "{command:?}: {shown}");
        }
        let hint = "`adopt chat --from schema`";
        for command in [
            &["up", "chat"][..],
            &["up"],
            &["sql", "chat"],
            &["deploy", "chat", "--dry-run", "--no-backup"],
            &["doctor"],
            &["plan", "chat"],
        ] {
            let ran = place.migrate(command).exits(7);
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(hint), "{command:?}: {}", ran.shown());
        }
        assert_eq!(place.picture(), before);
        place.migrate(&["adopt", "chat", "--from", "schema"]).exits(0);
        place.is_well();
    }
}

/// A table that a migration takes over where it is as that expects is no obstacle, and is named all the same.
#[test]
fn a_table_that_may_be_taken_over_is_named() {
    let lab = Lab::empty();
    lab.migrate(&["up", "rag", "--quiet"]).exits(0);
    lab.query("DROP TABLE rag.seaql_migrations_rag, rag.migration_journal_rag");
    for (command, code) in [(["status", "rag"], 0), (["history", "rag"], 0), (["plan", "rag"], 1)] {
        let shown = lab.migrate(&command).exits(code).stdout;
        assert!(
            shown.contains("rag: there without a history: `user_knowledge`: ")
                && shown.contains("`adopt rag --from schema`")
                && !shown.contains("next: "),
            "{shown}"
        );
    }
    let lost = "which migrations were applied: its tables are there without a history";
    let made = lab.migrate(&["backup", "rag"]).exits(0);
    assert!(made.stderr.contains(lost), "{}", made.shown());
    // A later migration has dropped the index: `up` would fail, and what only looks says so with its exit code.
    for command in
        [&["plan", "rag"][..], &["plan", "rag", "--json"], &["sql", "rag"], &["doctor"], &["up", "rag"]]
    {
        let ran = lab.migrate(command).exits(1);
        assert!(ran.shown().contains("ix_user_knowledge_user_id"), "{command:?}: {}", ran.shown());
    }
    lab.migrate(&["adopt", "rag", "--from", "schema"]).exits(0);
    lab.migrate(&["up", "rag"]).exits(0);
    lab.migrate(&["verify", "rag"]).exits(0);
}

/// What is recorded without being run has to keep what it promises of rows, as `verify` would ask it afterwards.
#[test]
fn nothing_is_recorded_whose_rows_are_not_as_promised() {
    const BACKFILL: &str = "m20250824_154501_backfill_user_preferences";
    let lab = Lab::empty();
    lab.migrate(&["up", "bookreader@m20250824_143000", "--quiet"]).exits(0);
    lab.query(BOOKREADER_ROWS);
    lab.migrate(&["up", &format!("bookreader@{BACKFILL}"), "--quiet"]).exits(0);
    lab.query(&format!(
        "CREATE TABLE public.kept AS SELECT * FROM bookreader.user_preferences ORDER BY user_id LIMIT 1; \
         DELETE FROM bookreader.user_preferences WHERE user_id = (SELECT user_id FROM public.kept); \
         DELETE FROM bookreader.seaql_migrations_bookreader WHERE version = '{BACKFILL}'; \
         DELETE FROM bookreader.migration_journal_bookreader WHERE migration = '{BACKFILL}'; \
         COMMENT ON TABLE bookreader.seaql_migrations_bookreader IS NULL"
    ));
    let recorded = "SELECT string_agg(version, ' ' ORDER BY 1) FROM bookreader.seaql_migrations_bookreader";
    let before = lab.query(recorded);
    let stamp = format!("bookreader@{BACKFILL}");
    for command in [
        &["stamp", &stamp][..],
        &["stamp", &stamp, "--dry-run"],
        &["adopt", "bookreader", "--from", "schema"],
    ] {
        let ran = lab.migrate(command).exits(4);
        assert!(ran.stdout.contains("every user has preferences: 1 row"), "{command:?}: {}", ran.shown());
        assert!(ran.stderr.contains("correct what is named"), "{command:?}: {}", ran.shown());
        assert_eq!(lab.query(recorded), before, "{command:?}");
    }
    let document = lab.migrate(&["stamp", &stamp, "--json"]).exits(4).json();
    assert_eq!(document["services"][0]["unkept"][0]["migration"], BACKFILL);
    lab.query("INSERT INTO bookreader.user_preferences SELECT * FROM public.kept");
    lab.migrate(&["stamp", &stamp]).exits(0);
    lab.migrate(&["verify", "bookreader"]).exits(0);
}

/// What could not be asked is not known to hold: a table of the service or of its bookkeeping that is locked (5), or of which a policy hides
/// rows (8).
#[test]
fn nothing_is_recorded_of_what_could_not_be_asked() {
    const BACKFILL: &str = "m20250824_154501_backfill_user_preferences";
    let stamp = format!("bookreader@{BACKFILL}");
    let commands: [&[&str]; 3] =
        [&["stamp", &stamp], &["stamp", &stamp, "--dry-run"], &["adopt", "bookreader", "--from", "schema"]];
    for table in ["user_preferences", "seaql_migrations_bookreader", "migration_journal_bookreader"] {
        let lab = Lab::empty();
        let role = lab.role("");
        lab.query(&format!("ALTER DATABASE {} OWNER TO {role}", lab.database.name()));
        let url = lab.url_of(&role);
        let ask = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", &url));
        ask(&["up", &stamp, "--quiet"]).exits(0);
        lab.query(&format!(
            "DELETE FROM bookreader.seaql_migrations_bookreader WHERE version = '{BACKFILL}'; \
             DELETE FROM bookreader.migration_journal_bookreader WHERE migration = '{BACKFILL}'; \
             COMMENT ON TABLE bookreader.seaql_migrations_bookreader IS NULL"
        ));
        let recorded =
            "SELECT string_agg(version, ' ' ORDER BY 1) FROM bookreader.seaql_migrations_bookreader";
        let before = lab.query(recorded);
        let policy = |does: &str| lab.query(&format!("ALTER TABLE bookreader.{table} {does}"));
        policy("ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
        for command in commands {
            let ran = ask(&[command, &["--accept", "user_preferences"]].concat()).exits(8);
            assert!(ran.shown().contains("BYPASSRLS"), "{table} {command:?}: {}", ran.shown());
        }
        policy("DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY");
        let mut holder = lab.session();
        holder.query("BEGIN");
        holder.query(&format!("LOCK TABLE bookreader.{table} IN ACCESS EXCLUSIVE MODE"));
        let start = |command: &&[&str]| {
            let mut command = lab.command(command);
            command.env("DATABASE_URL", &url);
            Running::start(command)
        };
        let running: Vec<Running> = commands.iter().map(start).collect();
        for (running, command) in running.into_iter().zip(commands) {
            let ran = running.finish().exits(5);
            assert!(ran.shown().contains("lock"), "{table} {command:?}: {}", ran.shown());
        }
        holder.query("ROLLBACK");
        assert_eq!(lab.query(recorded), before, "{table}");
        ask(commands[0]).exits(0);
    }
}

/// The line that says that a revert has begun is counted as soon as it is written.
#[test]
fn a_line_of_a_revert_that_was_killed_is_missed() {
    let lab = Lab::migrated();
    let mut blocker = lab.session();
    blocker.query("BEGIN");
    blocker.query("SELECT count(*) FROM chat.messages");
    let mut down = lab.start(&["down", "chat@-1"]);
    down.says("waiting for the ");
    down.signal("KILL");
    down.finish();
    blocker.query("ROLLBACK");
    blocker.until(SESSIONS, "0");
    lab.migrate(&["status", "chat", "--check"]).exits(6);
    lab.query("DELETE FROM chat.migration_journal_chat WHERE direction = 'revert'");
    for command in [["status", "chat"], ["up", "chat"], ["repair", "chat"]] {
        let ran = lab.migrate(&command).exits(4);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("has lost 1 of its lines"), "{command:?}: {said}");
    }
}
