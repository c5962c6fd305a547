//! What is known of a migration before it runs.

use std::time::Duration;

use migration_plan::Phase;

use crate::Check;

/// What planning, verifying and the reader need to know of one migration. Plain data, made by its `details()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Expand or contract.
    pub phase: Phase,
    /// Migrations of other services that must be applied before, as `service:migration`.
    pub requires: Vec<String>,
    /// Ids of the migrations of an earlier tool that this one replaces, such as Alembic revisions; several where it joins
    /// them. They are targets, too.
    pub replaces: Vec<String>,
    /// Why it cannot be reverted, if it cannot.
    pub irreversible: Option<String>,
    /// What applying it loses for good, if anything: it then asks for `--allow-data-loss`.
    pub loses: Option<String>,
    /// What reverting it loses for good, if anything: said before it is reverted.
    pub loses_on_revert: Option<String>,
    /// The rows that reverting it loses something of; where none are named, those of the tables that it locks against readers.
    pub lost_rows: Vec<LostRows>,
    /// Objects outside the service's schema that it may change, as `schema.name`.
    pub touches: Vec<String>,
    /// Hazards that it accepts: the rule, and why.
    pub accepted: Vec<(String, String)>,
    /// What must hold before it is applied; a guard that fails refuses the migration and changes nothing.
    pub guards: Vec<Check>,
    /// What must hold after it was applied.
    pub checks: Vec<Check>,
    /// What it would decide, for who plans it.
    pub previews: Vec<Preview>,
    /// The service's tables that it takes over where they are there already.
    pub adopts: Vec<String>,
    /// Why it cannot work where the service's tables are on another node than the one that migrates, if it cannot.
    pub one_node: Option<String>,
    /// The same for reverting it alone.
    pub one_node_to_revert: Option<String>,
}

/// Rows of which reverting a migration loses something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRows {
    /// The service's table.
    pub table: String,
    /// The condition, in SQL, on the table's columns; the service's schema is its `search_path`. Where something that it names is
    /// not there, all rows of the table count.
    pub condition: String,
}

/// What a migration would decide about rows, asked before it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What the query lists, without a full stop: `copies of courses that leave`.
    pub says: String,
    /// One statement without parameters, each row one text. It runs in a `READ ONLY` transaction with the service's schema as
    /// the first entry of `search_path`, when all earlier migrations of the service are applied.
    pub sql: String,
}

impl Details {
    /// A migration that the running application does not notice.
    #[must_use]
    pub fn expand() -> Self {
        Self::new(Phase::Expand)
    }

    /// A migration that removes what old application code may still read; `soak` is the time that must have passed
    /// since the service's earlier expand migrations were applied.
    #[must_use]
    pub fn contract(soak: Duration) -> Self {
        Self::new(Phase::Contract { soak })
    }

    fn new(phase: Phase) -> Self {
        Self {
            phase,
            requires: Vec::new(),
            replaces: Vec::new(),
            irreversible: None,
            loses: None,
            loses_on_revert: None,
            lost_rows: Vec::new(),
            touches: Vec::new(),
            accepted: Vec::new(),
            guards: Vec::new(),
            checks: Vec::new(),
            previews: Vec::new(),
            adopts: Vec::new(),
            one_node: None,
            one_node_to_revert: None,
        }
    }

    /// Requires a migration of another service, as `service:migration`.
    #[must_use]
    pub fn requires(mut self, migration: impl Into<String>) -> Self {
        self.requires.push(migration.into());
        self
    }

    /// Names the migration of an earlier tool that this one replaces, such as an Alembic revision.
    #[must_use]
    pub fn replaces(mut self, predecessor: impl Into<String>) -> Self {
        self.replaces.push(predecessor.into());
        self
    }

    /// Says that the migration cannot be reverted, and why.
    #[must_use]
    pub fn irreversible(mut self, reason: impl Into<String>) -> Self {
        self.irreversible = Some(reason.into());
        self
    }

    /// Says what applying it loses for good.
    #[must_use]
    pub fn loses(mut self, what: impl Into<String>) -> Self {
        self.loses = Some(what.into());
        self
    }

    /// Says what reverting it loses for good.
    #[must_use]
    pub fn loses_on_revert(mut self, what: impl Into<String>) -> Self {
        self.loses_on_revert = Some(what.into());
        self
    }

    /// Names rows of a table, by a condition in SQL, of which reverting it loses something: consent is asked for if there are any,
    /// and for these alone. Say before what it is, by [`Self::loses_on_revert`].
    #[must_use]
    pub fn lost_rows(mut self, table: impl Into<String>, condition: impl Into<String>) -> Self {
        self.lost_rows.push(LostRows { table: table.into(), condition: condition.into() });
        self
    }

    /// Declares an object outside the service's schema that the migration changes, as `schema.name`.
    #[must_use]
    pub fn touches(mut self, object: impl Into<String>) -> Self {
        self.touches.push(object.into());
        self
    }

    /// Accepts a hazard that trying the migrations out finds in this one: the rule, and why it does no harm here.
    #[must_use]
    pub fn accepts(mut self, rule: impl Into<String>, reason: impl Into<String>) -> Self {
        self.accepted.push((rule.into(), reason.into()));
        self
    }

    /// Adds what must hold before the migration is applied.
    #[must_use]
    pub fn guard(mut self, check: Check) -> Self {
        self.guards.push(check);
        self
    }

    /// Adds what must hold after the migration was applied.
    #[must_use]
    pub fn verify(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Says that it takes this table of the service over where it is there already, in place of making it. Without this, a
    /// run is refused where a table of the service's name is in a shared schema before anything was applied.
    #[must_use]
    pub fn adopts(mut self, table: impl Into<String>) -> Self {
        self.adopts.push(table.into());
        self
    }

    /// Says that it needs the service's tables on the node that migrates, and why: a function that reads tables cannot do so
    /// when a query calls it for each row of a shard. Where Citus is, the schema of a service with such a migration is made on the
    /// coordinator, and can be distributed when all of them are applied.
    #[must_use]
    pub fn one_node(mut self, reason: impl Into<String>) -> Self {
        self.one_node = Some(reason.into());
        self
    }

    /// The same as [`Self::one_node`] for reverting it alone, such as an `UPDATE` that calls a `STABLE` function for each row.
    #[must_use]
    pub fn one_node_to_revert(mut self, reason: impl Into<String>) -> Self {
        self.one_node_to_revert = Some(reason.into());
        self
    }

    /// Adds what it would decide, for who plans it: see [`Preview`].
    #[must_use]
    pub fn preview(mut self, says: impl Into<String>, sql: impl Into<String>) -> Self {
        self.previews.push(Preview { says: says.into(), sql: sql.into() });
        self
    }

    /// Adds several at once: checks, or lists of columns, indexes and foreign keys, each of which then exists and is valid.
    #[must_use]
    pub fn verify_all<C: Into<Check>>(mut self, checks: impl IntoIterator<Item = C>) -> Self {
        self.checks.extend(checks.into_iter().map(Into::into));
        self
    }
}
