//! `check`: everything that has to hold before migrations are released, tried on servers of its own; for people, machines and CI.
//!
//! It connects to no database but those, and writes nothing, but for `--update` and `--junit`.

use std::fs;
use std::path::Path;

use migration_kit::{MigrationName, Service, ServiceName};
use migration_plan::{Catalog, counted};
use migration_rehearsal::{Artifacts, Check, Checked, Finding, Hazard, RehearsalError};
use migration_report::{Class, Found};
use serde::Serialize;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::{check_files, known};
use crate::arguments::{CheckOptions, Format};
use crate::context::Context;
use crate::not_written::NotWritten;
use crate::output::{Answer, Paint, SarifResult, Table, Text, annotation, duration, junit, sarif};

/// What `check --json` prints.
#[derive(Serialize)]
struct Document {
    services: Vec<ServiceDocument>,
}

/// What was checked of one service.
#[derive(Serialize)]
struct ServiceDocument {
    name: String,
    checks: Vec<CheckDocument>,
}

/// One check of one service.
#[derive(Serialize)]
struct CheckDocument {
    check: &'static str,
    passed: bool,
    elapsed_ms: u128,
    findings: Vec<FindingDocument>,
}

#[derive(Serialize)]
struct FindingDocument {
    migration: Option<String>,
    message: String,
}

/// Of a service that was made without its lock file.
const NOT_CONTAINED: &str = "the program does not contain its `migrations.lock`, so a run cannot tell that an applied migration was \
    edited: add it by `with_lock_file`";

pub(super) async fn check(
    context: &Context,
    services: &[String],
    options: &CheckOptions,
) -> anyhow::Result<Answer> {
    if let Some(files) = check_files::asked(services, options)? {
        return check_files::check(context, &files, options).await;
    }
    let all = context.program.services()?;
    let catalog = Catalog::new(all.iter().map(Service::known).collect())?;
    let mut wanted = services.iter().map(|name| known(&catalog, name)).collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        wanted = all.iter().map(|service| service.name().clone()).collect();
    }
    let is_without = |service: &&Service| matches!(service.lock_file(), Ok(None));
    let without: Vec<ServiceName> =
        all.iter().filter(is_without).map(|service| service.name().clone()).collect();
    let mut text = Text::default();
    // What happens on the servers beside is nobody's news.
    let artifacts = migration_rehearsal::artifacts(all, options.rules()).with_subscriber(NoSubscriber::new());
    let artifacts = Box::pin(artifacts).await;
    let mut hazards: Vec<(ServiceName, Hazard)> = match &artifacts {
        Ok(artifacts) => {
            let of = |one: &Artifacts| {
                let service = one.service.clone();
                one.hazards.clone().into_iter().map(move |hazard| (service.clone(), hazard))
            };
            artifacts.iter().flat_map(of).collect()
        }
        Err(error) => error.hazards(),
    };
    hazards.retain(|(service, _)| wanted.contains(service));
    let mut checked = files(artifacts, &hazards, &wanted, options, &mut text)?;
    for one in checked.iter_mut().filter(|one| one.check == Check::Files && without.contains(&one.service)) {
        one.findings.push(Finding::new(None, NOT_CONTAINED));
    }
    // They were made before; what makes them does so again.
    let make = || context.program.services().unwrap_or_default();
    let tried =
        migration_rehearsal::check(&make, &wanted, &options.skip).with_subscriber(NoSubscriber::new());
    for mut tried in Box::pin(tried).await? {
        for hazard in std::mem::take(&mut tried.hazards) {
            let is_it = |one: &&mut Checked| one.service == tried.service && one.check == Check::Hazards;
            let shown = checked.iter_mut().find(is_it).map_or(&mut tried.findings, |one| &mut one.findings);
            shown.push(finding(&hazard));
            hazards.push((tried.service.clone(), hazard));
        }
        if !tried.empty.is_empty() {
            let (service, tables) = (&tried.service, tried.empty.join("`, `"));
            text.note(format!(
                "note  `{service}`: no row could be made for `{tables}`, and it was checked empty"
            ));
        }
        checked.push(tried);
    }
    if let Some(file) = &options.sarif {
        write_sarif(file, &hazards, &options.directory)?;
    }
    checked.sort_by_key(|checked| (wanted.iter().position(|name| *name == checked.service), checked.check));
    if let Some(file) = &options.junit {
        let report = junit(checked.iter().map(|checked| {
            let says = checked.findings.iter().map(|finding| shown(&checked.service, finding)).collect();
            (checked.service.as_str(), checked.check.as_str(), checked.elapsed, says)
        }));
        fs::write(file, report).map_err(NotWritten::at(file))?;
    }
    let is_sound = checked.iter().all(|checked| checked.findings.is_empty());
    let class = if is_sound { Class::Done } else { Class::Integrity };
    say(&checked, &mut text);
    if context.output.format == Format::Github {
        annotate(&checked, &options.directory, &mut text);
    }
    let found = Found { class, errors: Vec::new(), body: Document::of(&wanted, &checked) };
    Ok(Answer::of("check", found, text)?)
}

