//! Hazards: what a migration does to applications that run while it does, and what it leaves that costs later. Judged from what
//! a server saw, not from the text. One rule is one file; its page is in `docs/rules`.
//!
//! A migration accepts a rule with a reason in its `details()`; there is no way to switch a rule off for all. Those for Citus are
//! judged by where that is wanted. Of them alone some go by the text of a statement, since no catalog says what a node would refuse.

mod cached_plan;
mod citus_added_sequence;
mod citus_foreign_key_elsewhere;
mod citus_index_if_not_exists;
mod citus_int_serial;
mod citus_no_primary_key;
mod citus_refused_statement;
mod citus_several_statements;
mod data_change_with_ddl;
mod drop_in_expand;
mod enum_value_too_early;
mod foreign_key_with_new_table;
mod foreign_key_without_index;
mod index_blocks_writes;
mod int_key;
mod locks_several_tables;
mod not_null_without_default;
mod rename;
mod scan_under_lock;
mod security_definer_search_path;
mod serial;
mod table_rewrite;
mod timestamp_without_zone;
mod touches_other_service;
mod trigger_needs_rights;

use migration_coordinator::StepError;
use migration_kit::{BOOKKEEPING, Details, MigrationName, ServiceName};
use migration_plan::{Direction, Phase};

use crate::Traced;
use crate::facts::Facts;
use crate::rows::Denied;
use crate::statement::{Statement, statements};

/// Which rules migrations are judged by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Besides those for every server, those for Citus: what it refuses of a schema that is on a node, and what fails there later.
    pub citus: bool,
}

/// A hazard that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// The migration.
    pub migration: MigrationName,
    /// The rule.
    pub rule: &'static str,
    /// The table, column or other object.
    pub object: String,
    /// What it does to others.
    pub why: &'static str,
    /// What does the same safely.
    pub instead: &'static str,
    /// The statement, if it is one's doing.
    pub statement: Option<String>,
}

/// What looks for one hazard.
struct Rule {
    /// Its name, by which a migration accepts it.
    id: &'static str,
    why: &'static str,
    instead: &'static str,
    /// `None` where it shows only while rows are written, which is tried elsewhere.
    find: Option<fn(&Case<'_>) -> Vec<Hit>>,
}

impl Rule {
    fn hazard(&self, migration: &MigrationName, hit: Hit) -> Hazard {
        Hazard {
            migration: migration.clone(),
            rule: self.id,
            object: hit.object,
            why: self.why,
            instead: self.instead,
            statement: hit.statement,
        }
    }
}

/// A migration to be judged.
struct Case<'c> {
    facts: &'c Facts,
    phase: Phase,
    /// What it declares to touch outside of its service: `schema.table`.
    touches: &'c [String],
}

impl Case<'_> {
    /// What the migration itself sent, message by message, each as its statements.
    fn messages(&self) -> impl Iterator<Item = Vec<Statement>> {
        let own = self.facts.statements.iter().filter(|one| !one.sql.starts_with(BOOKKEEPING.trim_end()));
        own.map(|one| statements(&one.sql))
    }
}

/// What a migration says of itself, as far as rules ask for it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) phase: Phase,
    /// The rules that it accepts, with the reasons.
    pub(crate) accepted: Vec<(String, String)>,
    /// What it declares to touch outside of its service: `schema.table`.
    pub(crate) touches: Vec<String>,
    /// Whether it is applied where the service's tables are on the node that migrates.
    pub(crate) one_node: bool,
}

impl Declared {
    /// What a migration of a service declares.
    pub(crate) fn of(details: &Details) -> Self {
        Self {
            phase: details.phase,
            accepted: details.accepted.clone(),
            touches: details.touches.clone(),
            one_node: details.one_node.is_some(),
        }
    }
}

/// Where a rule is broken.
struct Hit {
    object: String,
    statement: Option<String>,
}

impl Hit {
    fn on(object: impl Into<String>) -> Self {
        Self { object: object.into(), statement: None }
    }

    fn by(object: impl Into<String>, statement: &str) -> Self {
        Self { object: object.into(), statement: Some(statement.to_owned()) }
    }
}

/// What a migration accepts that cannot be applied to tables with rows. No rule: it is tried, with all of them.
const ROWS: &str = "rows";

/// Whether a migration accepts that it cannot be applied to tables with rows.
pub(crate) fn accepts_rows(accepted: &[(String, String)]) -> bool {
    accepted.iter().any(|(id, _)| id == ROWS)
}

