//! Tables of services that a logical subscription writes to: no trigger fires for what it brings, so rows of still-running old
//! code are not kept in step there.
//!
//! It reads catalogs only.

use std::collections::{BTreeMap, BTreeSet};

use migration_kit::{BOOKKEEPING, ServiceName};
use sea_orm::sqlx::{self, Row};

use crate::belongings::{Thing, name_of};
use crate::deployment::Deployment;
use crate::reading::Reading;
use crate::survey::SurveyError;

/// The tables that subscriptions of a database write to, by service and subscription. Tables of others are left out.
pub type Subscribed = BTreeMap<(ServiceName, String), BTreeSet<String>>;

/// Asks a database of the deployment, by its number, which subscriptions write to tables of services.
///
/// # Errors
/// [`SurveyError`] if it does not answer, or if the role may not know of subscriptions.
pub async fn subscribed(deployment: &Deployment, database: usize) -> Result<Subscribed, SurveyError> {
    let url = &deployment.databases()[database];
    let mut reading = Reading::open(url).await?;
    let asked = ask(&mut reading, deployment, database).await;
    reading.close().await;
    asked.map_err(|source| SurveyError::Query { database: url.to_string(), source })
}

async fn ask(
    reading: &mut Reading<'_>,
    deployment: &Deployment,
    database: usize,
) -> Result<Subscribed, sqlx::Error> {
    let question = format!(
        "{BOOKKEEPING}SELECT n.nspname::text, c.relname::text, {}, s.subname::text FROM pg_catalog.pg_subscription s \
         JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid JOIN pg_catalog.pg_class c ON c.oid = r.srrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
        name_of("c"),
    );
    let mut found = Subscribed::new();
    reading.begin().await?;
    for row in reading.rows(&question).await? {
        let [schema, table, bears, subscription]: [String; 4] =
            [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
        if let Some(service) = deployment.owner_of(database, &schema, &Thing::relation(&bears)) {
            let tables = found.entry((service.clone(), subscription)).or_default();
            tables.insert(format!("{schema}.{table}"));
        }
    }
    Ok(found)
}
