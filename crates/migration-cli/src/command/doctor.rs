//! `doctor`: whether everything is as a run needs it, and where each setting is from. Reads only; no secret is shown. It is long because
//! what is asked of a database is beside what the answers mean.

mod attached;
mod citus;
mod later;
pub(super) mod refusals;
mod subscribed;

use std::collections::BTreeSet;

use migration_backup::CONNECTIONS as CONNECTIONS_OF_A_BACKUP;
use migration_coordinator::{
    Access, Checkup, ConnectError, Deployment, Rights, RunError, Surroundings, Survey, checkups,
    edited_migrations, obstructions, one_address, surroundings,
};
use migration_kit::ServiceName;
use migration_plan::{and_more, counted, few_words, integrity};
use migration_report::{Class, Diagnostic, Found, Words};
use postgres_sandbox::ServerVersion;
use serde::Serialize;

use super::connect;
use super::databases::no_temporary;
use crate::context::Context;
use crate::database::Connected;
use crate::environment::Setting;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Text};
use crate::words::OurWords;

/// What `doctor --json` prints.
#[derive(Serialize)]
struct Document {
    /// The variables that are set and read, without secrets.
    settings: Vec<Setting>,
    findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    verdict: Verdict,
    /// The database, or the service, that it is about.
    of: String,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// How a run ends that is refused for it, where that is known.
    #[serde(skip)]
    refused: Option<Class>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As a run needs it.
    Good,
    /// A run works, and may surprise.
    Warning,
    /// A run would be refused or fail.
    Bad,
    /// It could not be looked at.
    Unknown,
}

/// Clocks that are further apart make soak times wrong by as much.
const CLOCK_SECONDS: f64 = 30.0;

/// What a run with the usual number of jobs needs, and who looks meanwhile.
const CONNECTIONS: i64 = 10;

/// A standby further behind is a warning.
const LAG_SECONDS: f64 = 10.0;

/// How much is shown to people of each database and service; JSON has all.
const SHOWN: usize = 10;

/// What was looked at, and what could not be.
pub(super) struct Examined {
    findings: Vec<Finding>,
    errors: Vec<Diagnostic>,
}

pub(super) async fn doctor(context: &Context) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let services: Vec<_> = connected.deployment.catalog().services().map(|service| &service.name).collect();
    let settings = context.environment.settings(&services);
    let mut examined = examine(context, &connected, &[]).await?;
    let survey = Survey::take(&connected.deployment).await;
    examined.findings.extend(of_histories(&connected.deployment, &survey));
    examined.findings.extend(later::look(&connected.deployment, &survey));
    attached::look(&connected.deployment, &mut examined).await;
    subscribed::look(&connected.deployment, &mut examined).await;
    refusals::look(&connected.deployment, &mut examined).await;
    let class = examined.class();
    let paint = context.output.paint;
    let mut text = Text::default();
    text.line(paint.strong("Settings"));
    if settings.is_empty() {
        text.line("  no variable is set: a private server is used");
    }
    for Setting { name, value, origin } in &settings {
        text.line(format!("  {name}={value}  {}", paint.faint(&format!("from {origin}"))));
    }
    examined.say(Verdict::Good, paint, &mut text);
    text.line(examined.sum());
    let Examined { findings, errors } = examined;
    errors.iter().cloned().for_each(|error| text.error(error));
    Ok(Answer::of("doctor", Found { class, errors, body: Document { settings, findings } }, text)?)
}

/// Looks at these services, all if none is named, at their databases, and at this machine.
pub(super) async fn examine(
    context: &Context,
    connected: &Connected,
    services: &[ServiceName],
) -> anyhow::Result<Examined> {
    let deployment = &connected.deployment;
    let mut findings = Vec::new();
    let mut errors = Vec::new();
    let mut majors = BTreeSet::new();
    let around = surroundings(deployment, services).await;
    let looked = deployment.databases().iter().zip(checkups(deployment, services).await).zip(around);
    for ((url, checkup), around) in looked {
        let of = url.to_string();
        let (Some(checkup), Some(around)) = (checkup, around) else { continue };
        match checkup.and_then(|checkup| Ok((checkup, around?))) {
            Ok((checkup, around)) => {
                majors.extend(ServerVersion::of_setting(&checkup.version).map(|version| version.major));
                findings.extend(of_database(&of, &checkup));
                findings.extend(of_surroundings(&of, &checkup.role, &around));
                findings.extend(checkup.rights.iter().map(|rights| of_rights(rights, &checkup)));
            }
            Err(error) => {
                let message = "it could not be looked at".to_owned();
                findings.push(Finding::new(Verdict::Unknown, of, message, None));
                errors.push(Diagnostic::of(error.as_ref(), &OurWords));
            }
        }
    }
    findings.extend(of_machine(context, &majors)?);
    Ok(Examined { findings, errors })
}

