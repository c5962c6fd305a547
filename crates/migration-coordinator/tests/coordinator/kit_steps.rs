//! Steps of the kit that could not do what they should, and what a run makes of that.

use std::time::Duration;

use migration_coordinator::{RunError, StepError, run};
use migration_kit::table_lock::Policy;
use migration_kit::{Details, Online, Service, ServiceMigration};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::support::{Bench, everything, options, service, step};

const CREATE: &str = "m20250101_000001_create_item";
const NEXT: &str = "m20250102_000001_add_column";

fn create() -> crate::support::Step {
    step(CREATE).up("CREATE TABLE item (id integer)")
}

/// Adds a column by a step of the kit, perhaps after a statement of its own.
struct AddsColumn {
    before: Option<&'static str>,
}

impl MigrationName for AddsColumn {
    fn name(&self) -> &'static str {
        NEXT
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AddsColumn {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if let Some(before) = self.before {
            manager.get_connection().execute_unprepared(before).await?;
        }
        Online::new(manager, "shop", NEXT).await?.add_column("item", "note", "text").run().await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

impl ServiceMigration for AddsColumn {
    fn details(&self) -> Details {
        Details::expand()
    }
}

/// Drops a column by a step of the kit on the way back.
struct DropsColumn;

impl MigrationName for DropsColumn {
    fn name(&self) -> &'static str {
        NEXT
    }
}

#[async_trait::async_trait]
impl MigrationTrait for DropsColumn {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, "shop", NEXT).await?;
        online.drop_column("item", "there is no table `item`").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

impl ServiceMigration for DropsColumn {
    fn details(&self) -> Details {
        Details::expand()
    }
}

/// Other sessions commit all the time, which says nothing about this one.
#[tokio::test]
async fn a_first_step_that_gave_up_its_lock_did_nothing_on_a_busy_server_either() {
    for (before, is_blocked) in [(None, true), (Some("CREATE TABLE half ()"), false)] {
        let bench = Bench::new();
        bench.up_well(vec![service("shop", vec![create()])]).await;
        bench.execute("CREATE TABLE public.counter (n bigint)").await;
        let (mut holder, mut other) = (bench.session().await, bench.session().await);
        holder.execute("BEGIN").await;
        holder.execute("SELECT count(*) FROM shop.item").await;
        let adds: Box<dyn ServiceMigration> = Box::new(AddsColumn { before });
        let shop = Service::new("shop", vec![Box::new(create()), adds]).unwrap();
        let deployment = bench.deployment(vec![shop]);
        let impatient = options().with_table_locks(Policy::default().with_patience(Duration::from_secs(1)));
        let goal = everything();
        let committing = async {
            loop {
                other.execute("INSERT INTO public.counter VALUES (1)").await;
            }
        };
        let report = tokio::select! {
            report = run(&deployment, &goal, &impatient) => report.unwrap(),
            () = committing => unreachable!("it commits for ever"),
        };
        let blocked = matches!(&report.failures[..], [RunError::Step(StepError::Blocked { .. })]);
        let partial = matches!(&report.failures[..], [RunError::Step(StepError::Partial { .. })]);
        assert_eq!((blocked, partial), (is_blocked, !is_blocked), "{before:?}: {report:?}");
    }
}

/// What somebody dropped is known by what the error is, as the server or the kit reports it, not by its words.
#[tokio::test]
async fn a_revert_of_what_somebody_dropped_says_how_to_make_it_again() {
    let by_kit = || -> Box<dyn ServiceMigration> { Box::new(DropsColumn) };
    let by_server = |sql: &str| -> Box<dyn ServiceMigration> { Box::new(step(NEXT).down(sql)) };
    for (is_gone, of_it, next) in [
        (true, "DROP TABLE shop.item", by_kit()),
        (true, "DROP TABLE shop.item", by_server("ALTER TABLE item DROP COLUMN id")),
        (true, "ALTER TABLE shop.item DROP COLUMN id", by_server("ALTER TABLE item DROP COLUMN id")),
        (false, "SELECT 1", by_server("DO $$ BEGIN RAISE 'there is no table `item`'; END $$")),
    ] {
        let bench = Bench::new();
        let shop = |next| vec![Service::new("shop", vec![Box::new(create()), next]).unwrap()];
        bench.up_well(shop(Box::new(step(NEXT)))).await;
        bench.execute(of_it).await;
        let (error, _) = bench.down_badly(shop(next), "shop@-1").await;
        let hint = error.hint().unwrap().to_string();
        assert_eq!(hint.contains("somebody dropped what it reverts"), is_gone, "{error:?}: {hint}");
    }
}
