//! A migration keeps to its own service: what it touches elsewhere is named, and nothing of it remains.
//!
//! It is long because it goes through all that a migration can reach.

use migration_coordinator::{RunError, StepError, run};
use migration_kit::Service;

use crate::support::{Bench, Step, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const TOUCH: &str = "m20250102_000001_add_touch";

/// The other service, with one object of each kind.
fn crm() -> Service {
    let create = step(CREATE)
        .up("CREATE TABLE client (id integer PRIMARY KEY, name text)")
        .up("CREATE TYPE mood AS ENUM ('good')")
        .up("CREATE VIEW names AS SELECT name FROM client")
        .up("CREATE SEQUENCE numbers")
        .up("CREATE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 42'")
        .up("CREATE FUNCTION crm.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        .up("INSERT INTO client VALUES (1, 'Ada')");
    service("crm", vec![create])
}

fn shop(touch: Step) -> Service {
    let create = step(CREATE).up("CREATE TABLE item (id integer, client integer)");
    service("shop", vec![create, touch]).with_external("forum", "topic", "the forum")
}

/// A database with `crm`, a table of the forum's and one of a role's.
async fn bench() -> Bench {
    let bench = Bench::new();
    bench.up_well(vec![crm()]).await;
    for sql in ["CREATE SCHEMA forum", "CREATE TABLE forum.topic (id integer)", "CREATE SCHEMA legacy"] {
        bench.execute(sql).await;
    }
    let role = bench.role("mallory", "").await;
    bench.execute("CREATE TABLE legacy.report (id integer)").await;
    bench.execute(&format!("ALTER TABLE legacy.report OWNER TO {role}")).await;
    bench
}

/// Everything that a catalog says of what is not the shop's.
async fn picture(bench: &Bench) -> Vec<String> {
    bench
        .rows(
            "SELECT c.oid::regclass || ' ' || coalesce(c.relacl::text, '') || ' ' || c.relnatts || ' ' \
               || (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid) FROM pg_class c \
               WHERE relnamespace IN ('crm'::regnamespace, 'forum'::regnamespace, 'legacy'::regnamespace) \
             UNION ALL SELECT p.oid::regprocedure || p.prosrc FROM pg_proc p WHERE pronamespace = 'crm'::regnamespace \
             UNION ALL SELECT nspname FROM pg_namespace WHERE nspname <> 'shop' AND nspname !~ '^pg_' \
             UNION ALL SELECT enumlabel FROM pg_enum \
             UNION ALL SELECT name FROM crm.client ORDER BY 1",
        )
        .await
}

async fn is_refused(bench: &Bench, sql: &str, expected: &[&str]) {
    let before = picture(bench).await;
    let (error, _) = bench.up_badly(vec![crm(), shop(step(TOUCH).up(sql))]).await;
    let RunError::Step(StepError::Isolation { violations, .. }) = &error else {
        panic!("`{sql}`: {error:?}: {:?}", std::error::Error::source(&error).map(ToString::to_string))
    };
    let mut found: Vec<String> = violations.iter().map(ToString::to_string).collect();
    found.sort();
    // From PostgreSQL 16 on, who makes a role becomes a member of it.
    let is_membership = |found: &String| sql.starts_with("CREATE ROLE") && found.contains("pg_auth_members");
    found.retain(|found| !is_membership(found));
    assert_eq!(found, expected, "`{sql}`");
    assert_eq!(picture(bench).await, before, "`{sql}` left something behind");
    assert_eq!(bench.journal(shop(step(TOUCH))).await.last(), Some(&format!("{TOUCH} failed")));
}

#[tokio::test]
async fn tables_of_others_are_not_touched() {
    let bench = bench().await;
    let altered = ["table `crm.client` of service `crm` was altered"];
    for sql in [
        "ALTER TABLE crm.client ADD COLUMN age integer",
        "CREATE INDEX client_name ON crm.client (name)",
        "DROP INDEX crm.client_pkey_copy",
        "TRUNCATE crm.client",
        "GRANT SELECT ON crm.client TO PUBLIC",
        "COMMENT ON TABLE crm.client IS 'ours'",
        "CREATE TRIGGER noted BEFORE INSERT ON crm.client FOR EACH ROW EXECUTE FUNCTION crm.noted()",
        "ALTER TABLE item ADD CONSTRAINT item_client_fk FOREIGN KEY (client) REFERENCES crm.client (id)",
    ] {
        if sql.starts_with("DROP INDEX") {
            bench.execute("CREATE INDEX client_pkey_copy ON crm.client (id)").await;
        }
        is_refused(&bench, sql, &altered).await;
    }
    let written = ["table `crm.client` of service `crm` was written to"];
    for sql in [
        "INSERT INTO crm.client VALUES (2, 'Bob')",
        "UPDATE crm.client SET name = 'Eve'",
        "DELETE FROM crm.client",
        "INSERT INTO crm.client SELECT 3, 'nobody' WHERE false",
    ] {
        is_refused(&bench, sql, &written).await;
    }
    let version = ["table `crm.seaql_migrations_crm` of service `crm` was written to"];
    is_refused(&bench, "DELETE FROM crm.seaql_migrations_crm", &version).await;
}

#[tokio::test]
async fn what_is_dropped_is_named_although_it_is_gone() {
    let bench = bench().await;
    is_refused(&bench, "DROP VIEW crm.names", &["view `crm.names` of service `crm` was dropped"]).await;
    is_refused(
        &bench,
        "DROP TABLE crm.client CASCADE",
        &["table `crm.client` of service `crm` was dropped", "view `crm.names` of service `crm` was dropped"],
    )
    .await;
    is_refused(&bench, "DROP FUNCTION crm.answer()", &["function `crm.answer` of service `crm` was dropped"])
        .await;
    is_refused(&bench, "DROP TYPE crm.mood", &["type `crm.mood` of service `crm` was dropped"]).await;
    is_refused(&bench, "DROP TABLE forum.topic", &["table `forum.topic` of the forum was dropped"]).await;
}

#[tokio::test]
async fn owners_are_services_teams_or_roles() {
    let bench = bench().await;
    let role =
        bench.rows("SELECT relowner::regrole FROM pg_class WHERE oid = 'legacy.report'::regclass").await;
    let report = format!("table `legacy.report` of role `{}` was written to", role[0]);
    is_refused(&bench, "INSERT INTO legacy.report VALUES (1)", &[report.as_str()]).await;
    is_refused(&bench, "UPDATE forum.topic SET id = 1", &["table `forum.topic` of the forum was written to"])
        .await;
}

#[tokio::test]
async fn what_takes_no_lock_on_a_table_is_seen_too() {
    let bench = bench().await;
    let answer = ["function `crm.answer` of service `crm` was created or replaced"];
    for sql in [
        "CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 41'",
        "GRANT EXECUTE ON FUNCTION crm.answer() TO PUBLIC",
        "ALTER FUNCTION crm.answer() IMMUTABLE",
        "SET LOCAL track_counts = off; ALTER FUNCTION crm.answer() STABLE",
    ] {
        is_refused(&bench, sql, &answer).await;
    }
    let mood = ["type `crm.mood` of service `crm` was altered"];
    is_refused(&bench, "ALTER TYPE crm.mood ADD VALUE 'bad'", &mood).await;
    is_refused(
        &bench,
        "ALTER SEQUENCE crm.numbers RESTART",
        &["sequence `crm.numbers` of service `crm` was altered"],
    )
    .await;
    is_refused(&bench, "CREATE TABLE crm.stray ()", &["table `crm.stray` of service `crm` was altered"])
        .await;
    is_refused(
        &bench,
        "CREATE FUNCTION crm.stray() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        &["function `crm.stray` of service `crm` was created or replaced"],
    )
    .await;
    is_refused(&bench, "ALTER TABLE item SET SCHEMA crm", &["table `crm.item` of service `crm` was altered"])
        .await;
    is_refused(&bench, "CREATE SCHEMA annex", &["schema `annex` of role `postgres` was created or altered"])
        .await;
    let stray = ["type `crm.stray` of service `crm` was created or altered"];
    is_refused(&bench, "CREATE DOMAIN crm.stray AS integer", &stray).await;
    is_refused(
        &bench,
        "GRANT USAGE ON SCHEMA crm TO PUBLIC",
        &["schema `crm` of service `crm` was created or altered"],
    )
    .await;
}

#[tokio::test]
async fn what_is_undone_or_declared_is_no_violation() {
    let bench = bench().await;
    let declared = step(TOUCH)
        .up("INSERT INTO crm.client VALUES (2, 'Bob')")
        .up("CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 43'")
        .details(|d| d.touches("crm.client").touches("crm.answer"));
    let undone = step("m20250103_000001_add_undone")
        .up("SAVEPOINT before")
        .up("ALTER TABLE crm.client ADD COLUMN age integer")
        .up("CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 0'")
        .up("DROP TABLE forum.topic")
        .up("ROLLBACK TO SAVEPOINT before")
        .up("RELEASE SAVEPOINT before");
    let create = step(CREATE).up("CREATE TABLE item (id integer, client integer)");
    bench.up_well(vec![service("shop", vec![create, declared, undone])]).await;
    assert_eq!(bench.rows("SELECT count(*), crm.answer() FROM crm.client").await, ["2|43"]);
}

#[tokio::test]
async fn a_released_savepoint_is_no_hiding_place() {
    let bench = bench().await;
    let hidden = step(TOUCH)
        .up("SAVEPOINT before")
        .up("CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 0'")
        .up("GRANT SELECT ON crm.client TO PUBLIC")
        .up("RELEASE SAVEPOINT before");
    let (error, _) = bench.up_badly(vec![crm(), shop(hidden)]).await;
    let RunError::Step(StepError::Isolation { violations, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(violations.len(), 2, "{violations:?}");
}

#[tokio::test]
async fn a_services_own_schema_is_free() {
    let bench = bench().await;
    let own = step(TOUCH)
        .up("ALTER TABLE item ADD COLUMN note text")
        .up("CREATE TABLE part (id integer CONSTRAINT part_pkey PRIMARY KEY, item integer)")
        .up("CREATE TEMP TABLE scratch (id integer) ON COMMIT DROP")
        .up("INSERT INTO scratch SELECT id FROM crm.client")
        .up("INSERT INTO part SELECT id, id FROM scratch")
        .up("CREATE VIEW clients AS SELECT * FROM crm.client")
        .up("CREATE TYPE colour AS ENUM ('red')")
        .up("ALTER TYPE colour ADD VALUE 'blue'")
        .up("CREATE FUNCTION shop.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        .up("CREATE TRIGGER f BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION shop.f()")
        .up("GRANT SELECT ON item TO PUBLIC")
        .up("GRANT USAGE ON SCHEMA shop TO PUBLIC")
        .up("CREATE TABLE gone (id serial)")
        .up("DROP TABLE gone")
        .up("SELECT crm.answer(), count(*) FROM crm.client")
        .up("SELECT nextval('crm.numbers')")
        .up("LOCK TABLE crm.client IN SHARE MODE");
    let dropping = step("m20250103_000001_drop_all")
        .up("DROP TABLE item CASCADE")
        .up("DROP TABLE part")
        .up("DROP VIEW clients")
        .up("DROP TYPE colour")
        .up("DROP FUNCTION shop.f()");
    let create = step(CREATE).up("CREATE TABLE item (id integer, client integer)");
    bench.up_well(vec![crm(), service("shop", vec![create, own, dropping])]).await;
    assert!(bench.tables("shop").await.is_empty());
}

/// What belongs to the database or to the server and to no schema.
#[tokio::test]
async fn objects_of_the_database_are_not_a_services() {
    let bench = bench().await;
    let (database, role) = (bench.name(), bench.role("reader", "").await);
    for sql in [
        "CREATE FUNCTION legacy.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION legacy.watch()",
        "CREATE PUBLICATION news",
        "CREATE EXTENSION hstore SCHEMA legacy",
        "CREATE FOREIGN DATA WRAPPER elsewhere",
        "CREATE SERVER far FOREIGN DATA WRAPPER elsewhere",
    ] {
        bench.execute(sql).await;
    }
    let of_database = format!("database `{database}` of role `postgres` was created or altered");
    let catalog = |name: &str| format!("catalog `pg_catalog.{name}` of role `postgres` was written to");
    let object = |what: &str| format!("{what} of role `postgres` was created or altered");
    let comment = |on: &str| format!("comment `{on}` of role `unknown` was created or altered");
    for (sql, expected) in [
        (
            "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION legacy.watch()".to_owned(),
            object("event trigger `mine`"),
        ),
        ("ALTER EVENT TRIGGER watch DISABLE".to_owned(), object("event trigger `watch`")),
        (
            "DROP EVENT TRIGGER watch".to_owned(),
            "event trigger `watch` of role `unknown` was dropped".to_owned(),
        ),
        ("CREATE PUBLICATION mine".to_owned(), object("publication `mine`")),
        ("ALTER PUBLICATION news ADD TABLE item".to_owned(), object("table of a publication `item`")),
        ("DROP PUBLICATION news".to_owned(), "publication `news` of role `unknown` was dropped".to_owned()),
        ("ALTER SERVER far VERSION '2'".to_owned(), object("foreign server `far`")),
        ("CREATE FOREIGN DATA WRAPPER mine".to_owned(), object("foreign-data wrapper `mine`")),
        (format!("ALTER DATABASE \"{database}\" SET work_mem = '8MB'"), catalog("pg_db_role_setting")),
        (format!("GRANT TEMPORARY ON DATABASE \"{database}\" TO {role}"), of_database.clone()),
        (format!("ALTER DATABASE \"{database}\" CONNECTION LIMIT 90"), of_database),
        (format!("COMMENT ON DATABASE \"{database}\" IS 'ours'"), comment(&format!("database {database}"))),
        ("CREATE ROLE mine".to_owned(), catalog("pg_authid")),
        (format!("ALTER ROLE {role} CREATEDB"), catalog("pg_authid")),
        (format!("ALTER ROLE {role} SET work_mem = '8MB'"), catalog("pg_db_role_setting")),
        (format!("GRANT pg_read_all_data TO {role}"), catalog("pg_auth_members")),
        (format!("COMMENT ON ROLE {role} IS 'ours'"), comment(&format!("role {role}"))),
        ("COMMENT ON EXTENSION hstore IS 'ours'".to_owned(), comment("extension hstore")),
        (
            format!("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}"),
            object("default privileges `postgres`"),
        ),
    ] {
        is_refused(&bench, &sql, &[expected.as_str()]).await;
    }
    // What looks alike and reaches nobody.
    let own = step(TOUCH)
        .up("COMMENT ON TABLE item IS 'ours'")
        .up("COMMENT ON SCHEMA shop IS 'ours'")
        .up(format!("ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {role}"))
        .up(format!("GRANT SELECT ON item TO {role}"))
        .up("SELECT nextval('crm.numbers')")
        .up("LOCK TABLE crm.client IN SHARE MODE");
    bench.up_well(vec![crm(), shop(own)]).await;
}

#[tokio::test]
async fn many_violations_are_sorted_and_counted() {
    let bench = bench().await;
    let mut touch = step(TOUCH);
    for number in (10..25).rev() {
        bench.execute(&format!("CREATE TABLE forum.post{number} ()")).await;
        touch = touch.up(format!("DROP TABLE forum.post{number}"));
    }
    let (error, _) = bench.up_badly(vec![crm(), shop(touch)]).await;
    let journal = bench.rows("SELECT error FROM shop.migration_journal_shop WHERE outcome = 'failed'").await;
    for says in [error.to_string(), journal[0].clone()] {
        let (_, listed) = says.split_once("rolled back: ").unwrap();
        let listed: Vec<&str> = listed.split("; ").collect();
        assert_eq!(listed.len(), 11, "{says}");
        assert_eq!(listed[0], "table `forum.post10` of role `postgres` was dropped");
        assert_eq!(listed[9], "table `forum.post19` of role `postgres` was dropped");
        assert_eq!(listed[10], "and 5 more");
    }
}

/// What event triggers of the database do for each statement of a migration.
#[tokio::test]
async fn event_triggers_that_write_are_named_and_what_they_write_to_can_be_allowed() {
    let event_trigger = |name: &str, event: &str, body: &str| {
        format!(
            "CREATE FUNCTION audit.{name}() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$BEGIN {body}; END$$; \
             CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION audit.{name}()"
        )
    };
    let draw = "PERFORM pg_catalog.nextval('audit.versions')";
    let record = "INSERT INTO audit.\"DDL log\" VALUES (tg_tag)";
    for (event, body, is_free) in [
        ("ddl_command_start", draw, true),
        ("ddl_command_end", draw, true),
        ("ddl_command_end", "PERFORM pg_notify('ddl', tg_tag)", true),
        ("ddl_command_start", record, false),
        ("ddl_command_end", record, false),
        ("sql_drop", record, false),
    ] {
        let bench = Bench::new();
        // Both services' bookkeeping is there before.
        bench.up_well(vec![crm(), service("shop", vec![step(CREATE)])]).await;
        bench.execute("CREATE SCHEMA audit").await;
        bench.execute("CREATE SEQUENCE audit.versions").await;
        bench.execute("CREATE TABLE audit.\"DDL log\" (tag text)").await;
        bench.execute(&event_trigger("watch", event, body)).await;
        let services = || {
            let ddl = step(TOUCH).up("CREATE TABLE part (id integer)").up("DROP TABLE part");
            vec![crm(), service("shop", vec![step(CREATE), ddl])]
        };
        if !is_free {
            let (error, _) = bench.up_badly(services()).await;
            let says = error.to_string();
            assert!(says.contains("table `audit.DDL log` of role `postgres` was written to"), "{says}");
            let hint = error.hint().unwrap().to_string();
            assert!(hint.contains("`watch`") && hint.contains("`Deployment::allowing`"), "{hint}");
        }
        let deployment = bench.deployment(services()).allowing(["audit.DDL log".to_owned()]);
        let deployment = if is_free { bench.deployment(services()) } else { deployment };
        let report = run(&deployment, &everything(), &options()).await.unwrap();
        assert!(report.failures.is_empty(), "{event} {body}: {:#?}", report.failures);
    }
}

/// Another session makes the same thing, and commits while ours waits to see whether it will.
#[tokio::test]
async fn creating_what_another_session_creates_is_tried_again() {
    let size = "CREATE TYPE shop.size AS ENUM ('s')";
    let make = format!("DO $$ BEGIN IF to_regtype('shop.size') IS NULL THEN {size}; END IF; END $$");
    for (theirs, before) in [("CREATE SCHEMA shop", None), (size, Some("CREATE SCHEMA shop"))] {
        let bench = Bench::new();
        if let Some(sql) = before {
            bench.execute(sql).await;
        }
        let mut session = bench.session().await;
        session.execute("BEGIN").await;
        session.execute(theirs).await;
        let others = async {
            bench
                .until(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'migrate shop%' \
                     AND wait_event_type = 'Lock')",
                )
                .await;
            session.execute("COMMIT").await;
        };
        let services = vec![service("shop", vec![step(CREATE).up(&make)])];
        tokio::join!(bench.up_well(services), others);
    }
}

#[tokio::test]
async fn what_others_do_meanwhile_is_not_held_against_a_migration() {
    let bench = bench().await;
    bench.gate().await;
    let services = vec![crm(), shop(step(TOUCH).up("INSERT INTO item VALUES (1, 1)").wait_at_gate())];
    let others = async {
        bench.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%public.gate%' AND state = 'active' \
                     AND application_name LIKE 'migrate shop:%')").await;
        bench.execute("ALTER TABLE crm.client ADD COLUMN age integer").await;
        bench
            .execute("CREATE OR REPLACE FUNCTION crm.answer() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
            .await;
        bench.execute("DROP TABLE forum.topic").await;
        bench.open_gate().await;
    };
    tokio::join!(bench.up_well(services), others);
}
