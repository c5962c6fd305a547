//! Triggers with a function of their own, and functions.

use sea_orm::DbErr;

use super::Online;
use crate::session::{self, BOOKKEEPING};
use crate::table_lock::LockMode;
use crate::{literal, quote_identifier};

/// Options of a trigger's function. The path is fixed, so that nobody who writes the table can put another function or
/// operator in the place of one that the owner runs.
const AS_OWNER: &str = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// A trigger to be created; made by [`Online::create_trigger`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct CreateTrigger<'a> {
    online: &'a Online,
    name: String,
    table: String,
    events: String,
    condition: String,
    body: String,
}

impl Online {
    /// Creates a row trigger with a function of its own, of the same name and without arguments. What exists under that
    /// name is replaced.
    ///
    /// The function runs with the rights of its owner, the role that migrates: whoever may write the table need not have
    /// heard of what the trigger reads and writes. So its body names everything but `pg_catalog` with its schema.
    ///
    /// `events` says when it fires: `BEFORE INSERT OR UPDATE OF a, b`. `body` is what it does: `plpgsql` statements, the last
    /// of them `RETURN NEW;`; with variables, a block of its own: `DECLARE … BEGIN … END;`.
    pub fn create_trigger(&self, name: &str, table: &str, events: &str, body: &str) -> CreateTrigger<'_> {
        CreateTrigger {
            online: self,
            name: name.to_owned(),
            table: table.to_owned(),
            events: events.to_owned(),
            condition: String::new(),
            body: body.to_owned(),
        }
    }

    /// Drops a trigger and the function that [`Online::create_trigger`] made for it; their absence is fine.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] if the table does not exist or a lock could not be acquired.
    pub async fn drop_trigger(&self, table: &str, name: &str) -> Result<(), DbErr> {
        self.table(table).await?;
        let exists = format!(
            "{BOOKKEEPING}SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {} AND tgname = {})",
            self.regclass(table),
            literal(name),
        );
        let exists: Option<bool> = session::value(&mut *self.acquire().await?, exists).await?;
        let drop_function = format!("DROP FUNCTION IF EXISTS {}()", self.qualified(name));
        if exists == Some(true) {
            let drop_trigger =
                format!("DROP TRIGGER {} ON {}", quote_identifier(name), self.qualified(table));
            let locks = vec![self.lock(table, LockMode::AccessExclusive)];
            return self.briefly(locks, vec![drop_trigger, drop_function]).await;
        }
        self.execute(&drop_function).await
    }

    /// Creates a function, or replaces its body. The signature starts with the plain name: `slug(title text) RETURNS
    /// text`; the body is the text between the quotes, for `plpgsql` with its `BEGIN … END`.
    ///
    /// # Errors
    /// The server's, also if a function of that name and arguments returns something else.
    pub async fn create_function(
        &self,
        signature: &str,
        language: &str,
        volatility: &str,
        body: &str,
    ) -> Result<(), DbErr> {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION {}.{signature} LANGUAGE {language} {volatility} AS {}",
            quote_identifier(&self.schema),
            literal(body),
        );
        self.execute(&sql).await
    }

    /// Drops a function, given by its name and argument types: `slug(text)`; its absence is fine.
    ///
    /// # Errors
    /// The server's, also if something uses the function.
    pub async fn drop_function(&self, signature: &str) -> Result<(), DbErr> {
        self.execute(&format!("DROP FUNCTION IF EXISTS {}.{signature}", quote_identifier(&self.schema))).await
    }
}

impl CreateTrigger<'_> {
    /// The rows for which it fires (all), as a condition over `NEW` and `OLD`.
    pub fn only_if(mut self, condition: &str) -> Self {
        self.condition = format!("WHEN ({condition}) ");
        self
    }

    /// Creates the trigger, or replaces it.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist or a lock could not be acquired; otherwise the server's.
    pub async fn run(self) -> Result<(), DbErr> {
        let Self { online, name, table, events, condition, body } = &self;
        online.table(table).await?;
        let function = format!("{}()", online.qualified(name));
        let statements = vec![
            format!(
                "CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql {AS_OWNER} AS {}",
                literal(&format!("BEGIN\n{body}\nEND"))
            ),
            format!(
                "CREATE OR REPLACE TRIGGER {} {events} ON {} FOR EACH ROW {condition}EXECUTE FUNCTION {function}",
                quote_identifier(name),
                online.qualified(table),
            ),
        ];
        online.briefly(vec![online.lock(table, LockMode::ShareRowExclusive)], statements).await
    }
}
