//! The settings that every session of ours pins, so that neither the server's, the database's nor the role's defaults
//! change what our SQL means, sees or says.
//!
//! Left to the operator is what changes speed or place and never a result: memory, the planner's costs and `enable_*`, the
//! level of the log, `synchronous_commit`, tablespaces, table access method and compression, `default_text_search_config` (the
//! language of the data), `lc_messages` (nothing here reads a message), `lc_monetary` (it says what a stored amount of
//! `money` is) and `default_transaction_read_only` (a database that is set so is refused before anything is changed).

use std::time::Duration;

use crate::literal;
use crate::marker::BOOKKEEPING;

/// Whether the database has the extension. The library alone, which every database of a server shares, distributes nothing.
/// Each transaction that reads asks it as it begins, which is why it is here.
pub const HAS_CITUS: &str = "pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL";

/// A setting, the value that it has in every session of ours, and why.
#[derive(Debug, Clone, Copy)]
pub struct Pinned {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What another value would do.
    pub reason: &'static str,
    how: How,
}

/// How a setting gets its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By a start-up option, and by `SET LOCAL` in each transaction of the kit, which also runs on an application's pool.
    Always,
    /// By a start-up option: it concerns the session and not a transaction.
    AtStart,
    /// After connecting, where it has another value: not every supported server knows it, or it is expensive to set.
    IfDifferent,
    /// After connecting, where it has another value and the role may set it: a start-up option would refuse all others.
    IfPermitted,
}

const fn pinned(how: How, name: &'static str, value: &'static str, reason: &'static str) -> Pinned {
    Pinned { name, value, reason, how }
}

/// All of them. `search_path` and `application_name` differ from session to session, and
/// `idle_in_transaction_limit` respects what is set already, unless it is too short for the pauses of a command.
#[rustfmt::skip]
pub const PINNED: &[Pinned] = &[
    // What is seen.
    pinned(How::Always, "row_security", "off", "a policy would hide rows; off, the query fails instead"),
    pinned(How::Always, "gin_fuzzy_search_limit", "0", "an index would give a random part of the rows"),
    pinned(How::IfPermitted, "zero_damaged_pages", "off", "damaged pages would be read as empty ones"),
    pinned(How::IfPermitted, "ignore_checksum_failure", "off", "damaged pages would be read as sound ones"),
    pinned(How::IfDifferent, "restrict_nonsystem_relation_kind", "", "views would be refused"),
    // What is meant.
    pinned(How::Always, "standard_conforming_strings", "on", "a backslash in a literal would be an escape"),
    pinned(How::Always, "backslash_quote", "safe_encoding", "the end of an escape string would change"),
    pinned(How::Always, "transform_null_equals", "off", "`= NULL` would mean `IS NULL`"),
    pinned(How::Always, "array_nulls", "on", "NULL in an array's text would be a string"),
    pinned(How::Always, "DateStyle", "ISO, MDY", "dates would be read and written in another order"),
    pinned(How::Always, "IntervalStyle", "postgres", "intervals would be read and written otherwise"),
    pinned(How::Always, "TimeZone", "UTC", "timestamps without a zone would mean another moment"),
    pinned(How::IfDifferent, "timezone_abbreviations", "Default", "`EST` would mean another zone"),
    pinned(How::Always, "xmloption", "content", "XML that is no document would be refused"),
    pinned(How::Always, "check_function_bodies", "on", "a function that cannot work would be created"),
    pinned(How::IfPermitted, "session_replication_role", "origin", "triggers and foreign keys would not fire"),
    pinned(How::AtStart, "plpgsql.extra_errors", "none", "functions would fail that work elsewhere"),
    pinned(How::AtStart, "plpgsql.check_asserts", "on", "an ASSERT would be passed over"),
    pinned(How::IfPermitted, "plpgsql.variable_conflict", "error", "a name would mean column or variable by setting"),
    // What is said.
    pinned(How::Always, "quote_all_identifiers", "off", "definitions would be quoted, and compare as different"),
    pinned(How::Always, "bytea_output", "hex", "bytes would be written otherwise"),
    pinned(How::Always, "extra_float_digits", "1", "numbers would be written rounded"),
    pinned(How::Always, "xmlbinary", "base64", "bytes in XML would be written otherwise"),
    pinned(How::Always, "lc_numeric", "C", "`to_char` would write numbers by the country"),
    pinned(How::Always, "lc_time", "C", "`to_char` would write names of months by the language"),
    // What a transaction is.
    pinned(How::AtStart, "default_transaction_isolation", "read committed", "retries rely on it, and a standby refuses serializable"),
    pinned(How::AtStart, "default_transaction_deferrable", "off", "a reading transaction would wait to begin"),
    // What goes to other nodes, where the database is one of several: of Citus, and known nowhere else.
    pinned(How::IfDifferent, "citus.propagate_set_commands", "local", "other nodes would not keep `lock_timeout` and `TimeZone`"),
    pinned(How::IfDifferent, "citus.enable_unsafe_triggers", "on", "triggers would be refused; those that steps make use names with their schema"),
    pinned(How::IfDifferent, "citus.enable_schema_based_sharding", "on", "a service's schema would stay on the coordinator"),
    pinned(How::IfDifferent, "citus.multi_shard_modify_mode", "sequential", "a transaction could not change keys after rows that are on several nodes"),
    // How long a session lives, and what ends a statement.
    pinned(How::AtStart, "statement_timeout", "0", "a concurrent build would end halfway; each step sets its own limit"),
    pinned(How::AtStart, "lock_timeout", "0", "as with `statement_timeout`"),
    pinned(How::AtStart, "idle_session_timeout", "0", "a session that waits would lose its migration lock"),
    pinned(How::IfDifferent, "transaction_timeout", "0", "as with `statement_timeout`"),
    pinned(How::Always, "exit_on_error", "off", "a lock that is busy would end the session"),
    pinned(How::AtStart, "tcp_keepalives_idle", "10", "a client that vanished would keep its locks for hours"),
    pinned(How::AtStart, "tcp_keepalives_interval", "5", "as with `tcp_keepalives_idle`"),
    pinned(How::AtStart, "tcp_keepalives_count", "3", "as with `tcp_keepalives_idle`"),
    pinned(How::AtStart, "tcp_user_timeout", "25s", "as with `tcp_keepalives_idle`"),
];

