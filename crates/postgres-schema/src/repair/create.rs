//! Making an object from what is known of it.

use super::{Draft, Phase, ident, literal};
use crate::{Difference, Kind, Object, Properties, Schema};

/// Settings of a function whose value the catalog has as a list of quoted names.
const LISTS: [&str; 4] =
    ["search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"];

impl Draft<'_> {
    pub(super) fn create(&mut self, object: &Object, p: &Properties, difference: &Difference) {
        let made = match object.kind {
            Kind::Type => of_type(object, p).map(|sql| (Phase::CreateType, sql)),
            Kind::Sequence => Some((Phase::CreateSequence, format!("CREATE {}", sequence(object, p)))),
            Kind::Table => table(self.to, object, p).map(|sql| (Phase::CreateTable, sql)),
            Kind::Column => {
                let sql = format!("ALTER TABLE {} ADD COLUMN {}", parent(object), column(object, p));
                let gets_value =
                    ["default", "generated", "identity"].iter().any(|given| p.contains_key(*given));
                if p.contains_key("not null") && !gets_value {
                    self.demands(Phase::AddColumn, sql);
                    if let Some(comment) = p.get("comment") {
                        self.alter_to(object, "comment", None, Some(comment));
                    }
                    return;
                }
                Some((Phase::AddColumn, sql))
            }
            Kind::Constraint => p.get("definition").map(|definition| {
                let sql = constraint(object, p, definition);
                if !is_foreign_key(p) {
                    (Phase::AddConstraint, sql)
                } else if self.may_be_validated_later(object, p) {
                    self.does(Phase::ValidateForeignKey, validation(object));
                    (Phase::AddForeignKey, format!("{sql} NOT VALID"))
                } else {
                    (Phase::AddForeignKey, sql)
                }
            }),
            Kind::Index => {
                let view = Object {
                    kind: Kind::View,
                    parent: None,
                    name: object.parent.clone().unwrap_or_default(),
                };
                let is_of_view = self.to.get(&view).is_some();
                let phase = if is_of_view { Phase::CreateIndexOfView } else { Phase::CreateIndex };
                p.get("definition").cloned().map(|sql| (phase, sql))
            }
            Kind::Trigger | Kind::Rule => p.get("definition").cloned().map(|sql| (Phase::CreateTrigger, sql)),
            Kind::Statistics => p.get("definition").cloned().map(|sql| (Phase::CreateIndex, sql)),
            Kind::Policy => Some((Phase::CreatePolicy, policy(object, p))),
            Kind::View => view(object, p).map(|sql| (Phase::CreateView, sql)),
            Kind::Function => {
                let phase =
                    if is_of_rows(self.to, p) { Phase::CreateFunction } else { Phase::CreateFunctionFirst };
                function(object, p).map(|sql| (phase, sql))
            }
            Kind::Schema => None,
        };
        let Some((phase, sql)) = made else { return self.open(difference.clone()) };
        self.does(phase, sql);
        // What the statement that makes it does not say.
        for property in
            ["row security", "replica identity", "owned by", "enabled", "clustered", "target", "comment"]
        {
            let is_usual = property == "enabled" && p.get(property).is_some_and(|value| value == "yes");
            if let Some(value) = p.get(property).filter(|_| !is_usual) {
                self.alter_to(object, property, None, Some(value));
            }
        }
        if object.kind == Kind::Table && !p.contains_key("partition of") {
            for (name, p) in self.to.columns(&object.name) {
                if let Some(comment) = p.get("comment") {
                    let column = Object {
                        kind: Kind::Column,
                        parent: Some(object.name.clone()),
                        name: name.to_owned(),
                    };
                    self.alter_to(&column, "comment", None, Some(comment));
                }
            }
        }
    }
}

impl Draft<'_> {
    /// Whether a foreign key can be made first and validated afterwards, and is to be validated at all.
    fn may_be_validated_later(&self, object: &Object, p: &Properties) -> bool {
        let name = object.parent.clone().unwrap_or_default();
        let table = self.to.get(&Object { kind: Kind::Table, parent: None, name });
        let is_partitioned = table.is_some_and(|table| table.contains_key("partition key"));
        let is_enforced = p.get("definition").is_some_and(|definition| !definition.contains("NOT ENFORCED"));
        let is_validated = p.get("validated").is_none_or(|value| value != "no");
        !is_partitioned && is_enforced && is_validated
    }
}

