//! A migration that consists of online steps.

use std::future::Future;

use sea_orm::DbErr;
use sea_orm_migration::MigrationName;

use super::Online;

/// A migration outside a transaction, in steps that are given: it knows its service and its name by itself, and
/// [`online_migration!`](crate::online_migration) makes a plain sea-orm migration of it.
pub trait OnlineMigration: MigrationName {
    /// Applies the migration; what a killed run has done already is found done.
    ///
    /// # Errors
    /// What a step reports.
    fn up(&self, online: &Online) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// Reverts the migration, in steps too.
    ///
    /// # Errors
    /// What a step reports.
    fn down(&self, online: &Online) -> impl Future<Output = Result<(), DbErr>> + Send;
}

/// Makes an [`OnlineMigration`] of a service a plain sea-orm migration that runs outside a transaction. It is a macro because
/// nobody but the migration's own crate may implement sea-orm's trait for it.
///
/// ```
/// use migration_kit::{Online, OnlineMigration, online_migration};
/// use sea_orm_migration::prelude::*;
///
/// pub struct Migration;
///
/// online_migration!("shop", Migration);
///
/// impl OnlineMigration for Migration {
///     async fn up(&self, online: &Online) -> Result<(), DbErr> {
///         online.create_index("idx_orders_source", "orders", ["source"]).run().await
///     }
///
///     async fn down(&self, online: &Online) -> Result<(), DbErr> {
///         online.drop_index("idx_orders_source").await
///     }
/// }
/// # impl MigrationName for Migration { fn name(&self) -> &str { "m20251017_000001_index_source" } }
/// # assert_eq!(Migration.use_transaction(), Some(false));
/// ```
#[macro_export]
macro_rules! online_migration {
    ($service:expr, $migration:ty) => {
        #[$crate::async_trait::async_trait]
        impl $crate::sea_orm_migration::MigrationTrait for $migration {
            fn use_transaction(&self) -> Option<bool> {
                Some(false)
            }

            async fn up(
                &self,
                manager: &$crate::sea_orm_migration::SchemaManager,
            ) -> Result<(), $crate::sea_orm::DbErr> {
                let name = $crate::sea_orm_migration::MigrationName::name(self);
                let online = $crate::Online::new(manager, $service, name).await?;
                $crate::OnlineMigration::up(self, &online).await
            }

            async fn down(
                &self,
                manager: &$crate::sea_orm_migration::SchemaManager,
            ) -> Result<(), $crate::sea_orm::DbErr> {
                let name = $crate::sea_orm_migration::MigrationName::name(self);
                let online = $crate::Online::new(manager, $service, name).await?;
                $crate::OnlineMigration::down(self, &online).await
            }
        }
    };
}
