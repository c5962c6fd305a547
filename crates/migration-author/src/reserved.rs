//! Words that are no names of services, since they mean something else where those are written.

/// Words of PostgreSQL that cannot be the name of a schema without quotes, of all supported versions.
const OF_POSTGRESQL: [&str; 101] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    // Since PostgreSQL 16.
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Schemas that are there already, or that every service's extensions may be in.
const SCHEMAS: [&str; 3] = ["extensions", "information_schema", "public"];

/// Words of a target, and of the pipelines, whose jobs have the names of services.
const OF_PROGRAMS: [&str; 18] = [
    "after_script",
    "all",
    "base",
    "before_script",
    "cache",
    "default",
    "head",
    "heads",
    "image",
    "include",
    "nil",
    "pages",
    "services",
    "spec",
    "stage",
    "stages",
    "variables",
    "workflow",
];

/// Whether a word needs quotes as a name in SQL.
pub(crate) fn is_reserved(word: &str) -> bool {
    OF_POSTGRESQL.contains(&word)
}

/// Why a name cannot be that of a service, if it means something else.
pub(crate) fn why(name: &str) -> Option<&'static str> {
    let is = |words: &[&str]| words.contains(&name);
    if is(&OF_POSTGRESQL) {
        Some("it is a reserved word of PostgreSQL")
    } else if name.starts_with("pg_") || is(&SCHEMAS) {
        Some("PostgreSQL has schemas of this name")
    } else if is(&OF_PROGRAMS) {
        Some("commands or pipelines have another meaning for it")
    } else {
        None
    }
}
