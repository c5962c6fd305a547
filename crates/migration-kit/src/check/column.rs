//! What a column should be, and the query that says how one that exists differs.
//!
//! The server keeps one meaning in several spellings: what tools generate, and what people write, differs in casts, in names
//! of functions and in limits of texts. Compared is what rows can hold and what a default gives.

use crate::literal;

/// A default that gives the time, however it is called. Each regular expression is matched against `pg_get_expr`.
const TIME: &str = r"^\(*((pg_catalog\.)?(now|transaction_timestamp|statement_timestamp|clock_timestamp)\(\)|(current_timestamp|localtimestamp)(\([0-9]\))?|timezone\('utc'::text, (now\(\)|current_timestamp)\)|\(*(now\(\)|current_timestamp) at time zone 'utc'::text)\)*(::timestamp(\([0-9]\))? with(out)? time zone)?\)*$";

/// A default that makes a UUID.
const UUID: &str =
    r#"^([a-z0-9_]+\.|"[^"]+"\.)?(gen_random_uuid|uuid_generate_v[0-9]+(mc)?|uuidv[0-9]+)\(\)$"#;

/// A constant, with the casts and parentheses that the server puts around it; the first two groups are its value.
const CONSTANT: &str =
    r#"^\(*(?:'((?:[^']|'')*)'|([+-]?[0-9.]+|true|false))\)*(?:::[][a-zA-Z0-9_ ".,()]+)*$"#;

const NUMBER: &str = "^[+-]?[0-9]+([.][0-9]*)?$";

/// A column as it should be.
pub(super) struct Wanted<'a> {
    name: &'a str,
    /// Type as `format_type` writes it, and whether it refuses null; `None` if any type will do.
    type_: Option<(&'a str, bool)>,
    /// What its default gives; `None` if any default will do, or none.
    default: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads `name type [not null] [default value]`.
    pub(super) fn parse(column: &'a str) -> Self {
        let (name, rest) = column.split_once(' ').unwrap_or((column, ""));
        let (rest, default) =
            rest.split_once(" default ").map_or((rest, None), |(rest, default)| (rest, Some(default)));
        let type_ = match rest.strip_suffix(" not null") {
            Some(type_) => (type_, true),
            None => (rest, false),
        };
        Self { name, type_: Some(type_), default }
    }

    /// A column of any type with this default.
    pub(super) fn default_of(name: &'a str, default: &'a str) -> Self {
        Self { name, type_: None, default: Some(default) }
    }

    /// What it is called among the objects of a check.
    pub(super) fn object(&self, table: &str) -> String {
        format!("{table}.{}", self.name)
    }

    /// How it would be written.
    fn spelled(&self) -> String {
        let mut spelled = match self.type_ {
            Some((type_, true)) => format!("{type_} not null"),
            Some((type_, false)) => type_.to_owned(),
            None => String::new(),
        };
        if let Some(default) = self.default {
            spelled.push_str(if spelled.is_empty() { "default " } else { " default " });
            spelled.push_str(default);
        }
        spelled
    }

    /// The row of `VALUES` for it.
    fn row(&self) -> String {
        let type_ = self.type_.map_or_else(|| "NULL".to_owned(), |(type_, _)| literal(type_));
        let not_null = self.type_.map_or("NULL", |(_, not_null)| if not_null { "true" } else { "false" });
        let default = match self.default {
            None => "NULL".to_owned(),
            Some(value) if value.parse::<f64>().is_ok_and(f64::is_finite) => {
                format!("trim_scale({}::numeric)::text", literal(value))
            }
            Some(value) if value.eq_ignore_ascii_case("current_timestamp") => literal("now()"),
            Some(value) => literal(value),
        };
        let (name, spelled) = (literal(self.name), literal(&self.spelled()));
        format!("({name}, {type_}::text, {not_null}::boolean, {default}::text, {spelled})")
    }
}

/// The query for those of the columns that are not as they should be, or for the table if it is missing: `object` and
/// `difference`.
pub(super) fn differing(table: &str, relation: &str, columns: &[Wanted<'_>]) -> String {
    let values = columns.iter().map(Wanted::row).collect::<Vec<_>>().join(", ");
    let missing =
        format!("SELECT {} AS object, 'is missing' AS difference WHERE {relation} IS NULL", literal(table));
    let (table, time, uuid, constant, number) =
        (literal(&format!("{table}.")), literal(TIME), literal(UUID), literal(CONSTANT), literal(NUMBER));
    format!(
        "{missing} UNION ALL SELECT {table} || wanted.name AS object, \
           CASE WHEN attname IS NULL THEN format('is missing, should be `%s`', wanted.spelled) \
             ELSE format('is `%s`, should be `%s`', concat_ws(' ', found.type, CASE WHEN attnotnull THEN 'not null' END, \
               CASE WHEN wanted.gives IS NOT NULL THEN coalesce('default ' || found.gives, 'without default') END), \
               wanted.spelled) END AS difference \
         FROM (VALUES {values}) AS wanted(name, type, not_null, gives, spelled) \
         LEFT JOIN pg_attribute ON attrelid = {relation} AND attname = wanted.name AND NOT attisdropped \
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
         CROSS JOIN LATERAL (SELECT pg_get_expr(adbin, adrelid) AS said) AS written \
         CROSS JOIN LATERAL (SELECT regexp_match(said, {constant}) AS parts) AS matched \
         CROSS JOIN LATERAL (SELECT coalesce(parts[1], parts[2]) AS value) AS constant \
         CROSS JOIN LATERAL (SELECT format_type(atttypid, atttypmod) AS type, \
           CASE WHEN attidentity <> '' OR said LIKE 'nextval(%' THEN 'serial' \
             WHEN attgenerated <> '' THEN 'generated' \
             WHEN said ~* {time} THEN 'now()' \
             WHEN said ~* {uuid} THEN 'gen_random_uuid()' \
             WHEN value ~ {number} THEN trim_scale(value::numeric)::text \
             ELSE coalesce(value, said) END AS gives) AS found \
         WHERE {relation} IS NOT NULL AND (attname IS NULL \
           OR wanted.type IS NOT NULL AND NOT (found.type = wanted.type \
             OR wanted.type LIKE 'character varying%' AND found.type IN ('text', 'character varying') \
             OR wanted.type = 'text' AND found.type = 'character varying' \
             OR coalesce(substring(found.type FROM '^character varying\\((\\d+)\\)$')::integer \
               >= substring(wanted.type FROM '^character varying\\((\\d+)\\)$')::integer, false)) \
           OR attnotnull <> wanted.not_null \
           OR found.gives IS DISTINCT FROM wanted.gives AND wanted.gives IS NOT NULL)"
    )
}
