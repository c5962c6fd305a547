//! An index of a partitioned table, which PostgreSQL cannot build concurrently as one.
//!
//! The index of each partitioned table is created for it `ONLY`, still invalid; those of the partitions are built
//! concurrently one by one; then each is attached to its parent's. With the last one the whole index becomes valid.

use sea_orm::DbErr;
use sea_orm::sqlx::Row;

use super::CreateIndex;
use crate::literal;
use crate::session::{self, BOOKKEEPING, db_err, refusal};
use crate::table_lock::LockMode;

/// A table of the tree of partitions, and the name of its index.
#[derive(Debug)]
struct Partition {
    table: String,
    index: String,
    /// It has partitions itself.
    partitioned: bool,
    /// The index of its parent; `None` for the root.
    parent_index: Option<String>,
    /// Its index is attached to its parent's already.
    attached: bool,
}

impl CreateIndex<'_> {
    pub(super) async fn build_on_partitions(&self) -> Result<(), DbErr> {
        let online = self.online;
        for partition in self.partitions().await? {
            let mut part = self.clone();
            (part.name, part.table) = (partition.index, partition.table);
            if !partition.partitioned {
                part.build_concurrently().await?;
            } else if let Some(existing) = online.index(&part.name).await? {
                part.same_as(&existing).await?;
            } else {
                let sql = part.statement("", &format!("ONLY {}", online.qualified(&part.table)));
                online.briefly(vec![online.lock(&part.table, LockMode::Share)], vec![sql]).await?;
            }
        }
        // Deepest first: an index that is attached must be complete.
        for partition in self.partitions().await?.iter().rev().filter(|partition| !partition.attached) {
            let Some(parent_index) = &partition.parent_index else { continue };
            let sql = format!(
                "ALTER INDEX {} ATTACH PARTITION {}",
                online.qualified(parent_index),
                online.qualified(&partition.index)
            );
            // Planning a query on the partition locks its indexes, and attaching locks this one against that.
            let locks = vec![online.lock(&partition.table, LockMode::AccessExclusive)];
            online.briefly(locks, vec![sql]).await?;
        }
        online.assert_valid(&self.name).await
    }

    /// The table and its partitions, parents first. An index is named after its table's, cut to 63 bytes.
    async fn partitions(&self) -> Result<Vec<Partition>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}WITH tree AS (SELECT c.relname::text AS on_table, c.relkind = 'p' AS partitioned, t.level, \
             c.relnamespace AS schema, p.relname::text AS parent FROM pg_partition_tree({root}) t \
             JOIN pg_class c ON c.oid = t.relid LEFT JOIN pg_class p ON p.oid = t.parentrelid AND t.level > 0), \
             named AS (SELECT tree.*, {index} || '_' || on_table AS name, {index} || '_' || parent AS parent_name \
             FROM tree), \
             cut AS (SELECT named.*, CASE WHEN level = 0 THEN {index} WHEN octet_length(name) < 64 THEN name \
             ELSE left(name, 46) || '_' || left(md5(name), 16) END AS index, \
             CASE WHEN level = 0 THEN NULL WHEN level = 1 THEN {index} WHEN octet_length(parent_name) < 64 \
             THEN parent_name ELSE left(parent_name, 46) || '_' || left(md5(parent_name), 16) END AS parent_index \
             FROM named) \
             SELECT on_table, partitioned, index, parent_index, \
             schema <> (SELECT relnamespace FROM pg_class WHERE oid = {root}) AS elsewhere, \
             EXISTS (SELECT FROM pg_inherits i JOIN pg_class x ON x.oid = i.inhrelid \
             WHERE x.relname = cut.index AND x.relnamespace = cut.schema) AS attached \
             FROM cut ORDER BY level, on_table",
            root = self.online.regclass(&self.table),
            index = literal(&self.name),
        );
        let mut partitions = Vec::new();
        for row in session::rows(&mut *self.online.acquire().await?, sql).await? {
            let table: String = row.try_get("on_table").map_err(db_err)?;
            if row.try_get("elsewhere").map_err(db_err)? {
                return Err(refusal(format!("partition `{table}` of `{}` is in another schema", self.table)));
            }
            partitions.push(Partition {
                table,
                index: row.try_get("index").map_err(db_err)?,
                partitioned: row.try_get("partitioned").map_err(db_err)?,
                parent_index: row.try_get("parent_index").map_err(db_err)?,
                attached: row.try_get("attached").map_err(db_err)?,
            });
        }
        Ok(partitions)
    }
}
