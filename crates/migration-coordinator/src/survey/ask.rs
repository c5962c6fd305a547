//! Asking one database: the order of the questions, and what becomes of a service whose tables do not answer.
//!
//! It is long because what becomes of each answer that fails is beside the question.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use migration_kit::BOOKKEEPING;
use migration_kit::settings::timeout_ms;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::collisions;
use super::emptiness;
use super::facts::{self, Found, Relation};
use super::histories::{self, Part, Part::Journal, Part::VersionTable};
use super::lost_rows;
use super::patience::Patience;
use super::twins;
use super::{Access, ServerFacts, ServiceFacts, SurveyError};
use crate::connect_error::{ConnectError, is_locked};
use crate::database::DatabaseUrl;
use crate::deployment::{Deployment, Placed};
use crate::event::{self, Blocker};
use crate::holder::Holder;
use crate::reading::Reading;
use crate::session::{Session, TakeRow};
use crate::site::Site;
use crate::watch::watched;

/// How many services are read by one statement: the server plans a longer one in more than linear time.
const CHUNK: usize = 25;

/// For how many services there is one session: a new one costs a server as much as reading some ten services.
const SERVICES_PER_SESSION: usize = 50;

/// At most so many sessions read beside each other.
const SESSIONS: usize = 4;

/// Asks a database about its services, in one `READ ONLY` transaction.
pub(super) async fn ask(
    deployment: &Deployment,
    database: usize,
    sites: &[&Site],
    patience: &Patience<'_>,
) -> Result<(ServerFacts, Vec<ServiceFacts>), SurveyError> {
    let url = &deployment.databases()[database];
    let failed = |source| match ConnectError::of_proxy(url, &source) {
        Some(proxied) => SurveyError::Connect(proxied),
        None => SurveyError::Query { database: url.to_string(), source },
    };
    let mut asking = Asking::Alone(Reading::open_within(url, patience.at_first()).await?);
    let (server, mut services) = read(&mut asking, sites, patience).await.map_err(failed)?;
    Box::pin(look_for_twins(&mut asking, deployment, database, sites, &mut services))
        .await
        .map_err(failed)?;
    let place = (deployment, database);
    Box::pin(look_for_collisions(&mut asking, place, sites, &mut services)).await.map_err(failed)?;
    let placed: Vec<&Placed> = sites.iter().filter_map(|site| deployment.placed(site.name())).collect();
    Box::pin(look_for_lost_rows(&mut asking, &placed, &mut services)).await.map_err(failed)?;
    asking.close().await;
    Ok((server, services))
}

/// Looks for what an earlier system may have left of services that are empty.
async fn look_for_twins(
    asking: &mut Asking<'_>,
    deployment: &Deployment,
    database: usize,
    sites: &[&Site],
    services: &mut [ServiceFacts],
) -> Result<(), sqlx::Error> {
    for (sites, services) in sites.chunks(CHUNK).zip(services.chunks_mut(CHUNK)) {
        let Some(query) = twins::query(sites, services) else { continue };
        let mut candidates = twins::candidates(deployment, database, &asking.rows(&query).await?)?;
        look_into(asking, &mut candidates).await?;
        twins::fill(services, candidates);
    }
    Ok(())
}

/// Asks which candidates have rows. Where the server refuses that (a table is locked, or row security lets nobody count), each is
/// asked by itself, so that it is not known of that one alone.
async fn look_into(asking: &mut Asking<'_>, candidates: &mut [twins::Candidate]) -> Result<(), sqlx::Error> {
    let Some(query) = twins::filled(candidates) else { return Ok(()) };
    match asking.rows(&query).await {
        Ok(rows) => return twins::note(candidates, &rows),
        Err(sqlx::Error::Database(_)) => {}
        Err(lost) => return Err(lost),
    }
    asking.end().await;
    asking.begin().await?;
    for candidate in candidates.chunks_mut(1) {
        let Some(query) = twins::filled(candidate) else { continue };
        match asking.rows(&query).await {
            Ok(rows) => twins::note(candidate, &rows)?,
            Err(error @ sqlx::Error::Database(_)) => {
                asking.end().await;
                asking.begin().await?;
                candidate[0].fail(&error);
            }
            Err(lost) => return Err(lost),
        }
    }
    Ok(())
}

/// Looks for what services that have nothing applied would collide with.
async fn look_for_collisions(
    asking: &mut Asking<'_>,
    place: (&Deployment, usize),
    sites: &[&Site],
    services: &mut [ServiceFacts],
) -> Result<(), sqlx::Error> {
    for (sites, services) in sites.chunks(CHUNK).zip(services.chunks_mut(CHUNK)) {
        if let Some(query) = collisions::query(sites, services) {
            collisions::fill(place, sites, services, &asking.rows(&query).await?)?;
        }
    }
    Ok(())
}

