//! What is in the tables and sequences of a service, so short that two places can be compared.

use migration_coordinator::contents_question;
use migration_kit::{ServiceName, literal, qualified};
use migration_plan::counted;
use sqlx::{PgConnection, Row};

use crate::BackupError;
use crate::error::{read, written};
use crate::owned::{Owned, rows, send};

/// What is in a table, as [`contents_question`] asks. Every session of ours writes values the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TableContents {
    schema: String,
    name: String,
    n_rows: i64,
    digest: String,
}

/// What is in all tables of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents(Vec<TableContents>);

impl Contents {
    /// Reads every row.
    pub(super) async fn read(connection: &mut PgConnection, owned: &Owned) -> Result<Self, sqlx::Error> {
        let mut tables = Vec::new();
        for table in owned.own().filter(|relation| relation.kind == "r") {
            let found = rows(connection, &contents_question(&format!("ONLY {}", table.qualified()))).await?;
            let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
            tables.push(TableContents {
                schema: table.schema.clone(),
                name: table.name.clone(),
                n_rows: row.try_get(0)?,
                digest: row.try_get(1)?,
            });
        }
        Ok(Self(tables))
    }

    /// The first difference from what is in another place, in words.
    pub(super) fn difference(&self, there: &Self) -> Option<String> {
        let of = |contents: &Self, table: &TableContents| {
            let found = contents.0.iter().find(|t| (&t.schema, &t.name) == (&table.schema, &table.name));
            found.cloned()
        };
        let lacking = self.0.iter().find_map(|here| match of(there, here) {
            None => Some(format!("the table `{}` is missing there", here.name)),
            Some(found) if found.n_rows != here.n_rows => {
                let here_are = counted(here.n_rows, "row", "rows");
                Some(format!("`{}` has {here_are} here and {} there", here.name, found.n_rows))
            }
            Some(found) => {
                (found.digest != here.digest).then(|| format!("rows of `{}` are others there", here.name))
            }
        });
        let added = || there.0.iter().find(|found| of(self, found).is_none());
        lacking.or_else(|| Some(format!("the table `{}` is only there", added()?.name)))
    }
}

/// Puts the sequences of one place where those of another are: an application may have drawn numbers since they were copied.
pub(super) async fn align_sequences(
    here: &mut PgConnection,
    there: &mut PgConnection,
    service: &ServiceName,
    owned: &Owned,
) -> Result<(), BackupError> {
    let failed = read(service);
    for sequence in owned.own().filter(|relation| relation.kind == "S") {
        let name = qualified(&sequence.schema, &sequence.name);
        let found =
            rows(here, &format!("SELECT last_value, is_called FROM {name}")).await.map_err(&failed)?;
        let row = found.first().ok_or(sqlx::Error::RowNotFound).map_err(&failed)?;
        let (last, is_called): (i64, bool) = (row.get(0), row.get(1));
        let sql = format!("SELECT pg_catalog.setval({}, {last}, {is_called})", literal(&name));
        send(there, &sql).await.map_err(written(service))?;
    }
    Ok(())
}
