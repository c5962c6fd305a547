//! What is in a schema and in no dump of it, so that it is no loss of a backup that it does not come back.
//!
//! `pg_dump` leaves out indexes that are not valid, what only an index that is gone had, and whether the triggers of a constraint are
//! disabled; and the rows of foreign tables, also where those are partitions. Constraints that are not validated, disabled triggers of tables, and partitioned indexes of which parts are missing it
//! carries.

use std::collections::BTreeSet;

use migration_plan::counted;
use postgres_schema::{Kind, Object, Properties, Schema};

/// What of a service's schemas is in no dump of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Indexes that are half built, or half dropped.
    pub indexes: Vec<String>,
    /// What else, in words.
    pub others: Vec<String>,
}

impl LeftOut {
    /// Whether a dump has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty() && self.others.is_empty()
    }

    /// Each in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let indexes = self.indexes.iter().map(|index| format!("index `{index}`, which is half built"));
        indexes.chain(self.others.iter().cloned()).collect()
    }

    /// The half-built indexes in words: `1 index is half built and is not in the backup, `a``.
    #[must_use]
    pub fn half_built(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let n = self.indexes.len();
        let names = migration_plan::few_words(self.indexes.iter().map(|index| format!("`{index}`")), SHOWN);
        let are = |one: &'static str, many: &'static str| if n == 1 { one } else { many };
        (n > 0).then(|| {
            format!(
                "{} {} half built and {} not in the backup, {names}",
                counted(n, "index", "indexes"),
                are("is", "are"),
                are("is", "are")
            )
        })
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.indexes.extend(other.indexes);
        self.others.extend(other.others);
    }
}

/// A schema as a dump of it has it, and what that leaves out.
pub(crate) fn carried(schema: Schema) -> (Schema, LeftOut) {
    let mut left_out = LeftOut::default();
    let is = |object: &Object, property: &str, value: &str| {
        schema.get(object).and_then(|properties| properties.get(property)).is_some_and(|found| found == value)
    };
    let is_partitioned = |table: &str| {
        let table = Object { kind: Kind::Table, parent: None, name: table.to_owned() };
        is(&table, "kind", "partitioned")
    };
    let mut half_built = BTreeSet::new();
    let mut identified = BTreeSet::new();
    for (index, _) in schema.objects().filter(|(object, _)| object.kind == Kind::Index) {
        let table = index.parent.clone().unwrap_or_default();
        if is(index, "valid", "no") && !is_partitioned(&table) {
            half_built.insert(index.clone());
            left_out.indexes.push(index.name.clone());
        } else if is(index, "replica identity", "yes") {
            identified.insert(table);
        }
    }
    let mut changed = Vec::new();
    for (object, properties) in schema.objects() {
        if object.kind == Kind::Table && is(object, "kind", "foreign") {
            left_out.others.push(format!("the rows of foreign table `{}`, which are elsewhere", object.name));
        }
        let property = match object.kind {
            Kind::Table if is(object, "replica identity", "i") && !identified.contains(&object.name) => {
                let name = &object.name;
                left_out
                    .others
                    .push(format!("that the index is gone which was the replica identity of `{name}`"));
                "replica identity"
            }
            Kind::Constraint if is(object, "triggers", "disabled") => {
                let table = object.parent.as_deref().unwrap_or_default();
                left_out
                    .others
                    .push(format!("that the triggers of constraint `{table}.{}` are disabled", object.name));
                "triggers"
            }
            _ => continue,
        };
        let mut properties = properties.clone();
        properties.remove(property);
        changed.push((object.clone(), properties));
    }
    let kept = schema.retain(|object| !half_built.contains(object));
    let carried =
        changed.into_iter().fold(kept, |schema, (object, properties)| schema.with(object, properties));
    (carried, left_out)
}

/// A schema, with those partitioned indexes valid that became so where a dump of it was restored: all their parts are there.
pub(crate) fn completed(before: &Schema, after: &Schema) -> Schema {
    const VALID: &str = "valid";
    let became_valid = |(object, found): &(&Object, &Properties)| {
        let is = |properties: &Properties, value| properties.get(VALID).is_some_and(|found| found == value);
        is(found, "yes") && before.get(object).is_some_and(|before| is(before, "no"))
    };
    after.objects().filter(became_valid).fold(before.clone(), |schema, (object, _)| {
        let mut properties = schema.get(object).cloned().unwrap_or_default();
        properties.insert(VALID.to_owned(), "yes".to_owned());
        schema.with(object.clone(), properties)
    })
}
