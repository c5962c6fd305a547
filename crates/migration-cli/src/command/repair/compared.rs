//! What has to be so before a journal is written anew: the schema is as the applied migrations make it, and what they promise holds.

use migration_coordinator::{RunError, Scope, verify};
use migration_kit::ServiceName;
use migration_plan::few_words;
use migration_report::Class;

use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;

/// How much that differs is said.
const SHOWN: usize = 5;

/// Refuses a service that is not as its applied migrations make it.
#[cfg_attr(
    not(feature = "rehearsal"),
    expect(unused_variables, reason = "without a rehearsal, checks alone are asked")
)]
pub(super) async fn as_applied(
    context: &Context,
    connected: &Connected,
    service: &ServiceName,
) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for verification in verify(&connected.deployment, std::slice::from_ref(service), Scope::Everything).await
    {
        let results = verification.results.map_err(RunError::Survey)?;
        wrong.extend(results.iter().filter(|result| !result.holds).map(ToString::to_string));
    }
    #[cfg(feature = "rehearsal")]
    if wrong.is_empty() {
        let all = context.program.services()?;
        wrong.extend(crate::command::drift::differences(&connected.deployment, service, all).await?);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let hint = if cfg!(feature = "rehearsal") {
        format!("`drift {service} --repair` prints the statements that bring it back; then run this again")
    } else {
        format!("`verify {service}` shows all of it")
    };
    Err(Failure {
        class: Class::Integrity,
        message: format!(
            "`{service}` is not as its applied migrations make it: {}: a migration may have stopped midway",
            few_words(wrong, SHOWN)
        ),
        hint: Some(hint),
    }
    .into())
}
