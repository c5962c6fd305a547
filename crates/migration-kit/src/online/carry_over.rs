//! Carrying values over from an old place to a new one while old and new application code run at once.
//!
//! The pattern has five parts. SQL **functions** say once what a value becomes; **triggers** call them for rows written from
//! now on, a **backfill** for rows that exist, and a **sweep** of the contract step, the same backfill again, for rows that
//! escaped the triggers; **checks** call them too and confirm that nothing was forgotten. Functions and triggers are lists
//! here, added, dropped and verified like the lists of columns; what differs between carry-overs, the SQL of the backfill
//! and of the checks, is the migration's own.

use std::borrow::Cow;

use sea_orm::DbErr;

use super::Online;
use crate::{Check, Made, literal, quote_identifier};

/// Stands in the body of a function or trigger for the service's schema, quoted: they run under their caller's
/// `search_path`, and so name what they use with its schema.
const SCHEMA: &str = "{schema}";

/// The condition that no silent statement of a backfill writes the row.
const NOT_SILENT: &str = "pg_catalog.current_setting('migration.silent', true) IS DISTINCT FROM 'on'";

/// An SQL function of a carry-over.
///
/// The whole pattern: `name` becomes `full_name`.
///
/// ```
/// use migration_kit::{Backfill, Check, Details, Function, Online, Trigger};
/// use sea_orm_migration::prelude::DbErr;
///
/// const FUNCTIONS: [Function; 1] = [
///     Function::new("full_name_of(text)", "full_name_of(name text) RETURNS text", "SELECT initcap(name)")
///         .volatility("IMMUTABLE"),
/// ];
/// const TRIGGERS: [Trigger; 1] = [Trigger::new(
///     "person_full_name",
///     "person",
///     "BEFORE INSERT OR UPDATE OF name",
///     "NEW.full_name := {schema}.full_name_of(NEW.name); RETURN NEW;",
/// )];
///
/// fn fill(online: &Online) -> Backfill<'_> {
///     online.backfill("person").statement(
///         "UPDATE person AS source SET full_name = full_name_of(source.name) \
///          WHERE {batch} AND source.full_name IS NULL AND source.name IS NOT NULL",
///     )
/// }
///
/// /// The expand step. Triggers come before the backfill: every row is met by one of them.
/// async fn up(online: &Online) -> Result<(), DbErr> {
///     online.create_functions(&FUNCTIONS).await?;
///     online.create_triggers(&TRIGGERS).await?;
///     fill(online).run().await.map(drop)
/// }
///
/// /// The contract step sweeps before the triggers go.
/// async fn contract(online: &Online) -> Result<(), DbErr> {
///     fill(online).run().await?;
///     online.drop_triggers(&TRIGGERS).await?;
///     online.drop_functions(FUNCTIONS.iter().rev()).await
/// }
///
/// fn details() -> Details {
///     let until = |check: Check| check.until("m20260201_000001_drop_name");
///     Details::expand()
///         .verify_all(FUNCTIONS.iter().map(Check::from).map(until))
///         .verify_all(TRIGGERS.iter().map(Check::from).map(until))
///         .verify(until(Check::none(
///             "every name is carried over",
///             "SELECT id FROM person WHERE full_name IS DISTINCT FROM full_name_of(name)",
///         )))
/// }
/// # assert_eq!(details().checks.len(), 3);
/// # let _ = (up, contract);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Function {
    dropped_as: &'static str,
    signature: &'static str,
    language: &'static str,
    volatility: &'static str,
    body: &'static str,
}

impl Function {
    /// A function in SQL, `STABLE`: its name with the types of its arguments, its signature as
    /// [`Online::create_function`] takes it, and its body, where `{schema}` is the service's schema.
    #[must_use]
    pub const fn new(dropped_as: &'static str, signature: &'static str, body: &'static str) -> Self {
        Self { dropped_as, signature, language: "sql", volatility: "STABLE", body }
    }

    /// The language (default: `sql`).
    #[must_use]
    pub const fn language(mut self, language: &'static str) -> Self {
        self.language = language;
        self
    }

    /// The volatility (default: `STABLE`), with what else the server should know: `IMMUTABLE PARALLEL SAFE`.
    #[must_use]
    pub const fn volatility(mut self, volatility: &'static str) -> Self {
        self.volatility = volatility;
        self
    }

