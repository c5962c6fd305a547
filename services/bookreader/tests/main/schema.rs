//! The schema that the migrations make: what every service's have to pass, and the contract step applied late.

use bookreader_migration::{Migrator, service};
use migration_testing::{Scratch, conformance, conformance_under_sea_orm};

#[tokio::test]
async fn they_conform() {
    conformance(service()).await;
}

#[tokio::test]
async fn they_conform_under_plain_sea_orm() {
    conformance_under_sea_orm::<Migrator>(service()).await;
}

#[tokio::test]
async fn a_contract_step_that_is_held_back_holds_nothing_else_back() {
    let early = Scratch::new(service()).await;
    early.up_contract().await;
    let late = Scratch::new(service()).await;
    late.up().await;
    assert_eq!(late.rows("SELECT count(reader_settings) FROM users").await, ["0"]);
    late.up_contract().await;
    assert_eq!(late.dump_schema().await, early.dump_schema().await);
}
