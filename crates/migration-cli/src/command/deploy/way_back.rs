//! The way back of a deployment that failed: nothing is done that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;

use migration_backup::RestoreOptions;
use migration_coordinator::{Goal, Mark, OwnRun, RunError, Survey, plan_for};
use migration_kit::ServiceName;
use migration_plan::{Selection, TargetPoint, few_words};
use migration_report::{Class, Diagnostic, RunReport};
use serde::Serialize;

use super::record::GoingBack;
use super::steps::Deploying;
use super::{Failed, Step, outside};
use crate::arguments::OnFailure;
use crate::command::{backup, run};
use crate::exit::Failure;
use crate::output::Text;
use crate::words::OurWords;

/// A way back that was gone.
#[derive(Debug, Serialize)]
pub(super) struct WayBack {
    chosen: OnFailure,
    /// Whether everything is as it was before.
    done: bool,
    /// The services that were gone back to where they were, whatever the application is.
    services: Vec<String>,
    /// What reverted migrations had lost when they were applied, a sentence each.
    lost: Vec<String>,
    /// Whether nothing more is to be done.
    #[serde(skip)]
    is_gone: bool,
}

/// What became of the way back.
pub(super) struct Gone {
    pub(super) way: Option<WayBack>,
    pub(super) errors: Vec<Diagnostic>,
}

impl WayBack {
    fn new(chosen: OnFailure, services: Vec<String>, lost: Vec<String>, is_gone: bool) -> Self {
        Self { chosen, done: is_gone && lost.is_empty(), services, lost, is_gone }
    }

    /// Whether nothing more is to be done.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether there was nothing to go back from: the deployment itself had applied nothing.
    pub(super) fn is_of_nothing(&self) -> bool {
        self.is_gone && self.chosen != OnFailure::Keep && self.services.is_empty()
    }

    /// What no way back but a backup brings back.
    pub(super) fn lost(&self) -> &[String] {
        &self.lost
    }

