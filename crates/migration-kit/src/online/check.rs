//! Check constraints, and what holds for constraints of every kind: validating and dropping them.

use migration_plan::counted;
use sea_orm::DbErr;

use super::Online;
use crate::data::rejects::{self, Kind, WHOLE_ROW};
use crate::event;
use crate::session::{self, BOOKKEEPING, refusal};
use crate::table_lock::LockMode;
use crate::{literal, quote_identifier};

/// A check to be added; made by [`Online::add_check`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct AddCheck<'a> {
    online: &'a Online,
    table: String,
    name: String,
    expression: String,
    rejecting: Option<Rejecting>,
}

/// What becomes of rows that break a check.
#[derive(Debug, Clone)]
struct Rejecting {
    /// The field under which they are listed.
    field: String,
    /// The reason that the list gives.
    reason: String,
    /// Whether they can be updated as long as the field stays as it is.
    updatable: bool,
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
            rejecting: None,
        }
    }

    /// Validates a constraint, if it is not validated yet. Reading and writing continue meanwhile.
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
    /// The server's; [`DbErr::Migration`] if the table does not exist or a lock could not be acquired.
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
    /// Instead of failing on rows that break the check, lists them as rejects of a field, with a reason. The check then
    /// stays not validated, so that new rows obey it, and a warning says so.
    pub fn rejecting(mut self, field: &str, reason: &str) -> Self {
        let (field, reason) = (field.to_owned(), reason.to_owned());
        self.rejecting = Some(Rejecting { field, reason, updatable: false });
        self
    }

    /// As [`Self::rejecting`], for an application that continues to update such rows: where there are some, a trigger of the
    /// check's name takes the check's place, and refuses new rows and changes of the field only. PostgreSQL itself would
    /// refuse every update of a row that breaks a check. The field is a column; the expression names functions outside
    /// `pg_catalog` with their schema.
    pub fn rejecting_but_updatable(mut self, field: &str, reason: &str) -> Self {
        let (field, reason) = (field.to_owned(), reason.to_owned());
        self.rejecting = Some(Rejecting { field, reason, updatable: true });
        self
    }

    /// Adds the check and validates it, as far as that is not done.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if another constraint has the name or a lock could not be acquired; the server's, with SQLSTATE
    /// 23514, if a row breaks the check and it is not said to be rejecting.
    pub async fn run(self) -> Result<(), DbErr> {
        let Self { online, table, name, expression, rejecting } = &self;
        match rejecting {
            Some(rejecting) => Box::pin(self.run_rejecting(rejecting)).await,
            None => {
                online.add_check_not_valid(table, name, expression).await?;
                online.validate_constraint(table, name).await
            }
        }
    }

    async fn run_rejecting(&self, rejecting: &Rejecting) -> Result<(), DbErr> {
        let Self { online, table, name, expression, .. } = self;
        let add = || Box::pin(online.add_check_not_valid(table, name, expression));
        if !rejecting.updatable || !self.is_broken().await? {
            add().await?;
        }
        let n_rejects = Box::pin(self.reject(rejecting)).await?;
        if n_rejects == 0 {
            add().await?;
            Box::pin(online.validate_constraint(table, name)).await?;
            if rejecting.updatable {
                Box::pin(online.drop_trigger(table, name)).await?;
            }
            return Ok(());
        }
        if rejecting.updatable {
            Box::pin(self.watch(&rejecting.field)).await?;
            Box::pin(online.drop_constraint(table, name)).await?;
        }
        let mut connection = online.acquire().await?;
        rejects::tell(&mut connection, &online.schema, &online.origin, table).await?;
        drop(connection);
        let listed = if n_rejects == 1 { "is listed as a reject" } else { "are listed as rejects" };
        let broken = format!("{} it and {listed}", counted(n_rejects, "row breaks", "rows break"));
        let message = format!("`{name}` on `{table}` holds for new rows only: {broken}");
        event::warning(&online.origin, &message);
        Ok(())
    }

    /// Whether a row breaks the check.
    async fn is_broken(&self) -> Result<bool, DbErr> {
        let Self { online, table, expression, .. } = self;
        let broken = format!(
            "{BOOKKEEPING}SELECT EXISTS (SELECT 1 FROM {} WHERE ({expression}) IS FALSE)",
            online.qualified(table)
        );
        let broken: Option<bool> = session::value(&mut *online.acquire().await?, broken).await?;
        Ok(broken == Some(true))
    }

    /// Refuses by a trigger what breaks the check from now on.
    async fn watch(&self, field: &str) -> Result<(), DbErr> {
        let Self { online, table, name, expression, .. } = self;
        let field = quote_identifier(field);
        let body = format!(
            "IF TG_OP = 'INSERT' OR NEW.{field} IS DISTINCT FROM OLD.{field} THEN\n\
             IF (SELECT ({expression}) IS FALSE FROM (SELECT NEW.*) AS new_row) THEN\n\
             RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = {constraint},\n\
             MESSAGE = pg_catalog.format('new row for relation \"%s\" violates check constraint \"%s\"', TG_TABLE_NAME, {constraint});\n\
             END IF;\n\
             END IF;\n\
             RETURN NEW;",
            constraint = literal(name),
        );
        online.create_trigger(name, table, "BEFORE INSERT OR UPDATE", &body).run().await
    }

    /// Lists the rows that break the check as rejects; how many there are.
    async fn reject(&self, Rejecting { field, reason, .. }: &Rejecting) -> Result<u64, DbErr> {
        let Self { online, table, expression, .. } = self;
        if online.constraint(table, &self.name).await?.is_some_and(|constraint| constraint.validated) {
            return Ok(0);
        }
        let broken = format!("FROM {} AS source WHERE ({expression}) IS FALSE", online.qualified(table));
        let key = format!(
            "{BOOKKEEPING}SELECT 'jsonb_build_object(' || string_agg(quote_literal(a.attname) || ', source.' \
             || quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_index i JOIN pg_attribute a \
             ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = {} AND i.indisprimary",
            online.regclass(table),
        );
        let mut connection = online.acquire().await?;
        let key: Option<String> = session::value(&mut connection, key).await?;
        // Without a primary key only the whole row tells which one it is. `source.*`, as the table may have a column `source`.
        let key = key.unwrap_or_else(|| "to_jsonb(source.*)".to_owned());
        let listed = format!(
            "SELECT {key} AS key, {field} AS field, source.{column}::text AS value, {reason} AS reason, \
             {WHOLE_ROW} {broken}",
            field = literal(field),
            column = quote_identifier(field),
            reason = literal(reason),
        );
        rejects::install_in(&mut connection, &online.schema, &online.origin.service).await?;
        let recording = rejects::recording(&online.schema, &online.origin, table, &listed, Kind::Loss);
        session::execute(&mut connection, recording).await?;
        let count = format!("{BOOKKEEPING}SELECT count(*)::bigint {broken}");
        let n_rejects: Option<i64> = session::value(&mut connection, count).await?;
        Ok(n_rejects.and_then(|n_rejects| u64::try_from(n_rejects).ok()).unwrap_or(0))
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
