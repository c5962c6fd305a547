//! From a difference to the statements that close it, in an order in which they can run.
//!
//! Objects are dropped from the outside in, made from the inside out: what refers to something else comes before it on the way
//! down and after it on the way up. What loses rows or values is marked; what cannot be derived from the catalogs is named
//! instead of guessed.

mod alter;
mod create;

use std::fmt::Write;

use crate::schema::column_of;
use crate::{Change, Difference, Kind, Object, Properties, PropertyChange, Schema};

/// What closes a difference, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// A statement that keeps all rows and values.
    Statement(String),
    /// A statement that fails where rows have no value.
    Demands(String),
    /// A statement that drops rows or values, or may change them.
    Loses(String),
    /// A difference for which no statement can be derived.
    Open(Difference),
}

/// When a statement runs among the others. Lower comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    DropView,
    DropTrigger,
    DropPolicy,
    DropForeignKey,
    DropConstraint,
    DropIndex,
    CreateType,
    CreateSequence,
    /// That neither take nor return a row of a table: defaults and checks of tables may call them.
    CreateFunctionFirst,
    CreateTable,
    AddColumn,
    AlterColumn,
    AlterTable,
    DropFunction,
    CreateFunction,
    SetDefault,
    CreateIndex,
    AddConstraint,
    AddForeignKey,
    /// When all of them are there: rows that break one keep no other from being made.
    ValidateForeignKey,
    CreateView,
    CreateIndexOfView,
    CreateTrigger,
    CreatePolicy,
    Comment,
    DropColumn,
    /// Goes with the whole table if that goes first.
    DropPartition,
    DropTable,
    DropFunctionLast,
    DropSequence,
    DropType,
    Open,
}

/// The statements that turn one schema into another, in the making.
struct Draft<'s> {
    from: &'s Schema,
    to: &'s Schema,
    repairs: Vec<(Phase, Repair)>,
}

impl Schema {
    /// The statements that turn this schema into `other`, in the order in which they can run with the schema first in
    /// `search_path`. Names are written without their schema.
    ///
    /// A statement may fail on rows that break what it demands, and none of them is made for a busy table. A foreign key that
    /// rows break is made all the same, not validated, with a warning.
    #[must_use]
    pub fn repair(&self, other: &Self) -> Vec<Repair> {
        let mut draft = Draft { from: self, to: other, repairs: Vec::new() };
        for difference in self.differences(other) {
            draft.close(&difference);
        }
        // Stable: within a phase the order of the objects stays.
        draft.repairs.sort_by_key(|(phase, _)| *phase);
        draft.repairs.into_iter().map(|(_, repair)| repair).collect()
    }
}

impl Repair {
    /// The repairs as a script for `psql`, all or nothing. What loses something and what is open are comments.
    #[must_use]
    pub fn script(schema: &str, repairs: &[Self]) -> String {
        let mut script = format!(
            "\\set ON_ERROR_STOP on\nBEGIN;\nSET LOCAL search_path = {};\nSET LOCAL check_function_bodies = off;\n",
            ident(schema)
        );
        for repair in repairs {
            match repair {
                Self::Statement(sql) => writeln!(script, "{sql};"),
                Self::Demands(sql) => writeln!(script, "-- Fails where a row has no value:\n{sql};"),
                Self::Loses(sql) => {
                    writeln!(script, "-- Loses rows or values: {}", commented(&format!("{sql};")))
                }
                Self::Open(difference) => {
                    writeln!(script, "-- No statement can be derived: {}", commented(&difference.to_string()))
                }
            }
            .expect("writing to a string cannot fail");
        }
        script + "COMMIT;\n"
    }
}

