//! Changing one property of an object.

use super::{Draft, Phase, create, ident, literal};
use crate::{Kind, Object, PropertyChange};

impl Draft<'_> {
    pub(super) fn alter(&mut self, object: &Object, change: &PropertyChange) {
        let PropertyChange { property, before, after } = change;
        self.alter_to(object, property, before.as_deref(), after.as_deref());
    }

    pub(super) fn alter_to(
        &mut self,
        object: &Object,
        property: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        let done = match (object.kind, property) {
            (_, "comment") => self.comment(object, after),
            (
                Kind::Function
                | Kind::View
                | Kind::Policy
                | Kind::Constraint
                | Kind::Index
                | Kind::Trigger
                | Kind::Rule
                | Kind::Statistics,
                _,
            ) if self.is_made_anew(object, property) => self.make_anew(object, property),
            (_, "owner") => self.owner(object, after),
            (Kind::Table, _) => self.table(object, property, before, after),
            (Kind::Column, _) => self.column(object, property, before, after),
            (Kind::Constraint, "validated") if after == Some("yes") => {
                let table = create::parent(object);
                let sql = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", ident(&object.name));
                self.does(Phase::AddForeignKey, sql);
                true
            }
            (Kind::Trigger | Kind::Rule, "enabled") => self.trigger(object, after),
            (Kind::Statistics, "target") => {
                let sql = format!(
                    "ALTER STATISTICS {} SET STATISTICS {}",
                    ident(&object.name),
                    after.unwrap_or("-1")
                );
                self.does(Phase::Comment, sql);
                true
            }
            (Kind::Index, "clustered") if after.is_some() => {
                let table = create::parent(object);
                self.does(Phase::Comment, format!("ALTER TABLE {table} CLUSTER ON {}", ident(&object.name)));
                true
            }
            (Kind::Index, "replica identity") if after.is_some() => {
                let (table, name) = (create::parent(object), ident(&object.name));
                self.does(Phase::Comment, format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}"));
                true
            }
            (Kind::Sequence, "owned by") => {
                let owner = after.unwrap_or("NONE");
                let sql = format!("ALTER SEQUENCE {} OWNED BY {owner}", ident(&object.name));
                self.does(Phase::CreateView, sql);
                true
            }
            (Kind::Sequence, "type" | "range" | "cache" | "cycle") => self.sequence(object),
            (Kind::Type, "labels") => self.labels(object, before.unwrap_or(""), after.unwrap_or("")),
            _ => false,
        };
        if !done {
            let change = PropertyChange {
                property: property.to_owned(),
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
            };
            self.open_property(object, &change);
        }
    }

    /// Whether this property is what the object is: then it is dropped and made again.
    fn is_made_anew(&self, object: &Object, property: &str) -> bool {
        match object.kind {
            Kind::Function => !matches!(property, "owner" | "grants"),
            Kind::View => matches!(property, "definition" | "materialized" | "options"),
            Kind::Policy => true,
            // The server keeps the triggers of a constraint to itself.
            Kind::Constraint => matches!(property, "definition" | "triggers"),
            Kind::Index => matches!(property, "definition" | "valid") && !self.is_of_constraint(object),
            _ => property == "definition",
        }
    }

    fn is_of_constraint(&self, index: &Object) -> bool {
        self.from.get(&Object { kind: Kind::Constraint, ..index.clone() }).is_some()
    }

    /// Once, whatever else of it changed.
    fn make_anew(&mut self, object: &Object, property: &str) -> bool {
        let (Some(before), Some(after)) = (self.from.get(object), self.to.get(object)) else { return false };
        let changed: Vec<&String> = after
            .keys()
            .chain(before.keys())
            .filter(|p| before.get(*p) != after.get(*p) && self.is_made_anew(object, p))
            .collect();
        if changed.iter().min().is_some_and(|first| first.as_str() != property) {
            return true;
        }
        let difference = crate::Difference { object: object.clone(), change: crate::Change::Added };
        let replaced = object.kind == Kind::Function
            && !changed.iter().any(|p| matches!(p.as_str(), "result" | "arguments" | "kind"));
        if !replaced {
            self.drop(object, &difference);
        }
        let after = after.clone();
        self.create(object, &after, &difference);
        true
    }

    fn comment(&mut self, object: &Object, after: Option<&str>) -> bool {
        let (name, table) = (ident(&object.name), create::parent(object));
        let materialized = || self.to.get(object).is_some_and(|p| p.contains_key("materialized"));
        let on = match object.kind {
            Kind::Schema => return false,
            Kind::Type => format!("TYPE {name}"),
            Kind::Sequence => format!("SEQUENCE {name}"),
            Kind::Table => format!("TABLE {name}"),
            Kind::Column => format!("COLUMN {table}.{name}"),
            Kind::Constraint => format!("CONSTRAINT {name} ON {table}"),
            Kind::Index => format!("INDEX {name}"),
            Kind::Trigger => format!("TRIGGER {name} ON {table}"),
            Kind::Rule => format!("RULE {name} ON {table}"),
            Kind::Statistics => format!("STATISTICS {name}"),
            Kind::Policy => format!("POLICY {name} ON {table}"),
            Kind::View => format!("{} {name}", if materialized() { "MATERIALIZED VIEW" } else { "VIEW" }),
            Kind::Function => format!("ROUTINE {}", create::signature(&object.name)),
        };
        let text = after.map_or_else(|| "NULL".to_owned(), literal);
        self.does(Phase::Comment, format!("COMMENT ON {on} IS {text}"));
        true
    }

    fn owner(&mut self, object: &Object, after: Option<&str>) -> bool {
        let Some(owner) = after else { return false };
        let on = match object.kind {
            Kind::Type => format!("TYPE {}", ident(&object.name)),
            // It has the owner of its table.
            Kind::Sequence if self.to.get(object).is_some_and(|p| p.contains_key("owned by")) => return true,
            Kind::Sequence => format!("SEQUENCE {}", ident(&object.name)),
            // `ALTER TABLE` takes every kind of view.
            Kind::Table | Kind::View => format!("TABLE {}", ident(&object.name)),
            Kind::Function => format!("ROUTINE {}", create::signature(&object.name)),
            _ => return false,
        };
        self.does(Phase::Comment, format!("ALTER {on} OWNER TO {}", ident(owner)));
        true
    }

    fn table(&mut self, object: &Object, property: &str, before: Option<&str>, after: Option<&str>) -> bool {
        let table = format!("ALTER TABLE {}", ident(&object.name));
        let clauses: Vec<&str> = match (property, after) {
            ("persistence", Some(_)) => vec!["SET UNLOGGED"],
            ("persistence", None) => vec!["SET LOGGED"],
            ("row security", Some("forced")) => vec!["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"],
            ("row security", Some(_)) => vec!["ENABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"],
            ("row security", None) => vec!["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"],
            ("replica identity", None) => vec!["REPLICA IDENTITY DEFAULT"],
            ("replica identity", Some("f")) => vec!["REPLICA IDENTITY FULL"],
            ("replica identity", Some("n")) => vec!["REPLICA IDENTITY NOTHING"],
            // Its index says so too.
            ("replica identity", Some(_)) => vec![],
            ("options", _) => {
                let gone = before.iter().flat_map(|options| options.split(", "));
                let gone: Vec<&str> = gone.filter_map(|o| o.split_once('=')).map(|(name, _)| name).collect();
                if !gone.is_empty() {
                    self.does(Phase::AlterTable, format!("{table} RESET ({})", gone.join(", ")));
                }
                if let Some(options) = after {
                    self.does(Phase::AlterTable, format!("{table} SET ({options})"));
                }
                return true;
            }
            _ => return false,
        };
        for clause in clauses {
            self.does(Phase::AlterTable, format!("{table} {clause}"));
        }
        true
    }

    fn column(&mut self, object: &Object, property: &str, before: Option<&str>, after: Option<&str>) -> bool {
        let name = ident(&object.name);
        let column = format!("ALTER TABLE {} ALTER COLUMN {name}", create::parent(object));
        let (Some(was), Some(is)) = (self.from.get(object), self.to.get(object)) else { return false };
        match (property, before, after) {
            ("type" | "collation", ..) => {
                // Both are one statement.
                let is_one = property == "collation" && was.get("type") != is.get("type");
                let (Some(of_type), false) = (is.get("type").cloned(), is_one) else { return is_one };
                let collation =
                    is.get("collation").map(|name| format!(" COLLATE {name}")).unwrap_or_default();
                if was.contains_key("default") && was.get("type") != is.get("type") {
                    let again = is.get("default").map(|default| format!("{column} SET DEFAULT {default}"));
                    self.does(Phase::AddColumn, format!("{column} DROP DEFAULT"));
                    if let Some(again) = again.filter(|_| was.get("default") == is.get("default")) {
                        self.does(Phase::SetDefault, again);
                    }
                }
                let sql = format!("{column} TYPE {of_type}{collation} USING {name}::{of_type}");
                self.loses(Phase::AlterColumn, sql);
            }
            ("default", _, Some(default)) => {
                self.does(Phase::SetDefault, format!("{column} SET DEFAULT {default}"));
            }
            ("default", _, None) => self.does(Phase::AlterColumn, format!("{column} DROP DEFAULT")),
            ("not null", _, Some(_)) => self.demands(Phase::CreateIndex, format!("{column} SET NOT NULL")),
            ("not null", _, None) => self.does(Phase::CreateFunction, format!("{column} DROP NOT NULL")),
            ("generated", Some(_), None) => {
                self.does(Phase::AlterColumn, format!("{column} DROP EXPRESSION"));
            }
            ("identity", Some(_), Some(kind)) => {
                self.does(Phase::AlterColumn, format!("{column} SET GENERATED {}", kind.to_uppercase()));
            }
            // It takes a column that is not null and has no default.
            ("identity", None, Some(kind)) => self.does(
                Phase::AddForeignKey,
                format!("{column} ADD GENERATED {} AS IDENTITY", kind.to_uppercase()),
            ),
            ("identity", _, None) => self.does(Phase::AlterColumn, format!("{column} DROP IDENTITY")),
            _ => return false,
        }
        true
    }

    fn trigger(&mut self, object: &Object, after: Option<&str>) -> bool {
        let does = match after {
            Some("no") => "DISABLE",
            Some("R") => "ENABLE REPLICA",
            Some("A") => "ENABLE ALWAYS",
            _ => "ENABLE",
        };
        let (table, name) = (create::parent(object), ident(&object.name));
        let kind = if object.kind == Kind::Rule { "RULE" } else { "TRIGGER" };
        self.does(Phase::Comment, format!("ALTER TABLE {table} {does} {kind} {name}"));
        true
    }

    /// All of it at once, with the first of its properties that changed.
    fn sequence(&mut self, object: &Object) -> bool {
        let Some(after) = self.to.get(object) else { return false };
        let sql = format!("ALTER {}", create::sequence(object, after));
        let is_said = self
            .repairs
            .iter()
            .any(|(_, repair)| matches!(repair, super::Repair::Statement(said) if *said == sql));
        if !is_said {
            self.does(Phase::CreateSequence, sql);
        }
        true
    }

    /// Labels can be added to an enum, and neither taken away nor moved.
    fn labels(&mut self, object: &Object, before: &str, after: &str) -> bool {
        let split = |labels: &str| -> Vec<String> {
            let mut parts: Vec<String> = Vec::new();
            for part in labels.split(", ").filter(|part| !part.is_empty()) {
                match parts.last_mut() {
                    // A label that holds ", ": its quote is open.
                    Some(last) if last.matches('\'').count() % 2 == 1 => *last += &format!(", {part}"),
                    _ => parts.push(part.to_owned()),
                }
            }
            parts
        };
        let (before, after) = (split(before), split(after));
        let kept: Vec<&String> = after.iter().filter(|label| before.contains(label)).collect();
        if kept.iter().copied().ne(&before) {
            return false;
        }
        for (place, label) in after.iter().enumerate().filter(|(_, label)| !before.contains(label)) {
            let position = match place.checked_sub(1).map(|place| &after[place]) {
                Some(earlier) => format!("AFTER {earlier}"),
                None => before.first().map(|first| format!("BEFORE {first}")).unwrap_or_default(),
            };
            let sql = format!("ALTER TYPE {} ADD VALUE {label} {position}", ident(&object.name));
            self.does(Phase::CreateType, sql.trim_end().to_owned());
        }
        true
    }
}
