//! A schema as a value.

use std::collections::BTreeMap;
use std::fmt;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The schema itself.
    Schema,
    /// An enum, a domain, a composite or a range type.
    Type,
    /// A sequence.
    Sequence,
    /// A table, plain, partitioned or foreign.
    Table,
    /// A column of a table or a view.
    Column,
    /// A constraint of a table.
    Constraint,
    /// An index, those of constraints included.
    Index,
    /// A trigger.
    Trigger,
    /// A rule, other than that of a view.
    Rule,
    /// Statistics over several columns or expressions.
    Statistics,
    /// A policy of row security.
    Policy,
    /// A view, plain or materialized.
    View,
    /// A function, a procedure or an aggregate, named with the types of its arguments.
    Function,
}

/// One object of a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// The table or view that it is part of.
    pub parent: Option<String>,
    /// Its name, unquoted.
    pub name: String,
}

/// What is known of an object, by name: `type`, `default`, `definition`, `valid`, `owner`, `comment`, `grants` …
pub type Properties = BTreeMap<String, String>;

/// The objects of a schema at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub(crate) objects: BTreeMap<Object, Properties>,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Schema,
        Self::Type,
        Self::Sequence,
        Self::Table,
        Self::Column,
        Self::Constraint,
        Self::Index,
        Self::Trigger,
        Self::Rule,
        Self::Statistics,
        Self::Policy,
        Self::View,
        Self::Function,
    ];

    /// Its name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Type => "type",
            Self::Sequence => "sequence",
            Self::Table => "table",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Index => "index",
            Self::Trigger => "trigger",
            Self::Rule => "rule",
            Self::Statistics => "statistics",
            Self::Policy => "policy",
            Self::View => "view",
            Self::Function => "function",
        }
    }
}

impl Object {
    /// The table or view that this object is or is part of.
    #[must_use]
    pub fn relation(&self) -> Option<&str> {
        match self.kind {
            Kind::Table | Kind::View => Some(&self.name),
            _ => self.parent.as_deref(),
        }
    }
}

impl Schema {
    /// All objects with what is known of them, ordered by kind, table and name.
    pub fn objects(&self) -> impl Iterator<Item = (&Object, &Properties)> {
        self.objects.iter()
    }

    /// The names of the objects of one kind.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.objects.keys().filter(move |object| object.kind == kind).map(|object| object.name.as_str())
    }

    /// The columns of a table or view, by name.
    pub fn columns<'s>(&'s self, table: &'s str) -> impl Iterator<Item = (&'s str, &'s Properties)> {
        let of_table =
            move |object: &Object| object.kind == Kind::Column && object.parent.as_deref() == Some(table);
        let columns = self.objects.iter().filter(move |(object, _)| of_table(object));
        columns.map(|(object, properties)| (object.name.as_str(), properties))
    }

    /// What is known of an object, if it exists.
    #[must_use]
    pub fn get(&self, object: &Object) -> Option<&Properties> {
        self.objects.get(object)
    }

    /// The table or view that an object is or is part of, or to a column of which it belongs, as a sequence does.
    #[must_use]
    pub fn relation_of(&self, object: &Object) -> Option<String> {
        let sequence = self.get(object).filter(|_| object.kind == Kind::Sequence);
        let table = sequence.and_then(column_of).and_then(|column| column.parent);
        table.or_else(|| object.relation().map(str::to_owned))
    }

    /// Leaves out the objects for which `is_kept` says no.
    #[must_use]
    pub fn retain(mut self, mut is_kept: impl FnMut(&Object) -> bool) -> Self {
        self.objects.retain(|object, _| is_kept(object));
        self
    }

    /// Puts an object in, in place of one of its name.
    #[must_use]
    pub fn with(mut self, object: Object, properties: Properties) -> Self {
        self.objects.insert(object, properties);
        self
    }

    /// Gives one value of a property another one in all objects: the role that owns all of one schema the name of the one that
    /// owns all of another.
    #[must_use]
    pub fn replacing(mut self, property: &str, from: &str, to: &str) -> Self {
        for value in self.objects.values_mut().filter_map(|properties| properties.get_mut(property)) {
            if value == from {
                to.clone_into(value);
            }
        }
        self
    }

    /// Leaves out a property of all objects, such as `owner` where two schemas may have different ones.
    #[must_use]
    pub fn without(mut self, property: &str) -> Self {
        for properties in self.objects.values_mut() {
            properties.remove(property);
        }
        self
    }
}

/// The column to which a sequence belongs: it is dropped with that.
pub(crate) fn column_of(sequence: &Properties) -> Option<Object> {
    let (table, column) = sequence.get("owned by")?.rsplit_once('.')?;
    let table = table.trim_matches('"').replace("\"\"", "\"");
    Some(Object { kind: Kind::Column, parent: Some(table), name: column.to_owned() })
}

/// `column note.text`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, parent, name } = self;
        match (kind, parent) {
            (Kind::Schema, _) => f.write_str("schema"),
            (_, Some(parent)) => write!(f, "{} {parent}.{name}", kind.as_str()),
            (_, None) => write!(f, "{} {name}", kind.as_str()),
        }
    }
}

/// Every object with its properties, one per line.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (object, properties) in &self.objects {
            writeln!(f, "{object}")?;
            for (property, value) in properties {
                writeln!(f, "  {property}: {}", value.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}
