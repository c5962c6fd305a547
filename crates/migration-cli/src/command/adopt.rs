//! `adopt` and `stamp`: an existing database comes under this tool without being rebuilt. What is claimed to be applied runs on a
//! private server first; where the live schema is another one, nothing is written. It is long because both commands, and what is asked
//! before anything is recorded, are one sequence.

use std::collections::{BTreeMap, HashSet};

use clap::ValueEnum;
use migration_coordinator::{
    Cancellation, Claim, ContractSteps, EarlierTool, Goal, Retirement, RunError, RunOptions, Selection,
    ServiceFacts, Survey, UnknownApplied, obstacles, plan, record, unkept_by_rows, unmet_promises,
};
use migration_kit::{MigrationName, ServiceName};
use migration_plan::statuses;
use migration_rehearsal::{Difference, Drift, Repair};
use migration_report::{Class, Diagnostic, Found};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

mod accepted;
mod answer;
mod earlier;
mod moving;

pub(super) use accepted::accepted_objects;

use self::accepted::{consent_to, is_accepted, is_called, matches};
use self::answer::{Document, Moving, ServiceDocument, elsewhere, hint, say};
use self::earlier::of_table;
use self::moving::{Destination, destinations, relocation};
use super::run::caller;
use super::{connect, names};
use crate::arguments::{AdoptFrom, AdoptOptions, Source};
use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::words::OurWords;

/// What is claimed to be applied, by service, and where that is from.
type Claims = BTreeMap<ServiceName, (Vec<MigrationName>, String)>;

/// Version tables of an earlier tool that get another name, each with the service that is recorded last of those it speaks of.
type Retirements = BTreeMap<ServiceName, Retirement>;

/// What an earlier system has applied, as its version table or the schema tells.
pub(super) async fn adopt(
    context: &Context,
    services: &[String],
    from: &AdoptFrom,
    options: &AdoptOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let wanted = names(&connected, services)?;
    let table = from.version_table.as_deref();
    let survey = cancellation.unless_cancelled(Survey::take(&connected.deployment)).await;
    let survey = survey.ok_or(RunError::Interrupted)?;
    // What an earlier tool has recorded here says nothing of a service that is in use elsewhere.
    let mut unread = wanted.iter().filter_map(|service| survey.service(service)?.unread.clone());
    if let Some(elsewhere) = unread.find(|error| error.is_elsewhere()) {
        return Err(RunError::Survey(elsewhere).into());
    }
    let mut retirements = Retirements::new();
    let claims = match from.source.tool() {
        Some(tool) => {
            let reading = of_table(&connected, &wanted, tool, from);
            let read = cancellation.unless_cancelled(reading).await;
            let (claims, retired) = read.unwrap_or_else(|| Err(RunError::Interrupted.into()))?;
            retirements = retired;
            claims
        }
        None if from.retire => {
            let hint = "name the tool whose table it is with `--from`";
            return Err(Failure::usage("a schema has no version table to retire", hint).into());
        }
        None if table.is_some() => {
            let hint = "name the tool whose table it is with `--from`";
            return Err(Failure::usage("a schema has no version table", hint).into());
        }
        None if wanted.is_empty() => {
            let hint = "name the services: `adopt SERVICE --from schema`";
            return Err(Failure::usage("which services the live schema is of is not known", hint).into());
        }
        None => {
            let claim = |name: ServiceName| {
                let all =
                    connected.deployment.catalog().service(&name).into_iter().flat_map(|s| &s.migrations);
                let all = all.map(|known| known.name.clone()).collect();
                (name, (all, "schema".to_owned()))
            };
            wanted.into_iter().map(claim).collect()
        }
    };
    let destinations = match &from.into_schema {
        Some(schema) => destinations(&connected.deployment, &claims, schema.as_deref())?,
        None => BTreeMap::new(),
    };
    let by_schema = from.source.tool().is_none();
    let adoption = Adoption {
        context,
        connected: &connected,
        survey: &survey,
        options,
        cancellation,
        destinations,
        retirements,
    };
    adoption.carry_out(("adopt", by_schema), claims).await
}

