//! What each step of a deployment does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use migration_backup::can_be_backed_up;
use migration_coordinator::{
    Cancellation, Planned, RunError, Scope, cancellation as own_cancellation, plan_for, table_sizes, verify,
};
use migration_kit::ServiceName;
use migration_plan::Direction;
use migration_report::{Class, Diagnostic, PlanReport, RunReport, Verifications};

use super::record::{Place, Record};
use super::{Failed, Outcome, STEPS, Step, StepReport, goal, outside};
use crate::arguments::DeployArguments;
use crate::command::doctor::{Verdict, examine, refusals};
use crate::command::space::bytes;
use crate::command::{backup, run, verify as checks};
use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;
use crate::output::{Text, duration};
use crate::words::OurWords;

/// A deployment at work.
pub(super) struct Deploying<'c> {
    pub(super) context: &'c Context,
    pub(super) cancellation: &'c Cancellation,
    pub(super) connected: &'c Connected,
    pub(super) place: &'c Place,
    pub(super) record: Record,
    pub(super) steps: Vec<StepReport>,
    /// The services that it changes.
    services: Vec<ServiceName>,
}

/// What the prerequisites say.
pub(super) struct Looked {
    pub(super) class: Class,
    pub(super) errors: Vec<Diagnostic>,
    /// What is to be applied, as `service:migration`.
    pub(super) migrations: Vec<String>,
    /// The services that it changes.
    pub(super) services: Vec<ServiceName>,
}

impl<'c> Deploying<'c> {
    pub(super) fn new(
        context: &'c Context,
        cancellation: &'c Cancellation,
        connected: &'c Connected,
        place: &'c Place,
        record: Record,
    ) -> Self {
        let (steps, services) = (Vec::new(), Vec::new());
        Self { context, cancellation, connected, place, record, steps, services }
    }

    /// Does all steps that are not done, until one fails.
    pub(super) async fn all(&mut self) -> Result<(), Failed> {
        for step in STEPS {
            if self.record.done.contains(&step) {
                self.steps.push(StepReport { step, outcome: Outcome::Before, elapsed_ms: 0 });
                continue;
            }
            if !self.is_wanted(step) {
                continue;
            }
            self.begin(step)?;
            let begun = Instant::now();
            let done = Box::pin(self.step(step)).await;
            let outcome = if done.is_ok() { Outcome::Done } else { Outcome::Failed };
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.steps.push(StepReport { step, outcome, elapsed_ms });
            done?;
            // The world may have changed when it is continued.
            if step != Step::Prerequisites {
                self.record.done.push(step);
                self.place.write(&self.record)?;
            }
        }
        Ok(())
    }

    /// Says where it is, to people and in the record.
    fn begin(&mut self, step: Step) -> Result<(), Failed> {
        if self.cancellation.is_cancelled() {
            return Err(outside::interrupted().into());
        }
        self.record.at = step;
        match step {
            Step::Apply => self.record.has_changed |= !self.record.own.before.is_empty(),
            Step::Start | Step::Health => self.record.has_started = true,
            Step::Prerequisites | Step::Stop | Step::Backup | Step::Verify => {}
        }
        self.place.write(&self.record)?;
        let mut text = Text::default();
        text.line(self.context.output.paint.strong(step.as_str()));
        self.context.output.say(&text);
        Ok(())
    }

