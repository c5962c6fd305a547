//! What there is of roles, owners and rights, and the statements that are missing. It reads and decides; it changes nothing.

use std::collections::BTreeSet;

use migration_kit::nodes::HAS_CITUS;
use migration_kit::{BOOKKEEPING, literal, qualified, quote_identifier};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Names, RoleOptions};
use crate::belongings::{Applied, Number, Thing};
use crate::deployment::{Deployment, Placed};
use crate::owner::{MAY_BECOME, mark};
use crate::site::text_array;
use crate::upkeep::{self, UpkeepError};

/// The answers, in the order of [`questions`].
#[derive(Default)]
pub(super) struct Found(Vec<Vec<PgRow>>);

/// What is asked: the roles, their members, the schemas, what is in them, and on what that hangs in a schema that others share.
pub(super) fn questions(
    deployment: &Deployment,
    placed: &Placed,
    names: &Names,
    asked: &RoleOptions,
) -> [String; 5] {
    let site = &placed.site;
    let [owner, application] = [literal(&names.owner), literal(&names.application)];
    let schemas = text_array(site.schemas());
    let roles = format!(
        "{BOOKKEEPING}SELECT pg_catalog.to_regrole(pg_catalog.quote_ident({owner})) IS NOT NULL, \
           pg_catalog.to_regrole(pg_catalog.quote_ident({application})) IS NOT NULL, \
           pg_catalog.shobj_description(pg_catalog.to_regrole(pg_catalog.quote_ident({owner})), 'pg_authid'), \
           session_user::text, (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user), \
           pg_catalog.current_database()::text, \
           coalesce(pg_catalog.has_database_privilege(pg_catalog.to_regrole(pg_catalog.quote_ident({owner})), \
             pg_catalog.current_database(), 'TEMPORARY'), \
             (SELECT pg_catalog.bool_or(a.grantee = 0 AND a.privilege_type = 'TEMPORARY') FROM pg_catalog.pg_database d, \
               pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a \
              WHERE d.datname = pg_catalog.current_database()), false), \
           {HAS_CITUS}, coalesce((SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = {owner}), false)"
    );
    let members = format!(
        "{BOOKKEEPING}SELECT m.member, m.role, r.oid IS NOT NULL, \
           coalesce(pg_catalog.pg_has_role(r.oid, pg_catalog.to_regrole(pg_catalog.quote_ident(m.role)), {MAY_BECOME}), false) \
         FROM (SELECT unnest({migrators} || session_user::text), {owner} \
           UNION ALL SELECT unnest({applications}), {application}) AS m(member, role) \
         LEFT JOIN pg_catalog.pg_roles r ON r.rolname = m.member",
        migrators = text_array(&asked.migrators),
        applications = text_array(&asked.applications),
    );
    let role = |name: &str| format!("pg_catalog.to_regrole(pg_catalog.quote_ident({name}))");
    let default = |kind: &str| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) AS a \
             WHERE d.defaclrole = {} AND d.defaclnamespace = n.oid AND d.defaclobjtype = '{kind}' AND a.grantee = {})",
            role(&owner),
            role(&application)
        )
    };
    let namespaces = format!(
        "{BOOKKEEPING}SELECT s.name, n.oid IS NOT NULL, pg_catalog.pg_get_userbyid(n.nspowner)::text, \
           coalesce(pg_catalog.has_schema_privilege({owner_oid}, n.oid, 'USAGE') \
             AND pg_catalog.has_schema_privilege({owner_oid}, n.oid, 'CREATE'), false), \
           coalesce(pg_catalog.has_schema_privilege({application_oid}, n.oid, 'USAGE'), false), {}, {} \
         FROM unnest({schemas}) WITH ORDINALITY AS s(name, place) \
         LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.name ORDER BY s.place",
        default("r"),
        default("S"),
        owner_oid = role(&owner),
        application_oid = role(&application),
    );
    let table_right =
        |right: &str| format!("pg_catalog.has_table_privilege({}, c.oid, '{right}')", role(&application));
    let objects = format!(
        "{BOOKKEEPING}SELECT n.nspname::text, c.relname::text, c.relkind::text, pg_catalog.pg_get_userbyid(c.relowner)::text, \
           coalesce((SELECT rolsuper FROM pg_catalog.pg_roles WHERE oid = c.relowner), false), \
           EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')), \
           coalesce(CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege({application_oid}, c.oid, 'USAGE') \
             ELSE {select} END, false), \
           coalesce(c.relkind <> 'S' AND {insert} AND {update} AND {delete}, false), \
           coalesce(c.relkind <> 'S' AND ({insert} OR {update} OR {delete}), false), \
           (SELECT o.relname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class o ON o.oid = d.refobjid WHERE c.relkind = 'S' \
             AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') LIMIT 1), \
           'pg_catalog.pg_class'::pg_catalog.regclass::oid::int8, c.oid::int8 \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = ANY ({schemas}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {no_member_c} \
         UNION ALL SELECT n.nspname::text, format('%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)), 'routine', \
           pg_catalog.pg_get_userbyid(p.proowner)::text, false, false, true, true, false, p.proname::text, \
           'pg_catalog.pg_proc'::pg_catalog.regclass::oid::int8, p.oid::int8 \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = ANY ({schemas}) AND {no_member_p} \
         UNION ALL SELECT n.nspname::text, y.typname::text, 'type', pg_catalog.pg_get_userbyid(y.typowner)::text, false, false, true, \
           true, false, NULL, 'pg_catalog.pg_type'::pg_catalog.regclass::oid::int8, y.oid::int8 \
         FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace \
         LEFT JOIN pg_catalog.pg_class k ON k.oid = y.typrelid \
         WHERE n.nspname = ANY ({schemas}) AND (y.typtype IN ('e', 'd', 'r') OR k.relkind = 'c') AND {no_member_y} \
         UNION ALL SELECT n.nspname::text, s.stxname::text, 'statistics', pg_catalog.pg_get_userbyid(s.stxowner)::text, false, false, true, \
           true, false, c.relname::text, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::oid::int8, s.oid::int8 \
         FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace \
         JOIN pg_catalog.pg_class c ON c.oid = s.stxrelid WHERE n.nspname = ANY ({schemas}) \
         UNION ALL SELECT n.nspname::text, o.name::text, o.kind, pg_catalog.pg_get_userbyid(o.owner)::text, false, false, true, true, false, NULL, \
           o.catalog::oid::int8, o.oid::int8 \
         FROM ({others}) AS o(catalog, oid, schema, name, kind, owner) JOIN pg_catalog.pg_namespace n ON n.oid = o.schema \
         WHERE n.nspname = ANY ({schemas}) AND {no_member_o} ORDER BY 3, 1, 2",
        others = OTHERS,
        no_member_o = no_member_of("o.catalog", "o.oid"),
        application_oid = role(&application),
        select = table_right("SELECT"),
        insert = table_right("INSERT"),
        update = table_right("UPDATE"),
        delete = table_right("DELETE"),
        no_member_c = no_member("pg_class", "c.oid"),
        no_member_p = no_member("pg_proc", "p.oid"),
        no_member_y = no_member("pg_type", "y.oid"),
    );
    let things = match site.shares_schema() {
        true => deployment.things_of(placed, None),
        false => format!("{BOOKKEEPING}SELECT WHERE false"),
    };
    [roles, members, namespaces, objects, things]
}

