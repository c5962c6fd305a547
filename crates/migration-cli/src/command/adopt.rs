//! `adopt` and `stamp`: an existing database comes under this tool without being rebuilt. What is claimed to be applied runs on a
//! private server first; where the live schema is another one, nothing is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use migration_coordinator::{
    Cancellation, Claim, ContractSteps, EarlierTool, Goal, RunError, RunOptions, Selection, Survey,
    UnknownApplied, earlier_histories, plan, record, stands_for, unmet_promises,
};
use migration_kit::{MigrationName, ServiceName};
use migration_plan::statuses;
use migration_rehearsal::{Difference, Drift, Repair};
use migration_report::{Class, Diagnostic, Found};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

mod accepted;
mod told;

pub(super) use accepted::accepted_objects;

use self::accepted::{consent_to, is_accepted, is_called, matches};
use self::told::{Document, ServiceDocument, elsewhere, hint, say};
use super::run::caller;
use super::{connect, names};
use crate::arguments::{AdoptOptions, Source};
use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::words::OurWords;

/// What is claimed to be applied, by service, and where that is from.
type Claims = BTreeMap<ServiceName, (Vec<MigrationName>, String)>;

/// What an earlier system has applied, as its version table or the schema tells.
pub(super) async fn adopt(
    context: &Context,
    services: &[String],
    (source, table): (Source, Option<&str>),
    options: &AdoptOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let wanted = names(&connected, services)?;
    let survey = Survey::take(&connected.deployment).await;
    let claims = match source.tool() {
        Some(tool) => of_table(&connected, &wanted, tool, table).await?,
        None if table.is_some() => {
            let hint = "name the tool whose table it is with `--from`";
            return Err(Failure::usage("a schema has no version table", hint).into());
        }
        None if wanted.is_empty() => {
            let hint = "name the services: `adopt chat --from schema`";
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
    let by_schema = source.tool().is_none();
    carry_out(context, &connected, &survey, ("adopt", by_schema), claims, options, cancellation).await
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
    let planned = plan(&connected.deployment, &goal).await?;
    let claim = |service: ServiceName| {
        let steps = planned.plan().steps_of(&service).map(|step| step.id.name.clone()).collect();
        (service, (steps, "target".to_owned()))
    };
    let claims = named.into_iter().map(claim).collect();
    carry_out(context, &connected, planned.survey(), ("stamp", false), claims, options, cancellation).await
}

impl Source {
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

/// What the version tables of an earlier tool stand for.
async fn of_table(
    connected: &Connected,
    wanted: &[ServiceName],
    tool: EarlierTool,
    table: Option<&str>,
) -> anyhow::Result<Claims> {
    let mut claims = Claims::new();
    let mut seen = BTreeSet::new();
    for known in connected.deployment.catalog().services() {
        if !wanted.is_empty() && !wanted.contains(&known.name) {
            continue;
        }
        for history in earlier_histories(&connected.deployment, &known.name, tool, table).await? {
            let ids = ids(&history.ids);
            seen.insert(format!("{} ({ids})", history.table));
            let stands_for = stands_for(known, tool, &history.ids);
            if stands_for.is_empty() {
                continue;
            }
            let source = format!("{}: {ids}", history.table);
            if let Some((_, other)) = claims.insert(known.name.clone(), (stands_for, source.clone())) {
                let message = format!("two tables speak of `{}`: {other}; {source}", known.name);
                return Err(Failure::usage(message, "say which with `--version-table SCHEMA.TABLE`").into());
            }
        }
    }
    let unknown = wanted.iter().find(|name| !claims.contains_key(*name));
    if claims.is_empty() || unknown.is_some() {
        let whose = unknown.map_or_else(|| "any service".to_owned(), |name| format!("`{name}`"));
        let message = if seen.is_empty() {
            format!("there is no table `{}`", table.unwrap_or(tool.table()))
        } else {
            let seen: Vec<String> = seen.into_iter().collect();
            format!("no migration of {whose} replaces an id of {}", seen.join(", "))
        };
        let hint = "`history` shows which ids migrations replace; `--from schema` asks the schema instead";
        return Err(Failure::usage(message, hint).into());
    }
    Ok(claims)
}

/// Ids as a person reads them: of many, the last ones.
fn ids(ids: &[String]) -> String {
    const MOST: usize = 3;
    let last = ids[ids.len().saturating_sub(MOST)..].join(", ");
    if ids.len() > MOST { format!("{} ids, … {last}", ids.len()) } else { last }
}

/// Compares, and records what is as it would be.
async fn carry_out(
    context: &Context,
    connected: &Connected,
    survey: &Survey,
    (command, by_schema): (&'static str, bool),
    mut claims: Claims,
    asked: &AdoptOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let deployment = &connected.deployment;
    let statuses = statuses(deployment.catalog(), &survey.history(), survey.now());
    for name in claims.keys() {
        let Some(facts) = survey.service(name) else { continue };
        if let Some(error) = facts.unread.clone() {
            return Err(RunError::Survey(error).into());
        }
        let schema = deployment.service(name).map_or_else(String::new, |(_, schema, _)| schema.to_owned());
        let (message, hint) = if !facts.schema_exists {
            (format!("`{name}`: there is no schema `{schema}` in its database"), elsewhere(facts))
        } else if statuses.iter().any(|status| status.service == *name && !status.begun.is_empty()) {
            let message = format!("`{name}`: a migration was begun and not finished");
            (message, Some(format!("finish it first: `up {name}`")))
        } else {
            continue;
        };
        return Err(Failure { class: Class::Integrity, message, hint }.into());
    }
    leave_out(&mut claims, &asked.without)?;
    for (name, (migrations, _)) in &mut claims {
        let applied: HashSet<&MigrationName> =
            survey.service(name).into_iter().flat_map(|facts| &facts.applied).map(|row| &row.name).collect();
        migrations.retain(|migration| !applied.contains(migration));
    }
    // What happens in the rehearsal's own databases is nobody's news.
    let comparing = compare(context, connected, survey, by_schema, &mut claims, asked);
    let comparing = cancellation.unless_cancelled(comparing.with_subscriber(NoSubscriber::new())).await;
    let compared = comparing.unwrap_or(Err(RunError::Interrupted.into()))?;
    let mut unused: Vec<&String> = asked.accept.iter().collect();
    let mut found = Vec::new();
    for Compared { drift, undecided } in &compared {
        let (accepted, differences): (Vec<_>, Vec<_>) =
            drift.differences.iter().partition(|difference| is_accepted(&difference.object, &asked.accept));
        unused.retain(|name| !accepted.iter().any(|difference| is_called(&difference.object, name)));
        let (migrations, source) = &claims[&drift.service];
        let mut unmet = Vec::new();
        if let (Some(facts), true) = (survey.service(&drift.service), differences.is_empty()) {
            let asking = unmet_promises(deployment, facts, migrations);
            let unkept = cancellation.unless_cancelled(asking).await.unwrap_or(Err(RunError::Interrupted))?;
            unmet = unkept.iter().map(ToString::to_string).collect();
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
            undecided: undecided.iter().map(ToString::to_string).collect(),
            recorded: false,
        });
    }
    if let Some(name) = unused.first() {
        let hint = "the names of what differs are those after `+`, `-` and `~`";
        return Err(Failure::usage(format!("`{name}` does not differ: nothing to accept"), hint).into());
    }
    let mut class = Class::Done;
    let mut errors = Vec::new();
    if !found.iter().all(ServiceDocument::fits) {
        class = Class::Integrity;
    } else if !asked.dry_run {
        let options = RunOptions::new(caller()).with_cancellation(cancellation.clone());
        for (Compared { drift, .. }, document) in compared.iter().zip(&mut found) {
            let (Some(facts), false) = (survey.service(&drift.service), document.migrations.is_empty())
            else {
                continue;
            };
            let accepted = document.accepted.iter().map(|object| format!(" {}", consent_to(object)));
            let claim = Claim {
                service: drift.service.clone(),
                migrations: claims[&drift.service].0.clone(),
                consent: format!("adopted{}", accepted.collect::<String>()),
            };
            match record(deployment, &claim, facts, &options).await {
                Ok(_) => document.recorded = true,
                Err(error) => {
                    errors.push(Diagnostic::of(&error, &OurWords));
                    break;
                }
            }
        }
        class = Class::worst(errors.iter().map(|error| error.class));
    }
    let mut text = Text::default();
    say(&found, asked, context.output.paint, &mut text);
    for document in found.iter().filter(|document| !document.differences.is_empty()) {
        let facts = survey.services.iter().find(|facts| facts.service.as_str() == document.service);
        text.note(hint(facts));
    }
    errors.iter().cloned().for_each(|error| text.error(error));
    let body = Document { dry_run: asked.dry_run, services: found };
    Ok(Answer::of(command, Found { class, errors, body }, text)?)
}

/// How the live schema of a service differs from what its claim makes.
struct Compared {
    drift: Drift,
    undecided: Vec<MigrationName>,
}

/// Compares all claims. Where the schema itself is asked, they are cut at the newest migration at which it is alike.
async fn compare(
    context: &Context,
    connected: &Connected,
    survey: &Survey,
    by_schema: bool,
    claims: &mut Claims,
    asked: &AdoptOptions,
) -> anyhow::Result<Vec<Compared>> {
    let services = || context.program.services();
    if !by_schema {
        let of_claim = |(name, (migrations, _)): (&ServiceName, &(Vec<MigrationName>, String))| {
            (name.clone(), migrations.clone())
        };
        let migrations = claims.iter().map(of_claim).collect();
        let claimed = migration_rehearsal::claimed(&connected.deployment, survey, services()?, &migrations);
        let drifts = Box::pin(claimed).await?;
        return Ok(drifts.into_iter().map(|drift| Compared { drift, undecided: Vec::new() }).collect());
    }
    let mut compared = Vec::new();
    for (name, (migrations, _)) in claims.iter_mut() {
        let is_left_out = |migration: &MigrationName| {
            asked.without.iter().any(|pattern| matches(pattern, migration.as_str()))
        };
        let kept = services()?.into_iter().map(|service| {
            let is_it = service.name() == name;
            service.retain(|migration| !is_it || !is_left_out(migration))
        });
        let is_accepted = |difference: &Difference| is_accepted(&difference.object, &asked.accept);
        let newest = migration_rehearsal::newest_alike(
            &connected.deployment,
            survey,
            kept.collect(),
            name,
            &is_accepted,
        );
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