/// The programs on this machine: this one, and those that back up a server of each of these major versions.
fn of_machine(context: &Context, majors: &BTreeSet<u32>) -> Result<Vec<Finding>, Failure> {
    let finding = |verdict, message, hint| Finding::new(verdict, "this machine", message, hint);
    let mut found = vec![finding(
        Verdict::Good,
        format!("the program is of version {}", env!("CARGO_PKG_VERSION")),
        None,
    )];
    for major in majors {
        found.push(match context.environment.programs()?.only_present().clients(*major) {
            Ok(clients) => {
                let (version, path) = (clients.version(), clients.pg_dump());
                finding(
                    Verdict::Good,
                    format!("`{}` {version} backs up PostgreSQL {major}", path.display()),
                    None,
                )
            }
            Err(missing) => {
                let message = format!("no `pg_dump` for PostgreSQL {major}: `backup` fetches it, or fails");
                finding(Verdict::Warning, message, Some(missing.hint()))
            }
        });
    }
    Ok(found)
}

/// What is applied and does not fit this build, histories that cannot be read, and what is where an empty service would begin:
/// runs are refused there.
fn of_histories(deployment: &Deployment, survey: &Survey) -> Vec<Finding> {
    let bad = |service: &ServiceName, refused: Diagnostic| Finding {
        refused: Some(refused.class),
        ..Finding::new(Verdict::Bad, service.to_string(), refused.on_one_line(), refused.hint)
    };
    let unfit = integrity(deployment.catalog(), &survey.history());
    let mut found: Vec<Finding> = unfit
        .iter()
        .map(|error| {
            let hint = error.hint().worded(|offer| OurWords.offer(offer));
            Finding::new(Verdict::Bad, error.service().to_string(), error.to_string(), Some(hint))
        })
        .collect();
    let all: BTreeSet<&ServiceName> = survey.services.iter().map(|facts| &facts.service).collect();
    if let Err(error) = one_address(deployment, survey, &all)
        && let RunError::Addresses { services: [_, second], .. } = &error
    {
        found.push(bad(second, Diagnostic::of(&error, &OurWords)));
    }
    for facts in &survey.services {
        let service = &facts.service;
        // Of a database that does not answer, that was said.
        let unread = facts.unread.iter().filter(|_| facts.access != Access::Unreachable);
        let unread = unread.map(|error| Diagnostic::of(error.as_ref(), &OurWords));
        let edited = edited_migrations(deployment, facts);
        let edited = (!edited.is_empty())
            .then(|| RunError::Edited { service: service.clone(), migrations: edited })
            .map(|error| Diagnostic::of(&error, &OurWords));
        let obstructions = obstructions(deployment, facts);
        let obstructions = obstructions.iter().map(|error| Diagnostic::of(error, &OurWords));
        found.extend(unread.chain(edited).chain(obstructions).map(|refused| bad(service, refused)));
    }
    found
}

/// Text that is not UTF-8 may be what a migration, or whoever reads it, cannot do with.
fn encoding(encoding: &str, add: &mut impl FnMut(Verdict, String, Option<&str>)) {
    let hint = match encoding {
        "UTF8" => return,
        "SQL_ASCII" => {
            "it takes any bytes, also such that are no text: nothing is applied there unless MIGRATE_SQL_ASCII is `allow`; restore a \
             dump of it, made with the option of pg_dump that names the encoding of its text, into a database with UTF8"
        }
        _ => {
            "characters that it lacks are refused: migrations that read JSON list such values as rejects; UTF8 has all"
        }
    };
    add(Verdict::Warning, format!("its encoding is {encoding}, not UTF8"), Some(hint));
}

