//! What a script writes into a service's history, as SQL without parameters: the tables, the rows and the lock of a run, so
//! that migrations which were applied with `psql` count as applied, and a run continues where the script stopped.
//!
//! A run of our own uses none of it but the statements that make the tables.

use migration_kit::{Listed, LostRows, MigrationName, ServiceName, literal};
use migration_plan::{Direction, Step};

use crate::belongings::is_table_of;
use crate::bookkeeping::{self, Outcome, install_statements};
use crate::deployment::{Deployment, Placed};
use crate::site::text_array;

/// The statements that write the history of one service.
pub struct HistorySql<'d> {
    placed: &'d Placed,
    tool: &'d str,
}

impl Deployment {
    /// The statements that write the history of this service, for a script that this tool makes; `None` if the deployment
    /// has no such service.
    #[must_use]
    pub fn history_sql<'d>(&'d self, service: &ServiceName, tool: &'d str) -> Option<HistorySql<'d>> {
        self.placed(service).map(|placed| HistorySql { placed, tool })
    }
}

impl HistorySql<'_> {
    /// Makes schema, version table and journal where they are missing.
    #[must_use]
    pub fn install(&self) -> Vec<String> {
        install_statements(&self.placed.site, self.placed.site.schema == "public")
    }

    /// Takes the service's migration lock for as long as the session lives, and fails if another session holds it or if other
    /// migrations than these are applied.
    #[must_use]
    pub fn guard(&self, applied: &[MigrationName]) -> String {
        let (site, service) = (&self.placed.site, self.placed.name());
        let mut names: Vec<&str> = applied.iter().map(MigrationName::as_str).collect();
        names.sort_unstable();
        let body = format!(
            "\nBEGIN\n    \
             IF NOT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended({key}, 0)) THEN\n        \
             RAISE EXCEPTION '%', {busy};\n    \
             END IF;\n    \
             IF (SELECT coalesce(string_agg(version, ' ' ORDER BY version COLLATE \"C\"), '') FROM {table})\n       \
             IS DISTINCT FROM {names} THEN\n        \
             RAISE EXCEPTION '%', {moved} USING HINT = 'Make the script anew.';\n    \
             END IF;\n\
             END\n",
            key = literal(&site.lock_key()),
            busy = literal(&format!("another session holds the migration lock of {service}")),
            table = site.qualified_version_table(),
            names = literal(&names.join(" ")),
            moved = literal(&format!(
                "this script continues a history of {service} in which {} applied: this is another one",
                match names.len() {
                    0 => "nothing is".to_owned(),
                    1 => "1 migration is".to_owned(),
                    n => format!("{n} migrations are"),
                }
            )),
        );
        block("history", &body)
    }

    /// Fails if one of the service's tables has rows: for a script whose statements are those that were sent to tables without. Rows
    /// that a migration has made itself are none, if the script reverts it: those of a table which it makes, and of which it says
    /// that reverting it loses nothing.
    #[must_use]
    pub fn no_rows(&self, reverted: &[&MigrationName]) -> String {
        let (site, service) = (&self.placed.site, self.placed.name());
        let own_rows = self.rows_of_migrations(reverted);
        let body = format!(
            "\nDECLARE\n    \
             one text;\n    \
             counts text;\n    \
             has_rows boolean;\n\
             BEGIN\n    \
             FOR one, counts IN SELECT c.oid::pg_catalog.regclass::text, coalesce(made.counts, 'true') FROM pg_catalog.pg_class c\n        \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n        \
             LEFT JOIN ROWS FROM (pg_catalog.unnest({tables}), pg_catalog.unnest({conditions})) AS made (name, counts) ON made.name = c.relname\n        \
             WHERE {its_own} ORDER BY 1\n    \
             LOOP\n        \
             BEGIN\n            \
             EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ' WHERE (' || counts || ') IS NOT FALSE)' INTO has_rows;\n        \
             EXCEPTION WHEN undefined_column OR undefined_table THEN\n            \
             EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO has_rows;\n        \
             END;\n        \
             IF has_rows THEN\n            \
             RAISE EXCEPTION '%', pg_catalog.concat({refused}, one, ' has some') USING HINT = {hint};\n        \
             END IF;\n    \
             END LOOP;\n\
             END\n",
            its_own = is_table_of(site),
            refused = literal(&format!(
                "this script does to tables of {service} what is done to those without rows, and "
            )),
            hint = literal(
                "A run of the program itself deals with rows, those among them that migrations have made."
            ),
            tables = text_array(own_rows.iter().map(|rows| &rows.table)),
            conditions = text_array(own_rows.iter().map(|rows| &rows.condition)),
        );
        block("rows", &body)
    }

    /// For each table that one of these migrations makes and says more of: which of its rows are none of the migration's own.
    fn rows_of_migrations(&self, reverted: &[&MigrationName]) -> Vec<&LostRows> {
        let listed: Vec<_> = self.placed.service.migrations().collect();
        let promises = |migration: &Listed, table: &String| {
            migration.details().checks.iter().any(|check| check.objects().contains(table))
        };
        let made_by = |rows: &&LostRows, name: &MigrationName| {
            let first = listed.iter().find(|migration| promises(migration, &rows.table));
            first.is_some_and(|migration| migration.name() == name)
        };
        let reverted = listed.iter().filter(|migration| reverted.contains(&migration.name()));
        let rows = reverted
            .flat_map(|migration| migration.details().lost_rows.iter().map(|rows| (migration.name(), rows)));
        rows.filter(|(name, rows)| made_by(rows, name)).map(|(_, rows)| rows).collect()
    }

    /// What a step outside a transaction commits before its first statement: from then on the migration is begun, and neither
    /// applied nor reverted.
    #[must_use]
    pub fn begin(&self, step: &Step, first_install: bool) -> Vec<String> {
        let give_up = (step.direction == Direction::Revert).then(|| self.delete(step));
        let line = self.line(step, Outcome::Running, first_install);
        give_up.into_iter().chain([line]).collect()
    }

    /// What a step commits with its last statement: it is applied, or reverted. `first_install` if the service's first install
    /// is not over with it.
    #[must_use]
    pub fn finish(&self, step: &Step, first_install: bool) -> Vec<String> {
        let row = match step.direction {
            Direction::Apply => Some(format!(
                // Citus garbles an aggregate that is not in a `WITH`.
                "WITH last AS (SELECT {} AS applied_at\n    FROM {table})\n    \
                 INSERT INTO {table} (version, applied_at) SELECT {}, applied_at FROM last",
                bookkeeping::LAST,
                literal(step.id.name.as_str()),
                table = self.placed.site.qualified_version_table(),
            )),
            Direction::Revert => step.transactional.then(|| self.delete(step)),
        };
        row.into_iter().chain([self.line(step, Outcome::Succeeded, first_install)]).collect()
    }

    fn delete(&self, step: &Step) -> String {
        let table = self.placed.site.qualified_version_table();
        format!("DELETE FROM {table} WHERE version = {}", literal(step.id.name.as_str()))
    }

    fn line(&self, step: &Step, outcome: Outcome, first_install: bool) -> String {
        let finished = if outcome == Outcome::Running { "NULL" } else { "pg_catalog.clock_timestamp()" };
        let checksum = self.placed.lock_file.checksum(&step.id.name);
        format!(
            "INSERT INTO {} (run, migration, direction, started_at, finished_at, outcome, checksum, host, tool, first_install)\n    \
             VALUES ('script', {}, {}, pg_catalog.now(), {finished}, {}, {},\n    \
             coalesce(pg_catalog.host(pg_catalog.inet_client_addr()), 'local'), {}, {first_install})",
            self.placed.site.journal(),
            literal(step.id.name.as_str()),
            literal(step.direction.as_str()),
            literal(outcome.as_str()),
            checksum.map_or_else(|| "NULL".to_owned(), literal),
            literal(self.tool),
        )
    }
}

/// A block of PL/pgSQL as a statement, in quotes by a tag like this one.
fn block(tag: &str, body: &str) -> String {
    let mut tag = tag.to_owned();
    while body.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("DO ${tag}${body}${tag}$")
}