/// Whether the committed files are what was generated. `--update` writes them.
fn files(
    artifacts: Result<Vec<Artifacts>, RehearsalError>,
    hazards: &[(ServiceName, Hazard)],
    wanted: &[ServiceName],
    options: &CheckOptions,
    text: &mut Text,
) -> anyhow::Result<Vec<Checked>> {
    let of = |service: &ServiceName, check, findings| Checked {
        service: service.clone(),
        check,
        findings,
        hazards: Vec::new(),
        empty: Vec::new(),
        elapsed: std::time::Duration::ZERO,
    };
    let artifacts = match artifacts {
        Ok(artifacts) => artifacts,
        // Another check names the migration that fails.
        Err(RehearsalError::Run(error)) => {
            let says = format!("they cannot be made: {error}");
            let of_files = wanted.iter().map(|name| of(name, Check::Files, vec![Finding::new(None, &says)]));
            let mut checked: Vec<Checked> = of_files.collect();
            for name in wanted {
                let of_it = hazards.iter().filter(|(service, _)| service == name);
                let found: Vec<Finding> = of_it.map(|(_, hazard)| finding(hazard)).collect();
                if !found.is_empty() {
                    checked.push(of(name, Check::Hazards, found));
                }
            }
            return Ok(checked);
        }
        Err(error) => return Err(error.into()),
    };
    let mut checked = Vec::new();
    for artifacts in artifacts.iter().filter(|artifacts| wanted.contains(&artifacts.service)) {
        let directory = options.directory.join(artifacts.service.as_str());
        let mut findings: Vec<Finding> =
            artifacts.faults.iter().map(|fault| Finding::new(None, fault)).collect();
        for stale in artifacts.stale(&directory)? {
            if let Some((theirs, ours)) = stale.of_two_servers() {
                text.note(format!(
                    "note  `{}` was not checked: PostgreSQL {theirs} wrote it, and this is PostgreSQL {ours}",
                    stale.path.display()
                ));
                continue;
            }
            for migration in stale.edited() {
                let says =
                    "it sends other SQL than it was recorded with: if it is applied anywhere, restore it";
                findings.push(Finding::new(migration.parse().ok(), says));
            }
            if options.update {
                stale.write()?;
                text.line(format!("wrote `{}`", stale.path.display()));
            } else {
                let path = stale.path.display();
                findings.push(Finding::new(None, format!("`{path}` is stale; `check --update` writes it")));
            }
        }
        checked.push(of(&artifacts.service, Check::Files, findings));
        let entities = artifacts.differing_entities.iter().map(|says| Finding::new(None, says));
        checked.push(of(&artifacts.service, Check::Entities, entities.collect()));
        let hazards = artifacts.hazards.iter().map(finding).collect();
        checked.push(of(&artifacts.service, Check::Hazards, hazards));
    }
    Ok(checked)
}

fn finding(hazard: &Hazard) -> Finding {
    Finding::new(Some(hazard.migration.clone()), says(hazard))
}

