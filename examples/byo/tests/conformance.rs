//! The battery that the migrations of every service have to pass.

use byo::{ledger, migrator::Migrator, tickets};
use migration_testing::{conformance, conformance_under_sea_orm};

#[tokio::test]
async fn both_services_conform() {
    conformance(tickets().unwrap()).await;
    conformance_under_sea_orm::<Migrator>(tickets().unwrap()).await;
    conformance(ledger().unwrap()).await;
}