    /// What was done to the databases, in words; nothing if nothing was gone back in them.
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
        let begun = self.record.going_back.as_ref().map(|going| going.chosen);
        let chosen = match begun {
            Some(chosen) => chosen,
            None if self.record.has_changed => self.choice().await,
            None => {
                // Nothing was changed in the database; what was begun is over.
                let started = if self.record.is_stopped() { self.start_again().await } else { Ok(()) };
                return self.gone(OnFailure::Keep, Vec::new(), started);
            }
        };
        if chosen == OnFailure::Keep {
            let way = WayBack::new(chosen, Vec::new(), self.record.lost.clone(), false);
            return Gone { way: Some(way), ..nothing };
        }
        let own = match Box::pin(self.own_services()).await {
            Ok(own) => own,
            Err(failed) => return self.gone(chosen, Vec::new(), Err(failed)),
        };
        if own.is_empty() && begun.is_none() {
            let started = if self.record.is_stopped() { self.start_again().await } else { Ok(()) };
            return self.gone(chosen, Vec::new(), started);
        }
        let mut services = Vec::new();
        let gone = self.go(chosen, class, &own, &mut services).await;
        self.gone(chosen, services, gone)
    }

    /// The services of which this deployment itself has applied something, and no others have changed anything since. One that
    /// only others have changed is left to them.
    async fn own_services(&self) -> Result<BTreeSet<ServiceName>, Failed> {
        let asking = self.record.own.done_since(&self.connected.deployment);
        let asked = self.cancellation.unless_cancelled(asking).await.ok_or_else(outside::interrupted)?;
        let (mut own, mut text, mut errors) = (BTreeSet::new(), Text::default(), Vec::new());
        for (service, done) in asked.map_err(anyhow::Error::from)? {
            if done.own {
                match done.refused(&service) {
                    Ok(()) => drop(own.insert(service)),
                    Err(error) => errors.push(Diagnostic::of(&error, &OurWords)),
                }
            } else if !done.others.is_empty() {
                let what = done.others.join("; ");
                text.line(format!(
                    "  `{service}` is left as it is: this deployment applied nothing to it; {what}"
                ));
            }
        }
        self.context.output.say(&text);
        if errors.is_empty() { Ok(own) } else { Err(Failed { class: Class::Refused, errors }) }
    }

    /// What became of a way back in which these services were gone back to where they were.
    fn gone(&self, chosen: OnFailure, services: Vec<String>, gone: Result<(), Failed>) -> Gone {
        let way = WayBack::new(chosen, services, self.record.lost.clone(), gone.is_ok());
        Gone { way: Some(way), errors: gone.err().map(|failed| failed.errors).unwrap_or_default() }
    }

    /// Goes it, with the application stopped if it can be. Whoever resumes before all services are back continues it;
    /// from then on there is everything to do again but to stop the application.
    async fn go(
        &mut self,
        chosen: OnFailure,
        class: Class,
        own: &BTreeSet<ServiceName>,
        services: &mut Vec<String>,
    ) -> Result<(), Failed> {
        let going = GoingBack { chosen, class, restored: Vec::new() };
        self.record.going_back.get_or_insert(going);
        self.place.write(&self.record)?;
        let stop = self.record.arguments.stop_command.clone();
        if stop.is_some() && !self.record.is_stopped() {
            self.say(Step::Stop.as_str());
            self.command(stop.as_deref()).await?;
            self.record.done = vec![Step::Stop];
        }
        self.record.done.retain(|step| *step == Step::Stop);
        self.place.write(&self.record)?;
        match chosen {
            OnFailure::Keep => return Ok(()),
            OnFailure::Revert => {
                let before = own
                    .iter()
                    .filter_map(|service| Some((service, self.record.own.before.get(service.as_str())?)));
                let newest = |mark: &Mark| mark.applied.last().cloned();
                let before = before.map(|(service, mark)| (service.clone(), newest(mark))).collect();
                Box::pin(self.revert(&before)).await?;
            }
            OnFailure::Restore => Box::pin(self.restore(own)).await?,
        }
        services.extend(own.iter().map(ToString::to_string));
        self.record.migrations.clear();
        (self.record.has_changed, self.record.has_started, self.record.going_back) = (false, false, None);
        self.place.write(&self.record)?;
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

    /// Reverts what was applied since it began, or begun, to the newest migrations that were applied before. Notes what had been
    /// lost when it was applied, of services that were there.
    async fn revert(&mut self, before: &BTreeMap<ServiceName, Option<String>>) -> Result<(), Failed> {
        self.say("revert");
        let selections = before.iter().map(|(service, newest)| {
            let target = newest.clone().map_or(TargetPoint::Base, TargetPoint::Name);
            Selection { service: service.clone(), target: Some(target) }
        });
        let goal = Goal::Revert { selections: selections.collect() };
        let arguments = &self.record.arguments;
        let options = run::run_options(&arguments.run, self.cancellation);
        let mut options = options.within(self.record.own.clone());
        let deployment = &self.connected.deployment;
        let planning = plan_for(deployment, &goal, &options);
        let planned = self.cancellation.unless_cancelled(planning).await;
        let planned = planned.unwrap_or(Err(RunError::Interrupted)).map_err(anyhow::Error::from)?;
        let lost = planned.plan().steps().iter().filter_map(|step| {
            before.get(&step.id.service)?.as_ref()?;
            let what = deployment.catalog().migration(&step.id)?.loses.as_ref()?;
            Some(format!("`{}` loses: {what}", step.id))
        });
        // What an earlier try to go back has reverted is no longer in the plan.
        let lost: Vec<String> = lost.collect();
        for what in lost {
            if !self.record.lost.contains(&what) {
                self.record.lost.push(what);
            }
        }
        self.place.write(&self.record)?;
        // Until the application is started, nobody but the migrations has written to what they made.
        options.allow_data_loss = !self.record.has_started || arguments.consent.allow_data_loss;
        let carried_out = Box::pin(planned.carry_out(&options)).await;
        let report = carried_out.map_err(|error: RunError| anyhow::Error::from(error))?;
        let found = RunReport::of(None, &report, Vec::new(), &OurWords);
        if found.class.is_ok() { Ok(()) } else { Err(Failed { class: found.class, errors: found.errors }) }
    }

    /// Restores the backups; a service that had nothing to back up is reverted to nothing. Nothing is begun unless all of it can be.
    async fn restore(&mut self, own: &BTreeSet<ServiceName>) -> Result<(), Failed> {
        if self.record.arguments.no_backup {
            let failure = Failure::usage(
                "there is no backup to restore: `--no-backup` was given",
                "`down` reverts what was applied",
            );
            return Err(anyhow::Error::from(failure).into());
        }
        self.say("restore");
        let looked = RestoreOptions {
            wait: self.record.arguments.run.wait,
            replace: true,
            no_owner: false,
            from_elsewhere: false,
            dry_run: true,
            search: self.context.environment.programs().map_err(anyhow::Error::from)?,
            caller: run::caller(),
            own: Some(self.only(own)),
            cancellation: self.cancellation.clone(),
        };
        let deployment = &self.connected.deployment;
        let restored = self.record.going_back.iter().flat_map(|going| going.restored.clone());
        let restored: Vec<PathBuf> = restored.collect();
        let archives = self.record.archives.iter().rev().filter(|archive| !restored.contains(archive));
        let (mut own_archives, mut left) = (Vec::new(), own.clone());
        for archive in archives {
            let looking = migration_backup::restore(deployment, archive, &looked);
            let found = Box::pin(looking).await.map_err(backup::raised)?;
            if left.iter().any(|service| service.as_str() == found.manifest.service) {
                own_archives.push(archive.clone());
                left.retain(|service| service.as_str() != found.manifest.service);
            }
        }
        let had = |service: &&ServiceName| {
            self.record.own.before.get(service.as_str()).is_some_and(|mark| !mark.applied.is_empty())
        };
        if let (true, Some(service)) = (restored.is_empty(), left.iter().find(had)) {
            let failure = Failure {
                class: Class::Refused,
                message: format!("`{service}` has no backup of this deployment, and it was changed by it"),
                hint: Some("nothing was restored; `down` reverts what was applied".to_owned()),
            };
            return Err(anyhow::Error::from(failure).into());
        }
        self.were_empty(own).await?;
        let options = RestoreOptions { dry_run: false, ..looked };
        for archive in own_archives {
            let restoring = migration_backup::restore(deployment, &archive, &options);
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
            self.record.going_back.iter_mut().for_each(|going| going.restored.push(archive.clone()));
            self.place.write(&self.record)?;
        }
        let left = self.were_empty(own).await?;
        if !left.is_empty() {
            Box::pin(self.revert(&left)).await?;
        }
        Ok(())
    }

    /// The work, as far as it is about these services.
    fn only(&self, own: &BTreeSet<ServiceName>) -> OwnRun {
        let mut only = self.record.own.clone();
        only.before.retain(|service, _| own.iter().any(|own| own.as_str() == service));
        only
    }

    /// Of these, the services that had nothing to back up and of which something is there now, each with what is to be reverted to.
    async fn were_empty(
        &self,
        own: &BTreeSet<ServiceName>,
    ) -> Result<BTreeMap<ServiceName, Option<String>>, Failed> {
        let survey = self.cancellation.unless_cancelled(Survey::take(&self.connected.deployment)).await;
        let survey = survey.ok_or_else(outside::interrupted)?;
        let mut left = BTreeMap::new();
        for facts in &survey.services {
            let mark =
                self.record.own.before.get(facts.service.as_str()).filter(|_| own.contains(&facts.service));
            if mark.is_none_or(|mark| !mark.applied.is_empty()) {
                continue;
            }
            if let Some(error) = &facts.unread {
                let diagnostic = Diagnostic::of(error.as_ref(), &OurWords);
                return Err(Failed { class: diagnostic.class, errors: vec![diagnostic] });
            }
            // What stopped midway is there, too.
            if !facts.applied.is_empty() || facts.begun().next().is_some() {
                left.insert(facts.service.clone(), None);
            }
        }
        Ok(left)
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
        if is_asked && (start.is_some() || self.record.at != Step::Prerequisites) {
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