/// How long a session may be idle in a transaction. One that is frozen or cut off holds locks that applications wait for.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

/// Compiling a statement costs a third of a second, and one over a hundred services several seconds; it gives back less.
pub const NO_COMPILING: (&str, &str) = ("jit", "off");

/// Makes the server look twice a second, while it works, whether its client still lives: if this process is killed, what
/// is under way should end too. A server on a system that cannot look refuses the setting.
const CONNECTION_CHECK: &str = "CASE WHEN pg_catalog.version() ~* 'linux|darwin|bsd' \
    THEN pg_catalog.set_config('client_connection_check_interval', '500ms', ";

/// A limit as the server takes it in a timeout, in milliseconds: at least 1, since 0 is no limit, and at most 24 days and 20 hours.
#[must_use]
pub fn timeout_ms(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1)
}

/// The settings that a session gets by start-up options: names and values.
pub fn at_start() -> impl Iterator<Item = (&'static str, &'static str)> {
    let settings = PINNED.iter().filter(|setting| matches!(setting.how, How::Always | How::AtStart));
    settings.map(|setting| (setting.name, setting.value))
}

/// Of them, those that could end a session, or its first statements, before they are set: for a session that reads, which sets all others
/// in its transactions, and for programs that do not know ours.
pub fn limits_at_start() -> impl Iterator<Item = (&'static str, &'static str)> {
    at_start().filter(|(name, _)| name.ends_with("_timeout"))
}

/// The statement that sets the others, once a session is connected.
#[must_use]
pub fn after_connecting() -> String {
    format!("{BOOKKEEPING}SELECT {}", where_different(false))
}

/// The expressions that set, for the session, what changes its statements' meaning: a migration, or a script that is restored, may have
/// set some of it otherwise.
#[must_use]
pub fn anew() -> String {
    let always = PINNED.iter().filter(|setting| setting.how == How::Always);
    let set = always.map(|Pinned { name, value, .. }| {
        format!("pg_catalog.set_config({}, {}, false)", literal(name), literal(value))
    });
    set.collect::<Vec<_>>().join(", ")
}

