//! Archives on servers that lack what they name: tablespaces, roles, a version.

use std::path::{Path, PathBuf};

use postgres_sandbox::{Binaries, Cluster};

use crate::support::Lab;

/// Backs chat up with a trial, and gives the archive.
fn backed_up(lab: &Lab) -> PathBuf {
    let made = lab.migrate(&["backup", "chat", "--verify", "--json"]).exits(0).json();
    lab.directory.path().join(made["backups"][0]["archive"].as_str().unwrap())
}

fn restore<'a>(archive: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["restore", archive.to_str().unwrap(), "--allow-data-loss"], more].concat()
}

#[test]
fn a_tablespace_is_no_part_of_a_backup() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    let database = lab.database.name();
    let (space, renamed) = (format!("{database}_space"), format!("{database}_renamed"));
    lab.query(&format!("ALTER DATABASE {database} SET allow_in_place_tablespaces = on"));
    lab.query(&format!("CREATE TABLESPACE {space} LOCATION ''"));
    lab.query(&format!("ALTER TABLE chat.messages SET TABLESPACE {space}"));
    lab.query(&format!("ALTER INDEX chat.idx_deleted_at SET TABLESPACE {space}"));
    let archive = backed_up(&lab);
    let placed = || {
        lab.query(
            "SELECT coalesce(string_agg(relname || ' in ' || spcname, ', ' ORDER BY relname), 'none') \
             FROM pg_class JOIN pg_tablespace s ON s.oid = reltablespace WHERE relnamespace = 'chat'::regnamespace",
        )
    };
    let restored = lab.migrate(&restore(&archive, &[])).exits(0);
    assert!(!restored.shown().contains("tablespace"), "{}", restored.shown());
    assert_eq!(placed().trim(), format!("idx_deleted_at in {space}, messages in {space}"));

    lab.query(&format!("ALTER TABLESPACE {space} RENAME TO {renamed}"));
    let looked = lab.migrate(&restore(&archive, &["--dry-run"])).exits(0);
    let absent =
        format!("tablespace `{space}` not there: everything would be in the database's own tablespace");
    assert!(looked.shown().contains(&absent), "{}", looked.shown());
    let restored = lab.migrate(&restore(&archive, &["--json"])).exits(0).json();
    assert_eq!(restored["absent_tablespaces"], serde_json::json!([space]));
    assert_eq!(placed().trim(), "none");
    lab.migrate(&["verify", "chat"]).exits(0);
}

#[test]
fn roles_that_are_not_there_are_named_before_anything_is_restored() {
    for (what, is_of_policy) in [
        ("ALTER TABLE chat.messages OWNER TO ROLE", false),
        ("GRANT SELECT ON chat.messages TO ROLE", false),
        ("GRANT SELECT (content) ON chat.messages TO ROLE", false),
        ("GRANT USAGE ON SCHEMA chat TO ROLE", false),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA chat GRANT SELECT ON TABLES TO ROLE", false),
        ("CREATE POLICY own ON chat.messages TO ROLE USING (true)", true),
    ] {
        let lab = Lab::empty();
        lab.migrate(&["up", "chat", "--quiet"]).exits(0);
        let database = lab.database.name();
        let (role, renamed) = (format!("{database}_role"), format!("{database}_gone"));
        lab.query(&format!("CREATE ROLE {role}"));
        lab.query(&what.replace("ROLE", &role));
        let archive = backed_up(&lab);
        lab.query(&format!("ALTER ROLE {role} RENAME TO {renamed}"));
        for more in [&["--dry-run"][..], &[]] {
            let refused = lab.migrate(&restore(&archive, more)).exits(7);
            let said = format!("`chat` cannot be restored: there are no roles `{role}` there");
            assert!(refused.stderr.contains(&said), "{what}: {}", refused.shown());
            assert!(refused.stderr.contains("`--no-owner`"), "{what}: {}", refused.shown());
        }
        lab.migrate(&restore(&archive, &["--no-owner"])).exits(if is_of_policy { 7 } else { 0 });
        lab.query(&format!("ALTER ROLE {renamed} RENAME TO {role}"));
        lab.migrate(&restore(&archive, &[])).exits(0);
        lab.query(&format!("DROP OWNED BY {role} CASCADE"));
        lab.query(&format!("DROP ROLE {role}"));
    }
}

#[test]
fn an_archive_of_a_newer_server_is_refused_before_anything_is_restored() {
    let of = |major| {
        let binaries = Binaries::of_major(major).unwrap();
        Cluster::builder().binaries(binaries).start().unwrap()
    };
    let (newer, older) = (of(18), of(15));
    let there = Lab::with(newer.create_database().unwrap());
    there.migrate(&["up", "chat", "--quiet"]).exits(0);
    let archive = backed_up(&there);
    let here = Lab::with(older.create_database().unwrap());
    for more in [&["--dry-run"][..], &[]] {
        let refused = here.migrate(&restore(&archive, more)).exits(7);
        let said = "it is of PostgreSQL 18, which is newer than the server's 15";
        assert!(refused.stderr.contains(said), "{}", refused.shown());
    }
}
