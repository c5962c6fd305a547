//! What a service owns in its schemas, by the catalogs: what is dumped, counted, compared and moved aside.
//! It is long because what the catalogs are asked is beside what their answers mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use migration_coordinator::{Applied, Deployment, Number, Thing};
use migration_kit::{BOOKKEEPING, ServiceName, literal, qualified, quote_identifier};
use migration_plan::counted;
use postgres_sandbox::ServerVersion;
use postgres_schema::{Kind, Object, Schema};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::left_out::{LeftOut, carried};
use crate::manifest::Server;
use crate::{BackupError, Extension, TableRows};

/// A relation of a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Relation {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// As `pg_class.relkind` has it.
    pub(crate) kind: String,
    /// Whether it moves with another relation: a sequence with the table of its column.
    pub(crate) follows: bool,
    pub(crate) is_owned: bool,
}

/// What is in the schemas of a service.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) schemas: Vec<String>,
    /// Whether only a part of the first schema is the service's.
    pub(crate) shares: bool,
    /// All relations of the schemas.
    pub(crate) relations: Vec<Relation>,
    /// Names of the functions and types of the first schema that are the service's, or that what is its own uses.
    pub(crate) functions: BTreeSet<String>,
    pub(crate) types: BTreeSet<String>,
    /// The numbers of those that are the service's own.
    pub(crate) own_routines_and_types: Vec<i64>,
    /// Names of all functions and types of the first schema.
    pub(crate) present: BTreeSet<String>,
    /// Whether the first schema cannot be renamed as a whole: others live in it, or an extension.
    pub(crate) stays: bool,
}

/// Rows of one statement without parameters.
pub(crate) async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("{BOOKKEEPING}{sql}"))).fetch_all(connection).await
}

/// Sends one statement.
pub(crate) async fn send(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("{BOOKKEEPING}{sql}"))).execute(connection).await.map(drop)
}

/// Begins a transaction that has the table locks it needs. It never waits for one: whoever came after it would wait too.
///
/// # Errors
/// What `lock` says; where a table is locked, only after this time. There is no transaction then.
pub(crate) async fn begin_locked<T>(
    connection: &mut PgConnection,
    wait: Duration,
    failed: impl Fn(sqlx::Error) -> BackupError,
    lock: impl AsyncFn(&mut PgConnection) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    const PAUSE: Duration = Duration::from_millis(200);
    let begun = Instant::now();
    loop {
        send(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(&failed)?;
        let error = match lock(connection).await {
            Ok(locked) => return Ok(locked),
            Err(error) => error,
        };
        let rolled_back = send(connection, "ROLLBACK").await;
        if !matches!(error, BackupError::Locked { .. }) || begun.elapsed() >= wait {
            return Err(error);
        }
        rolled_back.map_err(&failed)?;
        Delay::new(PAUSE).await;
    }
}

/// How many rows a table has, without those of tables that inherit from it: they are counted with these, as they are dumped. One that
/// is only partitioned has none.
pub(crate) async fn n_rows(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<i64, sqlx::Error> {
    let sql = format!("SELECT count(*) FROM ONLY {}", qualified(schema, table));
    rows(connection, &sql).await?.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

impl Relation {
    /// Its name with its schema, as SQL.
    pub(crate) fn qualified(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    /// What statements call its kind.
    pub(crate) fn keyword(&self) -> &'static str {
        match self.kind.as_str() {
            "v" => "VIEW",
            "m" => "MATERIALIZED VIEW",
            "S" => "SEQUENCE",
            "f" => "FOREIGN TABLE",
            _ => "TABLE",
        }
    }
}

impl Server {
    /// What the server of a connection says of itself.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        const SERVER: &str = "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text, \
            pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1), \
            pg_catalog.current_database()::text";
        let found = rows(connection, SERVER).await?;
        let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { identifier: row.try_get(0)?, version: row.try_get(1)?, database: row.try_get(2)? })
    }

    /// Its major version.
    pub(crate) fn major(&self) -> u32 {
        ServerVersion::of_setting(&self.version).map_or(0, |version| version.major)
    }
}