/// Looks for rows that are missing from version tables, last of all: it asks in the services' schemas.
async fn look_for_lost_rows(
    asking: &mut Asking<'_>,
    placed: &[&Placed],
    services: &mut [ServiceFacts],
) -> Result<(), sqlx::Error> {
    for (placed, facts) in placed.iter().zip(services) {
        let suspects = lost_rows::suspects(placed, facts);
        if suspects.is_empty() {
            continue;
        }
        let mut lost = Ok(Vec::new());
        for suspect in &suspects {
            let Some(question) = lost_rows::question(placed, facts, &suspects, suspect) else { continue };
            let answer = asking.rows(&question).await;
            match &answer {
                Ok(_) => {}
                Err(sqlx::Error::Database(_)) => {
                    asking.end().await;
                    asking.begin().await?;
                }
                Err(_) => return answer.map(drop),
            }
            match (lost_rows::answer(answer), &mut lost) {
                (Ok(true), Ok(lost)) => lost.push(suspect.clone()),
                (Ok(_), _) => {}
                (Err(error), _) => {
                    lost = Err(error);
                    break;
                }
            }
        }
        lost_rows::note(placed, facts, lost);
    }
    Ok(())
}

/// Asks on a session that is in use: no transaction, no connection of its own.
pub(super) async fn ask_on(
    session: &Session,
    place: (&Deployment, usize),
    sites: &[&Site],
    patience: &Patience<'_>,
) -> Result<Vec<ServiceFacts>, sqlx::Error> {
    let url = &place.0.databases()[place.1];
    let mut asking = Asking::Working { session, url, limit: patience.at_first() };
    let (_, mut services) = read(&mut asking, sites, patience).await?;
    look_for_collisions(&mut asking, place, sites, &mut services).await?;
    let placed: Vec<&Placed> = sites.iter().filter_map(|site| place.0.placed(site.name())).collect();
    Box::pin(look_for_lost_rows(&mut asking, &placed, &mut services)).await?;
    Ok(services)
}

/// Which session holds the migration lock of a service, asked on a session that is in use. It reads the catalogs alone, and waits for no table.
pub(crate) async fn holder_on(session: &Session, site: &Site) -> Result<Option<Holder>, sqlx::Error> {
    let (_, found) = facts::read(&session.rows(&facts::query(&[site])).await?, &[site])?;
    Ok(found.into_iter().next().and_then(|found| found.facts.holder))
}

/// Through what a survey asks.
pub(super) enum Asking<'a> {
    /// A connection of its own.
    Alone(Reading<'a>),
    /// A session that runs migrations, outside a transaction, and how long its questions wait for a lock of others.
    Working { session: &'a Session, url: &'a DatabaseUrl, limit: Duration },
}

impl<'a> Asking<'a> {
    /// Rows of a question; and further sessions that see the same moment, as many as are worth it for so many services.
    /// Those that cannot be had are done without.
    async fn rows_and_sessions(
        &mut self,
        sql: &str,
        n_services: usize,
    ) -> Result<(Vec<PgRow>, Vec<Asking<'a>>), sqlx::Error> {
        let n_sessions = (n_services / SERVICES_PER_SESSION).clamp(1, SESSIONS);
        let Self::Alone(reading) = self else { return Ok((self.rows(sql).await?, Vec::new())) };
        if n_sessions == 1 {
            return Ok((reading.rows(sql).await?, Vec::new()));
        }
        let (url, patience, snapshot) = (reading.url(), reading.patience(), reading.export().await?);
        let open = || async {
            let mut beside = Reading::beside(url, patience).await.ok()?;
            beside.begin_at(Some(&snapshot)).await.ok()?;
            Some(Asking::Alone(beside))
        };
        let sessions = join_all((1..n_sessions).map(|_| open()));
        let (rows, sessions) = join(reading.rows(sql), sessions).await;
        Ok((rows?, sessions.into_iter().flatten().collect()))
    }

    /// Whether the database has Citus.
    fn has_citus(&self) -> bool {
        match self {
            Self::Alone(reading) => reading.has_citus(),
            Self::Working { session, .. } => session.is_distributed(),
        }
    }

    async fn rows(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut rows = Vec::new();
        let keep = |row| {
            rows.push(row);
            Ok(())
        };
        self.each_row(sql, keep).await?;
        Ok(rows)
    }