/// What a database says of itself.
fn of_database(of: &str, checkup: &Checkup) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |verdict, message: String, hint: Option<&str>| {
        found.push(Finding::new(verdict, of, message, hint.map(str::to_owned)));
    };
    add(Verdict::Good, format!("PostgreSQL {}, as `{}`", checkup.version, checkup.role), None);
    if checkup.is_standby {
        add(
            Verdict::Bad,
            "it is a standby: nothing can be written".to_owned(),
            Some("connect to the primary"),
        );
    } else if checkup.is_read_only {
        let hint = "`default_transaction_read_only` is on for the role, the database or the server";
        add(Verdict::Bad, "its sessions are read-only".to_owned(), Some(hint));
    }
    match checkup.refused.as_deref() {
        Some(ConnectError::Proxied { does, .. }) => {
            let hint =
                "use an address that leads to the server itself: the migration lock belongs to a session";
            add(Verdict::Bad, format!("it is behind a proxy that {does}"), Some(hint));
        }
        Some(error) => add(Verdict::Bad, format!("a run could not connect: {error}"), None),
        None => {}
    }
    encoding(&checkup.encoding, &mut add);
    if let Some(citus) = &checkup.citus {
        citus::look(citus, &mut add);
    }
    if !checkup.may_lock {
        let hint = "GRANT EXECUTE ON FUNCTION pg_catalog.pg_try_advisory_lock(bigint)";
        add(Verdict::Bad, "the role may not take advisory locks".to_owned(), Some(hint));
    }
    if checkup.clock_ahead.abs() > CLOCK_SECONDS {
        let message = format!("its clock and this machine's are {:.0} s apart", checkup.clock_ahead.abs());
        add(Verdict::Warning, message, Some("soak times are counted by the server's clock"));
    }
    let free = checkup.free_connections;
    let possible = counted(free.max(0), "more session is possible", "more sessions are possible");
    if free < CONNECTIONS {
        add(Verdict::Warning, possible, Some("fewer `--jobs` need fewer sessions"));
    } else {
        add(Verdict::Good, possible, None);
    }
    for limit in checkup.connection_limits.iter().filter(|limit| limit.limit < CONNECTIONS_OF_A_BACKUP) {
        let whose = if limit.is_roles { "the role" } else { "the database" };
        let message = format!(
            "{whose} is limited to {} at once, and `backup`, `up --backup`, `deploy` and `move` need {CONNECTIONS_OF_A_BACKUP} or more",
            counted(limit.limit, "connection", "connections")
        );
        add(Verdict::Warning, message, Some(&limit.raised_to(CONNECTIONS_OF_A_BACKUP)));
    }
    for transaction in &checkup.long_transactions {
        let idle = if transaction.is_idle { ", and does nothing" } else { "" };
        let message = format!(
            "process {} (`{}`) has had a transaction open for {:.0} s{idle}",
            transaction.pid, transaction.application, transaction.seconds
        );
        add(Verdict::Warning, message, Some("a run waits for it wherever it needs a lock on the same table"));
    }
    if checkup.n_hidden_sessions > 0 {
        let sessions = counted(checkup.n_hidden_sessions, "session of others does", "sessions of others do");
        let message = format!("what {sessions} may not be seen");
        add(
            Verdict::Warning,
            message,
            Some("GRANT pg_read_all_stats shows it: who blocks a run is then named"),
        );
    }
    for name in &checkup.prepared_transactions {
        let message = format!("transaction `{name}` was prepared and not ended: it holds its locks");
        add(Verdict::Warning, message, Some("COMMIT PREPARED or ROLLBACK PREPARED ends it"));
    }
    for (name, lag) in &checkup.standbys {
        match lag {
            Some(lag) if *lag > LAG_SECONDS => {
                add(Verdict::Warning, format!("standby `{name}` is {lag:.0} s behind"), None);
            }
            _ => add(Verdict::Good, format!("standby `{name}` follows"), None),
        }
    }
    found
}

/// What the role may do with a service.
fn of_rights(rights: &Rights, checkup: &Checkup) -> Finding {
    let Rights { schema, of_others, .. } = rights;
    let role = &checkup.role;
    let (verdict, message, hint) = if !rights.exists && checkup.may_create_schemas {
        (Verdict::Good, format!("schema `{schema}` is not there, and `{role}` may create it"), None)
    } else if !rights.exists {
        let hint = format!("GRANT CREATE ON DATABASE, or let another role create `{schema}` for `{role}`");
        (Verdict::Bad, format!("schema `{schema}` is not there, and `{role}` may not create it"), Some(hint))
    } else if !of_others.is_empty() {
        let tables = few_words(of_others.iter().map(|table| format!("`{table}`")), 3);
        let hint = format!("ALTER TABLE … OWNER TO, or GRANT their owner's role to `{role}`");
        (
            Verdict::Bad,
            format!("{tables} in `{schema}` belong to others: `{role}` cannot alter them"),
            Some(hint),
        )
    } else if rights.may_create {
        (Verdict::Good, format!("`{role}` may create in `{schema}`, and alter what is there"), None)
    } else {
        let hint = format!("GRANT CREATE ON SCHEMA {schema}");
        (Verdict::Bad, format!("`{role}` may not create anything in `{schema}`"), Some(hint))
    };
    Finding::new(verdict, rights.service.to_string(), message, hint)
}

