//! Check constraints, and what holds for constraints of every kind: validating and dropping them.

use sea_orm::DbErr;

use super::Online;
use crate::quote_identifier;
use crate::session::refusal;
use crate::table_lock::LockMode;

/// A check to be added; made by [`Online::add_check`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct AddCheck<'a> {
    online: &'a Online,
    table: String,
    name: String,
    expression: String,
}

impl Online {
    /// Adds a check: `NOT VALID` under a short lock, so that new rows obey it, then validated while reading and writing
    /// go on. The same check under that name is fine; another one is an error.
    pub fn add_check(&self, table: &str, name: &str, expression: &str) -> AddCheck<'_> {
        AddCheck {
            online: self,
            table: table.to_owned(),
            name: name.to_owned(),
            expression: expression.to_owned(),
        }
    }

    /// Validates a constraint, if it is not validated yet. Reading and writing go on meanwhile.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if there is no such constraint; the server's, with SQLSTATE 23514 or 23503, if a row breaks
    /// it.
    pub async fn validate_constraint(&self, table: &str, name: &str) -> Result<(), DbErr> {
        let Some(constraint) = self.constraint(table, name).await? else {
            return Err(refusal(format!("table `{table}` has no constraint `{name}`")));
        };
        if constraint.validated {
            return Ok(());
        }
        let sql =
            format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.qualified(table), quote_identifier(name));
        self.unhurried(sql).await
    }

    /// Drops a constraint; its absence is fine. With a foreign key, the table to which it refers is locked too.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] if the table does not exist or a lock is not to be had.
    pub async fn drop_constraint(&self, table: &str, name: &str) -> Result<(), DbErr> {
        let Some(constraint) = self.constraint(table, name).await? else { return Ok(()) };
        let mut locks = vec![self.lock(table, LockMode::AccessExclusive)];
        locks.extend(
            constraint.references.map(|referenced| self.lock(&referenced, LockMode::AccessExclusive)),
        );
        let sql = format!("ALTER TABLE {} DROP CONSTRAINT {}", self.qualified(table), quote_identifier(name));
        self.briefly(locks, vec![sql]).await
    }

    /// Adds a check that holds for new rows only, so far; one that exists must be the same.
    pub(super) async fn add_check_not_valid(
        &self,
        table: &str,
        name: &str,
        expression: &str,
    ) -> Result<(), DbErr> {
        let quoted = quote_identifier(name);
        let add = |table: &str| format!("ALTER TABLE {table} ADD CONSTRAINT {quoted} CHECK ({expression})");
        let Some(existing) = self.constraint(table, name).await? else {
            let sql = format!("{} NOT VALID", add(&self.qualified(table)));
            return self.briefly(vec![self.lock(table, LockMode::AccessExclusive)], vec![sql]).await;
        };
        let read = |copy: &str| {
            format!(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{copy}'::regclass \
                 AND contype = 'c'"
            )
        };
        let expected = self.expected(table, add, read).await?;
        same_definition(table, name, &existing.definition, &expected)
    }
}

impl AddCheck<'_> {
    /// Adds the check and validates it, as far as that is not done.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if another constraint has the name or a lock is not to be had; the server's, with SQLSTATE
    /// 23514, if a row breaks the check.
    pub async fn run(self) -> Result<(), DbErr> {
        let Self { online, table, name, expression } = &self;
        online.add_check_not_valid(table, name, expression).await?;
        online.validate_constraint(table, name).await
    }
}

/// Refuses a constraint that has the name and another definition.
pub(super) fn same_definition(table: &str, name: &str, existing: &str, expected: &str) -> Result<(), DbErr> {
    if existing == expected {
        return Ok(());
    }
    Err(refusal(format!(
        "`{table}` has a constraint `{name}` already, with another definition: it is `{existing}`, not `{expected}`"
    )))
}