    async fn each_row(&mut self, sql: &str, take: impl TakeRow) -> Result<(), sqlx::Error> {
        match self {
            Self::Alone(reading) => reading.each_row(sql, take).await,
            Self::Working { session, url, limit } => {
                // One message is one transaction, with which the limit ends. It is set without a row among those of the answer,
                // and not by `SET LOCAL`: Citus would send the message to every node of which it asks something.
                let limit = timeout_ms(*limit);
                let sql = format!(
                    "{BOOKKEEPING}SELECT FROM pg_catalog.set_config('lock_timeout', '{limit}', true) AS said WHERE said IS NULL; {sql}"
                );
                let report = |blocker: &Blocker, waited| event::reading_waiting(url, blocker, waited);
                watched(url, session.pid(), report, session.each_row(&sql, take)).await
            }
        }
    }

    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Alone(reading) => reading.begin().await,
            Self::Working { .. } => Ok(()),
        }
    }

    /// Begins a transaction whose questions wait so long for a lock of others.
    async fn begin_within(&mut self, patience: Duration) -> Result<(), sqlx::Error> {
        match self {
            Self::Alone(reading) => reading.begin_within(patience).await,
            Self::Working { limit, .. } => {
                *limit = patience;
                Ok(())
            }
        }
    }

    async fn end(&mut self) {
        match self {
            Self::Alone(reading) => reading.end().await,
            Self::Working { .. } => {}
        }
    }

    async fn close(self) {
        match self {
            Self::Alone(reading) => reading.close().await,
            Self::Working { .. } => {}
        }
    }
}

/// Services that are read by one statement, and what is found of them.
type Chunk<'c> = (&'c [&'c Site], &'c mut [Found]);

