//! The drill: each earlier system's database, with its history table and thousands of rows, good and bad ones, is taken over,
//! brought to head, taken back, brought to head again, backed up, damaged and restored. No row is lost on the way, and what
//! going back does not bring back, the first backup does.

use crate::adopted::{ASSESSMENTS, BOOKREADER, BOOKREADER_OCTOBER, CHAT, PROFOCHATBOT, RAG, migrate};
use crate::support::digest::{difference, rows};
use crate::support::{Lab, ROWS, Ran};

/// One earlier system.
struct Past {
    service: &'static str,
    scripts: &'static [&'static str],
    /// The Alembic revision that it records; the others have no history.
    revision: Option<&'static str>,
    /// How it is adopted; without, `up` takes the tables over.
    adopt: Option<&'static [&'static str]>,
    /// What it is taken back to.
    base: &'static str,
    /// Tables of whose rows going back and forth loses values, as their migrations declare: the first backup has them.
    loses: &'static [&'static str],
    /// What destroys rows and tables, as an accident would.
    damage: &'static str,
}

const PASTS: [Past; 5] = [
    Past {
        service: "chat",
        scripts: &[CHAT],
        revision: Some("e65a515f830d"),
        adopt: Some(&[]),
        base: "m20251016_000001_create_messages",
        loses: &[],
        damage: "DELETE FROM messages WHERE id % 3 = 0; UPDATE messages SET content = ''",
    },
    Past {
        service: "rag",
        scripts: &[RAG],
        revision: None,
        adopt: None,
        base: "m20250727_000001_create_user_knowledge",
        loses: &[],
        damage: "TRUNCATE user_knowledge",
    },
    Past {
        service: "assessments",
        scripts: &[ASSESSMENTS],
        revision: None,
        adopt: Some(&["--accept", "*_at"]),
        base: "m20260122_000001_create_questions",
        loses: &["question_history"],
        damage: "DROP TABLE question_history CASCADE",
    },
    Past {
        service: "profochatbot",
        scripts: &[PROFOCHATBOT],
        revision: None,
        adopt: Some(&["--accept", "*.*"]),
        base: "m20240101_000001_create_profochatbot",
        loses: &[],
        damage: "DROP TABLE conversation CASCADE; TRUNCATE run CASCADE",
    },
    Past {
        service: "bookreader",
        scripts: &[BOOKREADER, BOOKREADER_OCTOBER],
        revision: Some("e94cab18247f"),
        adopt: Some(&["--accept", "*.id", "--accept", "*.scroll_offset_percent", "--without", "m20250824_*"]),
        base: "m20250823_000001_create_bookreader",
        loses: &["reading_progress", "users"],
        damage: "TRUNCATE users CASCADE; DROP TABLE user_preferences CASCADE",
    },
];

/// Another team's table in the same schema, with what PostgreSQL does not move with a table.
const OF_OTHERS: &str = "CREATE TABLE of_others (a int, b int); CREATE STATISTICS of_others_a_b ON a, b FROM of_others; \
                         INSERT INTO of_others SELECT i, i FROM generate_series(1, 1000) AS i";

impl Past {
    /// Its database, in `public`.
    fn lab(&self) -> Lab {
        let lab = Lab::empty();
        lab.query(OF_OTHERS);
        for script in self.scripts {
            lab.query(script);
        }
        let (_, script) = ROWS.iter().find(|(service, _)| *service == self.service).unwrap();
        lab.query(&script.replace(&format!("INTO {}.", self.service), "INTO public."));
        if let Some(revision) = self.revision {
            lab.query(&format!(
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); \
                 INSERT INTO alembic_version VALUES ('{revision}')"
            ));
        }
        lab
    }

    fn migrate(&self, lab: &Lab, arguments: &[&str]) -> Ran {
        migrate(lab, self.service, arguments).exits(0)
    }

    fn to_head(&self, lab: &Lab) {
        let up = ["up", self.service, "--quiet"];
        self.migrate(lab, &up);
        self.migrate(lab, &[&up[..], &["--contract", "--ignore-soak", "--allow-data-loss"]].concat());
        self.migrate(lab, &["verify", self.service]);
        self.migrate(lab, &["status", self.service, "--check"]);
    }
}

/// The lines of the tables that are named in `known` too; only the number of rows of those that lose values.
fn of_these(all: &str, known: &str, loses: &[&str]) -> String {
    let name = |line: &str| line.split_once(": ").map(|(name, _)| name.to_owned());
    let known: Vec<_> = known.lines().map(name).collect();
    let lines = all.lines().filter(|line| known.contains(&name(line)));
    let shortened = lines.map(|line| {
        let is_short = name(line).is_some_and(|name| loses.contains(&name.as_str()));
        if is_short { line.split(", ").next().unwrap_or(line) } else { line }
    });
    shortened.map(|line| format!("{line}\n")).collect()
}

#[test]
fn no_row_of_any_earlier_database_is_lost() {
    for past in PASTS {
        let (lab, service) = (past.lab(), past.service);
        let of_public = || rows(&lab.database, "public");
        let same = |expected: &str, loses: &[&str], when: &str| {
            let (expected, found) =
                (of_these(expected, expected, loses), of_these(&of_public(), expected, loses));
            assert!(found == expected, "{service}, {when}\n{}", difference(&expected, &found));
        };
        let backed_up = |how: &str| {
            let made = past.migrate(&lab, &["backup", service, how, "--json"]).json();
            assert_eq!(made["backups"][0]["verified"], how == "--verify", "{made}");
            made["backups"][0]["archive"].as_str().unwrap().to_owned()
        };
        let inherited = of_public();
        if let Some(options) = past.adopt {
            let from = if past.revision.is_some() { "alembic" } else { "schema" };
            past.migrate(&lab, &[&["adopt", service, "--from", from][..], options].concat());
        } else {
            past.migrate(&lab, &["up", &format!("{service}@{}", past.base), "--quiet"]);
        }
        same(&inherited, &[], "taken over");
        let first = backed_up("--no-verify");
        past.to_head(&lab);
        let head = of_public();

        let target = format!("{service}@{}", past.base);
        past.migrate(&lab, &["down", &target, "--allow-data-loss", "--quiet"]);
        same(&inherited, past.loses, "taken back");
        past.to_head(&lab);
        same(&head, &[], "at head again");

        let second = backed_up("--verify");
        lab.query(past.damage);
        assert_ne!(of_public(), head, "{service}");
        past.migrate(&lab, &["restore", &second, "--allow-data-loss"]);
        same(&head, &[], "restored");
        past.migrate(&lab, &["verify", service]);
        past.migrate(&lab, &["status", service, "--check"]);

        past.migrate(&lab, &["restore", &first, "--allow-data-loss"]);
        same(&inherited, &[], "as it was taken over");
    }
}
