//! What planned migrations would decide about rows, asked before they are applied. Reads only.

use std::collections::BTreeSet;

use migration_kit::{BOOKKEEPING, MigrationId, Preview};
use migration_plan::{Direction, Plan};
use sea_orm::sqlx::{self, Row};

use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::survey::Survey;
use crate::verify;

/// How many rows of a preview are shown.
const SHOWN: usize = 20;

/// What is said where a preview cannot be asked yet.
const LATER: &str = "known once the steps before it are applied";

/// What a migration would decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewAnswer {
    /// The migration.
    pub id: MigrationId,
    /// What is listed.
    pub says: String,
    /// How many there are, and the first of them; or why that is not known.
    pub rows: Result<(u64, Vec<String>), String>,
}

/// Asks what the migrations that a plan applies or holds back would decide. What a preview reads may be made by an earlier
/// migration of the service that is pending too; it is then answered once that is applied.
pub async fn previews(deployment: &Deployment, survey: &Survey, plan: &Plan) -> Vec<PreviewAnswer> {
    let applied = plan.steps().iter().filter(|step| step.direction == Direction::Apply);
    let pending = applied.map(|step| &step.id).chain(plan.held_back().iter().map(|held| &held.id));
    let mut seen = BTreeSet::new();
    let mut answers = Vec::new();
    for id in pending {
        let is_first = seen.insert(&id.service);
        let Some(placed) = deployment.placed(&id.service) else { continue };
        let details = placed.service.migration(&id.name).map(migration_kit::Listed::details);
        // Nothing is decided about rows that there are none of.
        if survey.service(&id.service).is_some_and(|facts| facts.applied.is_empty()) {
            continue;
        }
        for preview in details.iter().flat_map(|details| &details.previews) {
            let asked = ask(deployment, placed, preview).await;
            // What it reads may be an earlier migration's to make.
            let rows = asked.map_err(|error| if is_first { error } else { LATER.to_owned() });
            answers.push(PreviewAnswer { id: id.clone(), says: preview.says.clone(), rows });
        }
    }
    answers
}

async fn ask(
    deployment: &Deployment,
    placed: &Placed,
    preview: &Preview,
) -> Result<(u64, Vec<String>), String> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open(url).await.map_err(|error| error.to_string())?;
    let asked = listed(&mut reading, placed, preview).await;
    reading.close().await;
    asked.map_err(|error| match error.as_database_error() {
        Some(server) => server.message().to_owned(),
        None => error.to_string(),
    })
}

async fn listed(
    reading: &mut Reading<'_>,
    placed: &Placed,
    preview: &Preview,
) -> Result<(u64, Vec<String>), sqlx::Error> {
    verify::begin(reading, placed).await?;
    let sql = preview.sql.trim().trim_end_matches(';');
    let sql = format!(
        "{BOOKKEEPING}SELECT row::text, count(*) OVER ()::int8 FROM ({sql}\n) AS previewed(row) LIMIT {SHOWN}"
    );
    let rows = reading.rows(&sql).await?;
    let n_rows = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(1))?;
    let shown: Result<Vec<String>, sqlx::Error> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok((u64::try_from(n_rows).unwrap_or(0), shown?))
}