    /// Its name with the types of its arguments.
    #[must_use]
    pub const fn dropped_as(&self) -> &'static str {
        self.dropped_as
    }
}

/// The function exists, with its own arguments: another one may have the same name.
impl From<&Function> for Check {
    fn from(function: &Function) -> Self {
        Self::holds(
            format!("function `{}` exists", function.dropped_as),
            format!("SELECT to_regprocedure({}) IS NOT NULL", literal(function.dropped_as)),
        )
        .making(Made::Function(function.dropped_as.to_owned()))
    }
}

/// A row trigger of a carry-over, with a function of its own; see [`Online::create_trigger`].
#[derive(Debug, Clone)]
pub struct Trigger {
    name: &'static str,
    table: &'static str,
    events: &'static str,
    condition: Option<&'static str>,
    heeds_silence: bool,
    body: Cow<'static, str>,
}

impl Trigger {
    /// A trigger; `{schema}` in its body is the service's schema. Those that fire for one event fire in the order of their
    /// names.
    #[must_use]
    pub const fn new(
        name: &'static str,
        table: &'static str,
        events: &'static str,
        body: &'static str,
    ) -> Self {
        Self { name, table, events, condition: None, heeds_silence: false, body: Cow::Borrowed(body) }
    }

    /// The rows for which it fires (default: all), as a condition over `NEW` and `OLD`.
    #[must_use]
    pub const fn only_if(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Does not fire for the [silent statements](crate::Backfill::silent_statement) of a backfill.
    #[must_use]
    pub const fn unless_silent(mut self) -> Self {
        self.heeds_silence = true;
        self
    }

    /// Puts SQL in the place of a placeholder of its body.
    #[must_use]
    pub fn fill(mut self, placeholder: &str, sql: &str) -> Self {
        self.body = Cow::Owned(self.body.replace(placeholder, sql));
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its table.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.table
    }
}

/// The trigger exists and is enabled.
impl From<&Trigger> for Check {
    fn from(trigger: &Trigger) -> Self {
        Self::trigger(trigger.table, trigger.name).making(Made::Function(format!("{}()", trigger.name)))
    }
}

impl Online {
    /// Creates the functions in this order, or replaces their bodies: a body may use functions before it.
    ///
    /// # Errors
    /// As [`Online::create_function`].
    pub async fn create_functions(
        &self,
        functions: impl IntoIterator<Item = &Function>,
    ) -> Result<(), DbErr> {
        for Function { signature, language, volatility, body, .. } in functions {
            self.create_function(signature, language, volatility, &self.with_schema(body)).await?;
        }
        Ok(())
    }

    /// Drops the functions in this order; their absence is fine.
    ///
    /// # Errors
    /// As [`Online::drop_function`].
    pub async fn drop_functions(&self, functions: impl IntoIterator<Item = &Function>) -> Result<(), DbErr> {
        for function in functions {
            self.drop_function(function.dropped_as).await?;
        }
        Ok(())
    }

    /// Creates the triggers, each with its function, or replaces them.
    ///
    /// # Errors
    /// As [`CreateTrigger::run`](crate::CreateTrigger::run).
    pub async fn create_triggers(&self, triggers: impl IntoIterator<Item = &Trigger>) -> Result<(), DbErr> {
        for Trigger { name, table, events, condition, heeds_silence, body } in triggers {
            let body = self.with_schema(body);
            let trigger = self.create_trigger(name, table, events, &body);
            let trigger = match (condition, heeds_silence) {
                (None, false) => trigger,
                (Some(condition), false) => trigger.only_if(condition),
                (None, true) => trigger.only_if(NOT_SILENT),
                (Some(condition), true) => trigger.only_if(&format!("{NOT_SILENT} AND ({condition})")),
            };
            trigger.run().await?;
        }
        Ok(())
    }

    /// Drops the triggers with their functions, in this order; their absence is fine.
    ///
    /// # Errors
    /// As [`Online::drop_trigger`].
    pub async fn drop_triggers(&self, triggers: impl IntoIterator<Item = &Trigger>) -> Result<(), DbErr> {
        for trigger in triggers {
            self.drop_trigger(trigger.table, trigger.name).await?;
        }
        Ok(())
    }

    fn with_schema(&self, body: &str) -> String {
        body.replace(SCHEMA, &quote_identifier(&self.schema))
    }
}
