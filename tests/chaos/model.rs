//! What must hold after every step: of the database, and of how commands ended.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use postgres_sandbox::Database;

use crate::play::Ended;
use crate::server::Stock;
use crate::step::Fault;

/// How long a server process may outlive its program.
const ORPHANED: Duration = Duration::from_secs(30);

/// What is left of a program in the server: sessions and locks.
const LEFT: &str = "SELECT 'session of ' || application_name || ': ' || query FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name LIKE 'migrate%' \
                    UNION ALL SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' \
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The columns of all services, as `schema.table.column`.
pub(crate) fn columns(database: &Database, stock: &[Stock]) -> Vec<String> {
    let schemas: Vec<String> = stock.iter().map(|stock| format!("'{}'", stock.name())).collect();
    let columns = database
        .psql(&format!(
            "SELECT concat_ws('.', n.nspname, c.relname, a.attname) FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ({}) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped \
               AND c.relname !~ '^(seaql_migrations|migration)_' ORDER BY n.nspname, c.relname, a.attnum",
            schemas.join(", ")
        ))
        .unwrap();
    columns.lines().map(str::to_owned).collect()
}

/// The rows of a service, by those of these columns that there still are: a number and a hash for each.
pub(crate) fn original_rows(database: &Database, service: &str, columns: &[String]) -> String {
    let now = database
        .psql(&format!(
            "SELECT concat_ws('.', table_schema, table_name, column_name) FROM information_schema.columns \
             WHERE table_schema = '{service}'"
        ))
        .unwrap();
    let now: Vec<&str> = now.lines().collect();
    let mut questions = String::new();
    for column in columns.iter().filter(|column| now.contains(&column.as_str())) {
        let (table, name) = column.rsplit_once('.').unwrap();
        // The clock of the server is in what old code has not written itself.
        if name == "updated_at" {
            continue;
        }
        writeln!(
            questions,
            "SELECT '{column}: ' || count(*) || ' ' || md5(string_agg(coalesce({name}::text, '∅'), '|' \
             ORDER BY {name}::text COLLATE \"C\")) FROM {table};"
        )
        .unwrap();
    }
    database.psql(&questions).unwrap()
}

/// The last line of each service's journal.
pub(crate) fn journals(database: &Database, stock: &[Stock]) -> Vec<String> {
    let last = stock.iter().map(|stock| {
        let name = stock.name();
        format!("SELECT coalesce(max(id), 0) || ' ' || count(*) FROM {name}.migration_journal_{name};")
    });
    let last = database.psql(&last.collect::<String>()).unwrap();
    last.lines().map(str::to_owned).collect()
}

/// What does not hold in a database after a step: nothing is left of a program, every journal agrees with its version table, no
/// migration was applied or reverted twice, and an index is invalid only where something is unfinished.
pub(crate) fn problems(database: &Database, stock: &[Stock]) -> String {
    let begun = Instant::now();
    let mut left = database.psql(LEFT).unwrap();
    while !left.is_empty() && begun.elapsed() < ORPHANED {
        thread::sleep(Duration::from_millis(50));
        left = database.psql(LEFT).unwrap();
    }
    let questions: String = stock.iter().map(|stock| bookkeeping(stock.name())).collect();
    left + &database.psql(&questions).unwrap()
}

fn bookkeeping(service: &str) -> String {
    let (versions, journal) =
        (format!("{service}.seaql_migrations_{service}"), format!("{service}.migration_journal_{service}"));
    format!(
        "SELECT '{service}: a claim is left: ' || version FROM {versions} WHERE applied_at < 0; \
         WITH lines AS (SELECT * FROM {journal} WHERE outcome NOT IN ('accepted', 'unchanged')), \
           ends AS (SELECT DISTINCT ON (migration) migration, direction, id FROM lines \
                    WHERE outcome = 'succeeded' ORDER BY migration, id DESC), \
           last AS (SELECT DISTINCT ON (migration) migration, direction, outcome FROM lines ORDER BY migration, id DESC), \
           pairs AS (SELECT migration, direction, id, lag(direction) OVER w AS before, lag(id) OVER w AS id_before \
                     FROM lines WHERE outcome = 'succeeded' WINDOW w AS (PARTITION BY migration ORDER BY id)) \
         SELECT '{service}: applied, and the journal does not know: ' || version FROM {versions} v \
           WHERE NOT EXISTS (SELECT FROM ends WHERE migration = version AND direction = 'apply') \
         UNION ALL SELECT '{service}: the journal says applied, and it is not: ' || e.migration FROM ends e \
           WHERE direction = 'apply' AND NOT EXISTS (SELECT FROM {versions} WHERE version = e.migration) \
             AND NOT EXISTS (SELECT FROM lines l WHERE l.migration = e.migration AND l.id > e.id AND l.direction = 'revert') \
         UNION ALL SELECT '{service}: done twice: ' || p.direction || ' ' || p.migration FROM pairs p \
           WHERE p.direction = p.before AND NOT EXISTS (SELECT FROM lines l WHERE l.migration = p.migration \
             AND l.id BETWEEN p.id_before AND p.id AND l.direction <> p.direction) \
         UNION ALL SELECT '{service}: an index is invalid, and nothing is unfinished: ' || i.indexrelid::regclass \
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
           WHERE c.relnamespace = '{service}'::regnamespace AND NOT i.indisvalid \
             AND NOT EXISTS (SELECT FROM last WHERE outcome <> 'succeeded');"
    )
}

/// Whether something of any service is unfinished.
pub(crate) fn is_unfinished(database: &Database, stock: &[Stock]) -> bool {
    let questions = stock.iter().map(|stock| {
        format!(
            "SELECT 1 FROM (SELECT DISTINCT ON (migration) outcome FROM {0}.migration_journal_{0} \
               WHERE outcome NOT IN ('accepted', 'unchanged') ORDER BY migration, id DESC) AS last \
             WHERE outcome <> 'succeeded';",
            stock.name()
        )
    });
    !database.psql(&questions.collect::<String>()).unwrap().is_empty()
}

/// What is wrong with how a command ended.
pub(crate) fn wrong_end(ended: &Ended, fault: Fault, was_unfinished: bool) -> Option<String> {
    let reads = ended.command.changes.is_empty();
    let allowed: &[i32] = match (ended.is_disturbed, reads) {
        // 2 and 7: the target is in the other direction, or something unfinished lies beyond it.
        (false, false) => &[0, 2, 7],
        (false, true) => &[0, 3],
        (true, false) => &[0, 1, 2, 5, 6, 7, 8, 130, 137, 143],
        (true, true) => &[0, 1, 3, 8, 130, 137, 143],
    };
    // What is unfinished is reported by what reads. Beside others, it may become so meanwhile.
    let reports = reads && [4, 6].contains(&ended.code);
    let may_report = was_unfinished || matches!(fault, Fault::Freeze { .. } | Fault::Crowd(_));
    if ended.stderr.contains("panicked") {
        return Some(format!("{} panics\n{}", ended.command, ended.stderr));
    }
    if allowed.contains(&ended.code) || (reports && may_report) {
        return None;
    }
    Some(format!("{} ends with {}\n{}", ended.command, ended.code, ended.stderr))
}