/// What else has an owner in a schema and a name that can be altered.
const OTHERS: &str = "SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace, collname, 'collation', collowner FROM pg_catalog.pg_collation \
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgnamespace, cfgname, 'text search configuration', cfgowner FROM pg_catalog.pg_ts_config \
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictnamespace, dictname, 'text search dictionary', dictowner FROM pg_catalog.pg_ts_dict";

/// That an object is no extension's.
fn no_member(catalog: &str, oid: &str) -> String {
    no_member_of(&format!("'pg_catalog.{catalog}'::pg_catalog.regclass"), oid)
}

/// The same of an object whose catalog an expression gives.
fn no_member_of(catalog: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = {catalog} AND x.objid = {oid} AND x.deptype = 'e')"
    )
}

impl Found {
    /// Takes the next answer.
    pub(super) fn take(&mut self, rows: Vec<PgRow>) {
        self.0.push(rows);
    }

    /// The statements that are missing, and the tables that they lock.
    pub(super) fn statements(
        &self,
        deployment: &Deployment,
        (placed, applied): (&Placed, Applied),
        names: &Names,
    ) -> Result<(Vec<String>, Vec<String>), UpkeepError> {
        let service = placed.name();
        let read = self.read(deployment, (placed, applied), names);
        match read.map_err(|source| UpkeepError::Read {
            service: service.clone(),
            source: upkeep::driver(source),
        })? {
            Ok(missing) => Ok(missing),
            Err(message) => Err(UpkeepError::Roles { service: service.clone(), message }),
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "statements and tables, or why there are none, or what the server says"
    )]
    fn read(
        &self,
        deployment: &Deployment,
        (placed, applied): (&Placed, Applied),
        names: &Names,
    ) -> Result<Result<(Vec<String>, Vec<String>), String>, sqlx::Error> {
        let [roles, members, namespaces, objects, things] = &self.0[..] else {
            return Err(sqlx::Error::RowNotFound);
        };
        let mut own = BTreeSet::new();
        for row in things {
            let (number, thing) = Thing::read(row)?;
            if deployment.has(placed.name(), applied, &thing) {
                own.insert(number);
            }
        }
        let role = roles.first().ok_or(sqlx::Error::RowNotFound)?;
        let [owner, application] = [&names.owner, &names.application].map(|name| quote_identifier(name));
        let mut missing = Vec::new();
        let mark = mark(placed.name());
        // Nodes of Citus connect to each other as the current role. Without a password, nobody else logs in as it.
        let (has_citus, may_log_in): (bool, bool) = (role.try_get(7)?, role.try_get(8)?);
        let login = if has_citus { "LOGIN" } else { "NOLOGIN" };
        match (role.try_get::<bool, _>(0)?, role.try_get::<Option<String>, _>(2)?) {
            (true, Some(comment)) if comment != mark => {
                return Ok(Err(format!("there is a role `{}` for something else: {comment}", names.owner)));
            }
            (true, Some(_)) => {}
            (exists, _) => {
                missing.extend((!exists).then(|| format!("CREATE ROLE {owner} {login}")));
                missing.push(format!("COMMENT ON ROLE {owner} IS {}", literal(&mark)));
            }
        }
        if has_citus && !may_log_in && role.try_get::<bool, _>(0)? {
            missing.push(format!("ALTER ROLE {owner} LOGIN"));
        }
        if !role.try_get::<bool, _>(1)? {
            missing.push(format!("CREATE ROLE {application} NOLOGIN"));
        }
        let (us, is_super): (String, bool) = (role.try_get(3)?, role.try_get(4)?);
        for row in members {
            let (member, of): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if !row.try_get::<bool, _>(2)? {
                return Ok(Err(format!("there is no role `{member}`: create it first, with `LOGIN`")));
            }
            if !(row.try_get::<bool, _>(3)? || member == us && is_super) {
                missing.push(format!("GRANT {} TO {}", quote_identifier(&of), quote_identifier(&member)));
            }
        }
        if !role.try_get::<bool, _>(6)? {
            let database: String = role.try_get(5)?;
            missing.push(format!("GRANT TEMPORARY ON DATABASE {} TO {owner}", quote_identifier(&database)));
        }
        for row in namespaces {
            schema(row, placed, names, &mut missing)?;
        }
        let (mut tables, mut earlier) = (Vec::new(), BTreeSet::new());
        for row in objects {
            let object = Object::read(row, placed, &own)?;
            object.missing(names, &mut missing, &mut tables);
            if object.has_rows()
                && object.is_own
                && object.owner != names.owner
                && !object.owner_is_super
                && object.owner != us
            {
                earlier.insert(object.owner);
            }
        }
        // Who owned a table may be an application that runs.
        missing
            .extend(earlier.iter().map(|role| format!("GRANT {application} TO {}", quote_identifier(role))));
        Ok(Ok((missing, tables)))
    }
}

