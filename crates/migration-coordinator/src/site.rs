//! The site of a service: its names, its schema and its database, without the bodies of its migrations.
//!
//! All that reading needs. Whoever reads a database by it can be a program that contains no migration.

use std::collections::BTreeSet;

use migration_kit::{
    External, Made, MigrationName, Service, ServiceName, StandIn, literal, qualified, quote_identifier,
};
use migration_plan::MigrationList;

use crate::move_mark::MoveMark;

/// Where a service is, and what its tables are called.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    name: ServiceName,
    pub(crate) schema: String,
    /// Index of its database.
    pub(crate) database: usize,
    pub(crate) version_table: String,
    /// The names of its migrations.
    pub(crate) list: MigrationList,
    pub(crate) tables: Vec<String>,
    /// What the service makes, its tables among it.
    pub(crate) makes: BTreeSet<Made>,
    /// The tables of its entities: what its application needs when everything is applied.
    pub(crate) entities: Vec<String>,
    /// Its tables that a migration takes over where they are there.
    pub(crate) adoptable: Vec<String>,
    pub(crate) externals: Vec<External>,
    pub(crate) stand_ins: Vec<StandIn>,
    further_schemas: Vec<String>,
    is_usual_schema: bool,
    owns_its_schema: bool,
    /// Whether another service of the deployment lives in its schema.
    has_neighbour: bool,
}

impl Site {
    /// The site of a service in a schema of a database.
    pub(crate) fn new(service: &Service, schema: String, database: usize) -> Self {
        Self {
            name: service.name().clone(),
            is_usual_schema: schema == service.default_schema() && schema != "public",
            schema,
            database,
            version_table: service.version_table().to_owned(),
            list: service.list().clone(),
            tables: service.tables().to_vec(),
            makes: service.makes(),
            entities: service.entities().iter().map(|entity| entity.name().to_owned()).collect(),
            adoptable: service.adoptable().cloned().collect(),
            externals: service.externals().to_vec(),
            stand_ins: service.stand_ins().to_vec(),
            further_schemas: service.further_schemas().to_vec(),
            owns_its_schema: service.owns_its_schema(),
            has_neighbour: false,
        }
    }

    /// Name of the service.
    pub(crate) fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Notes that another service lives in its schema.
    pub(crate) fn has_neighbour(&mut self) {
        self.has_neighbour = true;
    }

    /// Schemas of its own beside the one in which it lives.
    pub(crate) fn has_further_schema(&self, schema: &str) -> bool {
        self.further_schemas.iter().any(|further| further == schema)
    }

    /// Its schemas, the one in which it lives first.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.schema).chain(&self.further_schemas)
    }

    /// The version table as an SQL identifier.
    pub(crate) fn qualified_version_table(&self) -> String {
        qualified(&self.schema, &self.version_table)
    }

    pub(crate) fn journal_name(&self) -> String {
        format!("migration_journal_{}", self.name)
    }

    /// The journal as an SQL identifier.
    pub(crate) fn journal(&self) -> String {
        qualified(&self.schema, &self.journal_name())
    }

    /// Text whose hash is the key of the service's migration lock.
    pub(crate) fn lock_key(&self) -> String {
        format!("migrate:{}.{}", self.schema, self.version_table)
    }

    /// Whether the schema may hold more than this service: `public`, any other that is not the service's default, and one in
    /// which another service lives; unless the service says that all of it is its own.
    pub(crate) fn shares_schema(&self) -> bool {
        self.has_neighbour || !(self.is_usual_schema || self.owns_its_schema)
    }

    /// The question whether the service is in use in another place.
    pub(crate) fn mark_question(&self) -> String {
        MoveMark::question(&self.schema, &self.version_table)
    }

    /// Whether a table is one of the service's bookkeeping.
    pub(crate) fn is_bookkeeping(&self, relation: &str) -> bool {
        self.bookkeeping_tables().iter().any(|table| table == relation)
    }

    /// The tables of the service's bookkeeping, whether they are there or not, and those in place of another runner's.
    pub(crate) fn bookkeeping_tables(&self) -> Vec<String> {
        let of_kind = |kind| format!("migration_{kind}_{}", self.name);
        let mut tables = vec![self.version_table.clone()];
        tables.extend(["journal", "backfill", "reject"].map(of_kind));
        tables.extend(self.stand_ins.iter().map(|stand_in| stand_in.table.clone()));
        tables
    }

    /// An SQL expression: the `search_path` of a service at work. Its schema comes first, then those that hold extensions,
    /// which belong to the database and not to one service; `pg_catalog` is in it by itself.
    ///
    /// The server is asked each time: another service may have made an extension a moment ago.
    pub(crate) fn search_path(&self) -> String {
        format!(
            "pg_catalog.concat_ws(', ', {}, (\
               SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(n.nspname), ', ') \
               FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace \
               WHERE n.nspname NOT IN ('pg_catalog', {})))",
            literal(&self.own_search_path()),
            literal(&self.schema),
        )
    }

    /// The service's schema as the only entry of a `search_path`, for a session that has not asked for extensions yet.
    pub(crate) fn own_search_path(&self) -> String {
        quote_identifier(&self.schema)
    }

    /// `application_name` of a session at work: what another run sees when it waits. PostgreSQL cuts it at 63 bytes.
    pub(crate) fn application(&self, migration: Option<&MigrationName>) -> String {
        match migration {
            Some(migration) => format!("migrate {}:{migration}", self.name),
            None => format!("migrate {}", self.name),
        }
    }
}

/// Texts as an SQL array.
pub(crate) fn text_array(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    format!("ARRAY[{}]::text[]", texts.join(", "))
}
