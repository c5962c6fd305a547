//! What `check` finds in migrations that break one promise each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use migration_kit::{Details, Service, ServiceMigration, ServiceName};
use migration_rehearsal::{Check, check};
use sea_orm_migration::prelude::*;

/// A migration that sends these statements.
struct Sends {
    name: &'static str,
    transactional: bool,
    up: &'static [&'static str],
    down: &'static [&'static str],
    requires: Option<&'static str>,
    accepts: Option<&'static str>,
}

impl MigrationName for Sends {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sends {
    fn use_transaction(&self) -> Option<bool> {
        Some(self.transactional)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        send(manager, self.up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        send(manager, self.down).await
    }
}

async fn send(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

impl ServiceMigration for Sends {
    fn details(&self) -> Details {
        let details = match self.requires {
            Some(requirement) => Details::expand().requires(requirement),
            None => Details::expand(),
        };
        match self.accepts {
            Some(rule) => details.accepts(rule, "the table has no rows anywhere"),
            None => details,
        }
    }
}

const SOUND: Sends = Sends {
    name: "m20250101_000001_create_t",
    transactional: true,
    up: &["CREATE TABLE t (id int CONSTRAINT t_pkey PRIMARY KEY)"],
    down: &["DROP TABLE t"],
    requires: None,
    accepts: None,
};

const SECOND: Sends = Sends {
    name: "m20250102_000001_add_a",
    transactional: true,
    up: &["ALTER TABLE t ADD COLUMN a int"],
    down: &["ALTER TABLE t DROP COLUMN a"],
    requires: None,
    accepts: None,
};

/// Makes the migrations of a service.
type Make = fn() -> Vec<Sends>;

/// What is found of a service with these migrations beside a sound one, a line each.
async fn found(make: Make) -> Vec<String> {
    let services = || {
        let boxed = |migrations: Vec<Sends>| {
            migrations.into_iter().map(|one| Box::new(one) as Box<dyn ServiceMigration>).collect::<Vec<_>>()
        };
        vec![Service::new("shop", boxed(make())).unwrap(), Service::new("other", boxed(vec![SOUND])).unwrap()]
    };
    let services: &dyn Fn() -> Vec<Service> = Box::leak(Box::new(services));
    let shop: ServiceName = "shop".parse().unwrap();
    let checked = check(services, &[shop], &[]).await.unwrap();
    // What fails alone is not tried in other orders.
    let fails_alone = checked.iter().any(|one| {
        one.check == Check::Alone
            && one.findings.iter().any(|says| says.message.contains("cannot be applied"))
    });
    let all = [Check::Names, Check::RoundTrip, Check::Alone, Check::Rows, Check::Interleaved];
    let expected = &all[..if fails_alone { 4 } else { 5 }];
    assert_eq!(checked.iter().map(|one| one.check).collect::<Vec<_>>(), expected);
    let lines = checked.iter().flat_map(|one| {
        one.findings.iter().map(move |finding| {
            let migration = finding.migration.as_ref().map_or("", |name| name.as_str());
            format!("{} {migration}: {}", one.check, finding.message)
        })
    });
    lines.collect()
}

#[tokio::test]
async fn each_broken_promise_is_found_once() {
    let cases: [(Make, &[&str]); 7] = [
        (|| vec![SOUND, SECOND], &[]),
        (
            || vec![Sends { down: &["SELECT 1"], ..SOUND }],
            &[
                "round-trip m20250101_000001_create_t: the schema is another one after it was reverted: + table t",
            ],
        ),
        (
            || vec![SOUND, Sends { transactional: false, ..SECOND }],
            &[
                "round-trip m20250102_000001_add_a: it cannot be applied once more, as after a kill at its end: ",
            ],
        ),
        (
            || vec![Sends { down: &["DROP TABLE missing"], ..SOUND }],
            &["round-trip m20250101_000001_create_t: it cannot be reverted: "],
        ),
        (
            || {
                let up = &["CREATE TABLE IF NOT EXISTS public.stray (id int)"];
                vec![SOUND, Sends { up, down: &["SELECT 1"], transactional: false, ..SECOND }]
            },
            &["alone : its migrations leave the table public.stray outside of its schema"],
        ),
        (
            || vec![SOUND, Sends { name: "m20241231_000001_add_a", ..SECOND }],
            &[
                "names m20241231_000001_add_a: it is listed after `m20250101_000001_create_t`, and its name is before",
            ],
        ),
        (
            // It needs what it does not say that it needs.
            || vec![SOUND, Sends { up: &["ALTER TABLE t ADD COLUMN a int DEFAULT (SELECT 1)"], ..SECOND }],
            &[
                "round-trip m20250102_000001_add_a: it cannot be applied: ",
                "alone : it cannot be applied beside only what it requires: ",
            ],
        ),
    ];
    for (make, expected) in cases {
        let found = found(make).await;
        let is_as_expected = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
        assert!(is_as_expected, "expected {expected:#?}, found {found:#?}");
    }
}

#[tokio::test]
async fn what_no_row_passes_is_found() {
    let make = || {
        let second = Sends { up: &["ALTER TABLE t ADD COLUMN a int NOT NULL"], ..SECOND };
        vec![SOUND, second]
    };
    let found = found(make).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("it cannot be applied to tables with rows") && found[0].contains("null values"),
        "{found:?}"
    );
    let accepted = || {
        let up = &["ALTER TABLE t ADD COLUMN a int NOT NULL"];
        vec![SOUND, Sends { up, accepts: Some("rows"), ..SECOND }]
    };
    assert_eq!(self::found(accepted).await, [""; 0]);
}

#[tokio::test]
async fn a_trigger_that_needs_rights_is_a_hazard() {
    const TRIGGER: &str = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO u VALUES (1); RETURN NEW; END'";
    let make = || {
        let up = &[
            "CREATE TABLE u (id int)",
            TRIGGER,
            "CREATE TRIGGER f AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        ];
        let down = &["DROP TRIGGER f ON t", "DROP FUNCTION f()", "DROP TABLE u"];
        let third = Sends { name: "m20250103_000001_add_f", up, down, ..SECOND };
        vec![
            Service::new(
                "shop",
                [SOUND, SECOND, third].map(|one| Box::new(one) as Box<dyn ServiceMigration>).into(),
            )
            .unwrap(),
        ]
    };
    let checked = check(&make, &["shop".parse().unwrap()], &[]).await.unwrap();
    let hazards: Vec<_> = checked.iter().flat_map(|one| &one.hazards).collect();
    assert_eq!(hazards.len(), 1);
    assert_eq!(
        (hazards[0].rule, hazards[0].object.as_str()),
        ("trigger-needs-rights", "t: permission denied for table u")
    );
    assert_eq!(hazards[0].migration.as_str(), "m20250103_000001_add_f");
    assert!(checked.iter().all(|one| one.findings.is_empty() && one.empty.is_empty()), "{checked:?}");
}
