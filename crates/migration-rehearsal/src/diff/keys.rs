//! Keys, indexes and foreign keys, and tables that are missing with all of theirs.

use std::collections::BTreeSet;
use std::fmt;

use migration_kit::quote_identifier;
use postgres_schema::{Kind, Object, Schema};

use super::change::{EntityChange, EntityDifference, NewColumn};
use super::columns::column;
use crate::entities::property;

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its columns.
    pub columns: Vec<String>,
    /// The table to which it refers.
    pub table: String,
    /// The columns of that.
    pub referenced: Vec<String>,
    /// What it does otherwise, as the server writes it: `ON DELETE CASCADE`.
    pub actions: String,
}

/// `FOREIGN KEY (author) REFERENCES author(id) ON DELETE CASCADE`.
impl fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { columns, table, referenced, actions } = self;
        let (columns, referenced) = (columns.join(", "), referenced.join(", "));
        let space = if actions.is_empty() { "" } else { " " };
        write!(f, "FOREIGN KEY ({columns}) REFERENCES {table}({referenced}){space}{actions}")
    }
}

impl ForeignKey {
    /// From `FOREIGN KEY (a) REFERENCES b(c) ON DELETE CASCADE`.
    fn parse(definition: &str) -> Option<Self> {
        let (columns, rest) = definition.strip_prefix("FOREIGN KEY (")?.split_once(") REFERENCES ")?;
        let (table, rest) = rest.split_once('(')?;
        let (referenced, actions) = rest.split_once(')')?;
        Some(Self {
            columns: names(columns),
            table: unquoted(table),
            referenced: names(referenced),
            actions: actions.trim().to_owned(),
        })
    }

    fn is_between_the_same(&self, other: &Self) -> bool {
        (&self.columns, &self.table, &self.referenced) == (&other.columns, &other.table, &other.referenced)
    }

    /// The action of one kind: `CASCADE` of `ON DELETE`.
    fn action(&self, on: &str) -> Option<&str> {
        let (_, rest) = self.actions.split_once(on)?;
        Some(rest.split(" ON ").next()?.trim())
    }
}

/// The keys and indexes that an entity has and its table lacks.
pub(super) fn differences(made: &Schema, described: &Schema, table: &str) -> Vec<EntityDifference> {
    let (theirs, ours) = (Keys::of(made, table), Keys::of(described, table));
    let mut differences = Vec::new();
    let mut differ = |kind, columns: &[String], suffix, change| {
        differences.push(EntityDifference { object: object(made, kind, table, columns, suffix), change });
    };
    if let Some(columns) = &ours.primary {
        match &theirs.primary {
            _ if theirs.keeps_unique(columns) => {}
            None => {
                differ(Kind::Constraint, &[], "pkey", EntityChange::PrimaryKey { columns: columns.clone() });
            }
            Some(other) => {
                let says = format!(
                    "is the key ({}), and the entity's is ({})",
                    other.join(", "),
                    columns.join(", ")
                );
                differ(Kind::Constraint, &[], "pkey", EntityChange::Other(says));
            }
        }
    }
    for columns in ours.unique.iter().filter(|columns| !theirs.keeps_unique(columns)) {
        differ(Kind::Constraint, columns, "key", EntityChange::Unique { columns: columns.clone() });
    }
    for columns in ours.plain.iter().filter(|columns| !theirs.has_index_on(columns)) {
        differ(Kind::Index, columns, "idx", EntityChange::Index { columns: columns.clone() });
    }
    for key in &ours.foreign {
        let Some(there) = theirs.foreign.iter().find(|other| key.is_between_the_same(other)) else {
            let has_index = theirs.has_index_on(&key.columns) || ours.has_index_on(&key.columns);
            let index = (!has_index).then(|| object(made, Kind::Index, table, &key.columns, "idx").name);
            let change = EntityChange::ForeignKey { key: key.clone(), index };
            differ(Kind::Constraint, &key.columns, "fkey", change);
            continue;
        };
        let is_other = |on| key.action(on).is_some_and(|action| there.action(on) != Some(action));
        if is_other("ON DELETE") || is_other("ON UPDATE") {
            let says = format!("is {there}, and that of the entity {}", key.actions);
            differ(Kind::Constraint, &key.columns, "fkey", EntityChange::Other(says));
        }
    }
    differences
}