/// What is up to a target.
pub(super) async fn stamp(
    context: &Context,
    targets: Vec<Selection>,
    options: &AdoptOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let named: Vec<ServiceName> = targets.iter().map(|target| target.service.clone()).collect();
    let goal = Goal::Apply {
        selections: targets,
        contract: ContractSteps::IgnoreSoak,
        unknown: UnknownApplied::Refuse,
    };
    let planned = cancellation.unless_cancelled(plan(&connected.deployment, &goal)).await;
    let planned = planned.unwrap_or(Err(RunError::Interrupted))?;
    let claim = |service: ServiceName| {
        let steps = planned.plan().steps_of(&service).map(|step| step.id.name.clone()).collect();
        (service, (steps, "target".to_owned()))
    };
    let claims = named.into_iter().map(claim).collect();
    let (destinations, retirements) = (BTreeMap::new(), BTreeMap::new());
    let (survey, connected) = (planned.survey(), &connected);
    let adoption = Adoption { context, connected, survey, options, cancellation, destinations, retirements };
    adoption.carry_out(("stamp", false), claims).await
}

impl Source {
    /// How the option names the tool that keeps this version table.
    pub(crate) fn of_table(table: &str) -> Option<String> {
        let tool = EarlierTool::of_table(table)?;
        let source = Self::value_variants().iter().find(|source| source.tool() == Some(tool))?;
        Some(source.to_possible_value()?.get_name().to_owned())
    }

    fn tool(self) -> Option<EarlierTool> {
        Some(match self {
            Self::Alembic => EarlierTool::Alembic,
            Self::Seaql => EarlierTool::SeaOrm,
            Self::Diesel => EarlierTool::Diesel,
            Self::Sqlx => EarlierTool::Sqlx,
            Self::Flyway => EarlierTool::Flyway,
            Self::Django => EarlierTool::Django,
            Self::Prisma => EarlierTool::Prisma,
            Self::Schema => return None,
        })
    }
}

/// What both commands do with what is claimed.
struct Adoption<'a> {
    context: &'a Context,
    connected: &'a Connected,
    survey: &'a Survey,
    options: &'a AdoptOptions,
    cancellation: &'a Cancellation,
    /// The schemas into which services move.
    destinations: BTreeMap<ServiceName, Destination>,
    retirements: Retirements,
}

