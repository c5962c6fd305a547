//! A database for one test, sessions in it, and runs over it.

use std::time::Duration;

use migration_coordinator::{
    Caller, Deployment, Goal, Placement, Report, RunError, RunOptions, Survey, journal, run, service_state,
};
use migration_kit::{Service, table_lock};
use migration_plan::{ContractSteps, ServiceState, UnknownApplied, status};
use postgres_sandbox::{Cluster, Database};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Row, ValueRef};

/// A database of its own.
pub(crate) struct Bench {
    database: Database,
}

/// Options of a run that is patient and asked nothing.
pub(crate) fn options() -> RunOptions {
    RunOptions::new(Caller::new("coordinator-tests"))
        .with_table_locks(table_lock::Policy::default().with_patience(Duration::from_secs(60)))
        .with_jobs(4)
        .with_data_loss()
}

/// Everything that is pending, contract steps held back.
pub(crate) fn everything() -> Goal {
    Goal::Apply { selections: Vec::new(), contract: ContractSteps::HoldBack, unknown: UnknownApplied::Refuse }
}

/// Back to these targets, written as on the command line.
pub(crate) fn revert(targets: &str) -> Goal {
    Goal::Revert { selections: targets.split_whitespace().map(|target| target.parse().unwrap()).collect() }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::on(Cluster::shared())
    }

    pub(crate) fn on(cluster: &Cluster) -> Self {
        Self { database: cluster.create_database().unwrap() }
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    pub(crate) fn name(&self) -> &str {
        self.database.name()
    }

    /// A role of this test alone: its name, for [`Bench::url_as`].
    pub(crate) async fn role(&self, name: &str, options: &str) -> String {
        let role = format!("{name}_{}", self.database.name());
        self.execute(&format!("CREATE ROLE {role} LOGIN {options}")).await;
        role
    }

    pub(crate) fn url_as(&self, role: &str) -> String {
        self.url().replacen("postgres@", &format!("{role}@"), 1)
    }

    /// Services in this database, each in its default schema.
    pub(crate) fn deployment(&self, services: Vec<Service>) -> Deployment {
        deployment_at(self.url(), services)
    }

    /// Services in this database, as a role sees them.
    pub(crate) fn deployment_as(&self, role: &str, services: Vec<Service>) -> Deployment {
        deployment_at(&self.url_as(role), services)
    }

    /// Applies everything that is pending in these services.
    pub(crate) async fn up(&self, services: Vec<Service>) -> Result<Report, RunError> {
        run(&self.deployment(services), &everything(), &options()).await
    }

    /// Applies everything, and fails the test if that fails.
    pub(crate) async fn up_well(&self, services: Vec<Service>) -> Vec<String> {
        let report = self.up(services).await.unwrap();
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        done(&report)
    }

    /// Applies until something fails: the failure, and what was done before.
    pub(crate) async fn up_badly(&self, services: Vec<Service>) -> (RunError, Vec<String>) {
        let mut report = self.up(services).await.unwrap();
        assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
        (report.failures.remove(0), done(&report))
    }

    /// Reverts to the targets, and fails the test if that fails.
    pub(crate) async fn down_well(&self, services: Vec<Service>, targets: &str) -> Vec<String> {
        let report = run(&self.deployment(services), &revert(targets), &options()).await.unwrap();
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        done(&report)
    }

    /// Reverts until something fails: the failure, and what was done before.
    pub(crate) async fn down_badly(&self, services: Vec<Service>, targets: &str) -> (RunError, Vec<String>) {
        let mut report = run(&self.deployment(services), &revert(targets), &options()).await.unwrap();
        assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
        (report.failures.remove(0), done(&report))
    }

    /// The state of a service, and what of it was begun and not finished.
    pub(crate) async fn state(&self, service: Service) -> (ServiceState, Vec<String>) {
        let deployment = self.deployment(vec![service]);
        let survey = Survey::take(&deployment).await;
        let (service, ..) = deployment.services().next().unwrap();
        let facts = survey.service(service.name()).unwrap();
        let status = status(deployment.catalog(), &survey.history(), service.name(), survey.now()).unwrap();
        let begun = status.begun.iter().map(|(name, direction)| format!("{direction} {name}")).collect();
        (service_state(facts, &status), begun)
    }

    /// `migration outcome` of each line of a service's journal.
    pub(crate) async fn journal(&self, service: Service) -> Vec<String> {
        let journals = journal(&self.deployment(vec![service]), &[]).await;
        assert!(journals.unread.is_empty(), "{:?}", journals.unread);
        let lines = journals.lines;
        lines.iter().map(|line| format!("{} {}", line.migration, line.outcome.as_str())).collect()
    }

    pub(crate) async fn survey(&self, services: Vec<Service>) -> Survey {
        Survey::take(&self.deployment(services)).await
    }

    pub(crate) async fn session(&self) -> Session {
        Session::open(self.url()).await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.session().await.execute(sql).await;
    }

    /// The rows of a query as text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        self.session().await.rows(sql).await
    }

    /// Waits until a query returns true; fails after half a minute.
    pub(crate) async fn until(&self, sql: &str) {
        let mut session = self.session().await;
        for _ in 0..3000 {
            if session.rows(sql).await == ["t"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("`{sql}` did not become true");
    }

    /// Makes the gate at which [`super::Step::wait_at_gate`] waits.
    pub(crate) async fn gate(&self) {
        self.execute("CREATE TABLE public.gate AS SELECT false AS open").await;
    }

    pub(crate) async fn open_gate(&self) {
        self.execute("UPDATE public.gate SET open = true").await;
    }

    /// Names of the relations in a schema, but for the bookkeeping and what belongs to a table.
    pub(crate) async fn tables(&self, schema: &str) -> Vec<String> {
        self.rows(&format!(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{schema}') AND relkind IN ('r', 'v') \
             AND relname !~ '^(seaql_migrations|migration_journal)_' ORDER BY 1"
        ))
        .await
    }
}

/// Services at an address, each in its default schema.
pub(crate) fn deployment_at(url: &str, services: Vec<Service>) -> Deployment {
    let place = |service: Service| Placement {
        schema: service.default_schema().to_owned(),
        url: url.parse().unwrap(),
        service,
    };
    Deployment::new(services.into_iter().map(place).collect()).unwrap()
}

/// What was done here, as `service:migration`, reverts with a minus before.
pub(crate) fn done(report: &Report) -> Vec<String> {
    let here = report.done.iter().filter(|done| !done.already);
    here.map(|done| match done.direction {
        migration_plan::Direction::Apply => done.id.to_string(),
        migration_plan::Direction::Revert => format!("-{}", done.id),
    })
    .collect()
}

/// A connection of a test's own, which stands for an application.
pub(crate) struct Session {
    connection: PgConnection,
}

impl Session {
    pub(crate) async fn open(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options.application_name("app").disable_statement_logging();
        Self { connection: options.connect().await.unwrap() }
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
    }

    pub(crate) async fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await.map(drop)
    }

    /// The rows of a query as text, fields parted by `|`, NULL as nothing.
    pub(crate) async fn rows(&mut self, sql: &str) -> Vec<String> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
        rows.iter()
            .map(|row| {
                let field = |index| {
                    let value = row.try_get_raw(index).unwrap();
                    if value.is_null() { String::new() } else { value.as_str().unwrap().to_owned() }
                };
                (0..row.len()).map(field).collect::<Vec<_>>().join("|")
            })
            .collect()
    }
}
