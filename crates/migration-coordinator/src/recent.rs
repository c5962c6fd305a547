//! What is worth reading now and then beside a survey: the latest lines of the journals, and what was rejected.

use std::sync::Arc;
use std::time::Duration;

use migration_kit::rejects::{self, RejectCounts};
use migration_kit::settings::timeout_ms;
use migration_kit::{BOOKKEEPING, ServiceName};
use sea_orm::sqlx;

use crate::deployment::Deployment;
use crate::journal::{JournalLine, journal_of};
use crate::reading::Reading;
use crate::site::Site;
use crate::survey::{Survey, SurveyError};

/// How long the server may take for one answer: whoever looks is not to cost more than what is looked at.
const LONGEST: Duration = Duration::from_secs(2);

/// What was read now and then.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    /// The latest lines of all journals, oldest first.
    pub lines: Vec<JournalLine>,
    /// What each service rejected that ever rejected something.
    pub rejects: Vec<(ServiceName, RejectCounts)>,
    /// What could not be read, and why.
    pub unread: Vec<Arc<SurveyError>>,
}

/// The latest `n_lines` of each journal and the rejects, of all services that a survey found installed.
pub async fn recent(deployment: &Deployment, survey: &Survey, n_lines: u32) -> Recent {
    let mut recent = Recent::default();
    let mut lines = Vec::new();
    for (index, url) in deployment.databases().iter().enumerate() {
        let is_installed = |site: &&Site| {
            site.database == index && survey.service(site.name()).is_some_and(|facts| facts.installed)
        };
        let sites: Vec<&Site> = deployment.sites().filter(is_installed).collect();
        if sites.is_empty() {
            continue;
        }
        let mut reading = match Reading::open(url).await {
            Ok(reading) => reading,
            Err(error) => {
                recent.unread.push(Arc::new(error.into()));
                continue;
            }
        };
        for site in sites {
            match read(&mut reading, site, n_lines).await {
                Ok((read, counts)) => {
                    lines.extend(read);
                    if counts.n_deleted > 0 || !counts.counts.is_empty() {
                        recent.rejects.push((site.name().clone(), counts));
                    }
                }
                Err((table, source)) => recent.unread.push(Arc::new(SurveyError::Table {
                    service: site.name().clone(),
                    table: format!("{}.{table}", site.schema),
                    source,
                })),
            }
            reading.end().await;
        }
        reading.close().await;
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    recent.lines = lines.into_iter().map(|(_, line)| line).collect();
    recent
}

/// Lines and rejects of one service; or the table that could not be read, and why.
async fn read(
    reading: &mut Reading<'_>,
    site: &Site,
    n_lines: u32,
) -> Result<(Vec<(String, JournalLine)>, RejectCounts), (String, sqlx::Error)> {
    let of_journal = |source| (site.journal_name(), source);
    reading.begin().await.map_err(of_journal)?;
    let limit = format!(
        "{BOOKKEEPING}SELECT pg_catalog.set_config('statement_timeout', '{}', true)",
        timeout_ms(LONGEST)
    );
    reading.rows(&limit).await.map_err(of_journal)?;
    let lines = journal_of(reading, site, Some(n_lines)).await.map_err(of_journal)?;
    let service = site.name().as_str();
    let counted = reading.ask(|asked| rejects::counts(asked, &site.schema, service)).await;
    let counts =
        counted.map_err(|error| (rejects::table_name(service), sqlx::Error::Protocol(error.to_string())));
    Ok((lines, counts?))
}
