//! A service's migrations beside its application: what its statements wait, against the script that one writes without
//! thinking of them.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::ensure;

use super::figure::{Figures, milliseconds, tell};
use super::load::Load;
use super::readers::Readers;
use super::size::SizeWatch;
use super::{Bench, process, server};

/// By how much the longest statement may be longer with a migration than without.
const LIMIT: Duration = Duration::from_millis(50);
/// How much larger tables may be at their largest; under load, indexes left out.
pub(super) const GROWTH: f64 = 1.3;
/// How long the application warms up, and then is watched without a migration: long enough to see the system write out
/// what has not been written for 30 s.
const WARM_UP: Duration = Duration::from_secs(3);
const ALONE: Duration = Duration::from_secs(40);
/// How long it is watched afterwards: what is still due then was held up.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A service under load.
pub(super) struct Subject {
    /// Name of the service.
    pub(super) service: &'static str,
    /// The last migration before those that are measured.
    pub(super) before: &'static str,
    /// Fills its tables, in its schema.
    pub(super) seed: String,
    /// Tables that readers stand on.
    pub(super) tables: &'static [&'static str],
    /// What is run, in this order.
    pub(super) phases: Vec<Phase>,
}

/// One run of the program beside one release of the application.
pub(super) struct Phase {
    /// What it is called in the table of figures.
    pub(super) name: &'static str,
    /// Run in the service's schema before the application starts.
    pub(super) before: Option<String>,
    /// Statements of the application, each with its weight.
    pub(super) statements: Statements,
    /// Arguments of the program.
    pub(super) command: Vec<&'static str>,
    /// The script that does the same without care, in its schema.
    pub(super) script: &'static str,
    /// Counts what was not done, in its schema.
    pub(super) left: String,
}

/// Statements of an application, each with its weight.
type Statements = &'static [(&'static str, u32)];

impl Phase {
    /// All expand steps beside the old application.
    pub(super) fn expand(
        service: &'static str,
        statements: Statements,
        script: &'static str,
        left: &str,
    ) -> Self {
        Self {
            name: "expand",
            before: None,
            statements,
            command: vec!["up", service],
            script,
            left: left.to_owned(),
        }
    }

    /// The contract steps that drop such a column, beside the new application, once their soak time has passed.
    pub(super) fn contract(
        service: &'static str,
        statements: Statements,
        script: &'static str,
        (table, column): (&str, &str),
    ) -> Self {
        Self {
            name: "contract",
            before: Some(format!(
                "UPDATE {} SET applied_at = applied_at - 864000",
                migration_kit::version_table(service)
            )),
            statements,
            command: vec!["up", service, "--contract", "--allow-data-loss"],
            script,
            left: format!(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}' \
                 AND NOT attisdropped"
            ),
        }
    }
}

/// What one side did to the application.
struct Outcome {
    took: Duration,
    alone: Vec<Duration>,
    meanwhile: Vec<Duration>,
    n_failed: usize,
    errors: String,
    left: String,
    /// Peak size of the tables, of that before.
    growth: f64,
    /// Peak memory of the program.
    memory_bytes: Option<u64>,
}

/// Which side migrates.
#[derive(Debug, Clone, Copy)]
enum Side {
    Ours,
    Script,
}

pub(super) fn measure(bench: &Bench, subject: &Subject, figures: &mut Figures) -> anyhow::Result<()> {
    let template = seeded(bench, subject)?;
    server::fill_log(&bench.cluster)?;
    for readers in Readers::ALL {
        let ours = outcomes(bench, subject, &template, readers, Side::Ours)?;
        let script = outcomes(bench, subject, &template, readers, Side::Script)?;
        for (phase, (ours, script)) in subject.phases.iter().zip(ours.iter().zip(&script)) {
            print(&format!("{}, {}", phase.name, readers.describe()), ours, script, figures);
        }
    }
    Ok(server::drop_copy(&bench.cluster, &template)?)
}

/// A database as it is before the migrations, with rows; its name.
pub(super) fn seeded(bench: &Bench, subject: &Subject) -> anyhow::Result<String> {
    let service = subject.service;
    let name = format!("seeded_{service}");
    tell(&format!("{service}: filling its tables"));
    bench.cluster.psql("postgres", &format!("CREATE DATABASE {name}"))?;
    let target = format!("{service}@{}", subject.before);
    process::timed(&mut bench.migrate(&bench.cluster.url(&name), &["up", &target]))?;
    bench.cluster.psql(&name, &format!("SET search_path = {service};\n{}", subject.seed))?;
    bench.cluster.psql(&name, "VACUUM (ANALYZE)")?;
    Ok(name)
}

