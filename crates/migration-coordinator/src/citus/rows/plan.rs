//! What spreading a service's rows comes to, and what keeps it from being done, each with the statements that clear it.
//!
//! Decided from what was [`Found`] alone. What Citus demands: the column in every key, and at the same place of foreign keys. It is as long
//! as it is because each demand has its words and its statements, and the tests are beside them.

use std::collections::BTreeMap;

use migration_kit::quote_identifier;

use super::found::{ForeignKey, Found, Key, Table};

/// What spreading a service's rows by a column comes to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RowPlan {
    /// The column.
    pub column: String,
    /// Tables whose rows are to be spread by it.
    pub spread: Vec<String>,
    /// Tables that every node is to have whole.
    pub whole: Vec<String>,
    /// Tables that are as they should be already.
    pub done: Vec<String>,
    /// The service's bookkeeping, which stays on the coordinator.
    pub on_coordinator: Vec<String>,
    /// What keeps it from being done.
    pub obstacles: Vec<RowObstacle>,
    /// The statements of all obstacles, in an order in which they can be run.
    pub statements: Vec<String>,
}

impl RowPlan {
    /// Whether something keeps it from being done.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.obstacles.is_empty()
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.spread.is_empty() && self.whole.is_empty()
    }
}

/// What keeps rows from being spread.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RowObstacle {
    /// The table, or the key or trigger as `TABLE.NAME`.
    pub object: String,
    /// What Citus does not take.
    pub reason: String,
    /// What clears it. Empty where that is the author's to decide.
    pub statements: Vec<String>,
}

/// When a statement can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// Before keys change: nothing else depends on it, or it is what depends on them.
    First,
    /// Once no foreign key leads to the key any more.
    OnKeys,
    /// Once the keys are as they should be.
    Last,
}

/// The plan while it is made.
struct Making<'f> {
    found: &'f Found,
    column: &'f str,
    identifier: String,
    obstacles: Vec<RowObstacle>,
    statements: Vec<(When, String)>,
}

/// What is to become of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Spread,
    Whole,
    /// It stays on the coordinator, or is another schema's.
    Elsewhere,
}

/// Plans it: rows by `column`, tables of `whole` on every node, `bookkeeping` where it is.
pub(super) fn plan(found: &Found, column: &str, whole: &[String], bookkeeping: &[String]) -> RowPlan {
    let mut making = Making {
        found,
        column,
        identifier: quote_identifier(column),
        obstacles: Vec::new(),
        statements: Vec::new(),
    };
    let becomes = |name: Option<&str>| {
        let table = found.tables.iter().find(|table| Some(table.name.as_str()) == name);
        match table {
            Some(table) if bookkeeping.contains(&table.name) => Becomes::Elsewhere,
            Some(table) if table.is_whole || whole.contains(&table.name) => Becomes::Whole,
            Some(_) => Becomes::Spread,
            None => Becomes::Elsewhere,
        }
    };
    for name in whole.iter().filter(|name| becomes(Some(name.as_str())) == Becomes::Elsewhere) {
        making.obstacle(name, "there is no such table of the service".to_owned(), []);
    }
    let kind = making.kind();
    let of = |wanted, is_done: bool| {
        let all = found.tables.iter().filter(move |table| becomes(Some(table.name.as_str())) == wanted);
        all.filter(move |table| (table.is_whole || table.spread_by.is_some()) == is_done)
    };
    for table in &found.tables {
        match becomes(Some(table.name.as_str())) {
            Becomes::Spread => making.table(table, kind),
            Becomes::Whole if table.spread_by.is_some() => {
                making.obstacle(&table.name, "its rows are spread already".to_owned(), []);
            }
            Becomes::Whole | Becomes::Elsewhere => {}
        }
    }
    for key in found.keys.iter().filter(|key| becomes(Some(key.table.as_str())) == Becomes::Spread) {
        making.key(key);
    }
    for key in &found.foreign_keys {
        making.foreign_key(key, becomes(key.table.as_deref()), becomes(key.to.as_deref()));
    }
    for trigger in &found.triggers {
        let is_to_be_done = |table: &&Table| table.name == trigger.table;
        let to_do = || of(Becomes::Spread, false).chain(of(Becomes::Whole, false));
        if to_do().any(|table| is_to_be_done(&table)) {
            let reason = "a table with a trigger is not spread: its function would run on a node, where it can read no other table";
            let drop = format!("DROP TRIGGER {} ON {}", trigger.name, trigger.qualified);
            let object = format!("{}.{}", trigger.table, trigger.name);
            making.obstacle(&object, reason.to_owned(), [(When::First, drop)]);
        }
    }
    let names = |wanted, is_done| of(wanted, is_done).map(|table| table.name.clone());
    let mut statements = making.statements;
    statements.sort_by_key(|(when, _)| *when);
    RowPlan {
        column: column.to_owned(),
        spread: names(Becomes::Spread, false).collect(),
        whole: names(Becomes::Whole, false).collect(),
        done: names(Becomes::Spread, true).chain(names(Becomes::Whole, true)).collect(),
        on_coordinator: names(Becomes::Elsewhere, false).collect(),
        obstacles: making.obstacles,
        statements: statements.into_iter().map(|(_, statement)| statement).collect(),
    }
}

