//! What of a history is later than the server's clock. What is applied afterwards is recorded no earlier, so that soak times last longer.

use migration_coordinator::{Deployment, Survey};
use migration_kit::qualified;
use migration_report::timestamp;

use super::{Finding, Verdict};

/// Clocks of servers that take each other's place may be apart by that much, in seconds.
const APART: i64 = 60;

/// A warning for each service whose version table has a time that is still to come.
pub(super) fn look(deployment: &Deployment, survey: &Survey) -> Vec<Finding> {
    let now = survey.now();
    if now == 0 {
        return Vec::new();
    }
    let of_service = |facts: &migration_coordinator::ServiceFacts| {
        let latest = facts.applied.iter().max_by_key(|row| row.applied_at)?;
        if latest.applied_at <= now.saturating_add(APART) {
            return None;
        }
        let (placed, schema, _) = deployment.service(&facts.service)?;
        let message = format!(
            "`{}` is recorded as applied at {}, which is still to come: what is applied after it is recorded no earlier, and contract \
             steps soak until then and longer",
            latest.name,
            timestamp(latest.applied_at)
        );
        let hint = format!(
            "if a clock was wrong: `UPDATE {} SET applied_at = least(applied_at, extract(epoch FROM now())::bigint)`",
            qualified(schema, placed.version_table())
        );
        Some(Finding::new(Verdict::Warning, facts.service.to_string(), message, Some(hint)))
    };
    survey.services.iter().filter_map(of_service).collect()
}
