//! Runs that hang midway, at a known place and for as long as the test wants.

use super::{Lab, Running, Session};

/// A run that waits for the transaction of another session.
pub(crate) struct Hanging {
    pub(crate) run: Running,
    /// Sees what happens.
    pub(crate) watch: Session,
    in_the_way: Session,
}

/// Sessions of the tool that run migrations.
pub(crate) const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                                   AND application_name LIKE 'migrate %'";

impl Hanging {
    /// `up bookreader` in the middle of its first migration, which is one transaction: another transaction, which has not
    /// ended, has created the last table that the migration is about to create.
    pub(crate) fn in_a_transaction(lab: &Lab) -> Self {
        Self::in_a_transaction_of(lab, Lab::start)
    }

    /// The same of a run that is started otherwise.
    pub(crate) fn in_a_transaction_of(lab: &Lab, start: impl FnOnce(&Lab, &[&str]) -> Running) -> Self {
        let mut in_the_way = lab.session();
        in_the_way.query("CREATE SCHEMA bookreader");
        in_the_way.query("BEGIN");
        in_the_way.query("CREATE TABLE bookreader.reading_progress ()");
        Self::waiting(lab, start(lab, &["up", "bookreader"]), in_the_way, "transactionid")
    }

    /// `up chat` at the end of a concurrent index build: another transaction has a snapshot from before it.
    pub(crate) fn in_an_index_build(lab: &Lab) -> Self {
        Self::in_an_index_build_of(lab, Lab::start)
    }

    /// The same of `up demo`.
    pub(crate) fn in_an_index_build_of_demo(lab: &Lab) -> Self {
        Self::in_the_second("demo", lab, Lab::start)
    }

    /// `up chat` so, of a run that is started otherwise.
    pub(crate) fn in_an_index_build_of(lab: &Lab, start: impl FnOnce(&Lab, &[&str]) -> Running) -> Self {
        Self::in_the_second("chat", lab, start)
    }

    /// In the second migration of a service, which builds an index.
    fn in_the_second(service: &str, lab: &Lab, start: impl FnOnce(&Lab, &[&str]) -> Running) -> Self {
        lab.migrate(&["up", &format!("{service}@+1")]).exits(0);
        let mut in_the_way = lab.session();
        in_the_way.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
        in_the_way.query("SELECT 1");
        Self::waiting(lab, start(lab, &["up", service]), in_the_way, "virtualxid")
    }

    fn waiting(lab: &Lab, run: Running, in_the_way: Session, wait_event: &str) -> Self {
        let mut watch = lab.session();
        watch.until(&format!("{SESSIONS} AND wait_event = '{wait_event}'"), "1");
        Self { run, watch, in_the_way }
    }

    /// Ends the transaction in the way.
    pub(crate) fn release(&mut self) {
        self.in_the_way.query("ROLLBACK");
    }
}