/// Reads the tables of all services: each session takes the next chunk when it has read one.
async fn read_chunks(
    asking: &mut Asking<'_>,
    beside: &mut [Asking<'_>],
    sites: &[&Site],
    found: &mut [Found],
    patience: &Patience<'_>,
) -> Result<(), sqlx::Error> {
    let chunks = Mutex::new(sites.chunks(CHUNK).zip(found.chunks_mut(CHUNK)).collect::<VecDeque<_>>());
    let helping = join_all(beside.iter_mut().map(|session| read_next_ones(session, &chunks, patience)));
    let (read, _) = join(read_next_ones(asking, &chunks, patience), helping).await;
    read?;
    // What a session that broke off had taken.
    read_next_ones(asking, &chunks, patience).await
}

/// Reads chunks until there are none. One that could not be read is put back.
async fn read_next_ones(
    asking: &mut Asking<'_>,
    chunks: &Mutex<VecDeque<Chunk<'_>>>,
    patience: &Patience<'_>,
) -> Result<(), sqlx::Error> {
    loop {
        let Some((sites, found)) = chunks.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else {
            return Ok(());
        };
        if let Err(error) = read_chunk(asking, sites, found, patience).await {
            chunks.lock().unwrap_or_else(PoisonError::into_inner).push_back((sites, found));
            return Err(error);
        }
    }
}

async fn read(
    asking: &mut Asking<'_>,
    sites: &[&Site],
    patience: &Patience<'_>,
) -> Result<(ServerFacts, Vec<ServiceFacts>), sqlx::Error> {
    asking.begin().await?;
    let (rows, mut beside) = asking.rows_and_sessions(&facts::query(sites), sites.len()).await?;
    let (server, mut found) = facts::read(&rows, sites)?;
    for (site, found) in sites.iter().zip(&mut found) {
        found.judge(site, &server.user);
        found.judge_mark(site);
    }
    if asking.has_citus() {
        let rows = asking.rows(facts::DISTRIBUTED).await?;
        let distributed: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        for (site, found) in sites.iter().zip(&mut found) {
            found.facts.is_distributed = distributed.contains(&site.schema);
        }
    }
    read_chunks(asking, &mut beside, sites, &mut found, patience).await?;
    join_all(beside.into_iter().map(Asking::close)).await;
    for (site, found) in sites.iter().zip(&mut found) {
        found.conclude(site);
    }
    for (sites, found) in sites.chunks(CHUNK).zip(found.chunks_mut(CHUNK)) {
        if let Some(query) = emptiness::query(sites, found) {
            emptiness::fill(sites, found, &asking.rows(&query).await?)?;
        }
    }
    Ok((server, found.into_iter().map(|found| found.facts).collect()))
}

/// Reads the tables of some services together. If the server refuses that, each table is read by itself, so that an odd
/// one makes no other unreadable.
async fn read_chunk(
    asking: &mut Asking<'_>,
    sites: &[&Site],
    found: &mut [Found],
    patience: &Patience<'_>,
) -> Result<(), sqlx::Error> {
    let parts: Vec<Part> =
        found.iter().enumerate().flat_map(|(ordinal, found)| found.parts(ordinal)).collect();
    if parts.is_empty() {
        return Ok(());
    }
    match read_parts(asking, sites, found, &parts).await {
        Err(sqlx::Error::Database(_)) => {
            for part in parts {
                // A transaction that failed answers nothing more.
                asking.end().await;
                found[part.ordinal()].forget(part);
                asking.begin_within(patience.left(sites[part.ordinal()].name())).await?;
                match read_parts(asking, sites, found, &[part]).await {
                    Ok(()) => {}
                    Err(error) if is_locked(&error) => {
                        asking.end().await;
                        asking.begin().await?;
                        let locked = patience.is_over(asking, part, sites).await;
                        found[part.ordinal()].fail(part, locked);
                    }
                    Err(source @ sqlx::Error::Database(_)) => {
                        let unread = &mut found[part.ordinal()];
                        let (service, table) = part.names(sites);
                        unread.fail(part, SurveyError::Table { service, table, source });
                        // What is asked next is answered.
                        asking.end().await;
                        asking.begin().await?;
                    }
                    Err(lost) => return Err(lost),
                }
            }
            Ok(())
        }
        read => read,
    }
}

/// Reads some tables with one question.
async fn read_parts(
    asking: &mut Asking<'_>,
    sites: &[&Site],
    found: &mut [Found],
    parts: &[Part],
) -> Result<(), sqlx::Error> {
    let fill = |row| histories::fill(sites, found, &row);
    asking.each_row(&histories::query(sites, parts), fill).await
}

impl Found {
    /// The tables that there are to be read.
    fn parts(&self, ordinal: usize) -> impl Iterator<Item = Part> {
        let is_here = self.mark.is_none();
        let version = (is_here && self.version == Relation::Readable).then_some(VersionTable(ordinal));
        let journal = (is_here && self.journal == Relation::Readable).then_some(Journal(ordinal));
        version.into_iter().chain(journal)
    }

    /// Notes what cannot be read by what the catalogs say.
    fn judge(&mut self, site: &Site, user: &str) {
        for (part, relation) in [(Journal(0), self.journal), (VersionTable(0), self.version)] {
            let (service, table) = part.names(&[site]);
            match relation {
                Relation::None | Relation::Readable => {}
                Relation::Forbidden => {
                    self.fail(part, SurveyError::Forbidden { service, table, user: user.to_owned() });
                }
                Relation::Other(kind) => self.fail(part, SurveyError::NotATable { service, table, kind }),
            }
        }
    }

    /// Notes that the service is in another place: then nothing else is asked of what is here.
    fn judge_mark(&mut self, site: &Site) {
        let Some(mark) = self.mark.clone() else { return };
        let error = SurveyError::of_mark(site.name().clone(), mark);
        self.fail(VersionTable(0), error);
    }

    /// Notes why a table could not be read. What concerns the version table tells more than what concerns the journal.
    pub(super) fn fail(&mut self, part: Part, error: SurveyError) {
        let is_version_table = matches!(part, VersionTable(_));
        if is_version_table {
            self.facts.access = match error {
                SurveyError::Forbidden { .. } => Access::Forbidden,
                _ => Access::Unreadable,
            };
        }
        self.forget(part);
        if is_version_table || self.facts.unread.is_none() {
            self.facts.unread = Some(Arc::new(error));
        }
    }

    /// Forgets what a table said.
    fn forget(&mut self, part: Part) {
        match part {
            VersionTable(_) => self.facts.applied.clear(),
            Journal(_) => {
                self.facts.journal.clear();
                self.facts.first_install = false;
            }
        }
    }

    /// A missing version table means an empty service only if the journal does not say otherwise; and a journal that has fewer lines
    /// than it had says nothing of what is not in it.
    fn conclude(&mut self, site: &Site) {
        let is_read = self.facts.access == Access::Read && self.facts.unread.is_none();
        let is_there = self.journal != Relation::None;
        let n_lost = self.n_lines_noted.map(|noted| noted - self.n_lines);
        if let Some(n_lost) = n_lost.filter(|&n_lost| is_read && (n_lost > 0 || !is_there)) {
            let (service, journal) = Journal(0).names(&[site]);
            let lost = SurveyError::JournalLost { service, journal, n_lost, is_there };
            self.facts.unread = Some(Arc::new(lost));
        }
        if self.facts.access != Access::Absent {
            return;
        }
        if self.facts.unread.is_some() {
            self.facts.access = match self.journal {
                Relation::Forbidden => Access::Forbidden,
                _ => Access::Unreadable,
            };
        } else if self.facts.journal.facts().any(|journal| journal.succeeded) {
            let (service, table) = VersionTable(0).names(&[site]);
            self.facts.access = Access::Lost;
            self.facts.unread = Some(Arc::new(SurveyError::Lost { service, table, journal: site.journal() }));
        }
    }
}
