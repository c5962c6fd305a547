//! A service's migrations beside its application: what its statements wait, against the script that one writes without
//! thinking of them.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use super::figure::{Figures, milliseconds, tell};
use super::load::Load;
use super::readers::Readers;
use super::{Bench, process, server};

/// By how much the longest statement may be longer with a migration than without.
const LIMIT: Duration = Duration::from_millis(50);
/// How long the application warms up, and then is watched without a migration.
const WARM_UP: Duration = Duration::from_secs(5);
const ALONE: Duration = Duration::from_secs(20);
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
    /// Statements of its application, each with its weight.
    pub(super) statements: &'static [(&'static str, u32)],
    /// What of the program is run, in this order; `{service}` is not replaced anywhere.
    pub(super) runs: Vec<Vec<&'static str>>,
    /// The script that does the same without care, in its schema.
    pub(super) script: &'static str,
    /// Counts rows that were not carried over, in its schema.
    pub(super) left: &'static str,
}

/// What one side did to the application.
struct Outcome {
    took: Duration,
    alone: Vec<Duration>,
    meanwhile: Vec<Duration>,
    n_failed: usize,
    errors: String,
    left: String,
}

/// Which side migrates.
#[derive(Debug, Clone, Copy)]
enum Side {
    Ours,
    Script,
}

pub(super) fn measure(bench: &Bench, subject: &Subject, figures: &mut Figures) -> anyhow::Result<()> {
    let template = seeded(bench, subject)?;
    for readers in Readers::ALL {
        let ours = outcome(bench, subject, &template, readers, Side::Ours)?;
        let script = outcome(bench, subject, &template, readers, Side::Script)?;
        print(readers, &ours, &script, figures);
    }
    Ok(server::drop_copy(&bench.cluster, &template)?)
}

/// A database as it is before the migrations, with rows; its name.
pub(super) fn seeded(bench: &Bench, subject: &Subject) -> anyhow::Result<String> {
    let service = subject.service;
    let name = format!("seeded_{service}");
    tell(&format!("{service}: {} rows", bench.rows));
    bench.cluster.psql("postgres", &format!("CREATE DATABASE {name}"))?;
    let target = format!("{service}@{}", subject.before);
    process::timed(&mut bench.ours(&bench.cluster.url(&name), &["migrate", "up", &target]))?;
    bench.cluster.psql(&name, &format!("SET search_path = {service};\n{}", subject.seed))?;
    bench.cluster.psql(&name, "VACUUM (ANALYZE)")?;
    Ok(name)
}

fn outcome(
    bench: &Bench,
    subject: &Subject,
    template: &str,
    readers: Readers,
    side: Side,
) -> anyhow::Result<Outcome> {
    tell(&format!("{}: {side:?}, {}", subject.service, readers.describe()));
    let name = format!("loaded_{}", subject.service);
    let url = server::copy(&bench.cluster, template, &name)?;
    let load = Load::start(bench, &url, subject.statements)?;
    thread::sleep(WARM_UP);
    let watched = SystemTime::now();
    thread::sleep(ALONE);
    let reading = readers.start(bench, &url, subject.tables)?;
    let begun = SystemTime::now();
    let mut took = Duration::ZERO;
    match side {
        Side::Ours => {
            for run in &subject.runs {
                took += process::timed(&mut bench.ours(&url, run))?;
            }
        }
        Side::Script => {
            let file = bench.cluster.socket_directory().join("script.sql");
            fs::write(&file, format!("SET search_path = {};\n{}", subject.service, subject.script))?;
            took += process::timed(server::psql(&bench.cluster, &url).arg("-f").arg(&file))?;
        }
    }
    let ended = SystemTime::now();
    thread::sleep(AFTERWARDS);
    drop(reading);
    let statements = load.stop()?;
    let left =
        bench.cluster.psql(&name, &format!("SET search_path = {};\n{}", subject.service, subject.left))?;
    server::drop_copy(&bench.cluster, &name)?;
    Ok(Outcome {
        took,
        alone: statements.between(watched, begun),
        meanwhile: statements.between(begun, ended),
        n_failed: statements.n_failed,
        errors: statements.errors,
        left: left.trim().to_owned(),
    })
}

fn print(readers: Readers, ours: &Outcome, script: &Outcome, figures: &mut Figures) {
    let who = readers.describe();
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
        &format!("rows left out, {who}"),
        ours.left.clone(),
        script.left.clone(),
        "0".to_owned(),
        ours.left == "0",
    );
    figures.remark(&format!("migrations took, {who}"), milliseconds(ours.took), milliseconds(script.took));
}

fn most(latencies: &[Duration]) -> String {
    milliseconds(latencies.get(latencies.len() * 999 / 1000).copied().unwrap_or_default())
}

fn failures(outcome: &Outcome) -> String {
    let separator = if outcome.errors.is_empty() { "" } else { ": " };
    format!("{}{separator}{}", outcome.n_failed, outcome.errors)
}