impl<'f> Making<'f> {
    fn obstacle(
        &mut self,
        object: &str,
        reason: String,
        statements: impl IntoIterator<Item = (When, String)>,
    ) {
        let statements: Vec<_> = statements.into_iter().collect();
        self.obstacles.push(RowObstacle {
            object: object.to_owned(),
            reason,
            statements: statements.iter().map(|(_, statement)| statement.clone()).collect(),
        });
        self.statements.extend(statements);
    }

    /// The type that most tables give the column.
    fn kind(&self) -> Option<&'f str> {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        for column in self.found.tables.iter().filter_map(|table| table.column.as_ref()) {
            *counted.entry(&column.kind).or_default() += 1;
        }
        counted.into_iter().max_by_key(|(_, count)| *count).map(|(kind, _)| kind)
    }

    fn table(&mut self, table: &Table, kind: Option<&str>) {
        let (identifier, qualified) = (self.identifier.clone(), &table.qualified);
        let alter = |action: String| [(When::First, format!("ALTER TABLE {qualified} {action}"))];
        if let Some(by) = table.spread_by.as_ref().filter(|by| *by != self.column) {
            let reason = format!("its rows are spread by `{by}` already");
            return self.obstacle(&table.name, reason, []);
        }
        for parent in &table.inherits {
            let reason = format!("it inherits from {parent}, which Citus does not spread");
            self.obstacle(&table.name, reason, alter(format!("NO INHERIT {parent}")));
        }
        let Some(column) = &table.column else {
            let reason = format!(
                "it has no column `{}`: give it one and every row its value, or have it whole on every node",
                self.column
            );
            let add = kind
                .map(|kind| (When::First, format!("ALTER TABLE {qualified} ADD COLUMN {identifier} {kind}")));
            return self.obstacle(&table.name, reason, add);
        };
        if let Some(kind) = kind.filter(|kind| *kind != column.kind) {
            let reason = format!("its `{}` is {}, and {kind} in other tables", self.column, column.kind);
            let (kind, collation) = kind.split_once(" COLLATE ").unwrap_or((kind, ""));
            let collate = if collation.is_empty() { String::new() } else { format!(" COLLATE {collation}") };
            self.obstacle(
                &table.name,
                reason,
                alter(format!("ALTER COLUMN {identifier} TYPE {kind}{collate}")),
            );
        }
        if column.is_computed {
            let reason = format!("its `{}` is computed from other columns", self.column);
            self.obstacle(&table.name, reason, alter(format!("ALTER COLUMN {identifier} DROP EXPRESSION")));
        }
        if !column.not_null {
            let reason =
                format!("its `{}` may be null, and a row without it belongs to no node", self.column);
            self.obstacle(&table.name, reason, alter(format!("ALTER COLUMN {identifier} SET NOT NULL")));
        }
    }

    fn key(&mut self, key: &Key) {
        if key.has_column {
            return;
        }
        let Key { table, qualified, name, index, definition, .. } = key;
        let object = format!("{table}.{name}");
        let within = format!("rows are then compared within one `{}` only", self.column);
        let (what, widened) = match index {
            Some(_) => {
                // `… USING btree (` begins its columns; a name before it may have parentheses, but not these words.
                let columns =
                    definition.find(" USING ").and_then(|at| Some(at + definition[at..].find('(')?));
                ("unique index", columns)
            }
            None => ("key", definition.find('(')),
        };
        let reason = format!("the {what} does not have `{}`: {within}", self.column);
        let with = if definition.starts_with("EXCLUDE") { " WITH =" } else { "" };
        let widened = widened.map(|at| {
            let (before, columns) = definition.split_at(at + 1);
            format!("{before}{}{with}, {columns}", self.identifier)
        });
        let statements = match (widened, index) {
            (None, _) => Vec::new(),
            (Some(widened), Some(index)) => {
                vec![(When::OnKeys, format!("DROP INDEX {index}")), (When::OnKeys, widened)]
            }
            (Some(widened), None) => vec![(
                When::OnKeys,
                format!("ALTER TABLE {qualified} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {widened}"),
            )],
        };
        self.obstacle(&object, reason, statements);
    }

    fn foreign_key(&mut self, key: &ForeignKey, from: Becomes, to: Becomes) {
        let object = match &key.table {
            Some(table) => format!("{table}.{}", key.name),
            None => format!("{}.{}", key.qualified, key.name),
        };
        let drop = (When::First, format!("ALTER TABLE {} DROP CONSTRAINT {}", key.qualified, key.name));
        let to_table = &key.to_qualified;
        match (from, to) {
            (Becomes::Spread, Becomes::Spread) => {
                let mut pairs = key.columns.iter().zip(&key.to_columns);
                let has_it = pairs.any(|(from, to)| from == self.column && to == self.column);
                if self.changes(key, true) {
                    return self.obstacle(&object, self.change_refused(key), [drop]);
                }
                if has_it {
                    return;
                }
                let reason = format!("the foreign key does not lead from `{0}` to `{0}`", self.column);
                let add = self.widened(key).map(|definition| {
                    let add =
                        format!("ALTER TABLE {} ADD CONSTRAINT {} {definition}", key.qualified, key.name);
                    (When::Last, add)
                });
                self.obstacle(&object, reason, [drop].into_iter().chain(add));
            }
            (Becomes::Spread, Becomes::Whole) => {
                if self.changes(key, false) {
                    self.obstacle(&object, self.change_refused(key), [drop]);
                }
            }
            (Becomes::Whole, Becomes::Spread) => {
                let reason = format!(
                    "a table that every node has whole cannot refer to {to_table}, whose rows are spread"
                );
                self.obstacle(&object, reason, [drop]);
            }
            (Becomes::Spread | Becomes::Whole, Becomes::Elsewhere) if !key.to_is_whole => {
                let reason = format!("it refers to {to_table}, which stays on the coordinator");
                self.obstacle(&object, reason, [drop]);
            }
            (Becomes::Elsewhere, Becomes::Spread | Becomes::Whole) => {
                let reason = format!("{}, which stays where it is, refers to {to_table}", key.qualified);
                self.obstacle(&object, reason, [drop]);
            }
            (Becomes::Whole, Becomes::Whole) | (_, Becomes::Elsewhere) => {}
        }
    }

    /// Whether a foreign key would change the column of rows that refer to another one. `is_widened`: it gets the column.
    fn changes(&self, key: &ForeignKey, is_widened: bool) -> bool {
        let has_it = is_widened || key.columns.iter().any(|column| column == self.column);
        has_it
            && (matches!(key.on_delete.as_str(), "n" | "d")
                || matches!(key.on_update.as_str(), "c" | "n" | "d"))
    }

    fn change_refused(&self, key: &ForeignKey) -> String {
        let action = match (key.on_delete.as_str(), key.on_update.as_str()) {
            ("n", _) => "ON DELETE SET NULL",
            ("d", _) => "ON DELETE SET DEFAULT",
            (_, "n") => "ON UPDATE SET NULL",
            (_, "d") => "ON UPDATE SET DEFAULT",
            _ => "ON UPDATE CASCADE",
        };
        format!("`{action}` is not possible in a foreign key with `{}`, which it has to have", self.column)
    }

    /// The definition with the column in front, on both sides; `None` where one side uses it otherwise.
    fn widened(&self, key: &ForeignKey) -> Option<String> {
        if key.columns.iter().chain(&key.to_columns).any(|column| column == self.column) {
            return None;
        }
        let referred = format!("REFERENCES {}(", key.to_written);
        let (own, rest) = key.definition.split_once(&referred)?;
        let (own_before, own_columns) = own.split_once('(')?;
        let column = &self.identifier;
        Some(format!("{own_before}({column}, {own_columns}REFERENCES {}({column}, {rest}", key.to_qualified))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(name: &str, column: Option<(&str, bool)>) -> serde_json::Value {
        let column = column
            .map(|(kind, not_null)| json!({ "kind": kind, "not_null": not_null, "is_computed": false }));
        json!({ "name": name, "qualified": format!("s.{name}"), "column": column, "inherits": [], "spread_by": null, "is_whole": false })
    }

    fn foreign_key(table: &str, columns: &[&str], to: &str, on_delete: &str) -> serde_json::Value {
        let list = columns.join(", ");
        let actions = if on_delete == "n" { " ON DELETE SET NULL" } else { "" };
        json!({ "table": table, "qualified": format!("s.{table}"), "name": "f", "columns": columns, "to": to,
            "to_qualified": format!("s.{to}"), "to_written": to, "to_columns": columns, "to_is_whole": false,
            "definition": format!("FOREIGN KEY ({list}) REFERENCES {to}({list}){actions}"), "on_delete": on_delete, "on_update": "a" })
    }

    fn key(table: &str, index: Option<&str>, definition: &str) -> serde_json::Value {
        json!({ "table": table, "qualified": format!("s.{table}"), "name": "k", "index": index, "definition": definition, "has_column": false })
    }

    fn planned(found: serde_json::Value, whole: &[&str]) -> RowPlan {
        let found = serde_json::from_value(found).expect("it is written here");
        let whole: Vec<String> = whole.iter().map(ToString::to_string).collect();
        plan(&found, "t", &whole, &["journal".to_owned()])
    }

    #[test]
    fn what_has_the_column_everywhere_is_spread_and_bookkeeping_is_not() {
        let found = json!({
            "tables": [table("a", Some(("integer", true))), table("journal", None), table("small", None)],
            "keys": [key("journal", None, "PRIMARY KEY (id)"), key("small", None, "PRIMARY KEY (id)")],
            "foreign_keys": [foreign_key("a", &["t"], "a", "c"), foreign_key("a", &["small"], "small", "n")],
            "triggers": [],
        });
        let plan = planned(found, &["small"]);
        assert!(!plan.is_refused() && !plan.is_done(), "{plan:?}");
        assert_eq!((plan.spread, plan.whole), (vec!["a".to_owned()], vec!["small".to_owned()]));
        assert_eq!(plan.on_coordinator, ["journal"]);
    }

    #[test]
    fn each_obstacle_is_cleared_by_its_statements_in_an_order_that_works() {
        let found = json!({
            "tables": [table("a", Some(("integer", true))), table("b", Some(("integer", false))), table("c", None)],
            "keys": [
                key("a", None, "PRIMARY KEY (id)"),
                key("b", Some("s.k"), "CREATE UNIQUE INDEX k ON s.b USING btree (x) WHERE (x > 0)"),
            ],
            "foreign_keys": [foreign_key("b", &["id"], "a", "c"), foreign_key("b", &["t", "id"], "a", "n")],
            "triggers": [{ "table": "a", "qualified": "s.a", "name": "g" }],
        });
        let plan = planned(found, &["nothing"]);
        let objects: Vec<&str> = plan.obstacles.iter().map(|obstacle| obstacle.object.as_str()).collect();
        assert_eq!(objects, ["nothing", "b", "c", "a.k", "b.k", "b.f", "b.f", "a.g"]);
        assert_eq!(
            plan.statements,
            [
                "ALTER TABLE s.b ALTER COLUMN \"t\" SET NOT NULL",
                "ALTER TABLE s.c ADD COLUMN \"t\" integer",
                "ALTER TABLE s.b DROP CONSTRAINT f",
                "ALTER TABLE s.b DROP CONSTRAINT f",
                "DROP TRIGGER g ON s.a",
                "ALTER TABLE s.a DROP CONSTRAINT k, ADD CONSTRAINT k PRIMARY KEY (\"t\", id)",
                "DROP INDEX s.k",
                "CREATE UNIQUE INDEX k ON s.b USING btree (\"t\", x) WHERE (x > 0)",
                "ALTER TABLE s.b ADD CONSTRAINT f FOREIGN KEY (\"t\", id) REFERENCES s.a(\"t\", id)",
            ]
        );
    }
}