/// A table that is missing, with these columns in their order.
pub(super) fn new_table(described: &Schema, table: &str, columns: &[String]) -> EntityDifference {
    let definition = |name: &String| {
        let field = NewColumn::of(described.get(&column(table, name))?);
        let default = field.default.map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
        let generated = field.generated.map(|generated| format!(" {generated}")).unwrap_or_default();
        let not_null = if field.not_null { " NOT NULL" } else { "" };
        Some(format!("{} {}{generated}{default}{not_null}", quote_identifier(name), field.type_))
    };
    let keys = Keys::of(described, table);
    let constraint = |name: String, kind: &str, columns: &[String]| {
        format!("CONSTRAINT {} {kind} ({})", quote_identifier(&name), list(columns))
    };
    let primary =
        keys.primary.iter().map(|columns| constraint(format!("{table}_pkey"), "PRIMARY KEY", columns));
    let unique =
        keys.unique.iter().map(|columns| constraint(plain_name(table, columns, "key"), "UNIQUE", columns));
    let parts: Vec<String> = columns.iter().filter_map(definition).chain(primary).chain(unique).collect();
    let create = format!("CREATE TABLE {} ({})", quote_identifier(table), parts.join(", "));
    let shape = |name: &String| {
        let field = NewColumn::of(described.get(&column(table, name))?);
        Some(format!("{name} {}{}", field.type_, if field.not_null { " not null" } else { "" }))
    };
    // What a foreign key refers from is looked for whenever a row of the other table goes.
    let behind = keys.foreign.iter().map(|key| &key.columns).filter(|columns| !keys.has_index_on(columns));
    let index = |columns: &Vec<String>| (plain_name(table, columns, "idx"), columns.clone());
    let indexes = keys.plain.iter().chain(behind).map(index).collect();
    let named = |key: ForeignKey| (plain_name(table, &key.columns, "fkey"), key);
    let foreign_keys = keys.foreign.into_iter().map(named).collect();
    EntityDifference {
        object: Object { kind: Kind::Table, parent: None, name: table.to_owned() },
        change: EntityChange::NewTable {
            create,
            columns: columns.iter().filter_map(shape).collect(),
            indexes,
            foreign_keys,
        },
    }
}

/// Quoted names, joined by commas.
fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quote_identifier(column)).collect::<Vec<_>>().join(", ")
}

/// What finds rows of a table and keeps them apart.
#[derive(Default)]
struct Keys {
    primary: Option<Vec<String>>,
    /// The columns of each unique index of all rows, without the primary key.
    unique: Vec<Vec<String>>,
    /// The columns of every other index of all rows.
    plain: Vec<Vec<String>>,
    foreign: Vec<ForeignKey>,
}

impl Keys {
    fn of(schema: &Schema, table: &str) -> Self {
        let mut keys = Self::default();
        let of_table = schema.objects().filter(|(object, _)| object.parent.as_deref() == Some(table));
        for (object, properties) in of_table {
            let definition = property(properties, "definition");
            match object.kind {
                Kind::Constraint => {
                    if let Some(columns) = definition.strip_prefix("PRIMARY KEY ") {
                        keys.primary = indexed(columns);
                    }
                    keys.foreign.extend(ForeignKey::parse(definition));
                }
                Kind::Index if !definition.contains(" WHERE ") && property(properties, "valid") == "yes" => {
                    let columns = definition.split_once(" USING ").and_then(|(_, columns)| indexed(columns));
                    let is_unique = definition.starts_with("CREATE UNIQUE ");
                    if is_unique { &mut keys.unique } else { &mut keys.plain }.extend(columns);
                }
                _ => {}
            }
        }
        let primary = keys.primary.clone();
        keys.unique.retain(|columns| Some(columns) != primary.as_ref());
        keys
    }