/// Begins a transaction that reads, at one moment, with all of them. It needs no start-up option, so that reading works
/// through a proxy too, where no role has limits that end it before. Its row begins with the number of the session's server process, what the server says of its version, and
/// whether the database has Citus. With the id of a snapshot that another session exported, both see the same moment. A lock of others is waited for no longer
/// than `patience`.
#[must_use]
pub fn begin_reading(snapshot: Option<&str>, patience: Duration) -> String {
    let patience = timeout_ms(patience).to_string();
    let pinned = at_start().map(|(name, value)| match name {
        "lock_timeout" => set_locally(name, &patience),
        _ => set_locally(name, value),
    });
    let set = pinned.collect::<Vec<_>>().join(", ");
    let same_moment = snapshot
        .map_or_else(String::new, |id| format!("{BOOKKEEPING}SET TRANSACTION SNAPSHOT {}; ", literal(id)));
    format!(
        "{BOOKKEEPING}BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE; {same_moment}\
         {BOOKKEEPING}SELECT pg_catalog.pg_backend_pid(), pg_catalog.version(), {HAS_CITUS}, {set}, {}, {}",
        set_locally(NO_COMPILING.0, NO_COMPILING.1),
        where_different(true)
    )
}

/// The expressions that set for one transaction what changes its statements' meaning: under plain sea-orm, sessions are
/// the application's.
pub(crate) fn local() -> String {
    let always = PINNED.iter().filter(|setting| setting.how == How::Always);
    always.map(|setting| set_locally(setting.name, setting.value)).collect::<Vec<_>>().join(", ")
}

/// The shortest time for which a session may be idle in a transaction: a busy machine, or a command that waits for another program, needs
/// some.
const LEAST_IDLE: Duration = Duration::from_secs(2);

/// The expression that bounds how long the session may be idle in a transaction; a lower bound that is set is kept, if it lets us work.
pub(crate) fn idle_in_transaction_limit(limit: Duration, is_local: bool) -> String {
    const SETTING: &str = "idle_in_transaction_session_timeout";
    let (limit_ms, least_ms) = (timeout_ms(limit), timeout_ms(LEAST_IDLE));
    // Intervals are compared as they are: numbers would have to be calculated, and a new session finds no operator as slowly as `*`.
    format!(
        "pg_catalog.set_config('{SETTING}', \
         CASE WHEN pg_catalog.current_setting('{SETTING}')::interval BETWEEN '{least_ms}ms' AND '{limit_ms}ms' \
           THEN pg_catalog.current_setting('{SETTING}') ELSE '{limit_ms}' END, {is_local})"
    )
}

fn set_locally(name: &str, value: &str) -> String {
    format!("pg_catalog.set_config({}, {}, true)", literal(name), literal(value))
}

/// The expressions that set what depends on what the session has, or on what the server knows.
fn where_different(is_local: bool) -> String {
    let rest: Vec<String> = PINNED
        .iter()
        .filter(|setting| matches!(setting.how, How::IfDifferent | How::IfPermitted))
        .map(|setting| {
            let guarded = setting.how == How::IfPermitted;
            format!("({}, {}, {guarded})", literal(setting.name), literal(setting.value))
        })
        .collect();
    format!(
        "{}, {CONNECTION_CHECK}{is_local}) END, \
         ARRAY(SELECT pg_catalog.set_config(s.name, s.value, {is_local}) FROM (VALUES {}) AS s(name, value, guarded) \
         WHERE pg_catalog.current_setting(s.name, true) <> s.value \
           AND (NOT s.guarded OR pg_catalog.has_parameter_privilege(s.name, 'SET')))",
        idle_in_transaction_limit(IDLE_IN_TRANSACTION, is_local),
        rest.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_one_that_the_server_takes() {
        for (limit, ms) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_millis(1500), 1500),
            (Duration::from_millis(2_147_483_647), i32::MAX),
            (Duration::from_secs(30 * 86_400), i32::MAX),
            (Duration::MAX, i32::MAX),
        ] {
            assert_eq!(timeout_ms(limit), ms, "{limit:?}");
        }
    }
}
