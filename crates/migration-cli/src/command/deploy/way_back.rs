//! The way back of a deployment that failed: nothing is done that nobody asked for.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;

use migration_backup::RestoreOptions;
use migration_coordinator::{Goal, RunError, Survey, plan_for};
use migration_kit::ServiceName;
use migration_plan::{Selection, TargetPoint, few_words};
use migration_report::{Class, Diagnostic, RunReport};
use serde::Serialize;

use super::steps::Deploying;
use super::{Failed, Step, outside};
use crate::arguments::OnFailure;
use crate::command::{backup, run};
use crate::output::Text;
use crate::words::OurWords;

/// A way back that was gone.
#[derive(Debug, Serialize)]
pub(super) struct WayBack {
    chosen: OnFailure,
    /// Whether everything is as it was before.
    done: bool,
    /// The services whose tables are as they were before, whatever the application is.
    services: Vec<String>,
}

/// What became of the way back.
pub(super) struct Gone {
    pub(super) way: Option<WayBack>,
    pub(super) errors: Vec<Diagnostic>,
}

impl WayBack {
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// What of the databases is as it was before, in words; nothing if nothing was gone back in them.
    pub(super) fn of_databases(&self) -> Option<String> {
        let did = match self.chosen {
            OnFailure::Keep => return None,
            OnFailure::Revert => "reverted",
            OnFailure::Restore => "restored",
        };
        let were = if self.services.len() == 1 { "was" } else { "were" };
        let names = few_words(self.services.iter().map(|service| format!("`{service}`")), 5);
        (!self.services.is_empty()).then(|| format!("{names} {were} {did}"))
    }
}

