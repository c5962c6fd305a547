//! Reading the journal: what was run, when, by whom, and how it ended.

use std::sync::Arc;

use migration_kit::{BOOKKEEPING, ServiceName};
use migration_plan::Direction;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use crate::bookkeeping::Outcome;
use crate::deployment::Deployment;
use crate::reading::Reading;
use crate::site::Site;
use crate::survey::SurveyError;

/// One line of a service's journal, times as text in UTC.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JournalLine {
    /// The service.
    pub service: String,
    /// The migration.
    pub migration: String,
    /// The run that it belonged to.
    pub run: String,
    /// Apply or revert.
    #[serde(serialize_with = "verb")]
    pub direction: Direction,
    /// How it ended, if it did.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: String,
    /// How long it took, in milliseconds; `None` if nothing says that it ended.
    pub elapsed_ms: Option<i64>,
    /// Role of the database.
    pub role: String,
    /// Machine that ran it.
    pub host: String,
    /// Tool and version.
    pub tool: String,
    /// Why it failed, or how what was accepted differs.
    pub error: Option<String>,
    /// What was agreed to, words apart by spaces: `data_loss`, `ignored_soak`; or the object that was accepted.
    pub consent: Option<String>,
}

/// What the journals of some services say.
#[derive(Debug)]
pub struct Journals {
    /// Lines of all journals that were read, oldest first. A service without a journal has none.
    pub lines: Vec<JournalLine>,
    /// How many services were asked and answered.
    pub n_services: usize,
    /// Why the others did not.
    pub unread: Vec<Arc<SurveyError>>,
}

/// The journals of these services (all, if none are named). One that cannot be read leaves the others readable.
pub async fn journal(deployment: &Deployment, services: &[ServiceName]) -> Journals {
    let mut journals = Journals { lines: Vec::new(), n_services: 0, unread: Vec::new() };
    let mut lines = Vec::new();
    for (index, url) in deployment.databases().iter().enumerate() {
        let asked =
            |site: &&Site| site.database == index && (services.is_empty() || services.contains(site.name()));
        let asked: Vec<&Site> = deployment.sites().filter(asked).collect();
        if asked.is_empty() {
            continue;
        }
        let mut reading = match Reading::open(url).await {
            Ok(reading) => reading,
            Err(error) => {
                journals.unread.push(Arc::new(error.into()));
                continue;
            }
        };
        for site in asked {
            let read = async {
                reading.begin().await?;
                journal_of(&mut reading, site, None).await
            }
            .await;
            reading.end().await;
            match read {
                Ok(read) => {
                    journals.n_services += 1;
                    lines.extend(read);
                }
                Err(source) => journals.unread.push(Arc::new(SurveyError::Table {
                    service: site.name().clone(),
                    table: format!("{}.{}", site.schema, site.journal_name()),
                    source,
                })),
            }
        }
        reading.close().await;
    }
    // By the time of writing: a line that tells an end is younger than the one that tells the beginning.
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    journals.lines = lines.into_iter().map(|(_, line)| line).collect();
    journals
}

/// The lines of one journal (the latest ones, if so many are asked for), each with the time at which it was written, in the
/// transaction that is open.
pub(crate) async fn journal_of(
    reading: &mut Reading<'_>,
    site: &Site,
    n_latest: Option<u32>,
) -> Result<Vec<(String, JournalLine)>, sqlx::Error> {
    let exists = format!(
        "{BOOKKEEPING}SELECT pg_catalog.to_regclass({}) IS NOT NULL",
        migration_kit::literal(&site.journal())
    );
    if !reading.rows(&exists).await?.first().is_some_and(|row| row.get(0)) {
        return Ok(Vec::new());
    }
    let latest = n_latest.map_or_else(String::new, |n| format!(" DESC LIMIT {n}"));
    let sql = format!(
        "{BOOKKEEPING}SELECT migration::text, run, direction, outcome, \
         to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
         (extract(epoch FROM finished_at - started_at) * 1000)::int8, role, host, tool, error, consent, \
         to_char(coalesce(finished_at, started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM {} ORDER BY id{latest}",
        site.journal()
    );
    let mut lines: Vec<_> =
        reading.rows(&sql).await?.iter().map(|row| line(site, row)).collect::<Result<_, _>>()?;
    if n_latest.is_some() {
        lines.reverse();
    }
    Ok(lines)
}

/// The verb of a direction.
fn verb<S: serde::Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(direction.as_str())
}

/// A column that holds one of a few words.
fn word<T>(row: &PgRow, index: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(index)?;
    parse(text).ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is not known in a journal").into()))
}

fn line(site: &Site, row: &PgRow) -> Result<(String, JournalLine), sqlx::Error> {
    let line = JournalLine {
        service: site.name().to_string(),
        migration: row.try_get(0)?,
        run: row.try_get(1)?,
        direction: word(row, 2, Direction::parse)?,
        outcome: word(row, 3, Outcome::parse)?,
        started_at: row.try_get(4)?,
        elapsed_ms: row.try_get(5)?,
        role: row.try_get(6)?,
        host: row.try_get(7)?,
        tool: row.try_get(8)?,
        error: row.try_get(9)?,
        consent: row.try_get(10)?,
    };
    Ok((row.try_get(11)?, line))
}