/// What surrounds the services in a database.
fn of_surroundings(of: &str, role: &str, around: &Surroundings) -> Vec<Finding> {
    let finding = |verdict, message, hint: Option<String>| Finding::new(verdict, of, message, hint);
    let mut found: Vec<Finding> = Vec::new();
    if !around.may_create_temporary {
        let hint = format!("GRANT TEMPORARY ON DATABASE … TO {role}");
        found.push(finding(Verdict::Bad, no_temporary(role), Some(hint)));
    }
    for trigger in &around.event_triggers {
        let message =
            format!("event trigger `{}` calls `{}` at {}", trigger.name, trigger.function, trigger.event);
        let hint = "a run is refused where it writes to what no service owns, unless MIGRATE_ALLOWED_OBJECTS names that";
        found.push(finding(Verdict::Warning, message, Some(hint.to_owned())));
    }
    for setting in &around.overridden_settings {
        let message = format!("{} sets `{}` to `{}`", setting.of, setting.name, setting.value);
        let hint = format!("our sessions set `{}`: {}", setting.ours, setting.reason);
        found.push(finding(Verdict::Warning, message, Some(hint)));
    }
    for table in &around.row_security {
        let (verdict, hint) = if around.bypasses_row_security {
            (Verdict::Good, None)
        } else {
            (Verdict::Warning, Some("a run stops where a policy would hide rows from it".to_owned()))
        };
        let message = format!("table `{}` of `{}` has row security", table.table, table.service);
        found.push(finding(verdict, message, hint));
    }
    found
}

impl Finding {
    fn new(verdict: Verdict, of: impl Into<String>, message: String, hint: Option<String>) -> Self {
        Self { verdict, of: of.into(), message, hint, refused: None }
    }

    /// How it counts: as a run that is refused for it, or else by its verdict.
    fn class(&self) -> Class {
        self.refused.unwrap_or(match self.verdict {
            Verdict::Good | Verdict::Warning => Class::Done,
            Verdict::Bad => Class::Integrity,
            Verdict::Unknown => Class::Connection,
        })
    }
}

impl Examined {
    /// Adds what was looked at elsewhere.
    pub(super) fn add(&mut self, of: &str, verdict: Verdict, message: String, hint: Option<&str>) {
        self.findings.push(Finding::new(verdict, of, message, hint.map(str::to_owned)));
    }

    /// Whether a run would work.
    pub(super) fn class(&self) -> Class {
        let found = self.findings.iter().map(Finding::class);
        Class::worst(self.errors.iter().map(|error| error.class).chain(found))
    }

    /// What could not be looked at, and why.
    pub(super) fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// What was found that is at least as bad.
    pub(super) fn say(&self, least: Verdict, paint: Paint, text: &mut Text) {
        let mut shown: Vec<&Finding> =
            self.findings.iter().filter(|finding| finding.verdict >= least).collect();
        // What was found of one by several looks is shown together.
        let first = |of: &str| self.findings.iter().position(|finding| finding.of == of);
        shown.sort_by_cached_key(|finding| first(&finding.of));
        for alike in shown.chunk_by(|one, next| one.of == next.of) {
            text.line(paint.strong(&alike[0].of));
            for finding in alike.iter().take(SHOWN) {
                let mark = match finding.verdict {
                    Verdict::Good => paint.good("✓"),
                    Verdict::Warning => paint.warn("!"),
                    Verdict::Bad => paint.bad("✗"),
                    Verdict::Unknown => paint.bad("?"),
                };
                text.line(format!("  {mark} {}", finding.message));
                if let Some(hint) = &finding.hint {
                    text.line(format!("      {}", paint.faint(hint)));
                }
            }
            and_more(alike.len(), SHOWN).into_iter().for_each(|more| text.line(format!("    {more}")));
        }
    }

    /// How much of each.
    pub(super) fn sum(&self) -> String {
        let n = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        format!(
            "{} as needed, {} to know of, {} that would stop a run, {} not known",
            n(Verdict::Good),
            n(Verdict::Warning),
            n(Verdict::Bad),
            n(Verdict::Unknown)
        )
    }
}