impl Deploying<'_> {
    /// Goes the way back that was asked for; where nothing was changed, only the application is started again.
    pub(super) async fn way_back(&mut self, class: Class) -> Gone {
        let nothing = Gone { way: None, errors: Vec::new() };
        // Who stops it decides what becomes of it.
        if class == Class::Interrupted {
            return nothing;
        }
        let chosen = match self.record.at {
            Step::Prerequisites | Step::Stop | Step::Backup => {
                // Nothing was changed in the database; what was begun is over.
                let started = if self.record.is_stopped() { self.start_again().await } else { Ok(()) };
                let done = started.is_ok();
                let errors = started.err().map(|failed| failed.errors).unwrap_or_default();
                let (chosen, services) = (OnFailure::Keep, Vec::new());
                return Gone { way: Some(WayBack { chosen, done, services }), errors };
            }
            _ => self.choice().await,
        };
        if chosen == OnFailure::Keep {
            return Gone { way: Some(WayBack { chosen, done: false, services: Vec::new() }), ..nothing };
        }
        let mut services = Vec::new();
        let gone = self.go(chosen, &mut services).await;
        let done = gone.is_ok();
        Gone {
            way: Some(WayBack { chosen, done, services }),
            errors: gone.err().map(|failed| failed.errors).unwrap_or_default(),
        }
    }

    /// Goes it, with the application stopped if it can be. Names the services whose tables are as they were, once all are.
    async fn go(&mut self, chosen: OnFailure, services: &mut Vec<String>) -> Result<(), Failed> {
        let stop = self.record.arguments.stop_command.clone();
        if stop.is_some() && !self.record.is_stopped() {
            self.say(Step::Stop.as_str());
            self.command(stop.as_deref()).await?;
        }
        // Whoever continues it from here on has everything to do again but this.
        self.record.done.retain(|step| *step == Step::Stop);
        self.place.write(&self.record)?;
        match chosen {
            OnFailure::Keep => return Ok(()),
            OnFailure::Revert => Box::pin(self.revert()).await?,
            OnFailure::Restore => Box::pin(self.restore()).await?,
        }
        services.extend(self.record.before.keys().cloned());
        self.start_again().await
    }

    /// What is to become of it: as the arguments say, or as a person at the terminal does.
    async fn choice(&self) -> OnFailure {
        if let Some(chosen) = self.record.arguments.on_failure {
            return chosen;
        }
        if !(self.context.output.is_human() && stdin().is_terminal() && stderr().is_terminal()) {
            return OnFailure::Keep;
        }
        // Of what a command has backed up there are manifests only.
        let is_archive = |archive: &PathBuf| archive.extension().is_some_and(|extension| extension == "dump");
        let may_restore = !self.record.archives.is_empty() && self.record.archives.iter().all(is_archive);
        let asked = tokio::task::spawn_blocking(move || ask(may_restore));
        self.cancellation.unless_cancelled(asked).await.and_then(Result::ok).unwrap_or(OnFailure::Keep)
    }

    /// Reverts what was applied since it began, or begun.
    async fn revert(&mut self) -> Result<(), Failed> {
        self.say("revert");
        let selections = self.record.before.iter().filter_map(|(service, newest)| {
            let service: ServiceName = service.parse().ok()?;
            let target = newest.clone().map_or(TargetPoint::Base, TargetPoint::Name);
            Some(Selection { service, target: Some(target) })
        });
        let goal = Goal::Revert { selections: selections.collect() };
        let arguments = &self.record.arguments;
        let mut options = run::run_options(&arguments.run, self.cancellation);
        let planning = plan_for(&self.connected.deployment, &goal, &options);
        let planned = self.cancellation.unless_cancelled(planning).await;
        let planned = planned.unwrap_or(Err(RunError::Interrupted)).map_err(anyhow::Error::from)?;
        // Until the application is started, nobody but the migrations has written to what they made.
        let is_theirs = matches!(self.record.at, Step::Apply | Step::Verify);
        options.allow_data_loss = is_theirs || arguments.consent.allow_data_loss;
        let carried_out = Box::pin(planned.carry_out(&options)).await;
        let report = carried_out.map_err(|error: RunError| anyhow::Error::from(error))?;
        let found = RunReport::of(None, &report, Vec::new(), &OurWords);
        if found.class.is_ok() {
            self.migrations.clear();
            Ok(())
        } else {
            Err(Failed { class: found.class, errors: found.errors })
        }
    }

    /// Restores the backups; a service that had nothing to back up is reverted to nothing.
    async fn restore(&mut self) -> Result<(), Failed> {
        if self.record.arguments.no_backup {
            let failure = crate::exit::Failure::usage(
                "there is no backup to restore: `--no-backup` was given",
                "`down` reverts what was applied",
            );
            return Err(anyhow::Error::from(failure).into());
        }
        self.say("restore");
        let options = RestoreOptions {
            wait: self.record.arguments.run.wait,
            replace: true,
            no_owner: false,
            from_elsewhere: false,
            dry_run: false,
            search: self.context.environment.programs().map_err(anyhow::Error::from)?,
            caller: run::caller(),
            cancellation: self.cancellation.clone(),
        };
        let archives: Vec<PathBuf> = self.record.archives.iter().rev().cloned().collect();
        for archive in archives {
            let restoring = migration_backup::restore(&self.connected.deployment, &archive, &options);
            let restored = Box::pin(restoring).await.map_err(backup::raised)?;
            let mut text = Text::default();
            let service = &restored.manifest.service;
            text.line(format!("  `{service}` is as it was at {}", restored.manifest.taken_at));
            for kept_in in &restored.kept_in {
                text.line(format!(
                    "  what it had is in the schema `{kept_in}`; `restore --drop-old {service}` drops it"
                ));
            }
            self.context.output.say(&text);
        }
        let was_empty = |(_, newest): &(&String, &Option<String>)| newest.is_none();
        if self.record.before.iter().any(|entry| was_empty(&entry)) {
            let before = self.record.before.clone();
            self.record.before.retain(|_, newest| newest.is_none());
            let survey = self.cancellation.unless_cancelled(Survey::take(&self.connected.deployment)).await;
            let survey = survey.ok_or_else(outside::interrupted)?;
            // Of what could not be read, and of what stopped midway, the revert says what becomes.
            let is_empty = |service: &str| {
                let mut of_it = survey.services.iter().filter(|facts| facts.service.as_str() == service);
                of_it.all(|facts| {
                    let is_read = facts.is_history_known() && facts.unread.is_none();
                    is_read && facts.applied.is_empty() && facts.begun().next().is_none()
                })
            };
            self.record.before.retain(|service, _| !is_empty(service));
            let reverted = if self.record.before.is_empty() { Ok(()) } else { Box::pin(self.revert()).await };
            self.record.before = before;
            reverted?;
        }
        self.migrations.clear();
        Ok(())
    }

    /// Starts the application and waits until it is healthy, as after what succeeds.
    async fn start_again(&mut self) -> Result<(), Failed> {
        let arguments = &self.record.arguments;
        let (start, is_asked) = (arguments.start_command.clone(), arguments.health_url.is_some());
        if start.is_some() {
            self.say(Step::Start.as_str());
            self.command(start.as_deref()).await?;
            self.record.done.clear();
            self.place.write(&self.record)?;
        }
        if is_asked && self.record.at != Step::Prerequisites {
            self.say(Step::Health.as_str());
            self.health().await?;
        }
        if self.cancellation.is_cancelled() {
            return Err(outside::interrupted().into());
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        let mut text = Text::default();
        text.line(self.context.output.paint.strong(what));
        self.context.output.say(&text);
    }
}

/// Asks at the terminal until the answer is one of those offered. The end of the input keeps everything.
fn ask(may_restore: bool) -> OnFailure {
    let offered = if may_restore { "[k]eep, [r]evert or re[s]tore" } else { "[k]eep or [r]evert" };
    loop {
        drop(write!(stderr(), "What now: {offered} what was deployed? ").and_then(|()| stderr().flush()));
        let mut line = String::new();
        match stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return OnFailure::Keep,
            Ok(_) => {}
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "k" | "keep" => return OnFailure::Keep,
            "r" | "revert" => return OnFailure::Revert,
            "s" | "restore" if may_restore => return OnFailure::Restore,
            _ => {}
        }
    }
}
