//! The session that holds a migration lock, as the server shows it to others.

/// Who holds a migration lock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Process id of the server process.
    pub pid: i32,
    /// Its `application_name`: the tool, and the migration it runs.
    pub application: String,
    /// Where it connects from.
    pub host: String,
    /// Since when it is connected, in seconds since 1970.
    pub since: i64,
}