    fn is_wanted(&self, step: Step) -> bool {
        let arguments = &self.record.arguments;
        // Where nothing was pending when it began, the application is left alone.
        let is_idle = self.record.own.before.is_empty();
        match step {
            Step::Prerequisites | Step::Apply | Step::Verify => true,
            Step::Stop => arguments.stop_command.is_some() && !is_idle,
            Step::Backup => !arguments.no_backup && !is_idle,
            Step::Start => arguments.start_command.is_some() && !is_idle,
            Step::Health => arguments.health_url.is_some(),
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Failed> {
        let arguments = self.record.arguments.clone();
        match step {
            Step::Prerequisites => self.prerequisites(&arguments).await,
            Step::Stop => self.command(arguments.stop_command.as_deref()).await,
            Step::Backup => {
                let (connected, services) = (self.connected, &self.services);
                let backup = backup::before_a_run(self.context, connected, services, self.cancellation);
                self.record.archives = Box::pin(backup).await?;
                Ok(())
            }
            Step::Apply => self.apply(&arguments).await,
            Step::Verify => self.verify().await,
            Step::Start => self.command(arguments.start_command.as_deref()).await,
            Step::Health => self.health().await,
        }
    }

    async fn prerequisites(&mut self, arguments: &DeployArguments) -> Result<(), Failed> {
        let looked = look(self.context, self.connected, arguments, self.cancellation).await?;
        if !looked.class.is_ok() {
            return Err(Failed { class: looked.class, errors: looked.errors });
        }
        self.services = looked.services;
        // Of one that is continued, what was before is known.
        let noting = self.record.own.note(&self.connected.deployment, &self.services);
        let noted = self.cancellation.unless_cancelled(noting).await.ok_or_else(outside::interrupted)?;
        Ok(noted.map_err(anyhow::Error::from)?)
    }

    pub(super) async fn command(&self, command: Option<&str>) -> Result<(), Failed> {
        match command {
            Some(command) => {
                let (output, log) = (&self.context.output, &self.record.log);
                Ok(outside::command(output, log, command, self.cancellation).await?)
            }
            None => Ok(()),
        }
    }

    async fn apply(&mut self, arguments: &DeployArguments) -> Result<(), Failed> {
        let goal = goal(self.context, arguments)?;
        let options = run::run_options(&arguments.run, self.cancellation);
        let planned = plan_for(&self.connected.deployment, &goal, &options);
        let planned = self.cancellation.unless_cancelled(planned).await;
        let planned = planned.unwrap_or(Err(RunError::Interrupted)).map_err(anyhow::Error::from)?;
        let is_new = |service: &&&ServiceName| !self.record.own.before.contains_key(service.as_str());
        if let Some(service) = planned.plan().services().iter().find(is_new) {
            return Err(anyhow::Error::from(other_services(service)).into());
        }
        let output = &self.context.output;
        output.align(run::width(planned.plan()));
        let (ended, is_late) = self.carry_out(&planned, arguments).await;
        let mut failed = match ended {
            Err(error) => Failed::from(anyhow::Error::from(error)),
            Ok(report) => {
                let applied = report.done.iter().filter(|done| done.direction == Direction::Apply);
                self.record.migrations.extend(applied.map(|done| done.id.to_string()));
                self.place.write(&self.record)?;
                let found = RunReport::of(None, &report, Vec::new(), &OurWords);
                let mut text = Text::default();
                run::say_held_back(&report.held_back, output.paint, &mut text);
                output.say(&text);
                if found.class.is_ok() {
                    return Ok(());
                }
                Failed { class: found.class, errors: found.errors }
            }
        };
        // Stopped by the clock alone.
        if let (true, Some(limit)) = (is_late, arguments.time_limit) {
            failed.class = if self.record.migrations.is_empty() { Class::Failed } else { Class::Partial };
            for error in failed.errors.iter_mut().filter(|error| error.class == Class::Interrupted) {
                error.class = failed.class;
                error.context.push(format!("the time limit of {} was over", duration(limit)));
            }
        }
        Err(failed)
    }

    /// Applies, and stops when the time is over or a signal arrives. Gives whether it was the time.
    async fn carry_out(
        &self,
        planned: &Planned<'_>,
        arguments: &DeployArguments,
    ) -> (Result<migration_coordinator::Report, RunError>, bool) {
        let (stop, stopped) = own_cancellation();
        let options = run::consented(run::run_options(&arguments.run, &stopped), &arguments.consent);
        let options = options.within(self.record.own.clone());
        let running = Box::pin(planned.carry_out(&options));
        tokio::pin!(running);
        let limit =
            tokio::time::sleep(arguments.time_limit.unwrap_or(Duration::from_secs(u64::from(u32::MAX))));
        tokio::pin!(limit);
        let mut is_late = false;
        loop {
            tokio::select! {
                ended = &mut running => return (ended, is_late),
                () = self.cancellation.cancelled(), if !stopped.is_cancelled() => stop.now(),
                () = &mut limit, if !is_late && !stopped.is_cancelled() => {
                    is_late = true;
                    stop.now();
                }
            }
        }
    }

    async fn verify(&self) -> Result<(), Failed> {
        let chosen: BTreeSet<ServiceName> = match self.record.own.before.is_empty() {
            // Nothing was pending: what was asked for is looked at all the same.
            true => self.record.arguments.targets.iter().map(|target| target.service.clone()).collect(),
            false => self.record.own.before.keys().filter_map(|name| name.parse().ok()).collect(),
        };
        let chosen: Vec<ServiceName> = chosen.into_iter().collect();
        let asked = verify(&self.connected.deployment, &chosen, Scope::Everything);
        let asked = self.cancellation.unless_cancelled(asked).await.ok_or_else(outside::interrupted)?;
        let found = Verifications::of(asked, &OurWords);
        let mut text = Text::default();
        found.body.services.iter().for_each(|service| {
            checks::of_service(service, self.context.output.paint, &mut text);
        });
        self.context.output.say(&text);
        if found.class.is_ok() {
            return Ok(());
        }
        let mut errors = found.errors;
        if errors.is_empty() {
            let failure = Failure {
                class: found.class,
                message: "what the applied migrations promise does not hold".to_owned(),
                hint: Some("`verify` asks again".to_owned()),
            };
            errors.push(Diagnostic::of(&failure, &OurWords));
        }
        Err(Failed { class: found.class, errors })
    }

    pub(super) async fn health(&self) -> Result<(), Failed> {
        let DeployArguments { health_url, health_body, health_timeout, .. } = &self.record.arguments;
        let Some(url) = health_url else { return Ok(()) };
        let n_asked =
            outside::health(url, health_body.as_deref(), *health_timeout, self.cancellation).await?;
        let mut text = Text::default();
        let times = if n_asked == 1 { "once".to_owned() } else { format!("{n_asked} times") };
        text.line(format!("  `{url}` is healthy, asked {times}"));
        self.context.output.say(&text);
        Ok(())
    }
}

/// Looks at what is to be done and at everything that it needs.
pub(super) async fn look(
    context: &Context,
    connected: &Connected,
    arguments: &DeployArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Looked> {
    let looking = look_at_all(context, connected, arguments, cancellation);
    cancellation.unless_cancelled(looking).await.unwrap_or_else(|| Err(outside::interrupted()))
}

async fn look_at_all(
    context: &Context,
    connected: &Connected,
    arguments: &DeployArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Looked> {
    let deployment = &connected.deployment;
    let goal = goal(context, arguments)?;
    let options = run::run_options(&arguments.run, cancellation);
    let planned = plan_for(deployment, &goal, &options).await?;
    let services: Vec<ServiceName> = planned.plan().services().into_iter().cloned().collect();
    let report = PlanReport::of(deployment, planned.plan(), &OurWords);
    let mut looked = Looked {
        class: Class::Done,
        errors: Vec::new(),
        migrations: report.steps.iter().map(|step| format!("{}:{}", step.service, step.migration)).collect(),
        services,
    };
    let services = &looked.services;
    if services.is_empty() {
        return Ok(looked);
    }
    let number = |service: &ServiceName| deployment.service(service).map(|(_, _, database)| database);
    let databases: BTreeSet<usize> = services.iter().filter_map(number).collect();
    let there = deployment.services().filter(|(_, _, database)| databases.contains(database));
    let there: Vec<ServiceName> = there.map(|(service, ..)| service.name().clone()).collect();
    let mut found = examine(context, connected, &there).await?;
    refusals::secured(&planned, &mut found).await?;
    let is_shown_by_doctor = !found.class().is_ok();
    let backs_up = !arguments.no_backup && context.environment.backup_command()?.is_none();
    if backs_up {
        let mut needed = 0;
        for service in services {
            let tables = table_sizes(deployment, service).await?;
            needed += tables.iter().map(|table| table.size.total_bytes).sum::<u64>();
        }
        let directory = context.environment.backup_directory()?;
        let free = outside::free(&directory)?;
        let (shown, of) = (context.environment.relative(&directory).to_string(), "this machine");
        let message =
            format!("{} are free for the backup in `{shown}`, of {} of data", bytes(free), bytes(needed));
        if free > needed {
            found.add(of, Verdict::Good, message, None);
        } else {
            let hint = "`MIGRATE_BACKUP_DIR` names another directory; `--no-backup` does without";
            found.add(of, Verdict::Bad, message, Some(hint));
        }
    }
    // What `up` would refuse is refused before anything is stopped or backed up.
    let options = run::consented(run::run_options(&arguments.run, cancellation), &arguments.consent);
    let refused = match found.class().is_ok() {
        true => planned.check(&options).await.err().map(|error| Failed::from(anyhow::Error::from(error))),
        false => None,
    };
    let refused = match refused {
        None if backs_up && found.class().is_ok() => {
            let looking = Box::pin(can_be_backed_up(deployment, services));
            looking.await.err().map(|error| Failed::from(backup::raised(error)))
        }
        refused => refused,
    };
    let mut text = Text::default();
    found.say(Verdict::Warning, context.output.paint, &mut text);
    if refused.is_none() {
        text.line(format!("  {}", found.sum()));
    }
    context.output.say(&text);
    if let Some(Failed { class, errors }) = refused {
        return Ok(Looked { class, errors, ..looked });
    }
    looked.class = found.class();
    looked.errors = found.errors().to_vec();
    if looked.class == Class::Integrity && looked.errors.is_empty() {
        let failure = Failure {
            class: looked.class,
            message: "something would stop the run".to_owned(),
            hint: Some(if is_shown_by_doctor {
                "`doctor` shows it again; nothing was changed".to_owned()
            } else {
                "nothing was changed".to_owned()
            }),
        };
        looked.errors.push(Diagnostic::of(&failure, &OurWords));
    }
    Ok(looked)
}

/// Another run has made something pending since it was looked at, of a service that was neither noted nor backed up.
fn other_services(service: &ServiceName) -> Failure {
    Failure {
        class: Class::Refused,
        message: format!(
            "`{service}` has migrations to apply, and had none when the deployment looked at it"
        ),
        hint: Some(format!(
            "another run has reverted them meanwhile: `history {service}` shows it; deploy again"
        )),
    }
}

/// What a step would do; `None` if it is left out.
pub(super) fn would(
    step: Step,
    arguments: &DeployArguments,
    migrations: &[String],
    n_services: usize,
) -> Option<String> {
    let is_idle = n_services == 0;
    let command = |command: &Option<String>| {
        command.as_ref().filter(|_| !is_idle).map(|command| format!("would run `{command}`"))
    };
    match step {
        Step::Prerequisites => None,
        Step::Stop => command(&arguments.stop_command),
        Step::Start => command(&arguments.start_command),
        Step::Backup => (!arguments.no_backup && !is_idle)
            .then(|| format!("would back up {}", crate::command::services(n_services))),
        Step::Apply if is_idle => Some("nothing to do".to_owned()),
        Step::Apply => Some(format!("would apply {}", migrations.join(", "))),
        Step::Verify => Some("would check what the migrations promise".to_owned()),
        Step::Health => arguments.health_url.as_ref().map(|url| format!("would ask `{url}`")),
    }
}
