//! `drift`: the live schema of each service against what its applied migrations make on a server of the same major version.
//! Reads only; the other server is its own, and vanishes with it.

use std::collections::{BTreeMap, BTreeSet};

use migration_coordinator::{Deployment, Outcome, RunError, Survey, journal};
use migration_kit::{Service, ServiceName};
use migration_plan::{counted, statuses};
use migration_rehearsal::{Change, Difference, Drift, RehearsalError, Repair};
use migration_report::{Class, Diagnostic, Found};
use serde::Serialize;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::adopt::accepted_objects;
use super::object::ObjectDocument;
use super::{connect, names, services};
use crate::context::Context;
use crate::output::{Answer, Paint, Text};
use crate::words::OurWords;

/// What `drift --json` prints.
#[derive(Serialize)]
struct Document {
    services: Vec<ServiceDocument>,
}

/// How the schema of one service differs.
#[derive(Serialize)]
struct ServiceDocument {
    service: String,
    /// `null` where it was not compared.
    schema: Option<String>,
    migrations: usize,
    objects: usize,
    differences: Vec<DifferenceDocument>,
    renamed: Vec<RenamedDocument>,
    /// Differences that were accepted when the database was adopted.
    accepted: Vec<DifferenceDocument>,
    /// Checks that a trigger keeps for new rows, since others break them.
    for_new_rows: Vec<String>,
    /// A script for `psql` that brings the live schema back.
    repair: Option<String>,
    /// Why it was not compared, or what the comparison does not know.
    unknown: Option<String>,
}

#[derive(Serialize)]
struct DifferenceDocument {
    #[serde(flatten)]
    object: ObjectDocument,
    change: &'static str,
    says: String,
}

#[derive(Serialize)]
struct RenamedDocument {
    #[serde(flatten)]
    object: ObjectDocument,
    now: String,
}

pub(super) async fn drift(context: &Context, services: &[String], repair: bool) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let wanted = names(&connected, services)?;
    let Comparison { classes, errors, services } =
        compare(&connected.deployment, &wanted, context.program.services()?).await?;
    let class = Class::worst(classes);
    let mut text = Text::default();
    if repair {
        services
            .iter()
            .filter_map(|service| service.repair.as_ref())
            .for_each(|script| text.raw(script.clone()));
        // Nothing to run is not nothing to bring back.
        for service in &services {
            if let Some(why) = &service.unknown {
                text.note(format!("note  `{}` was not compared: {why}", service.service));
            }
        }
    } else {
        say(&services, context.output.paint, &mut text);
    }
    errors.iter().cloned().for_each(|error| text.error(error));
    Ok(Answer::of("drift", Found { class, errors, body: Document { services } }, text)?)
}

/// What came of comparing the schemas of several services.
struct Comparison {
    classes: Vec<Class>,
    errors: Vec<Diagnostic>,
    services: Vec<ServiceDocument>,
}