/// What is missing of a schema: in one that others share, the right to create; in one of the service's own, that it is the owner's.
fn schema(row: &PgRow, placed: &Placed, names: &Names, missing: &mut Vec<String>) -> Result<(), sqlx::Error> {
    let (name, exists): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    let [owner, application] = [&names.owner, &names.application].map(|name| quote_identifier(name));
    let schema = quote_identifier(&name);
    let is_shared = name == "public" || name == placed.site.schema && placed.site.shares_schema();
    if !exists && !is_shared {
        missing.push(format!("CREATE SCHEMA {schema} AUTHORIZATION {owner}"));
    } else if is_shared && !row.try_get::<bool, _>(3)? {
        missing.push(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}"));
    } else if !is_shared && row.try_get::<Option<String>, _>(2)?.as_ref() != Some(&names.owner) {
        missing.push(format!("ALTER SCHEMA {schema} OWNER TO {owner}"));
    }
    if !row.try_get::<bool, _>(4)? {
        missing.push(format!("GRANT USAGE ON SCHEMA {schema} TO {application}"));
    }
    for (column, rights) in
        [(5, "SELECT, INSERT, UPDATE, DELETE ON TABLES"), (6, "USAGE, SELECT ON SEQUENCES")]
    {
        if !row.try_get::<bool, _>(column)? {
            missing.push(format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT {rights} TO {application}"
            ));
        }
    }
    Ok(())
}