impl Adoption<'_> {
    /// Compares, and records what is as it would be.
    async fn carry_out(
        &self,
        (command, by_schema): (&'static str, bool),
        mut claims: Claims,
    ) -> anyhow::Result<Answer> {
        let options = self.options;
        self.refuse_unready(&claims)?;
        leave_out(&mut claims, &options.without)?;
        for (name, (migrations, _)) in &mut claims {
            let applied: HashSet<&MigrationName> =
                self.facts(name).into_iter().flat_map(|facts| &facts.applied).map(|row| &row.name).collect();
            migrations.retain(|migration| !applied.contains(migration));
        }
        // What happens in the rehearsal's own databases is nobody's news.
        let comparing = self.compare(by_schema, &mut claims).with_subscriber(NoSubscriber::new());
        let compared = self.cancellation.unless_cancelled(comparing).await;
        let compared = compared.unwrap_or(Err(RunError::Interrupted.into()))?;
        let mut found = self.judge(&compared, &claims).await?;
        let mut errors = Vec::new();
        let class = if !found.iter().all(ServiceDocument::fits) {
            Class::worst(found.iter().map(ServiceDocument::class))
        } else {
            if !options.dry_run {
                errors.extend(self.record(&compared, &mut claims, &mut found).await);
            }
            Class::worst(errors.iter().map(|error| error.class))
        };
        let mut text = Text::default();
        say(&found, options, self.context.output.paint, &mut text);
        for document in found.iter().filter(|document| !document.differences.is_empty()) {
            let facts = self.survey.services.iter().find(|facts| facts.service.as_str() == document.service);
            text.note(hint(&self.connected.deployment, facts, document));
        }
        if found.iter().any(|document| !document.unkept.is_empty()) {
            text.note("hint: correct what is named, and run it again");
        }
        let mut retired = Vec::new();
        for Retirement { schema, name, becomes } in self.retirements.values().filter(|_| class.is_ok()) {
            let does = if options.dry_run { "would become" } else { "is now" };
            text.line(format!("`{schema}.{name}` {does} `{becomes}`"));
            retired.push(format!("{schema}.{name}"));
        }
        errors.iter().cloned().for_each(|error| text.error(error));
        let body = Document { dry_run: options.dry_run, services: found, retired };
        Ok(Answer::of(command, Found { class, errors, body }, text)?)
    }

    fn facts(&self, service: &ServiceName) -> Option<&ServiceFacts> {
        self.survey.service(service)
    }

    /// Refuses services whose state cannot be read, that have no schema, or a migration that is half done.
    fn refuse_unready(&self, claims: &Claims) -> anyhow::Result<()> {
        let deployment = &self.connected.deployment;
        let statuses = statuses(deployment.catalog(), &self.survey.history(), self.survey.now());
        for name in claims.keys() {
            let Some(facts) = self.facts(name) else { continue };
            if let Some(error) = facts.unread.clone() {
                return Err(RunError::Survey(error).into());
            }
            let schema =
                deployment.service(name).map_or_else(String::new, |(_, schema, _)| schema.to_owned());
            let (message, hint) = if !facts.schema_exists {
                (
                    format!("`{name}`: there is no schema `{schema}` in its database"),
                    elsewhere(deployment, facts),
                )
            } else if statuses.iter().any(|status| status.service == *name && !status.begun.is_empty()) {
                let message = format!("`{name}`: a migration was begun and not finished");
                (message, Some(format!("finish it first: `up {name}`")))
            } else {
                continue;
            };
            return Err(Failure { class: Class::Integrity, message, hint }.into());
        }
        Ok(())
    }

    /// What came of the comparison of each service. An acceptance that accepts nothing is wrong usage.
    async fn judge(&self, compared: &[Compared], claims: &Claims) -> anyhow::Result<Vec<ServiceDocument>> {
        let accept = &self.options.accept;
        let mut unused: Vec<&String> = accept.iter().collect();
        let mut found = Vec::new();
        for Compared { drift, undecided } in compared {
            let (accepted, differences): (Vec<_>, Vec<_>) =
                drift.differences.iter().partition(|difference| is_accepted(&difference.object, accept));
            unused.retain(|name| !accepted.iter().any(|difference| is_called(&difference.object, name)));
            let (migrations, source) = &claims[&drift.service];
            let (mut unmet, mut promised) = (Vec::new(), Vec::new());
            if let Some(facts) = self.facts(&drift.service) {
                let asking = unmet_promises(&self.connected.deployment, facts, migrations);
                let unkept = self.cancellation.unless_cancelled(asking).await;
                let unkept = unkept.unwrap_or(Err(RunError::Interrupted))?;
                promised = unkept.iter().map(|unkept| unkept.object.clone()).collect();
                // Where something differs, that is what there is to say.
                if differences.is_empty() {
                    unmet = unkept.iter().map(ToString::to_string).collect();
                }
            }
            let mut unkept = Vec::new();
            if let (Some(facts), true, true) =
                (self.facts(&drift.service), differences.is_empty(), unmet.is_empty())
            {
                let asking = unkept_by_rows(&self.connected.deployment, facts, migrations);
                let found = self.cancellation.unless_cancelled(asking).await;
                unkept = found.unwrap_or(Err(RunError::Interrupted))?;
            }
            let mut moving = None;
            if let Some(destination) = self.destinations.get(&drift.service) {
                let relocation = relocation(&destination.schema, drift);
                let asking = obstacles(&self.connected.deployment, &drift.service, &relocation);
                moving = Some(Moving::of(destination, drift, asking.await?));
            }
            let repair = || Repair::script(&drift.schema, &drift.repair);
            found.push(ServiceDocument {
                service: drift.service.to_string(),
                schema: drift.schema.clone(),
                source: source.clone(),
                migrations: migrations.iter().map(ToString::to_string).collect(),
                objects: drift.n_objects,
                repair: (!differences.is_empty()).then(repair),
                differences: differences.into_iter().map(ToString::to_string).collect(),
                accepted: accepted.into_iter().map(|difference| difference.object.to_string()).collect(),
                unmet,
                unkept,
                promised,
                undecided: undecided.iter().map(ToString::to_string).collect(),
                into: moving,
                recorded: false,
            });
        }
        if let Some(name) = unused.first() {
            let hint = "the names of what differs are those after `+`, `-` and `~`";
            return Err(Failure::usage(format!("`{name}` does not differ: nothing to accept"), hint).into());
        }
        Ok(found)
    }

    /// Records what fits, service by service, up to the first one that cannot be.
    async fn record(
        &self,
        compared: &[Compared],
        claims: &mut Claims,
        found: &mut [ServiceDocument],
    ) -> Option<Diagnostic> {
        let options = RunOptions::new(caller()).with_cancellation(self.cancellation.clone());
        for (Compared { drift, .. }, document) in compared.iter().zip(found) {
            let Some(facts) = self.facts(&drift.service) else { continue };
            let Some((migrations, _)) = claims.remove(&drift.service) else { continue };
            let schema = self.destinations.get(&drift.service).map(|destination| &destination.schema);
            let retirement = self.retirements.get(&drift.service).cloned();
            if migrations.is_empty() && schema.is_none() && retirement.is_none() {
                continue;
            }
            let accepted = document.accepted.iter().map(|object| format!(" {}", consent_to(object)));
            let from = schema.map(|_| format!(" moved-from:{}", drift.schema));
            let claim = Claim {
                service: drift.service.clone(),
                migrations,
                consent: format!("adopted{}", accepted.chain(from).collect::<String>()),
                relocation: schema.map(|schema| relocation(schema, drift)),
                retirement,
            };
            match record(&self.connected.deployment, &claim, facts, &options).await {
                Ok(_) => document.recorded = true,
                Err(error) => return Some(Diagnostic::of(&error, &OurWords)),
            }
        }
        None
    }

    /// Compares all claims. Where the schema itself is asked, they are cut at the newest migration at which it is alike.
    async fn compare(&self, by_schema: bool, claims: &mut Claims) -> anyhow::Result<Vec<Compared>> {
        let services = || self.context.program.services();
        let (deployment, survey, options) = (&self.connected.deployment, self.survey, self.options);
        if !by_schema {
            let of_claim = |(name, (migrations, _)): (&ServiceName, &(Vec<MigrationName>, String))| {
                (name.clone(), migrations.clone())
            };
            let migrations = claims.iter().map(of_claim).collect();
            let claimed = migration_rehearsal::claimed(deployment, survey, services()?, &migrations);
            let drifts = Box::pin(claimed).await?;
            return Ok(drifts.into_iter().map(|drift| Compared { drift, undecided: Vec::new() }).collect());
        }
        let mut compared = Vec::new();
        for (name, (migrations, _)) in claims.iter_mut() {
            let is_left_out = |migration: &MigrationName| {
                options.without.iter().any(|pattern| matches(pattern, migration.as_str()))
            };
            let kept = services()?.into_iter().map(|service| {
                let is_it = service.name() == name;
                service.retain(|migration| !is_it || !is_left_out(migration))
            });
            let is_accepted = |difference: &Difference| is_accepted(&difference.object, &options.accept);
            let newest =
                migration_rehearsal::newest_alike(deployment, survey, kept.collect(), name, &is_accepted);
            let Some(alike) = Box::pin(newest).await? else { continue };
            let place = migrations.iter().position(|migration| *migration == alike.newest);
            migrations.truncate(place.map_or(0, |place| place + 1));
            let first = alike.alike_before.first().unwrap_or(&alike.newest);
            let undecided =
                migrations.iter().skip_while(|migration| *migration != first).skip(1).cloned().collect();
            compared.push(Compared { drift: alike.drift, undecided });
        }
        Ok(compared)
    }
}

/// How the live schema of a service differs from what its claim makes.
struct Compared {
    drift: Drift,
    undecided: Vec<MigrationName>,
}

/// Takes from the claims what the earlier system never had.
fn leave_out(claims: &mut Claims, without: &[String]) -> anyhow::Result<()> {
    for name in without {
        let mut n_found = 0;
        for (migrations, _) in claims.values_mut() {
            let n_before = migrations.len();
            migrations.retain(|migration| !matches(name, migration.as_str()));
            n_found += n_before - migrations.len();
        }
        if n_found == 0 {
            let message = format!("`{name}` is none of the migrations that would be recorded");
            return Err(Failure::usage(message, "`--dry-run` lists them").into());
        }
    }
    Ok(())
}
