//! From what was sent to the text of scripts for `psql`. Pure.
//!
//! A script keeps the history itself, and holds the service's migration lock while it runs: it is refused where a run is under
//! way, or where something else is applied than what it was made for.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write;

use migration_coordinator::{Deployment, HistorySql};
use migration_kit::{MigrationId, MigrationName, ServiceName, quote_identifier, settings};
use migration_plan::{Direction, Phase, Step, counted};

use crate::sent::{Piece, Sent};
use crate::{RehearsalError, Traced};

/// What the steps of one service send, as `psql` can send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The service.
    pub service: ServiceName,
    /// Its schema.
    pub schema: String,
    /// What it does, in order.
    pub steps: Vec<ScriptStep>,
    /// Whether steps of another service must be done before.
    pub waits: bool,
    /// The statements, without those that settle a session.
    body: String,
}

/// One migration in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStep {
    /// The migration.
    pub id: MigrationId,
    /// Apply or revert.
    pub direction: Direction,
    /// Expand or contract.
    pub phase: Phase,
    /// Whether it is one transaction.
    pub transactional: bool,
    /// What it sends, without what keeps the history.
    pub statements: Vec<String>,
    /// Whether it reads or writes rows: its statements are then those for tables without, and the script refuses others.
    pub touches_rows: bool,
}

/// What scripts are written from.
pub(crate) struct Recorded<'d> {
    pub(crate) deployment: &'d Deployment,
    /// What is applied before the first step.
    pub(crate) applied: BTreeMap<ServiceName, Vec<MigrationName>>,
    pub(crate) traced: Vec<Traced>,
    /// The statements that make each service's extensions.
    pub(crate) extensions: BTreeMap<ServiceName, Vec<String>>,
    /// Schemas that hold extensions, quoted.
    pub(crate) extension_schemas: Vec<String>,
    pub(crate) tool: &'d str,
}

impl Recorded<'_> {
    /// What a step sent.
    fn traced(&self, step: &Step) -> Result<&Traced, RehearsalError> {
        let is_it = |traced: &&Traced| {
            traced.service == step.id.service
                && traced.migration == step.id.name
                && traced.direction == step.direction
        };
        let traced = self.traced.iter().rfind(is_it);
        traced.ok_or_else(|| RehearsalError::NoTrace { id: step.id.clone() })
    }
}

impl Traced {
    /// Whether one of its statements reads or writes rows.
    fn touches_rows(&self) -> bool {
        self.pieces.iter().flat_map(Piece::statements).any(|sent| touches_rows(&sent.sql))
    }
}

impl Script {
    /// Scripts one after the other as one.
    #[must_use]
    pub fn joined<'s>(scripts: impl IntoIterator<Item = &'s Self>) -> String {
        let bodies = scripts.into_iter().map(|script| script.body.as_str());
        std::iter::once(head().as_str()).chain(bodies).collect()
    }
}

/// The scripts of these steps, in the order in which they are to be run.
pub(crate) fn write(recorded: &Recorded<'_>, steps: &[Step]) -> Result<Vec<Script>, RehearsalError> {
    let mut applied = recorded.applied.clone();
    let mut scripts: Vec<Script> = Vec::new();
    let mut left: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    steps.iter().for_each(|step| *left.entry(&step.id.service).or_default() += 1);
    let mut rows_matter = HashSet::new();
    for step in steps {
        if recorded.traced(step)?.touches_rows() {
            rows_matter.insert(&step.id.service);
        }
    }
    let mut reverted: BTreeMap<&ServiceName, Vec<&MigrationName>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.direction == Direction::Revert) {
        reverted.entry(&step.id.service).or_default().push(&step.id.name);
    }
    for steps in in_turns(steps) {
        let service = &steps[0].id.service;
        let unknown = || RehearsalError::NoTrace { id: steps[0].id.clone() };
        let (_, schema, _) = recorded.deployment.service(service).ok_or_else(unknown)?;
        let history = recorded.deployment.history_sql(service, recorded.tool).ok_or_else(unknown)?;
        let applied = applied.entry(service.clone()).or_default();
        let is_begun = scripts.iter().any(|script| script.service == *service);
        let is_first_install = recorded.applied.get(service).is_none_or(Vec::is_empty);
        let mut writer = Writer { history, body: String::new() };
        writer.opening(recorded, service, schema, &steps);
        if is_first_install && !is_begun {
            writer.install(recorded.extensions.get(service).map(Vec::as_slice).unwrap_or_default());
        }
        writer.statement(&writer.history.guard(applied));
        // Once, before the first: what its own migrations write afterwards is no reason.
        if !is_begun && rows_matter.contains(service) {
            writer.statement(&writer.history.no_rows(reverted.get(service).map_or(&[], Vec::as_slice)));
        }
        let mut written = Vec::new();
        for step in &steps {
            let left = left.entry(service).or_default();
            *left -= 1;
            let is_first = is_first_install && step.direction == Direction::Apply;
            written.push(writer.step(recorded, step, Install { is_first, is_last: *left == 0 })?);
            match step.direction {
                Direction::Apply => applied.push(step.id.name.clone()),
                Direction::Revert => applied.retain(|name| *name != step.id.name),
            }
        }
        scripts.push(Script {
            service: service.clone(),
            schema: schema.to_owned(),
            steps: written,
            waits: steps.iter().any(|step| !step.after.is_empty()),
            body: writer.body,
        });
    }
    Ok(scripts)
}