/// The rules for every server.
const RULES: [&Rule; 18] = [
    &cached_plan::RULE,
    &data_change_with_ddl::RULE,
    &drop_in_expand::RULE,
    &enum_value_too_early::RULE,
    &foreign_key_with_new_table::RULE,
    &foreign_key_without_index::RULE,
    &index_blocks_writes::RULE,
    &int_key::RULE,
    &locks_several_tables::RULE,
    &not_null_without_default::RULE,
    &rename::RULE,
    &scan_under_lock::RULE,
    &security_definer_search_path::RULE,
    &serial::RULE,
    &table_rewrite::RULE,
    &timestamp_without_zone::RULE,
    &touches_other_service::RULE,
    &trigger_needs_rights::RULE,
];

/// The rules for what does not work while a schema is on a node of Citus. A migration that declares to be applied before that is not
/// judged by them.
const ON_A_NODE: [&Rule; 4] = [
    &citus_added_sequence::RULE,
    &citus_index_if_not_exists::RULE,
    &citus_refused_statement::RULE,
    &citus_several_statements::RULE,
];

/// The rules for what is left behind by a migration and does not work on a node of Citus, whenever the schema comes there.
const LEFT_FOR_A_NODE: [&Rule; 3] =
    [&citus_foreign_key_elsewhere::RULE, &citus_int_serial::RULE, &citus_no_primary_key::RULE];

impl Rules {
    /// Those by which a migration is judged that declares this.
    fn of(self, declared: &Declared) -> Vec<&'static Rule> {
        let mut rules = RULES.to_vec();
        if self.citus {
            rules.extend(LEFT_FOR_A_NODE);
            if !declared.one_node {
                rules.extend(ON_A_NODE);
            }
        }
        rules
    }
}

/// What the rules find in a migration as it was applied, and what is wrong with what it accepts, one sentence each.
pub(crate) fn judge(traced: &Traced, declared: &Declared, rules: Rules) -> (Vec<Hazard>, Vec<String>) {
    debug_assert_eq!(traced.direction, Direction::Apply, "what takes back is not judged");
    let Declared { phase, accepted, touches, .. } = declared;
    let case = Case { facts: &traced.facts, phase: *phase, touches };
    let (mut hazards, mut faults) = (Vec::new(), Vec::new());
    for rule in rules.of(declared) {
        let Some(find) = rule.find else { continue };
        let hits = find(&case);
        if accepted.iter().any(|(id, _)| id == rule.id) {
            if hits.is_empty() {
                faults.push(format!("it accepts `{}`, and does nothing of the kind", rule.id));
            }
            continue;
        }
        hazards.extend(hits.into_iter().map(|hit| rule.hazard(&traced.migration, hit)));
    }
    let all = RULES.iter().chain(&ON_A_NODE).chain(&LEFT_FOR_A_NODE);
    let is_known = |id: &str| id == ROWS || all.clone().any(|rule| rule.id == id);
    let unknown = accepted.iter().filter(|(id, _)| !is_known(id));
    faults.extend(unknown.map(|(id, _)| format!("it accepts `{id}`, which is no rule")));
    (hazards, faults)
}

/// What a migration's triggers need and their table's writer may lack, unless it accepts that.
pub(crate) fn denied(
    migration: &MigrationName,
    denied: &Denied,
    accepted: &[(String, String)],
) -> Option<Hazard> {
    let rule = &trigger_needs_rights::RULE;
    let is_accepted = accepted.iter().any(|(id, _)| id == rule.id);
    (!is_accepted).then(|| rule.hazard(migration, trigger_needs_rights::tried(denied)))
}

/// What rules are against in a migration that was refused for it, and could not accept it.
pub(crate) fn refused(error: &StepError) -> Vec<(ServiceName, Hazard)> {
    let found = [
        (&enum_value_too_early::RULE, enum_value_too_early::refused(error)),
        (&touches_other_service::RULE, touches_other_service::refused(error)),
    ];
    let mut hazards = Vec::new();
    for (rule, (id, hits)) in found.into_iter().filter_map(|(rule, found)| Some((rule, found?))) {
        hazards.extend(hits.into_iter().map(|hit| (id.service.clone(), rule.hazard(&id.name, hit))));
    }
    hazards
}

/// The same of a file, for which the server said this, with an SQLSTATE.
pub(crate) fn refused_file(file: &MigrationName, code: &str, says: &str, statement: &str) -> Option<Hazard> {
    (code == enum_value_too_early::CODE).then(|| {
        let hit = Hit::by(enum_value_too_early::value(says), statement);
        enum_value_too_early::RULE.hazard(file, hit)
    })
}
