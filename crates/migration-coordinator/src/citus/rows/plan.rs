//! What spreading a service's rows comes to, and what keeps it from being done, each with the statements that clear it.
//!
//! Decided from what was [`Found`] alone. What Citus demands: the column in every key, and at the same place of foreign keys. It is as long
//! as it is because each demand has its words and its statements, and the tests are beside them.

use std::collections::BTreeMap;

use migration_kit::quote_identifier;

use super::found::{ForeignKey, Found, Key, Lineage, Table};

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
    /// The foreign keys that the statements drop and do not add again, as `TABLE.NAME`.
    pub lost: Vec<String>,
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
    lost: Vec<String>,
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
        lost: Vec::new(),
    };
    if making.is_out_of_place(bookkeeping) {
        return making.refused();
    }
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
    if !found.tables.iter().any(|table| becomes(Some(table.name.as_str())) == Becomes::Spread) {
        making.obstacle(column, "no table is left whose rows could be spread by it".to_owned(), []);
    }
    let of = |wanted, is_done: bool| {
        let all = found.tables.iter().filter(move |table| becomes(Some(table.name.as_str())) == wanted);
        all.filter(move |table| (table.is_whole || table.spread_by.is_some()) == is_done)
    };
    for lineage in &found.lineages {
        making.lineage(lineage);
    }
    for table in &found.tables {
        let is_done = table.is_whole || table.spread_by.is_some();
        if table.is_partitioned && !is_done && becomes(Some(table.name.as_str())) != Becomes::Elsewhere {
            let reason = "it is partitioned: what its partitions have of their own is not examined, and this command does not take it";
            making.obstacle(&table.name, reason.to_owned(), []);
            continue;
        }
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
            let reason = "a table with a trigger is not spread: its function would run on a node, where it can read no other table; \
                 one that reads none can be made again afterwards, with `citus.enable_unsafe_triggers`";
            let drop = format!("DROP TRIGGER {} ON {}", trigger.name, trigger.qualified);
            let object = format!("{}.{}", trigger.table, trigger.name);
            making.obstacle(&object, reason.to_owned(), [(When::First, drop)]);
        }
    }
    for policy in &found.policies {
        if of(Becomes::Spread, false).chain(of(Becomes::Whole, false)).any(|table| table.name == policy.table)
        {
            let reason = "Citus takes no policy with a subquery";
            making.obstacle(&format!("{}.{}", policy.table, policy.name), reason.to_owned(), []);
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
        lost: making.lost,
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

    /// Names what no statement clears, and for which the rest is not worth reading: a column that no table has, and rows that
    /// are spread otherwise already.
    fn is_out_of_place(&mut self, bookkeeping: &[String]) -> bool {
        let found = self.found;
        let tables = || found.tables.iter().filter(|table| !bookkeeping.contains(&table.name));
        for table in tables() {
            match &table.spread_by {
                Some(by) if by != self.column => {
                    self.obstacle(&table.name, format!("its rows are spread by `{by}` already"), []);
                }
                Some(_) | None => {}
            }
        }
        let mut spread = tables().filter(|table| table.spread_by.is_some());
        if let Some(first) = spread.next() {
            for other in spread.filter(|other| other.together != first.together) {
                let reason = format!(
                    "its rows are spread already, and not beside those of {}: rows with equal values are on different nodes",
                    first.name
                );
                self.obstacle(&other.name, reason, []);
            }
        }
        if !tables().any(|table| table.column.is_some()) {
            self.obstacle(self.column, "no table of the service has a column of this name".to_owned(), []);
        }
        !self.obstacles.is_empty()
    }

    /// What comes to nothing but its obstacles.
    fn refused(self) -> RowPlan {
        RowPlan {
            column: self.column.to_owned(),
            spread: Vec::new(),
            whole: Vec::new(),
            done: Vec::new(),
            on_coordinator: Vec::new(),
            obstacles: self.obstacles,
            statements: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn lineage(&mut self, lineage: &Lineage) {
        let Lineage { child, child_qualified, parent, parent_qualified, is_partition } = lineage;
        let drop = (When::First, format!("ALTER TABLE {child_qualified} NO INHERIT {parent_qualified}"));
        match (child, parent) {
            // The partitioned table itself is named.
            (_, Some(_)) if *is_partition => {}
            (Some(child), _) if *is_partition => {
                let reason = format!(
                    "it is a partition of {parent_qualified}, which is not the service's: its rows go where that goes"
                );
                self.obstacle(child, reason, []);
            }
            (Some(child), _) => {
                let reason = format!("it inherits from {parent_qualified}, which Citus does not spread");
                self.obstacle(child, reason, [drop]);
            }
            (None, Some(parent)) => {
                let reason = format!("{child_qualified} inherits from it, which Citus does not spread");
                self.obstacle(parent, reason, [drop]);
            }
            (None, None) => {}
        }
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
        let Key { table, qualified, name, index, definition, again, views, .. } = key;
        let object = format!("{table}.{name}");
        if !key.can_get_column {
            let reason = format!(
                "the key does not compare `{}` by `=`, and an index of its kind cannot get that: {definition}",
                self.column
            );
            return self.obstacle(&object, reason, []);
        }
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
        if !views.is_empty() {
            let views = views.join(", ");
            let reason = format!(
                "{reason}; and it cannot be replaced while {views} depends on it: drop what depends, and make it again after"
            );
            return self.obstacle(&object, reason, []);
        }
        let with = if definition.starts_with("EXCLUDE") { " WITH =" } else { "" };
        let widened = widened.map(|at| {
            let (before, columns) = definition.split_at(at + 1);
            format!("{before}{}{with}, {columns}", self.identifier)
        });
        // Without it, GiST has no operators for plain types.
        let needed = if definition.starts_with("EXCLUDE USING gist") && widened.is_some() {
            vec![(When::First, "CREATE EXTENSION IF NOT EXISTS btree_gist".to_owned())]
        } else {
            Vec::new()
        };
        let again =
            again.iter().filter(|_| widened.is_some()).map(|statement| (When::Last, statement.clone()));
        let again: Vec<_> = again.collect();
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
        self.obstacle(&object, reason, needed.into_iter().chain(statements).chain(again));
    }

    /// A foreign key that is dropped for good.
    fn loses(&mut self, object: &str, reason: String, drop: (When, String)) {
        self.lost.push(object.to_owned());
        self.obstacle(object, reason, [drop]);
    }

    fn foreign_key(&mut self, key: &ForeignKey, from: Becomes, to: Becomes) {
        let object = match &key.table {
            Some(table) => format!("{table}.{}", key.name),
            None => format!("{}.{}", key.qualified, key.name),
        };
        let drop = (When::First, format!("ALTER TABLE {} DROP CONSTRAINT {}", key.qualified, key.name));
        let to_table = &key.to_qualified;
        if key.sets_drawn && from != Becomes::Elsewhere {
            let reason =
                "it sets a column to a default that draws from a sequence, which Citus does not take";
            return self.loses(&object, reason.to_owned(), drop);
        }
        match (from, to) {
            (Becomes::Spread, Becomes::Spread) => {
                let mut pairs = key.columns.iter().zip(&key.to_columns);
                let has_it = pairs.any(|(from, to)| from == self.column && to == self.column);
                if self.changes(key, true) {
                    return self.loses(&object, self.change_refused(key), drop);
                }
                if has_it {
                    return;
                }
                let mut reason = format!("the foreign key does not lead from `{0}` to `{0}`", self.column);
                let Some(definition) = self.widened(key) else {
                    return self.loses(&object, reason, drop);
                };
                if key.definition.contains(" MATCH FULL") && key.columns.len() > 1 {
                    reason.push_str("; with it, it can no longer be `MATCH FULL`");
                }
                let add = format!("ALTER TABLE {} ADD CONSTRAINT {} {definition}", key.qualified, key.name);
                let comment = key.comment_again().map(|statement| (When::Last, statement));
                self.obstacle(&object, reason, [drop, (When::Last, add)].into_iter().chain(comment));
            }
            (Becomes::Spread, Becomes::Whole) => {
                if self.changes(key, false) {
                    self.loses(&object, self.change_refused(key), drop);
                }
            }
            (Becomes::Whole, Becomes::Spread) => {
                let reason = format!(
                    "a table that every node has whole cannot refer to {to_table}, whose rows are spread"
                );
                self.loses(&object, reason, drop);
            }
            (Becomes::Spread | Becomes::Whole, Becomes::Elsewhere) if !key.to_is_whole => {
                let reason = format!("it refers to {to_table}, which stays on the coordinator");
                self.loses(&object, reason, drop);
            }
            (Becomes::Elsewhere, Becomes::Spread | Becomes::Whole) => {
                let reason = format!("{}, which stays where it is, refers to {to_table}", key.qualified);
                self.loses(&object, reason, drop);
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
        // The column is never null, so that `MATCH FULL` would refuse a row that refers to none.
        let rest = rest.replacen(" MATCH FULL", "", 1);
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
        json!({ "name": name, "qualified": format!("s.{name}"), "column": column, "is_partitioned": name.starts_with("parted"), "spread_by": null, "is_whole": false })
    }

    fn foreign_key(table: &str, columns: &[&str], to: &str, on_delete: &str) -> serde_json::Value {
        let list = columns.join(", ");
        let actions = if on_delete == "n" { " ON DELETE SET NULL" } else { "" };
        json!({ "table": table, "qualified": format!("s.{table}"), "name": "f", "columns": columns, "to": to,
            "to_qualified": format!("s.{to}"), "to_written": to, "to_columns": columns, "to_is_whole": false,
            "definition": format!("FOREIGN KEY ({list}) REFERENCES {to}({list}){actions}"), "on_delete": on_delete, "on_update": "a", "sets_drawn": on_delete == "d" })
    }

    fn key(table: &str, index: Option<&str>, definition: &str) -> serde_json::Value {
        json!({ "table": table, "qualified": format!("s.{table}"), "name": "k", "index": index, "definition": definition, "has_column": false, "can_get_column": !definition.contains(" hash "), "again": ["COMMENT"], "views": [] })
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
            "policies": [],
            "lineages": [],
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
                key("b", None, "EXCLUDE USING hash (x WITH =)"),
            ],
            "foreign_keys": [
                foreign_key("b", &["id"], "a", "c"),
                foreign_key("b", &["t", "id"], "a", "n"),
                foreign_key("c", &["t"], "a", "d"),
            ],
            "triggers": [{ "table": "a", "qualified": "s.a", "name": "g" }],
            "policies": [{ "table": "b", "name": "p" }],
            "lineages": [],
        });
        let plan = planned(found, &["nothing"]);
        let objects: Vec<&str> = plan.obstacles.iter().map(|obstacle| obstacle.object.as_str()).collect();
        assert_eq!(objects, ["nothing", "b", "c", "a.k", "b.k", "b.k", "b.f", "b.f", "c.f", "a.g", "b.p"]);
        assert_eq!(
            plan.statements,
            [
                "ALTER TABLE s.b ALTER COLUMN \"t\" SET NOT NULL",
                "ALTER TABLE s.c ADD COLUMN \"t\" integer",
                "ALTER TABLE s.b DROP CONSTRAINT f",
                "ALTER TABLE s.b DROP CONSTRAINT f",
                "ALTER TABLE s.c DROP CONSTRAINT f",
                "DROP TRIGGER g ON s.a",
                "ALTER TABLE s.a DROP CONSTRAINT k, ADD CONSTRAINT k PRIMARY KEY (\"t\", id)",
                "DROP INDEX s.k",
                "CREATE UNIQUE INDEX k ON s.b USING btree (\"t\", x) WHERE (x > 0)",
                "COMMENT",
                "COMMENT",
                "ALTER TABLE s.b ADD CONSTRAINT f FOREIGN KEY (\"t\", id) REFERENCES s.a(\"t\", id)",
            ]
        );
        assert_eq!(plan.lost, ["b.f", "c.f"]);
    }

    #[test]
    fn what_no_statement_clears_has_none() {
        let lineage = |child: Option<&str>, parent: Option<&str>, is_partition: bool| json!({ "child": child, "child_qualified": "x.c", "parent": parent, "parent_qualified": "y.p", "is_partition": is_partition });
        let of = |tables: &[serde_json::Value], lineages: &[serde_json::Value]| {
            let found = json!({ "tables": tables, "keys": [], "foreign_keys": [], "triggers": [], "policies": [], "lineages": lineages });
            let plan = planned(found, &[]);
            let objects = plan.obstacles.into_iter().map(|obstacle| obstacle.object).collect::<Vec<_>>();
            (objects.join(" "), plan.statements.join("; "))
        };
        let good = || table("a", Some(("integer", true)));
        let nothing = String::new;
        assert_eq!(of(&[table("a", None)], &[]), ("t".to_owned(), nothing()));
        let parted = [good(), table("parted", Some(("integer", true)))];
        let lineages = [lineage(Some("part"), Some("parted"), true), lineage(Some("of_another"), None, true)];
        assert_eq!(of(&parted, &lineages), ("of_another parted".to_owned(), nothing()));
        let heirs = "ALTER TABLE x.c NO INHERIT y.p".to_owned();
        assert_eq!(of(&[good()], &[lineage(None, Some("a"), false)]), ("a".to_owned(), heirs));
        let mut otherwise = good();
        otherwise["spread_by"] = json!("u");
        assert_eq!(of(&[otherwise], &[]), ("a".to_owned(), nothing()));
    }
}