/// The steps of one service after those of another, as many at once as their requirements let.
fn in_turns(steps: &[Step]) -> Vec<Vec<&Step>> {
    let mut queues: Vec<VecDeque<&Step>> = Vec::new();
    for step in steps {
        match queues.iter_mut().find(|queue| queue[0].id.service == step.id.service) {
            Some(queue) => queue.push_back(step),
            None => queues.push(VecDeque::from([step])),
        }
    }
    let (mut done, mut turns): (HashSet<&MigrationId>, _) = (HashSet::new(), Vec::new());
    while turns.iter().map(Vec::len).sum::<usize>() < steps.len() {
        for queue in &mut queues {
            let mut turn = Vec::new();
            while let Some(step) = queue.front().filter(|step| step.after.iter().all(|id| done.contains(id)))
            {
                done.insert(&step.id);
                turn.push(*step);
                queue.pop_front();
            }
            if !turn.is_empty() {
                turns.push(turn);
            }
        }
    }
    turns
}

/// What settles a session as a run settles its own.
fn head() -> String {
    const OTHERS: [&str; 3] = ["tcp_", "idle_", "lock_timeout"];
    let mut head = "\
-- What migrations send, as they sent it to an empty database. Where they read or write rows, it is refused if there are some. Run it with
--     psql -X -v ON_ERROR_STOP=1 -f FILE
-- It waits for table locks that others hold as long as lock_timeout says, and does not try again, as a run does.
\\set ON_ERROR_STOP on
SET client_min_messages = warning;
"
    .to_owned();
    let settings =
        settings::at_start().filter(|(name, _)| !OTHERS.iter().any(|other| name.starts_with(other)));
    for (name, value) in settings {
        line(&mut head, &format!("SET {name} = {};", migration_kit::literal(value)));
    }
    head
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

/// Whether a step belongs to its service's first install, and whether that ends with it.
#[derive(Clone, Copy)]
struct Install {
    is_first: bool,
    is_last: bool,
}

impl Install {
    /// Whether the first install is still under way after the step.
    fn continues(self) -> bool {
        self.is_first && !self.is_last
    }
}

struct Writer<'d> {
    history: HistorySql<'d>,
    body: String,
}