/// Validates a foreign key where rows allow it. Rows that refer to what a table has lost are named in a warning, and kept.
fn validation(object: &Object) -> String {
    format!(
        "DO $repair$ BEGIN ALTER TABLE {} VALIDATE CONSTRAINT {}; \
         EXCEPTION WHEN foreign_key_violation THEN RAISE WARNING '%, and is not validated', SQLERRM; END $repair$",
        parent(object),
        ident(&object.name)
    )
}

pub(super) fn parent(object: &Object) -> String {
    object.parent.as_deref().map(ident).unwrap_or_default()
}

/// Whether a function takes or returns a row of a table of the schema, as far as its signature tells.
pub(super) fn is_of_rows(schema: &Schema, p: &Properties) -> bool {
    let mentions = |table: &str| {
        ["arguments", "result"].iter().filter_map(|part| p.get(*part)).any(|s| s.contains(table))
    };
    schema.names(Kind::Table).any(mentions)
}

pub(super) fn is_foreign_key(p: &Properties) -> bool {
    p.get("definition").is_some_and(|definition| definition.starts_with("FOREIGN KEY"))
}

pub(super) fn constraint(object: &Object, p: &Properties, definition: &str) -> String {
    let not_valid = if p.get("validated").is_some_and(|value| value == "no") { " NOT VALID" } else { "" };
    format!("ALTER TABLE {} ADD CONSTRAINT {} {definition}{not_valid}", parent(object), ident(&object.name))
}

fn table(schema: &Schema, object: &Object, p: &Properties) -> Option<String> {
    let unlogged = if p.contains_key("persistence") { "UNLOGGED " } else { "" };
    let mut sql = format!("CREATE {unlogged}TABLE {}", ident(&object.name));
    if p.get("kind").is_some_and(|kind| kind == "foreign") {
        return None;
    }
    if let Some(whole) = p.get("partition of") {
        sql += &format!(" PARTITION OF {whole} {}", p.get("partition bound")?);
    } else {
        let columns = schema.columns(&object.name).map(|(name, p)| {
            let column = Object { kind: Kind::Column, parent: None, name: name.to_owned() };
            self::column(&column, p)
        });
        sql += &format!(" (\n  {}\n)", columns.collect::<Vec<_>>().join(",\n  "));
        if let Some(parents) = p.get("inherits") {
            sql += &format!(" INHERITS ({parents})");
        }
    }
    if let Some(key) = p.get("partition key") {
        sql += &format!(" PARTITION BY {key}");
    }
    if let Some(options) = p.get("options") {
        sql += &format!(" WITH ({options})");
    }
    Some(sql)
}

pub(super) fn column(object: &Object, p: &Properties) -> String {
    let mut sql = format!("{} {}", ident(&object.name), p.get("type").map_or("", String::as_str));
    if let Some(collation) = p.get("collation") {
        sql += &format!(" COLLATE {collation}");
    }
    if let Some(expression) = p.get("generated") {
        sql += &format!(" GENERATED ALWAYS AS ({expression}) STORED");
    }
    if let Some(identity) = p.get("identity") {
        sql += &format!(" GENERATED {} AS IDENTITY", identity.to_uppercase());
    }
    if let Some(default) = p.get("default") {
        sql += &format!(" DEFAULT {default}");
    }
    if p.contains_key("not null") {
        sql += " NOT NULL";
    }
    sql
}

fn of_type(object: &Object, p: &Properties) -> Option<String> {
    let name = ident(&object.name);
    let property = |property: &str| p.get(property).map(String::as_str);
    Some(match property("kind")? {
        "enum" => format!("CREATE TYPE {name} AS ENUM ({})", property("labels").unwrap_or_default()),
        "composite" => format!("CREATE TYPE {name} AS ({})", property("attributes").unwrap_or_default()),
        "range" => format!("CREATE TYPE {name} AS RANGE (SUBTYPE = {})", property("subtype")?),
        "domain" => {
            let mut sql = format!("CREATE DOMAIN {name} AS {}", property("base type")?);
            if let Some(default) = property("default") {
                sql += &format!(" DEFAULT {default}");
            }
            if property("not null").is_some() {
                sql += " NOT NULL";
            }
            match property("constraints") {
                // Where there are several, it cannot be told where one ends.
                Some(several) if several.matches(" CHECK (").count() > 1 => return None,
                Some(one) => sql + &format!(" CONSTRAINT {one}"),
                None => sql,
            }
        }
        _ => return None,
    })
}