/// Compares the live schemas of these services, of all if none is named, with what their applied migrations make. `all` are the
/// services of the program, once more: their migrations run in the rehearsal.
async fn compare(
    deployment: &Deployment,
    wanted: &[ServiceName],
    all: Vec<Service>,
) -> anyhow::Result<Comparison> {
    let mut wanted = wanted.to_vec();
    if wanted.is_empty() {
        wanted = deployment.services().map(|(service, ..)| service.name().clone()).collect();
    }
    let survey = Survey::take(deployment).await;
    let statuses = statuses(deployment.catalog(), &survey.history(), survey.now());
    let mut errors = Vec::new();
    let mut found: Vec<ServiceDocument> = Vec::new();
    let mut classes = Vec::new();
    let mut compared: Vec<ServiceName> = Vec::new();
    for name in &wanted {
        let Some(facts) = survey.service(name) else { continue };
        if let Some(error) = &facts.unread {
            let diagnostic = Diagnostic::of(error.as_ref(), &OurWords);
            classes.push(diagnostic.class);
            errors.push(diagnostic);
        }
        if facts.unread.is_some() && !facts.has_lost_its_journal() {
            found.push(ServiceDocument::not_compared(name, Some("it could not be read".to_owned())));
            continue;
        }
        let Some(status) = statuses.iter().find(|status| status.service == *name) else { continue };
        let renamed = status.renamed.iter().map(|(name, _)| name);
        let strangers = status.missing.iter().chain(&status.ahead).chain(renamed);
        let strangers: Vec<String> = strangers.map(|name| format!("`{name}`")).collect();
        let why = if facts.holder.is_some() {
            Some((Class::Busy, "a run is under way".to_owned()))
        } else if !status.begun.is_empty() {
            Some((Class::Partial, "a migration was begun and not finished".to_owned()))
        } else if !strangers.is_empty() {
            Some((Class::Integrity, format!("{} is applied and not known here", strangers.join(", "))))
        } else {
            None
        };
        match why {
            Some((class, why)) => {
                classes.push(class);
                found.push(ServiceDocument::not_compared(name, Some(why)));
            }
            None if facts.applied.is_empty() => {
                found.push(ServiceDocument::not_compared(name, None));
            }
            None => compared.push(name.clone()),
        }
    }
    if !compared.is_empty() {
        let accepted = accepted(deployment, &compared).await?;
        // What happens in the rehearsal's own databases is nobody's news.
        let asked = migration_rehearsal::drift(deployment, &survey, all, &compared, &accepted)
            .with_subscriber(NoSubscriber::new());
        match Box::pin(asked).await {
            Ok(drifts) => {
                for drift in drifts {
                    let class = if drift.differences.is_empty() { Class::Done } else { Class::Integrity };
                    classes.push(class);
                    found.push(ServiceDocument::of(&drift));
                }
            }
            // One that later ones are built on was taken from the version table.
            Err(RehearsalError::Run(error)) => {
                classes.push(Class::Integrity);
                let error = anyhow::Error::new(error);
                let why = format!("the migrations that are recorded do not run by themselves: {error:#}");
                let unknown =
                    compared.iter().map(|name| ServiceDocument::not_compared(name, Some(why.clone())));
                found.extend(unknown);
            }
            Err(error) => return Err(error.into()),
        }
    }
    found.sort_by_key(|document| wanted.iter().position(|name| name.as_str() == document.service));
    Ok(Comparison { classes, errors, services: found })
}

/// How the live schema of a service differs from what its applied migrations make, or why that is not known.
pub(super) async fn differences(
    deployment: &Deployment,
    service: &ServiceName,
    all: Vec<Service>,
) -> anyhow::Result<Vec<String>> {
    let asked = compare(deployment, std::slice::from_ref(service), all);
    let found = Box::pin(asked).await?.services.into_iter();
    let differences = |document: ServiceDocument| {
        let differences = document.differences.into_iter().map(|difference| difference.says);
        document.unknown.into_iter().chain(differences).collect::<Vec<_>>()
    };
    Ok(found.flat_map(differences).collect())
}

/// The same for the status page.
#[cfg(feature = "serve")]
pub(super) async fn compare_for_page(
    deployment: &Deployment,
    all: Vec<Service>,
) -> Vec<migration_serve::SchemaDrift> {
    use migration_serve::{Compared, SchemaDrift};

    let of = |service: ServiceDocument| SchemaDrift {
        compared: match (service.unknown, service.schema) {
            (Some(why), _) => Compared::Unknown(why),
            (None, None) => Compared::NothingApplied,
            (None, Some(_)) => Compared::Done {
                n_objects: service.objects,
                differences: service.differences.into_iter().map(|difference| difference.says).collect(),
            },
        },
        service: service.service,
    };
    match compare(deployment, &[], all).await {
        Ok(found) => found.services.into_iter().map(of).collect(),
        Err(error) => {
            let why = Diagnostic::of(error.as_ref(), &OurWords).on_one_line();
            let unknown = |service: &Service| SchemaDrift {
                service: service.name().to_string(),
                compared: Compared::Unknown(why.clone()),
            };
            deployment.services().map(|(service, ..)| unknown(service)).collect()
        }
    }
}

/// The objects whose differences were accepted, when a service's database was adopted or by a later run.
async fn accepted(
    deployment: &Deployment,
    services: &[ServiceName],
) -> anyhow::Result<BTreeMap<ServiceName, BTreeSet<String>>> {
    let mut accepted: BTreeMap<ServiceName, BTreeSet<String>> = BTreeMap::new();
    let journals = journal(deployment, services).await;
    if let Some(error) = journals.unread.into_iter().next() {
        return Err(RunError::Survey(error).into());
    }
    for line in journals.lines {
        let objects = line.consent.iter().flat_map(|consent| match line.outcome {
            Outcome::Accepted => vec![consent.clone()],
            _ => accepted_objects(consent).collect(),
        });
        let Some(service) = services.iter().find(|service| service.as_str() == line.service) else {
            continue;
        };
        accepted.entry(service.clone()).or_default().extend(objects);
    }
    Ok(accepted)
}