    fn keeps_unique(&self, columns: &[String]) -> bool {
        let set: BTreeSet<&String> = columns.iter().collect();
        self.primary.iter().chain(&self.unique).any(|other| other.iter().collect::<BTreeSet<_>>() == set)
    }

    fn has_index_on(&self, columns: &[String]) -> bool {
        self.primary.iter().chain(&self.unique).chain(&self.plain).any(|other| other.starts_with(columns))
    }
}

/// The columns of an index, from `btree (a, b DESC) INCLUDE (c)`. An expression is none.
fn indexed(definition: &str) -> Option<Vec<String>> {
    let inside = definition.split_once('(')?.1;
    let (mut depth, mut is_quoted) = (1, false);
    let end = inside.find(|letter| {
        is_quoted ^= letter == '"';
        depth += match letter {
            '(' if !is_quoted => 1,
            ')' if !is_quoted => -1,
            _ => 0,
        };
        depth == 0
    })?;
    Some(names(&inside[..end]))
}

/// Names as the server lists them, without their order.
fn names(list: &str) -> Vec<String> {
    list.split(", ").map(|name| unquoted(name.split(" DESC").next().unwrap_or(name))).collect()
}

fn unquoted(name: &str) -> String {
    name.trim_matches('"').replace("\"\"", "\"")
}

/// A key or an index under a name that nothing of the schema has.
fn object(schema: &Schema, kind: Kind, table: &str, columns: &[String], suffix: &str) -> Object {
    let is_taken = |name: &str| schema.objects().any(|(object, _)| object.name == name);
    let plain = plain_name(table, columns, suffix);
    let numbered = (1..).map(|number| format!("{plain}{number}"));
    let name = [plain.clone()].into_iter().chain(numbered).find(|name| !is_taken(name)).unwrap_or(plain);
    Object { kind, parent: Some(table.to_owned()), name }
}

/// `note_author_fkey`, within what the server keeps of a name.
fn plain_name(table: &str, columns: &[String], suffix: &str) -> String {
    const LONGEST: usize = 58;
    let mut name = [&[table.to_owned()], columns].concat().join("_");
    let mut end = LONGEST.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    format!("{name}_{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_known_by_its_columns() {
        let columns = |definition| indexed(definition).unwrap_or_default();
        assert_eq!(columns("btree (a, \"B c\" DESC) INCLUDE (d)"), ["a", "B c"]);
        assert_eq!(columns("btree (lower(a), b)"), ["lower(a)", "b"]);
        assert_eq!(columns("gin (a gin_trgm_ops)"), ["a gin_trgm_ops"]);
    }

    #[test]
    fn a_foreign_key_is_known_by_what_it_joins() {
        let key = ForeignKey::parse(
            "FOREIGN KEY (a, b) REFERENCES \"T\"(c, d) ON UPDATE CASCADE ON DELETE SET NULL",
        );
        let key = key.expect("it is one");
        assert_eq!((key.columns.len(), key.table.as_str(), key.referenced.len()), (2, "T", 2));
        assert_eq!((key.action("ON DELETE"), key.action("ON UPDATE")), (Some("SET NULL"), Some("CASCADE")));
        assert_eq!(ForeignKey::parse("CHECK (a > 0)"), None);
    }

    #[test]
    fn a_name_fits() {
        assert_eq!(plain_name("note", &["author".to_owned()], "fkey"), "note_author_fkey");
        assert_eq!(plain_name("note", &[], "pkey"), "note_pkey");
        assert_eq!(plain_name(&"é".repeat(40), &[], "pkey"), format!("{}_pkey", "é".repeat(29)));
    }
}
