//! Foreign keys that a phase adds, as data: added `NOT VALID` and validated, dropped and verified, from one list.

use migration_kit::{Check, Details, OnDelete, Online};
use sea_orm_migration::prelude::DbErr;

/// One foreign key; it refers to columns of the same names.
pub(crate) struct ForeignKey {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    referenced: &'static str,
    on_delete: OnDelete,
}

/// A foreign key whose rows go with the row to which they refer.
pub(crate) const fn foreign_key(
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    referenced: &'static str,
) -> ForeignKey {
    ForeignKey { name, table, columns, referenced, on_delete: OnDelete::Cascade }
}

impl ForeignKey {
    /// Says what else happens when the row to which it refers is deleted.
    pub(crate) const fn on_delete(mut self, on_delete: OnDelete) -> Self {
        self.on_delete = on_delete;
        self
    }
}

/// Adds the foreign keys, each for itself.
pub(crate) async fn add(online: &Online, foreign_keys: &[ForeignKey]) -> Result<(), DbErr> {
    for ForeignKey { name, table, columns, referenced, on_delete } in foreign_keys {
        online
            .add_foreign_key(name)
            .from(table, columns.iter().copied())
            .to(referenced, columns.iter().copied())
            .on_delete(*on_delete)
            .run()
            .await?;
    }
    Ok(())
}

/// Drops the foreign keys, the last one first.
pub(crate) async fn drop(online: &Online, foreign_keys: &[ForeignKey]) -> Result<(), DbErr> {
    for foreign_key in foreign_keys.iter().rev() {
        online.drop_constraint(foreign_key.table, foreign_key.name).await?;
    }
    Ok(())
}

/// Adds to `details` that the foreign keys are validated: no row refers to nothing.
pub(crate) fn verify(details: Details, foreign_keys: &[ForeignKey]) -> Details {
    foreign_keys.iter().fold(details, |details, foreign_key| {
        details.verify(Check::constraint(foreign_key.table, foreign_key.name))
    })
}
