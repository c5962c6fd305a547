//! The hazards of SQL files of any tool, each applied on top of those before it, and all of them on top of a schema.
//!
//! No service is needed: `psql` runs the files, on a server that notes what they do. What a service's migrations do is
//! `generate`'s part.

mod base;

use migration_kit::{MigrationName, literal, sql};
use migration_plan::Phase;
use postgres_sandbox::{Database, SandboxError};

use crate::hazards::{self, Declared, Hazard, Rules, judge, refused_file};
use crate::rows::Denied;
use crate::{RehearsalError, rows, sandbox, trace};

pub use base::Base;

/// Opens the comment by which a file accepts a rule: `-- accepts RULE: reason`.
const ACCEPTS: &str = "accepts ";
/// The name of the session, by which its notes are read as those of one that runs a migration.
const APPLICATION: &str = "migrate files:file";

/// An SQL file: how it is called, and its text.
#[derive(Debug, Clone, Copy)]
pub struct SqlFile<'f> {
    /// Its path, as findings name it.
    pub path: &'f str,
    /// What is in it.
    pub text: &'f str,
}

/// What was found in one SQL file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedFile {
    /// Its path.
    pub path: String,
    /// What it does to applications, and does not accept.
    pub hazards: Vec<Hazard>,
    /// What is wrong with what it accepts, one sentence each.
    pub faults: Vec<String>,
}

