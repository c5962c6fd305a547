//! Foreign keys: added without checking, then validated; the table to which they refer is locked first.

use sea_orm::DbErr;

use super::Online;
use super::check::same_definition;
use crate::quote::{literal, quote_identifier, quoted_by_the_server};
use crate::session::{self, BOOKKEEPING, refusal};
use crate::table_lock::{LockMode, Locked, Reference};

/// What happens to a referring row when the row to which it refers is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// The deletion fails at the end of its statement or transaction; PostgreSQL's default.
    #[default]
    NoAction,
    /// The deletion fails at once.
    Restrict,
    /// The row is deleted too.
    Cascade,
    /// The referring columns become null.
    SetNull,
}

impl OnDelete {
    fn sql(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
        }
    }
}

/// A foreign key to be added; made by [`Online::add_foreign_key`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct AddForeignKey<'a> {
    online: &'a Online,
    name: String,
    from: (String, Vec<String>),
    to: (String, Vec<String>),
    on_delete: OnDelete,
}

impl Online {
    /// Adds a foreign key from columns of one table of the service to columns of another: `NOT VALID` under short locks, so
    /// that new rows obey it, then validated while reading and writing continue. The same one under that name is fine;
    /// another is an error.
    pub fn add_foreign_key<C: Into<String>, D: Into<String>>(
        &self,
        name: &str,
        from: (&str, impl IntoIterator<Item = C>),
        to: (&str, impl IntoIterator<Item = D>),
    ) -> AddForeignKey<'_> {
        AddForeignKey {
            online: self,
            name: name.to_owned(),
            from: (from.0.to_owned(), from.1.into_iter().map(Into::into).collect()),
            to: (to.0.to_owned(), to.1.into_iter().map(Into::into).collect()),
            on_delete: OnDelete::NoAction,
        }
    }
}

impl AddForeignKey<'_> {
    /// What happens when the referenced row is deleted (default: [`OnDelete::NoAction`]).
    pub fn on_delete(mut self, on_delete: OnDelete) -> Self {
        self.on_delete = on_delete;
        self
    }

    /// Adds the foreign key and validates it, as far as that is not done.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if a table does not exist, another constraint has the name or a lock could not be acquired; the
    /// server's, with SQLSTATE 23503, if a row refers to nothing.
    pub async fn run(self) -> Result<(), DbErr> {
        let online = self.online;
        let (table, referenced) = (&self.from.0, &self.to.0);
        if self.from.1.is_empty() || self.to.1.is_empty() {
            return Err(refusal(format!("foreign key `{}` needs columns on both sides", self.name)));
        }
        online.table(referenced).await?;
        let Some(existing) = online.constraint(table, &self.name).await? else {
            let sql = format!(
                "ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID",
                online.qualified(table),
                quote_identifier(&self.name),
                self.definition(&online.qualified(referenced)),
            );
            let name = |table: &str| (online.schema.clone(), table.to_owned());
            let reference = Reference { referring: name(table), referenced: name(referenced) };
            let locks = [referenced, table].map(|table| online.lock(table, LockMode::ShareRowExclusive));
            let limit = Some(online.policy.statement_limit);
            online
                .run(Locked {
                    locks: locks.to_vec(),
                    references: vec![reference],
                    statements: vec![sql],
                    limit,
                })
                .await?;
            return online.validate_constraint(table, &self.name).await;
        };
        // As `pg_get_constraintdef` writes it: names are quoted and qualified only where they must be.
        let expected = format!(
            "{BOOKKEEPING}SELECT {}",
            self.expected_definition(&format!("{}::regclass::text", literal(&online.qualified(referenced))))
        );
        let expected: Option<String> = session::value(&mut *online.acquire().await?, expected).await?;
        same_definition(table, &self.name, &existing.definition, &expected.unwrap_or_default())?;
        online.validate_constraint(table, &self.name).await
    }

    fn definition(&self, referenced: &str) -> String {
        format!(
            "FOREIGN KEY ({}) REFERENCES {referenced} ({}) ON DELETE {}",
            Online::column_list(&self.from.1),
            Online::column_list(&self.to.1),
            self.on_delete.sql(),
        )
    }

    /// An SQL expression that gives the definition as the server writes it.
    fn expected_definition(&self, referenced: &str) -> String {
        let on_delete = match self.on_delete {
            OnDelete::NoAction => String::new(),
            other => format!(" ON DELETE {}", other.sql()),
        };
        format!(
            "'FOREIGN KEY (' || {} || ') REFERENCES ' || {referenced} || '(' || {} || ')' || {}",
            quoted_by_the_server(&self.from.1),
            quoted_by_the_server(&self.to.1),
            literal(&on_delete),
        )
    }
}
