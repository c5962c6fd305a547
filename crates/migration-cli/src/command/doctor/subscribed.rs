//! Logical subscriptions that write to tables of services: triggers do not fire for what they bring.

use migration_coordinator::{Deployment, subscribed};
use migration_plan::few_words;

use super::{Examined, Finding, SHOWN, Verdict};

/// Adds the subscriptions. Of a database that does not answer, that was said; a role that may not know of subscriptions hears
/// nothing of them.
pub(super) async fn look(deployment: &Deployment, examined: &mut Examined) {
    for database in 0..deployment.databases().len() {
        let found = subscribed(deployment, database).await.unwrap_or_default();
        examined.findings.extend(found.iter().map(|((service, subscription), tables)| {
            let tables: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
            let message = format!(
                "subscription `{subscription}` writes to {}, where triggers do not fire for it",
                few_words(&tables, SHOWN)
            );
            let hint = "what it changes is not kept in step until the contract step looks at the rows once more: let it rest \
                        before `up --contract`, and read `plan --contract` then";
            Finding::new(Verdict::Warning, service.to_string(), message, Some(hint.to_owned()))
        }));
    }
}