impl Draft<'_> {
    fn close(&mut self, difference: &Difference) {
        if self.follows_from_another(difference) {
            return;
        }
        let object = &difference.object;
        match &difference.change {
            Change::Added => {
                let properties = self.to.get(object).expect("the difference says that it is there");
                self.create(object, properties, difference);
            }
            Change::Removed => self.drop(object, difference),
            Change::Changed(changes) => {
                for change in changes {
                    self.alter(object, change);
                }
            }
        }
    }

    /// Whether the object comes and goes with another one: the columns of a view or of a table that is made or dropped, the
    /// index of a constraint, the sequence of an identity column, all that belongs to a table that is dropped.
    fn follows_from_another(&self, difference: &Difference) -> bool {
        let object = &difference.object;
        let here = match difference.change {
            Change::Removed => self.from,
            Change::Added | Change::Changed(_) => self.to,
        };
        let other = if std::ptr::eq(here, self.from) { self.to } else { self.from };
        if let Some(parent) = &object.parent {
            let table = Object { kind: Kind::Table, parent: None, name: parent.clone() };
            let view = Object { kind: Kind::View, ..table.clone() };
            let is_whole =
                [&table, &view].into_iter().any(|o| here.get(o).is_some() && other.get(o).is_none());
            let dropped_with_it = difference.change == Change::Removed;
            let is_of_view = object.kind == Kind::Column && here.get(&table).is_none();
            if is_of_view || is_whole && (dropped_with_it || object.kind == Kind::Column) {
                return true;
            }
        }
        match object.kind {
            Kind::Index => here.get(&Object { kind: Kind::Constraint, ..object.clone() }).is_some(),
            Kind::Sequence => here.get(object).is_some_and(|p| {
                is_of_identity(here, p)
                    || difference.change == Change::Removed
                        && column_of(p).is_some_and(|column| other.get(&column).is_none())
            }),
            _ => false,
        }
    }

    fn drop(&mut self, object: &Object, difference: &Difference) {
        let (name, table) = (ident(&object.name), object.parent.as_deref().map(ident).unwrap_or_default());
        let before = self.from.get(object);
        let is = |property: &str| before.is_some_and(|p| p.contains_key(property));
        match object.kind {
            Kind::Table => {
                let phase = if is("partition of") { Phase::DropPartition } else { Phase::DropTable };
                self.loses(phase, format!("DROP TABLE {name}"));
            }
            Kind::Column => {
                self.loses(Phase::DropColumn, format!("ALTER TABLE {table} DROP COLUMN {name}"));
            }
            Kind::Sequence => self.loses(Phase::DropSequence, format!("DROP SEQUENCE {name}")),
            Kind::Constraint => {
                let is_foreign_key =
                    before.and_then(|p| p.get("definition")).is_some_and(|d| d.starts_with("FOREIGN KEY"));
                let phase = if is_foreign_key { Phase::DropForeignKey } else { Phase::DropConstraint };
                self.does(phase, format!("ALTER TABLE {table} DROP CONSTRAINT {name}"));
            }
            Kind::Index => self.does(Phase::DropIndex, format!("DROP INDEX {name}")),
            Kind::Trigger => self.does(Phase::DropTrigger, format!("DROP TRIGGER {name} ON {table}")),
            Kind::Rule => self.does(Phase::DropTrigger, format!("DROP RULE {name} ON {table}")),
            Kind::Statistics => self.does(Phase::DropIndex, format!("DROP STATISTICS {name}")),
            Kind::Policy => self.does(Phase::DropPolicy, format!("DROP POLICY {name} ON {table}")),
            Kind::View => {
                let kind = if is("materialized") { "MATERIALIZED VIEW" } else { "VIEW" };
                self.does(Phase::DropView, format!("DROP {kind} {name}"));
            }
            Kind::Function => match before.and_then(create::routine) {
                Some(kind) => {
                    let is_made_again = difference.change != Change::Removed;
                    let is_of_rows = before.is_some_and(|p| create::is_of_rows(self.from, p));
                    let phase = if is_made_again || is_of_rows {
                        Phase::DropFunction
                    } else {
                        Phase::DropFunctionLast
                    };
                    self.does(phase, format!("DROP {kind} {}", create::signature(&object.name)));
                }
                None => self.open(difference.clone()),
            },
            Kind::Type => {
                let is_domain = before.and_then(|p| p.get("kind")).is_some_and(|kind| kind == "domain");
                let kind = if is_domain { "DOMAIN" } else { "TYPE" };
                self.does(Phase::DropType, format!("DROP {kind} {name}"));
            }
            Kind::Schema => self.open(difference.clone()),
        }
    }

    fn does(&mut self, phase: Phase, sql: String) {
        self.repairs.push((phase, Repair::Statement(sql)));
    }

    fn demands(&mut self, phase: Phase, sql: String) {
        self.repairs.push((phase, Repair::Demands(sql)));
    }

    fn loses(&mut self, phase: Phase, sql: String) {
        self.repairs.push((phase, Repair::Loses(sql)));
    }

    fn open(&mut self, difference: Difference) {
        self.repairs.push((Phase::Open, Repair::Open(difference)));
    }

    fn open_property(&mut self, object: &Object, change: &PropertyChange) {
        self.open(Difference { object: object.clone(), change: Change::Changed(vec![change.clone()]) });
    }
}

/// Whether a sequence belongs to an identity column: it is made and dropped with that.
fn is_of_identity(schema: &Schema, sequence: &Properties) -> bool {
    column_of(sequence).and_then(|column| schema.get(&column)).is_some_and(|p| p.contains_key("identity"))
}

/// A name as SQL has it.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it, whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

fn commented(text: &str) -> String {
    text.replace('\n', "\n-- ")
}