pub(super) fn says(hazard: &Hazard) -> String {
    let by = hazard.statement.as_ref().map(|sql| format!(" (`{}`)", excerpt(sql))).unwrap_or_default();
    let Hazard { rule, object, why, instead, .. } = hazard;
    format!("{rule}: {object}: {why}{by}; {instead}")
}

/// Writes hazards of services for code scanning.
fn write_sarif(file: &Path, hazards: &[(ServiceName, Hazard)], directory: &Path) -> anyhow::Result<()> {
    let results = hazards.iter().map(|(service, hazard)| SarifResult {
        rule: hazard.rule,
        why: hazard.why,
        instead: hazard.instead,
        message: says(hazard),
        file: source(&directory.join(service.as_str()), Some(&hazard.migration)),
        migration: format!("{service}:{}", hazard.migration),
        object: &hazard.object,
    });
    let report = serde_json::to_string_pretty(&sarif(&results.collect::<Vec<_>>()))?;
    fs::write(file, report + "\n").map_err(NotWritten::at(file))?;
    Ok(())
}

/// The file beside which a finding is shown: that of its migration, or the service's.
fn source(directory: &Path, migration: Option<&MigrationName>) -> String {
    let file = migration.map(|name| directory.join(format!("src/{name}.rs"))).filter(|file| file.exists());
    file.unwrap_or_else(|| directory.join("src/lib.rs")).display().to_string()
}

/// The beginning of a statement, on one line.
fn excerpt(sql: &str) -> String {
    const LENGTH: usize = 100;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LENGTH {
        return line;
    }
    line.chars().take(LENGTH).chain(['…']).collect()
}

fn shown(service: &ServiceName, finding: &Finding) -> String {
    match &finding.migration {
        Some(migration) => format!("{service}:{migration}: {}", finding.message),
        None => format!("{service}: {}", finding.message),
    }
}

fn say(checked: &[Checked], text: &mut Text) {
    let mut table = Table::new(&["SERVICE", "CHECK", "RESULT", "TIME"]).right(&["TIME"]);
    for one in checked {
        let (result, painted): (_, fn(Paint, &str) -> String) = match one.findings.len() {
            0 => ("passed".to_owned(), Paint::good),
            n => (counted(n, "finding", "findings"), Paint::bad),
        };
        table.painted(vec![
            (one.service.to_string(), None),
            (one.check.to_string(), None),
            (result, Some(painted)),
            (
                if one.elapsed.as_millis() == 0 { String::new() } else { duration(one.elapsed) },
                Some(Paint::faint),
            ),
        ]);
    }
    text.table(table);
    for one in checked {
        for finding in &one.findings {
            text.line(format!("{}: {}", one.check, shown(&one.service, finding)));
        }
    }
}

/// A line per finding that GitHub shows beside the file, that of the migration if it is one's.
fn annotate(checked: &[Checked], directory: &Path, text: &mut Text) {
    for one in checked {
        let directory = directory.join(one.service.as_str());
        for finding in &one.findings {
            let file = source(&directory, finding.migration.as_ref());
            let title = format!("{} {}", one.service, one.check);
            text.raw(annotation(&file, &title, &shown(&one.service, finding)));
        }
    }
}

impl Document {
    fn of(wanted: &[ServiceName], checked: &[Checked]) -> Self {
        let finding = |finding: &Finding| FindingDocument {
            migration: finding.migration.as_ref().map(ToString::to_string),
            message: finding.message.clone(),
        };
        let check = |one: &Checked| CheckDocument {
            check: one.check.as_str(),
            passed: one.findings.is_empty(),
            elapsed_ms: one.elapsed.as_millis(),
            findings: one.findings.iter().map(finding).collect(),
        };
        let service = |name: &ServiceName| ServiceDocument {
            name: name.to_string(),
            checks: checked.iter().filter(|one| one.service == *name).map(check).collect(),
        };
        Self { services: wanted.iter().map(service).collect() }
    }
}
