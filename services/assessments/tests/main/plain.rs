//! The migrations under plain sea-orm, without the coordinator.

use assessments_migration::{Migrator, service};
use migration_testing::Scratch;
use sea_orm_migration::MigratorTrait;

use crate::data;

#[tokio::test]
async fn plain_sea_orm_reaches_head_and_comes_back() {
    let scratch = Scratch::new(service()).await;
    Migrator::up(scratch.db(), Some(2)).await.unwrap();
    data::load(&scratch).await;
    Migrator::up(scratch.db(), None).await.unwrap();
    assert!(Migrator::get_pending_migrations(scratch.db()).await.unwrap().is_empty());
    scratch.verify().await;
    Migrator::down(scratch.db(), None).await.unwrap();
    assert_eq!(
        Migrator::get_pending_migrations(scratch.db()).await.unwrap().len(),
        service().migrations().count()
    );
}
