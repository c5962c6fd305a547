//! Moving a service from the schema where an earlier system made its tables into one of its own: names change, rows stay where
//! they are. The old names go on as views that can be written to, for as long as old code needs them.

use migration_kit::{BOOKKEEPING, ServiceName, literal, quote_identifier};
use sea_orm::sqlx::Row;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::bookkeeping::execute;
use crate::deployment::Deployment;
use crate::reading::Reading;
use crate::site::{Site, text_array};
use crate::upkeep::{self, UpkeepError};

/// What of a service is to move, and whereto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// The schema into which it moves; it is made if it is missing.
    pub schema: String,
    /// Its tables, views and sequences, without those of its bookkeeping, which move too.
    pub relations: Vec<String>,
    /// Its enums, domains and other types.
    pub types: Vec<String>,
    /// Its functions and procedures, with the types of their arguments: `name(text,int)`.
    pub routines: Vec<String>,
}

/// The kinds of relations that have rows to look at, as `pg_class.relkind`: their old names become views.
const READABLE: &str = "('r', 'p', 'f', 'v', 'm')";

/// Moves what a service has, inside a transaction. Nothing is done if something of it is not found, if something of such a name
/// is there already, or if a function names the old schema in its text, which a move would not change.
pub(crate) async fn relocate<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    relocation: &Relocation,
) -> Result<(), UpkeepError> {
    let place = Place::new(site, relocation);
    let failed = |source| UpkeepError::Database { service: site.name().clone(), source };
    execute(tx, &format!("SET LOCAL search_path = {CATALOG}")).await.map_err(failed)?;
    for Obstacle { sql, what } in place.obstacles(site, relocation) {
        let found = texts(tx, &sql).await.map_err(failed)?;
        if !found.is_empty() {
            let message = format!("`{}` {what}", found.join("`, `"));
            return Err(UpkeepError::Relocation { service: site.name().clone(), message });
        }
    }
    let schema = quote_identifier(&relocation.schema);
    execute(tx, &format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await.map_err(failed)?;
    // Both are asked for before the first of them changes what the second would find.
    let moves = texts(tx, &place.moves()).await.map_err(failed)?;
    let views = texts(tx, &place.views()).await.map_err(failed)?;
    for statement in moves.iter().chain(&views) {
        execute(tx, statement).await.map_err(failed)?;
    }
    Ok(())
}

/// What blocks a move, in words. Reads only.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown or its database cannot be read.
pub async fn obstacles(
    deployment: &Deployment,
    service: &ServiceName,
    relocation: &Relocation,
) -> Result<Vec<String>, UpkeepError> {
    let placed = upkeep::find(deployment, service)?;
    let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
    let mut reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
    reading.begin().await.map_err(failed)?;
    let settle = format!("{BOOKKEEPING}SELECT set_config('search_path', '{CATALOG}', true)");
    reading.rows(&settle).await.map_err(failed)?;
    let mut found = Vec::new();
    for Obstacle { sql, what } in Place::new(&placed.site, relocation).obstacles(&placed.site, relocation) {
        for row in reading.rows(&format!("{BOOKKEEPING}{sql}")).await.map_err(failed)? {
            found.push(format!("`{}` {what}", row.try_get::<String, _>(0).map_err(failed)?));
        }
    }
    reading.close().await;
    Ok(found)
}

/// Something that stops a move.
struct Obstacle {
    /// A query for the names of what blocks it.
    sql: String,
    what: String,
}

/// The `search_path` in which types are spelt as the comparison of schemas spells them.
const CATALOG: &str = "pg_catalog";

/// Lists for queries about what moves.
struct Place {
    /// The old schema and the new one, as literals.
    schemas: [String; 2],
    relations: String,
    bookkeeping: String,
    types: String,
    routines: String,
}

impl Place {
    fn new(site: &Site, relocation: &Relocation) -> Self {
        Self {
            schemas: [literal(&site.schema), literal(&relocation.schema)],
            relations: text_array(&relocation.relations),
            bookkeeping: text_array(site.bookkeeping_tables()),
            types: text_array(&relocation.types),
            routines: text_array(&relocation.routines),
        }
    }

    fn obstacles(&self, site: &Site, relocation: &Relocation) -> [Obstacle; 3] {
        let [old, new] = [&site.schema, &relocation.schema];
        [
            Obstacle { sql: self.not_there(), what: format!("is not in schema `{old}`") },
            Obstacle { sql: self.already_there(), what: format!("is in schema `{new}` already") },
            Obstacle {
                sql: self.functions_that_name_the_old_schema(),
                what: format!(
                    "names schema `{old}` in its text, which a move does not change: revert its migration first"
                ),
            },
        ]
    }

    /// What the old schema does not have of them.
    fn not_there(&self) -> String {
        let Self { schemas: [old, _], relations, types, routines, .. } = self;
        format!(
            "(SELECT unnest({relations}) EXCEPT SELECT relname::text FROM pg_class \
               WHERE relnamespace = to_regnamespace(quote_ident({old}))) \
             UNION (SELECT unnest({types}) EXCEPT SELECT typname::text FROM pg_type \
               WHERE typnamespace = to_regnamespace(quote_ident({old}))) \
             UNION (SELECT unnest({routines}) EXCEPT SELECT {ROUTINE} FROM pg_proc AS p \
               WHERE pronamespace = to_regnamespace(quote_ident({old}))) ORDER BY 1"
        )
    }

    /// What the new schema has of these names.
    fn already_there(&self) -> String {
        let Self { schemas: [_, new], relations, bookkeeping, types, routines } = self;
        format!(
            "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident({new})) \
               AND relname = ANY ({relations} || {bookkeeping}) \
             UNION SELECT typname::text FROM pg_type WHERE typnamespace = to_regnamespace(quote_ident({new})) \
               AND typname = ANY ({types} || {relations}) \
             UNION SELECT {ROUTINE} FROM pg_proc AS p WHERE pronamespace = to_regnamespace(quote_ident({new})) \
               AND {ROUTINE} = ANY ({routines}) ORDER BY 1"
        )
    }

    fn functions_that_name_the_old_schema(&self) -> String {
        let Self { schemas: [old, _], routines, .. } = self;
        format!(
            "SELECT {ROUTINE} FROM pg_proc AS p, quote_ident({old}) AS quoted \
             WHERE pronamespace = to_regnamespace(quoted) AND {ROUTINE} = ANY ({routines}) \
               AND (position(quoted || '.' IN prosrc) > 0 OR position(quoted IN array_to_string(proconfig, ' ')) > 0) \
             ORDER BY 1"
        )
    }

    /// The statements that move it. What belongs to a table goes with it: indexes, constraints, triggers, its own sequences.
    fn moves(&self) -> String {
        let Self { schemas: [old, new], relations, bookkeeping, types, routines } = self;
        let of_old = |namespace: &str| format!("{namespace} = to_regnamespace(quote_ident({old}))");
        format!(
            "SELECT statement FROM (\
               SELECT CASE WHEN relkind IN ('r', 'p', 'f') THEN 1 ELSE 2 END, relname::text, \
                 format('ALTER %s %I.%I SET SCHEMA %I', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' \
                   WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, {old}, relname, {new}) \
               FROM pg_class AS c WHERE {relation} AND relname = ANY ({relations} || {bookkeeping}) \
                 AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
                 AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid \
                   AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND relkind = 'S') \
               UNION ALL SELECT 3, typname::text, format('ALTER TYPE %I.%I SET SCHEMA %I', {old}, typname, {new}) \
               FROM pg_type WHERE {type_of_old} AND typname = ANY ({types}) \
               UNION ALL SELECT 4, {ROUTINE}, format('ALTER ROUTINE %s SET SCHEMA %I', p.oid::regprocedure, {new}) \
               FROM pg_proc AS p WHERE {routine} AND {ROUTINE} = ANY ({routines})\
             ) AS moves (place, name, statement) ORDER BY place, name",
            relation = of_old("relnamespace"),
            type_of_old = of_old("typnamespace"),
            routine = of_old("pronamespace"),
        )
    }

    /// The statements that make the old names views, after the move, with the owner and the rights of what they show. They
    /// ask with the owner's rights, except where row security has to see who asks. Whoever has rights on a table may use the
    /// new schema, its owner too, as whom foreign keys are checked.
    fn views(&self) -> String {
        let Self { schemas: [old, new], relations, .. } = self;
        let grantee = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END";
        format!(
            "WITH old AS (SELECT * FROM pg_class \
               WHERE relnamespace = to_regnamespace(quote_ident({old})) AND relname = ANY ({relations}) AND relkind IN {READABLE} \
                 AND NOT relispartition), \
             rights AS (\
               SELECT relname, grantee, privilege_type AS privilege, is_grantable, NULL AS column_name, relowner \
               FROM old, aclexplode(relacl) \
               UNION ALL SELECT relname, grantee, privilege_type, is_grantable, attname, relowner \
               FROM old JOIN pg_attribute ON attrelid = old.oid, aclexplode(attacl) WHERE NOT attisdropped), \
             users AS (SELECT relowner AS grantee FROM old UNION SELECT grantee FROM rights) \
             SELECT statement FROM (\
               SELECT 1, '', format('GRANT USAGE ON SCHEMA %I TO %s', {new}, {grantee}) FROM users \
               UNION ALL SELECT 2, relname, format('CREATE VIEW %I.%I%s AS SELECT %s FROM %I.%I', {old}, relname, \
                 CASE WHEN relrowsecurity THEN ' WITH (security_invoker)' ELSE '' END, \
                 (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
                  WHERE attrelid = old.oid AND attnum > 0 AND NOT attisdropped), {new}, relname) FROM old \
               UNION ALL SELECT 3, relname, format('ALTER VIEW %I.%I OWNER TO %I', {old}, relname, pg_get_userbyid(relowner)) \
               FROM old WHERE pg_get_userbyid(relowner) <> current_user \
               UNION ALL SELECT 4, relname, format('COMMENT ON VIEW %I.%I IS %L', {old}, relname, \
                 format('Former name of %I.%I', {new}, relname)) FROM old \
               UNION ALL SELECT 5, relname, format('GRANT %s%s ON %I.%I TO %s%s', privilege, ' (' || quote_ident(column_name) || ')', \
                 {old}, relname, {grantee}, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
               FROM rights WHERE grantee <> relowner AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')\
             ) AS views (place, name, statement) ORDER BY place, name"
        )
    }
}

/// A routine as the comparison of schemas names it.
const ROUTINE: &str = "p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'";

async fn texts<C: ConnectionTrait>(tx: &C, sql: &str) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, format!("{BOOKKEEPING}{sql}"));
    let rows: Vec<QueryResult> = tx.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
