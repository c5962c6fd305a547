//! Defaults that are written differently and are one value of their type, such as two intervals: a server is asked. Asked are
//! constants only, so that no expression of a schema is evaluated.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::meaning::constant_of_default;
use crate::{Kind, Object, Schema, SchemaError};

impl Schema {
    /// This schema with those defaults as `other` writes them that are the same constant to the server that has `other`, as
    /// `schema`. It puts that into the `search_path` of the connection's transaction.
    ///
    /// # Errors
    /// [`SchemaError::Query`] if the connection is lost. What a type does not take is no value of it.
    pub async fn aligned_with(
        mut self,
        other: &Self,
        schema: &str,
        connection: &mut PgConnection,
    ) -> Result<Self, SchemaError> {
        let path = "SELECT set_config('search_path', quote_ident($1) || ', pg_catalog', true)";
        sqlx::query(path).bind(schema).execute(&mut *connection).await?;
        for (object, sql) in self.questions(other) {
            sqlx::query("SAVEPOINT asking").execute(&mut *connection).await?;
            let answer = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *connection).await;
            sqlx::query("ROLLBACK TO SAVEPOINT asking").execute(&mut *connection).await?;
            let is_one = match answer {
                Ok(row) => row.try_get(0)?,
                Err(sqlx::Error::Database(_)) => false,
                Err(lost) => return Err(lost.into()),
            };
            let default = other.get(&object).and_then(|properties| properties.get("default"));
            let own = self.objects.get_mut(&object).and_then(|properties| properties.get_mut("default"));
            if let (true, Some(default), Some(own)) = (is_one, default, own) {
                default.clone_into(own);
            }
        }
        Ok(self)
    }

    /// For each column of both whose defaults are two constants: whether they are one.
    fn questions(&self, other: &Self) -> Vec<(Object, String)> {
        let constant = |default: Option<&String>| default.and_then(|sql| constant_of_default(sql));
        let columns = other.objects().filter(|(object, _)| object.kind == Kind::Column);
        let question = |(object, wanted): (&Object, &crate::Properties)| {
            let found = self.get(object).filter(|found| found.get("type") == wanted.get("type"))?;
            let type_ = wanted.get("type")?;
            let (one, other) = (constant(wanted.get("default"))?, constant(found.get("default"))?);
            // The values are as the server quotes them.
            let sql = format!("SELECT ('{one}'::{type_})::text = ('{other}'::{type_})::text");
            (one != other).then(|| (object.clone(), sql))
        };
        columns.filter_map(question).collect()
    }
}