/// What one side does to the application, phase by phase.
fn outcomes(
    bench: &Bench,
    subject: &Subject,
    template: &str,
    readers: Readers,
    side: Side,
) -> anyhow::Result<Vec<Outcome>> {
    tell(&format!("{}: {side:?}, {}", subject.service, readers.describe()));
    let name = format!("loaded_{}", subject.service);
    server::copy(&bench.cluster, template, &name)?;
    let outcomes =
        subject.phases.iter().map(|phase| outcome(bench, subject, phase, &name, readers, side)).collect();
    server::drop_copy(&bench.cluster, &name)?;
    outcomes
}

fn outcome(
    bench: &Bench,
    subject: &Subject,
    phase: &Phase,
    database: &str,
    readers: Readers,
    side: Side,
) -> anyhow::Result<Outcome> {
    let url = bench.cluster.url(database);
    let within = |sql: &str| format!("SET search_path = {};\n{sql}", subject.service);
    if let (Some(before), Side::Ours) = (&phase.before, side) {
        bench.cluster.psql(database, &within(before))?;
    }
    let sizes: Vec<String> = subject.tables.iter().map(|table| format!("pg_table_size('{table}')")).collect();
    let size = format!("SELECT {}", sizes.join(" + "));
    let size_before: u64 = bench.cluster.psql(database, &size)?.trim().parse()?;
    let load = Load::start(bench, &url, phase.statements)?;
    thread::sleep(WARM_UP);
    let watched = SystemTime::now();
    thread::sleep(ALONE);
    let reading = readers.start(bench, &url, subject.tables)?;
    let watch = SizeWatch::start(bench, &url, &size)?;
    let begun = SystemTime::now();
    let (took, memory_bytes) = match side {
        Side::Ours => {
            let seen = process::watched(&mut bench.migrate(&url, &phase.command))?;
            (seen.elapsed, seen.peak_bytes)
        }
        Side::Script => {
            let file = bench.cluster.socket_directory().join("script.sql");
            fs::write(&file, within(phase.script))?;
            (process::timed(server::psql(&bench.cluster, &url).arg("-f").arg(&file))?, None)
        }
    };
    let ended = SystemTime::now();
    thread::sleep(AFTERWARDS);
    let peak = watch.peak()?;
    drop(reading);
    let statements = load.stop()?;
    let (alone, meanwhile) = (statements.between(watched, begun), statements.between(begun, ended));
    ensure!(!alone.is_empty(), "the application stopped: {}", statements.errors);
    let left = bench.cluster.psql(database, &within(&phase.left))?;
    Ok(Outcome {
        took,
        alone,
        meanwhile,
        n_failed: statements.n_failed,
        errors: statements.errors,
        left: left.trim().to_owned(),
        growth: peak as f64 / size_before as f64,
        memory_bytes,
    })
}

fn print(who: &str, ours: &Outcome, script: &Outcome, figures: &mut Figures) {
    let longest = |latencies: &[Duration]| latencies.last().copied().unwrap_or_default();
    let text = |outcome: &Outcome| {
        format!(
            "{} (alone {})",
            milliseconds(longest(&outcome.meanwhile)),
            milliseconds(longest(&outcome.alone))
        )
    };
    let longer = longest(&ours.meanwhile).saturating_sub(longest(&ours.alone));
    let limit = format!("{} longer (at most {})", milliseconds(longer), milliseconds(LIMIT));
    figures.row(&format!("longest statement, {who}"), text(ours), text(script), limit, longer <= LIMIT);
    figures.remark(&format!("99.9 % of statements, {who}"), most(&ours.meanwhile), most(&script.meanwhile));
    figures.row(
        &format!("failed statements, {who}"),
        failures(ours),
        failures(script),
        "0".to_owned(),
        ours.n_failed == 0,
    );
    figures.row(
        &format!("rows left, {who}"),
        ours.left.clone(),
        script.left.clone(),
        "0".to_owned(),
        ours.left == "0",
    );
    figures.row(
        &format!("peak size, {who}"),
        format!("{:.2} ×", ours.growth),
        format!("{:.2} ×", script.growth),
        format!("at most {GROWTH} ×"),
        ours.growth <= GROWTH,
    );
    figures.memory(&format!("peak memory, {who}"), ours.memory_bytes);
    figures.remark(&format!("migrations took, {who}"), milliseconds(ours.took), milliseconds(script.took));
}

fn most(latencies: &[Duration]) -> String {
    milliseconds(latencies.get(latencies.len() * 999 / 1000).copied().unwrap_or_default())
}

fn failures(outcome: &Outcome) -> String {
    let separator = if outcome.errors.is_empty() { "" } else { ": " };
    format!("{}{separator}{}", outcome.n_failed, outcome.errors)
}