impl Writer<'_> {
    fn opening(&mut self, recorded: &Recorded<'_>, service: &ServiceName, schema: &str, steps: &[&Step]) {
        let count = |direction, verb| {
            let n = steps.iter().filter(|step| step.direction == direction).count();
            (n > 0).then(|| format!("{} {verb}", counted(n, "migration is", "migrations are")))
        };
        let does = [count(Direction::Revert, "reverted"), count(Direction::Apply, "applied")];
        let does = does.into_iter().flatten().collect::<Vec<_>>().join(", ");
        self.line(&format!("\n-- ===== {service}: {does}, in the schema {schema}"));
        let own = quote_identifier(schema);
        let others = recorded.extension_schemas.iter().filter(|other| quote_identifier(other) != own);
        let path: Vec<&str> = std::iter::once(own.as_str()).chain(others.map(String::as_str)).collect();
        self.line(&format!("SET search_path = {};", path.join(", ")));
        self.line(&format!(
            "SET application_name = {};",
            migration_kit::literal(&format!("migrate {service}"))
        ));
    }

    fn install(&mut self, extensions: &[String]) {
        extensions.iter().for_each(|statement| self.statement(statement));
        self.together(&self.history.install());
    }

    fn step(
        &mut self,
        recorded: &Recorded<'_>,
        step: &Step,
        install: Install,
    ) -> Result<ScriptStep, RehearsalError> {
        let traced = recorded.traced(step)?;
        let statements: Vec<&Sent> = traced.pieces.iter().flat_map(Piece::statements).collect();
        let how = if step.transactional {
            "in one transaction"
        } else {
            "in steps that are committed one by one: if the script stops there, a run continues them"
        };
        self.line(&format!("\n-- {}: {}, {}, {how}.", step.id, step.direction, step.phase));
        if traced.touches_rows() {
            self.line("-- It reads or writes rows: these are the statements for tables without rows.");
        }
        if step.transactional {
            self.line("BEGIN;");
            statements.iter().for_each(|sent| self.sent(sent));
            self.history
                .finish(step, install.continues())
                .iter()
                .for_each(|statement| self.statement(statement));
            self.line("COMMIT;");
        } else {
            self.together(&self.history.begin(step, install.is_first));
            for piece in &traced.pieces {
                match piece {
                    Piece::Alone(sent) => self.sent(sent),
                    Piece::Together(all) => {
                        self.line("BEGIN;");
                        all.iter().for_each(|sent| self.sent(sent));
                        self.line("COMMIT;");
                    }
                }
            }
            self.together(&self.history.finish(step, install.continues()));
        }
        Ok(ScriptStep {
            id: step.id.clone(),
            direction: step.direction,
            phase: step.phase,
            transactional: step.transactional,
            statements: statements.iter().map(|sent| sent.sql.clone()).collect(),
            touches_rows: traced.touches_rows(),
        })
    }

    fn sent(&mut self, sent: &Sent) {
        if sent.sql.contains("(false)") && touches_rows(&sent.sql) {
            self.line("-- A backfill: a run repeats it over ranges of rows, which a condition in place of (false) selects.");
        } else if sent.depends {
            self.line(
                "-- Sent after a look at the database: another one may need something else, or nothing.",
            );
        }
        self.statement(&sent.sql);
    }

    fn together(&mut self, statements: &[String]) {
        self.line("BEGIN;");
        statements.iter().for_each(|statement| self.statement(statement));
        self.line("COMMIT;");
    }

    fn statement(&mut self, sql: &str) {
        // A comment at the end would swallow the semicolon.
        let is_open = sql.lines().last().is_some_and(|last| last.contains("--"));
        self.line(&format!("{sql}{};", if is_open { "\n" } else { "" }));
    }

    fn line(&mut self, text: &str) {
        line(&mut self.body, text);
    }
}

impl Piece {
    /// Its statements.
    pub fn statements(&self) -> impl Iterator<Item = &Sent> {
        match self {
            Self::Alone(sent) => std::slice::from_ref(sent),
            Self::Together(all) => all.as_slice(),
        }
        .iter()
    }
}

/// Whether a statement reads or writes rows, or may, and does not define anything.
fn touches_rows(sql: &str) -> bool {
    const WORDS: [&str; 9] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "DO", "CALL"];
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    WORDS.contains(&word.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        let id = |text: &str| {
            let (service, number) = text.split_once(':').unwrap();
            let name = format!("m20250101_00000{number}_create_t").parse().unwrap();
            MigrationId { service: service.parse().unwrap(), name }
        };
        let mut words = text.split(' ');
        Step {
            id: id(words.next().unwrap()),
            direction: Direction::Apply,
            phase: Phase::Expand,
            transactional: true,
            begun: None,
            after: words.map(id).collect(),
            pulled_in_by: None,
            ignored_soak: None,
        }
    }

    #[test]
    fn services_take_turns_only_where_they_wait_for_one_another() {
        for (steps, turns) in [
            (&["a:1", "b:1", "a:2", "b:2"][..], "a1 a2 | b1 b2"),
            (&["b:1", "a:1 b:1", "b:2", "a:2"], "b1 b2 | a1 a2"),
            (&["a:1", "b:1 a:1", "a:2 b:1", "b:2 a:2"], "a1 | b1 | a2 | b2"),
            (&[], ""),
        ] {
            let steps: Vec<Step> = steps.iter().map(|text| step(text)).collect();
            let shown = |turn: &Vec<&Step>| {
                let names =
                    turn.iter().map(|step| format!("{}{}", step.id.service, &step.id.name.as_str()[15..16]));
                names.collect::<Vec<_>>().join(" ")
            };
            assert_eq!(in_turns(&steps).iter().map(shown).collect::<Vec<_>>().join(" | "), turns);
        }
    }

    #[test]
    fn what_touches_rows_is_known_by_its_first_word() {
        for (sql, is_reading) in [
            ("SELECT 1", true),
            ("with a AS (SELECT) DELETE", true),
            ("DO $$BEGIN END$$", true),
            ("CREATE TABLE t ()", false),
        ] {
            assert_eq!(touches_rows(sql), is_reading, "{sql}");
        }
    }
}