/// What comes after `CREATE` or `ALTER`.
pub(super) fn sequence(object: &Object, p: &Properties) -> String {
    let property = |property: &str| p.get(property).map_or("", String::as_str);
    let range = property("range").replacen(" from ", " MINVALUE ", 1);
    let range = range.replacen(" to ", " MAXVALUE ", 1).replacen(" by ", " INCREMENT BY ", 1);
    let cycle = if p.contains_key("cycle") { "CYCLE" } else { "NO CYCLE" };
    let name = ident(&object.name);
    format!("SEQUENCE {name} AS {} START WITH {range} CACHE {} {cycle}", property("type"), property("cache"))
}

pub(super) fn policy(object: &Object, p: &Properties) -> String {
    let property = |property: &str| p.get(property).map_or("", String::as_str);
    let command = match property("command") {
        "r" => "SELECT",
        "a" => "INSERT",
        "w" => "UPDATE",
        "d" => "DELETE",
        _ => "ALL",
    };
    let mut sql = format!(
        "CREATE POLICY {} ON {} AS {} FOR {command} TO {}",
        ident(&object.name),
        parent(object),
        property("kind").to_uppercase(),
        property("roles")
    );
    if let Some(expression) = p.get("using") {
        sql += &format!(" USING ({expression})");
    }
    if let Some(expression) = p.get("with check") {
        sql += &format!(" WITH CHECK ({expression})");
    }
    sql
}

fn view(object: &Object, p: &Properties) -> Option<String> {
    let kind = if p.contains_key("materialized") { "MATERIALIZED VIEW" } else { "VIEW" };
    let options = p.get("options").map(|options| format!(" WITH ({options})")).unwrap_or_default();
    let definition = p.get("definition")?.trim_end().trim_end_matches(';');
    Some(format!("CREATE {kind} {}{options} AS\n{definition}", ident(&object.name)))
}

/// `FUNCTION` or `PROCEDURE`; `None` for what takes more to make than the catalogs' text.
pub(super) fn routine(p: &Properties) -> Option<&'static str> {
    match p.get("kind")?.as_str() {
        "function" => Some("FUNCTION"),
        "procedure" => Some("PROCEDURE"),
        _ => None,
    }
}

/// Name and types of the arguments: the name in quotes.
pub(super) fn signature(name: &str) -> String {
    let (name, arguments) = name.split_once('(').unwrap_or((name, ")"));
    format!("{}({arguments}", ident(name))
}

pub(super) fn function(object: &Object, p: &Properties) -> Option<String> {
    let kind = routine(p)?;
    let name = object.name.split_once('(').map_or(object.name.as_str(), |(name, _)| name);
    let property = |property: &str| p.get(property).map_or("", String::as_str);
    let mut sql = format!("CREATE OR REPLACE {kind} {}({})", ident(name), property("arguments"));
    if kind == "FUNCTION" {
        sql += &format!(" RETURNS {}", property("result"));
    }
    sql += &format!(" LANGUAGE {}", property("language"));
    let of_functions = |word: &&str| kind == "FUNCTION" || *word == "security definer";
    for word in property("behaviour").split(", ").filter(|word| !word.is_empty()).filter(of_functions) {
        sql += &format!(" {}", word.to_uppercase());
    }
    for (setting, value) in settings(property("settings")) {
        let value = if LISTS.contains(&setting) { value } else { literal(&value) };
        sql += &format!(" SET {setting} = {value}");
    }
    let body = property("body");
    let is_standard_sql =
        property("language") == "sql" && (body.starts_with("BEGIN ATOMIC") || body.starts_with("RETURN "));
    if is_standard_sql {
        return Some(format!("{sql}\n{body}"));
    }
    let mut quote = "$function$".to_owned();
    while body.contains(&quote) {
        quote.insert(quote.len() - 1, '_');
    }
    Some(format!("{sql} AS {quote}{body}{quote}"))
}

/// The settings of a function from their list: a comma is also in values, so the next setting is known by its `=`.
fn settings(list: &str) -> Vec<(&str, String)> {
    let mut settings: Vec<(&str, String)> = Vec::new();
    for part in list.split(", ").filter(|part| !part.is_empty()) {
        let named = part.split_once('=').filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        });
        match (named, settings.last_mut()) {
            (Some((name, value)), _) => settings.push((name, value.to_owned())),
            (None, Some((_, value))) => *value += &format!(", {part}"),
            (None, None) => {}
        }
    }
    settings
}