/// What a schema of the service has and someone owns: a relation, routine, type, statistics and so on.
struct Object {
    schema: String,
    /// Of a routine quoted and with its arguments.
    name: String,
    kind: String,
    owner: String,
    owner_is_super: bool,
    /// Whether it is a sequence that belongs to a column.
    follows: bool,
    may_read: bool,
    may_write: bool,
    may_write_some: bool,
    is_own: bool,
    is_bookkeeping: bool,
}

impl Object {
    fn read(row: &PgRow, placed: &Placed, own: &BTreeSet<Number>) -> Result<Self, sqlx::Error> {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let site = &placed.site;
        // What a sequence or statistics belong to, or the name of a routine without its arguments.
        let of = row.try_get::<Option<String>, _>(9)?.unwrap_or_else(|| name.clone());
        let number = (row.try_get(10)?, row.try_get(11)?);
        let is_own = schema != site.schema || !site.shares_schema() || own.contains(&number);
        Ok(Self {
            is_own,
            is_bookkeeping: schema == site.schema && site.is_bookkeeping(&of),
            schema,
            name,
            kind: row.try_get(2)?,
            owner: row.try_get(3)?,
            owner_is_super: row.try_get(4)?,
            follows: row.try_get(5)?,
            may_read: row.try_get(6)?,
            may_write: row.try_get(7)?,
            may_write_some: row.try_get(8)?,
        })
    }

    /// Whether another session may be writing rows to it.
    fn has_rows(&self) -> bool {
        ["r", "p", "f"].contains(&self.kind.as_str())
    }

    /// What is missing of owner and rights.
    fn missing(&self, names: &Names, missing: &mut Vec<String>, tables: &mut Vec<String>) {
        if !self.is_own {
            return;
        }
        let [owner, application] = [&names.owner, &names.application].map(|name| quote_identifier(name));
        let object = match self.kind.as_str() {
            "routine" => format!("{}.{}", quote_identifier(&self.schema), self.name),
            _ => qualified(&self.schema, &self.name),
        };
        let kind = match self.kind.as_str() {
            "routine" => "ROUTINE",
            "type" => "TYPE",
            "statistics" => "STATISTICS",
            "collation" => "COLLATION",
            "text search configuration" => "TEXT SEARCH CONFIGURATION",
            "text search dictionary" => "TEXT SEARCH DICTIONARY",
            "v" => "VIEW",
            "m" => "MATERIALIZED VIEW",
            "f" => "FOREIGN TABLE",
            "S" => "SEQUENCE",
            _ => "TABLE",
        };
        // A sequence of a column goes with its table.
        if self.owner != names.owner && !self.follows {
            missing.push(format!("ALTER {kind} {object} OWNER TO {owner}"));
            if ["r", "p"].contains(&self.kind.as_str()) {
                tables.push(object.clone());
            }
        }
        match self.kind.as_str() {
            "S" if self.is_bookkeeping => {}
            "S" if !self.may_read => {
                missing.push(format!("GRANT USAGE, SELECT ON SEQUENCE {object} TO {application}"));
            }
            "routine" | "type" | "S" => {}
            _ if self.is_bookkeeping || self.kind == "m" => {
                if self.may_write_some && self.is_bookkeeping {
                    missing.push(format!("REVOKE INSERT, UPDATE, DELETE ON {object} FROM {application}"));
                }
                if !self.may_read {
                    missing.push(format!("GRANT SELECT ON {object} TO {application}"));
                }
            }
            _ if self.may_read && self.may_write => {}
            _ => missing.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {object} TO {application}")),
        }
    }
}