impl ServiceDocument {
    /// Nothing is applied; or, with the reason, it is not known what differs.
    fn not_compared(service: &ServiceName, unknown: Option<String>) -> Self {
        Self {
            service: service.to_string(),
            schema: None,
            migrations: 0,
            objects: 0,
            differences: Vec::new(),
            renamed: Vec::new(),
            accepted: Vec::new(),
            for_new_rows: Vec::new(),
            repair: None,
            unknown,
        }
    }

    fn of(drift: &Drift) -> Self {
        let document = |difference: &Difference| DifferenceDocument {
            object: ObjectDocument::of(&difference.object),
            change: match difference.change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Changed(_) => "changed",
            },
            says: difference.to_string(),
        };
        let renamed = drift.renamed.iter().map(|renamed| RenamedDocument {
            object: ObjectDocument::of(&renamed.object),
            now: renamed.now.clone(),
        });
        Self {
            service: drift.service.to_string(),
            schema: Some(drift.schema.clone()),
            migrations: drift.n_migrations,
            objects: drift.n_objects,
            differences: drift.differences.iter().map(document).collect(),
            renamed: renamed.collect(),
            accepted: drift.accepted.iter().map(document).collect(),
            for_new_rows: drift.for_new_rows.iter().map(ToString::to_string).collect(),
            repair: (!drift.repair.is_empty()).then(|| Repair::script(&drift.schema, &drift.repair)),
            unknown: None,
        }
    }
}

/// `1 migration makes`, `3 migrations make`.
fn made_by(n_migrations: usize) -> String {
    counted(n_migrations, "migration makes", "migrations make")
}

fn say(found: &[ServiceDocument], paint: Paint, text: &mut Text) {
    for service in found {
        let name = &service.service;
        let verdict = match (&service.unknown, &service.schema) {
            (Some(why), _) => paint.bad(&format!("not compared: {why}")),
            (None, None) => paint.faint("nothing applied"),
            (None, Some(_)) if service.differences.is_empty() => {
                let objects = counted(service.objects, "object", "objects");
                paint.good(&format!("{objects} as {} them", made_by(service.migrations)))
            }
            (None, Some(_)) => {
                let differences = counted(service.differences.len(), "difference", "differences");
                paint.bad(&format!("{differences} from what {}", made_by(service.migrations)))
            }
        };
        text.line(format!("{name:<14}{verdict}"));
        for difference in &service.differences {
            text.line(format!("  {}", difference.says));
        }
        for check in &service.for_new_rows {
            let line = format!("{check} is kept by a trigger: there are rows that break it");
            text.line(format!("  {} {line}", paint.faint("·")));
        }
        for difference in &service.accepted {
            text.line(format!("  {} {}, which was accepted", paint.faint("·"), difference.says));
        }
        // A constraint and its index have one name.
        let is_constraint = |name: &str| {
            service.renamed.iter().any(|r| r.object.kind == "constraint" && r.object.name == name)
        };
        let renamed =
            service.renamed.iter().filter(|r| r.object.kind != "index" || !is_constraint(&r.object.name));
        for RenamedDocument { object: ObjectDocument { kind, table, name }, now } in renamed {
            let table = table.as_deref().unwrap_or_default();
            let line = format!("{kind} {table}.{name} is called {now}, and does the same");
            text.line(format!("  {} {line}", paint.faint("·")));
        }
    }
    let compared = found.iter().filter(|service| service.schema.is_some());
    let (n_services, n_objects) = compared.fold((0, 0), |(n, objects), s| (n + 1, objects + s.objects));
    text.line(match n_services {
        0 => "nothing was compared".to_owned(),
        _ => format!("{} of {} compared", counted(n_objects, "object", "objects"), services(n_services)),
    });
    if found.iter().any(|service| service.repair.is_some()) {
        text.note("hint: `drift --repair` prints the statements that bring the schemas back");
    }
}
