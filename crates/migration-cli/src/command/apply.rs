//! `apply`: carrying out a saved plan, exactly as it was reviewed.

use std::path::Path;

use migration_coordinator::Cancellation;

use super::run;
use crate::arguments::ApplyOptions;
use crate::context::Context;
use crate::output::Answer;
use crate::saved_plan::SavedPlan;

pub(super) async fn apply(
    context: &Context,
    file: &Path,
    options: &ApplyOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let saved = SavedPlan::read(file, &context.program.services()?)?;
    let goal = saved.goal()?;
    let run = run::consented(run::run_options(&options.run, cancellation), &options.consent).exactly();
    run::perform(context, ("apply", false), &goal, &run, Some(&saved)).await
}