impl Owned {
    /// Reads what a service has, of which this is applied.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        deployment: &Deployment,
        service: &ServiceName,
        applied: Applied,
    ) -> Result<Self, sqlx::Error> {
        let Some(((placed, schema, _), things)) = deployment.service(service).zip(deployment.things(service))
        else {
            return Err(sqlx::Error::RowNotFound);
        };
        let schemas: Vec<String> =
            [schema.to_owned()].into_iter().chain(placed.further_schemas().iter().cloned()).collect();
        let shares = deployment.shares_schema(service);
        let mut there = BTreeMap::new();
        if shares {
            for row in rows(connection, &things).await? {
                let (number, thing) = Thing::read(&row)?;
                there.insert(number, thing);
            }
        }
        let has = |thing: &Thing| deployment.has(service, applied, thing);
        // Of a further schema everything is its own.
        let is_own = |number: Number| !shares || there.get(&number).is_some_and(has);
        let sql = format!(
            "SELECT n.nspname::text, c.relname::text, c.relkind::text, EXISTS (SELECT FROM pg_catalog.pg_depend d \
               WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                 AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')), \
               c.tableoid::int8, c.oid::int8 \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ({}) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {} ORDER BY 1, 2",
            list(&schemas),
            no_extension("pg_class", "c.oid"),
        );
        let mut relations = Vec::new();
        for row in rows(connection, &sql).await? {
            let (of, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            relations.push(Relation {
                is_owned: of != schema || is_own((row.try_get(4)?, row.try_get(5)?)),
                schema: of,
                name,
                kind: row.try_get(2)?,
                follows: row.try_get(3)?,
            });
        }
        let home = format!("{}::pg_catalog.regnamespace", literal(&quote_identifier(schema)));
        let functions = format!(
            "SELECT p.tableoid::int8, p.oid::int8, p.proname::text, coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) \
             FROM pg_catalog.pg_proc p WHERE p.pronamespace = {home} AND {}",
            no_extension("pg_proc", "p.oid"),
        );
        let types = format!(
            "SELECT y.tableoid::int8, y.oid::int8, y.typname::text, '' \
             FROM pg_catalog.pg_type y LEFT JOIN pg_catalog.pg_class k ON k.oid = y.typrelid \
             WHERE y.typnamespace = {home} AND (y.typtype IN ('e', 'd', 'r') OR k.relkind = 'c') AND {}",
            no_extension("pg_type", "y.oid"),
        );
        let (mut named, mut present, mut own) = (Vec::new(), BTreeSet::new(), Vec::new());
        for sql in [functions, types] {
            let (mut names, mut bodies) = (BTreeSet::new(), Vec::new());
            for row in rows(connection, &sql).await? {
                let number = (row.try_get(0)?, row.try_get(1)?);
                let name: String = row.try_get(2)?;
                let is_used = there.get(&number).is_some_and(|thing| thing.used_by().any(|user| has(&user)));
                if is_own(number) {
                    own.push(number.1);
                }
                if is_own(number) || is_used {
                    names.insert(name.clone());
                }
                bodies.push((name.clone(), row.try_get::<String, _>(3)?));
                present.insert(name);
            }
            with_called(&mut names, &bodies);
            named.push(names);
        }
        let [functions, types] = <[_; 2]>::try_from(named).expect("there were two questions");
        let extension = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extnamespace = {}::pg_catalog.regnamespace)",
            literal(&quote_identifier(schema))
        );
        let has_extension =
            rows(connection, &extension).await?.first().map(|row| row.try_get(0)).transpose()?;
        let stays = shares || schema == "public" || has_extension.unwrap_or(true);
        Ok(Self { schemas, shares, relations, functions, types, own_routines_and_types: own, present, stays })
    }

    /// The service's own relations.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| relation.is_owned)
    }

    /// The first thing in a schema that may be shared which is not known to be the service's.
    pub(crate) fn not_named(&self) -> Option<&str> {
        let relation = self.relations.iter().find(|relation| !relation.is_owned);
        let others = self.present.iter().filter(|_| self.shares);
        let mut others = others.filter(|name| !self.functions.contains(*name) && !self.types.contains(*name));
        relation.map(|relation| relation.name.as_str()).or_else(|| others.next().map(String::as_str))
    }

    /// Locks its tables, or fails at once.
    pub(crate) async fn try_lock(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let tables = self.own().filter(|relation| ["r", "p"].contains(&relation.kind.as_str()));
        let tables: Vec<String> = tables.map(Relation::qualified).collect();
        if tables.is_empty() {
            return Ok(());
        }
        let sql = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", tables.join(", "));
        rows(connection, &sql).await.map(drop)
    }

    /// A query for the relations that are the service's.
    pub(crate) fn oids(&self) -> String {
        let name =
            |relation: &Relation| format!("({}, {})", literal(&relation.schema), literal(&relation.name));
        let names: Vec<String> = self.own().map(name).collect();
        let names = if names.is_empty() { "(NULL, NULL)".to_owned() } else { names.join(", ") };
        format!(
            "SELECT c.oid::int8 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE (n.nspname::text, c.relname::text) IN ({names})"
        )
    }

    /// How many bytes its tables have, with their indexes.
    pub(crate) async fn size(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let sql = format!(
            "SELECT coalesce(pg_catalog.sum(pg_catalog.pg_total_relation_size(o.oid::pg_catalog.oid)), 0)::int8 \
             FROM ({}) AS o(oid)",
            self.oids()
        );
        let size: i64 = rows(connection, &sql).await?.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Counts the rows of every table.
    pub(crate) async fn count(&self, connection: &mut PgConnection) -> Result<Vec<TableRows>, sqlx::Error> {
        let mut tables = Vec::new();
        for Relation { schema, name, .. } in self.own().filter(|relation| relation.kind == "r") {
            let rows = n_rows(connection, schema, name).await?;
            tables.push(TableRows { schema: schema.clone(), name: name.clone(), rows });
        }
        Ok(tables)
    }

    /// Reads every sequence, so that one that may not be read is refused in the words of the server: those of `pg_dump` are
    /// others in each version.
    pub(crate) async fn try_sequences(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for sequence in self.own().filter(|relation| relation.kind == "S") {
            rows(connection, &format!("SELECT last_value FROM {}", sequence.qualified())).await?;
        }
        Ok(())
    }

    /// The columns with an option that is none of PostgreSQL's, and the first such option.
    pub(crate) async fn column_options(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<(String, String)>, sqlx::Error> {
        const SHOWN: usize = 3;
        let sql = format!(
            "SELECT n.nspname || '.' || c.relname || '.' || a.attname, pg_catalog.split_part(option, '=', 1) \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, pg_catalog.unnest(a.attoptions) AS option \
             WHERE NOT a.attisdropped AND pg_catalog.split_part(option, '=', 1) NOT IN ('n_distinct', 'n_distinct_inherited') \
               AND c.oid IN (SELECT o.oid::pg_catalog.oid FROM ({}) AS o(oid)) ORDER BY 2, 1",
            self.oids()
        );
        let found = rows(connection, &sql).await?;
        let Some(first) = found.first() else { return Ok(None) };
        let columns: Vec<String> =
            found.iter().take(SHOWN).map(|row| format!("`{}`", row.get::<String, _>(0))).collect();
        let more = found.len().saturating_sub(SHOWN);
        let more = match more {
            0 => String::new(),
            more => format!(" and {}", counted(more, "more column", "more columns")),
        };
        Ok(Some((format!("{}{more}", columns.join(", ")), first.get(1))))
    }

    /// Of a schema, what is the service's and a dump carries; nothing that another server does not have.
    pub(crate) fn of(&self, schema: Schema) -> Schema {
        self.carried(schema).0
    }

    /// The same, and what of the service a dump leaves out.
    pub(crate) fn carried(&self, schema: Schema) -> (Schema, LeftOut) {
        let own: BTreeSet<&str> = self.own().map(|relation| relation.name.as_str()).collect();
        let named =
            |names: &BTreeSet<String>, name: &str| names.contains(name.split('(').next().unwrap_or(name));
        let is_own = |object: &Object| match object.kind {
            Kind::Schema => false,
            _ if !self.shares => true,
            Kind::Function => named(&self.functions, &object.name),
            Kind::Type => named(&self.types, &object.name),
            _ => own.contains(object.relation().unwrap_or(&object.name)),
        };
        carried(schema.retain(is_own).without("grants").without("owner"))
    }
}

/// The extensions of a database but for the one that each has and those by which it is spread over nodes, and the roles that policies in these schemas name.
pub(crate) async fn surroundings(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<(Vec<Extension>, Vec<String>), sqlx::Error> {
    let extensions = "SELECT e.extname::text, n.nspname::text FROM pg_catalog.pg_extension e \
                      JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
                      WHERE e.extname NOT IN ('plpgsql', 'citus', 'citus_columnar') ORDER BY 1";
    let roles = format!(
        "SELECT DISTINCT r::text FROM pg_catalog.pg_policies, unnest(roles) AS r \
         WHERE schemaname IN ({}) AND r <> 'public' ORDER BY 1",
        list(schemas)
    );
    let mut found = Vec::new();
    for row in rows(connection, extensions).await? {
        found.push(Extension { name: row.try_get(0)?, schema: row.try_get(1)? });
    }
    let roles = rows(connection, &roles).await?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok((found, roles))
}

/// Adds the functions that these call: by their bodies, of which the catalogs know nothing.
fn with_called(names: &mut BTreeSet<String>, bodies: &[(String, String)]) {
    loop {
        let calling = bodies.iter().filter(|(name, _)| names.contains(name));
        let words: BTreeSet<&str> =
            calling.flat_map(|(_, body)| body.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
        let called: Vec<&String> = bodies
            .iter()
            .map(|(name, _)| name)
            .filter(|name| words.contains(name.as_str()) && !names.contains(*name))
            .collect();
        if called.is_empty() {
            return;
        }
        names.extend(called.into_iter().cloned());
    }
}

/// That an object is not an extension's.
fn no_extension(catalog: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.{catalog}'::regclass \
         AND x.objid = {oid} AND x.deptype = 'e')"
    )
}

/// A subquery with schemas as `pg_identify_object` has them: in quotes where they need some.
pub(crate) fn identified(schemas: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    format!("SELECT pg_catalog.quote_ident(s) FROM pg_catalog.unnest(ARRAY[{}]::text[]) AS s", list(schemas))
}

/// Texts as a list of SQL, which is not empty.
pub(crate) fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    if texts.is_empty() { "NULL".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::with_called;

    #[test]
    fn what_a_function_calls_goes_with_it() {
        let bodies = [
            ("keep", "NEW.x = public.carried(OLD.x)"),
            ("carried", "SELECT one($1)"),
            ("one", ""),
            ("other", "keep"),
        ];
        let bodies = bodies.map(|(name, body)| (name.to_owned(), body.to_owned()));
        let mut names = BTreeSet::from(["keep".to_owned()]);
        with_called(&mut names, &bodies);
        assert_eq!(names, ["carried", "keep", "one"].map(str::to_owned).into());
    }
}