/// Applies these files in their order to a database that `base` has made, empty without one, and judges each by these rules. A file runs in
/// one transaction, unless it begins with `-- no-transaction` or has one of the marks that [`migration_kit::sql`] knows.
///
/// # Errors
/// [`RehearsalError`]: there is no server, a file cannot be read as statements, or the server refuses one.
pub async fn check_files(
    base: Option<Base<'_>>,
    files: &[SqlFile<'_>],
    rules: Rules,
) -> Result<Vec<CheckedFile>, RehearsalError> {
    let read = files.iter().map(|file| sql::read(file.path, file.text));
    let scripts = read.collect::<Result<Vec<_>, _>>()?;
    let (cluster, database) = base::apply(base).await?;
    // What was there before the first file is noted as one.
    run(&database, "base", &sql::read("base", "-- nothing")?)?;
    rows::prepare(&database)?;
    let mut known: Vec<Denied> = rows::fill(&database, &rows::schemas(&database)?)?.denied;
    let (mut hindered, mut tried) = (None, Vec::new());
    for (file, script) in files.iter().zip(&scripts) {
        let (refusal, says) = run_with_rows(&database, file.path, script)?;
        if let Some(hazard) = refusal {
            hindered = Some((file.path, hazard));
            break;
        }
        let mut denied = rows::fill(&database, &rows::schemas(&database)?)?.denied;
        denied.retain(|denial| !known.contains(denial));
        known.extend(denied.iter().cloned());
        tried.push((says, denied));
    }
    let traced = trace::read(&sandbox::log(&cluster, &database)?)?.into_iter().skip(1);
    let judged = scripts.iter().zip(files).zip(traced).zip(tried).map(|(((script, file), traced), tried)| {
        let (accepted, mut faults) = accepted(&script.comments);
        let declared = Declared { phase: Phase::Expand, accepted, touches: Vec::new(), one_node: false };
        let (mut hazards, wrong) = judge(&traced, &declared, rules);
        let (says, denied) = tried;
        let of_triggers =
            denied.iter().filter_map(|denial| hazards::denied(&traced.migration, denial, &declared.accepted));
        hazards.extend(of_triggers);
        let says = says.filter(|_| !hazards::accepts_rows(&declared.accepted));
        faults.extend(says.map(|says| format!("it cannot be applied to tables with rows: {says}")));
        faults.extend(wrong);
        CheckedFile { path: file.path.to_owned(), hazards, faults }
    });
    let mut checked: Vec<CheckedFile> = judged.collect();
    if let Some((first, hazard)) = hindered {
        checked.push(CheckedFile { path: first.to_owned(), hazards: vec![hazard], faults: Vec::new() });
        let after = files[checked.len()..].iter().map(|file| CheckedFile {
            path: file.path.to_owned(),
            hazards: Vec::new(),
            faults: vec![format!("it was not checked: `{first}`, which is before it, cannot be applied")],
        });
        checked.extend(after);
    }
    Ok(checked)
}

/// Applies one file to tables with rows; to empty ones, if it cannot be applied to those, with the reason. One that runs outside
/// a transaction could not be tried again, and gets empty ones.
fn run_with_rows(
    database: &Database,
    path: &str,
    script: &sql::SqlFile,
) -> Result<(Option<Hazard>, Option<String>), RehearsalError> {
    if !script.is_transactional {
        rows::empty(database)?;
    }
    match run(database, path, script) {
        Err(RehearsalError::Refused { says, .. }) if script.is_transactional => {
            rows::empty(database)?;
            Ok((run(database, path, script)?, Some(says)))
        }
        outcome => Ok((outcome?, None)),
    }
}

/// Applies one file. What is given is the hazard that the server refused it for, if a rule is against that.
fn run(database: &Database, path: &str, script: &sql::SqlFile) -> Result<Option<Hazard>, RehearsalError> {
    let mut sent = format!("\\set VERBOSITY verbose\nSET application_name = {};\n", literal(APPLICATION));
    // Where each statement ends in what is sent, by which `psql` names it.
    let mut ends = Vec::new();
    if script.is_transactional {
        sent.push_str("BEGIN;\n");
    }
    let mut n_lines = sent.matches('\n').count();
    for (_, statement) in &script.statements {
        // A line feed first: a statement may end in a comment.
        sent.push_str(&format!("{statement}\n;\n"));
        n_lines += statement.matches('\n').count() + 2;
        ends.push(n_lines);
    }
    sent.push_str(&format!("/* migrate */ SELECT migration_trace.file({});\n", literal(path)));
    if script.is_transactional {
        sent.push_str("COMMIT;\n");
    }
    let Err(error) = database.psql(&sent) else { return Ok(None) };
    let Some(Refusal { line: end, code, says }) = refusal(&error) else { return Err(error.into()) };
    // What is refused at the commit is no statement's: the last one is the nearest.
    let place = ends.iter().position(|last| *last >= end).or(ends.len().checked_sub(1));
    let (line, statement) = place.map_or((1, ""), |place| {
        let (line, statement) = &script.statements[place];
        (*line, statement.as_str())
    });
    let name: Option<MigrationName> = path.parse().ok();
    let hazard = name.zip(code).and_then(|(name, code)| refused_file(&name, &code, &says, statement));
    let refused = || RehearsalError::Refused { path: path.to_owned(), line, says, is_base: false };
    hazard.map(Some).ok_or_else(refused)
}

/// What the server refused.
struct Refusal {
    /// The line that `psql` names.
    line: usize,
    /// The SQLSTATE, if it was asked for.
    code: Option<String>,
    says: String,
}

/// Reads `psql:<stdin>:3: ERROR:  42P01: relation "item" does not exist`.
fn refusal(error: &SandboxError) -> Option<Refusal> {
    let SandboxError::Failed { message, .. } = error else { return None };
    message.lines().find_map(|line| {
        let (place, says) = line.split_once(": ")?;
        let line = place.strip_prefix("psql:")?.rsplit_once(':')?.1.parse().ok()?;
        let says = says.strip_prefix("ERROR:").or(says.strip_prefix("error:"))?.trim();
        let is_code = |code: &&str| {
            code.len() == 5 && code.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        };
        let code = says.split(": ").next().filter(is_code);
        let says = code.and_then(|code| says.strip_prefix(code)?.strip_prefix(": ")).unwrap_or(says);
        Some(Refusal { line, code: code.map(str::to_owned), says: says.to_owned() })
    })
}

/// The rules that a file accepts, with the reasons, and what is wrong with how it does so.
fn accepted(comments: &[String]) -> (Vec<(String, String)>, Vec<String>) {
    let (mut accepted, mut faults) = (Vec::new(), Vec::new());
    for comment in comments.iter().filter_map(|comment| comment.strip_prefix(ACCEPTS)) {
        match comment.split_once(':').map(|(rule, reason)| (rule.trim(), reason.trim())) {
            // What is no word in front of the colon is a sentence that begins like this.
            Some((rule, _)) if rule.contains(' ') => {}
            Some((rule, reason)) if !reason.is_empty() => accepted.push((rule.to_owned(), reason.to_owned())),
            Some((rule, _)) => faults.push(format!("it accepts `{rule}` and gives no reason")),
            None => {}
        }
    }
    (accepted, faults)
}
