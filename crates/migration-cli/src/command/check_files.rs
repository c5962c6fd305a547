//! `check FILE.sql…`: hazards in SQL files of any tool, for those whose migrations are no services of a program.
//!
//! It reads the schema of the database that `--base` names, if it names one, works on a server of its own, and writes nothing,
//! but for `--junit` and `--sarif`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use migration_coordinator::DatabaseUrl;
use migration_plan::counted;
use migration_rehearsal::{Base, CheckedFile, Hazard, RehearsalError, SqlFile, check_files};
use migration_report::{Class, Found};
use serde::Serialize;

use super::check::says;
use crate::arguments::{CheckOptions, Format};
use crate::context::Context;
use crate::exit::Failure;
use crate::not_written::NotWritten;
use crate::output::{Answer, Paint, SarifResult, Table, Text, annotation, junit, sarif};

/// What `check --json` prints of files.
#[derive(Serialize)]
struct Document {
    files: Vec<FileDocument>,
}

/// What was found in one file.
#[derive(Serialize)]
struct FileDocument {
    file: String,
    passed: bool,
    findings: Vec<FindingDocument>,
}

#[derive(Serialize)]
struct FindingDocument {
    rule: Option<&'static str>,
    object: Option<String>,
    statement: Option<String>,
    message: String,
}

/// The files, if files are what is to be checked, without those that take back what others do.
///
/// # Errors
/// [`Failure`]: services beside them, or an option that is not for files.
pub(super) fn asked(named: &[String], options: &CheckOptions) -> Result<Option<Vec<String>>, Failure> {
    let is_file = |name: &String| Path::new(name).extension() == Some(OsStr::new("sql"));
    if !named.iter().any(is_file) {
        return match options.base {
            Some(_) => Err(Failure::usage(
                "`--base` is for SQL files",
                "name them: `check 0007_add_due.sql --base schema.sql`",
            )),
            None => Ok(None),
        };
    }
    if let Some(service) = named.iter().find(|name| !is_file(name)) {
        let what =
            format!("`{service}` is not an SQL file, and services are not checked together with files");
        return Err(Failure::usage(what, "check services and files in two commands"));
    }
    if options.update || !options.skip.is_empty() {
        let what = "`--update` and `--skip` are for services";
        return Err(Failure::usage(what, "SQL files are checked for hazards only"));
    }
    Ok(Some(named.to_vec()))
}

pub(super) async fn check(
    context: &Context,
    files: &[String],
    options: &CheckOptions,
) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    let (reverting, files): (Vec<&String>, Vec<&String>) =
        files.iter().partition(|file| file.ends_with(".down.sql"));
    for file in reverting {
        text.note(format!("note  `{file}` takes back what another file does, and was left out"));
    }
    let texts = files.iter().map(|file| read(Path::new(file))).collect::<Result<Vec<_>, _>>()?;
    let base = options.base.as_deref().map(|base| of_base(context, base)).transpose()?;
    let given: Vec<SqlFile<'_>> =
        files.iter().zip(&texts).map(|(path, text)| SqlFile { path, text }).collect();
    let begun = Instant::now();
    let checked = check_files(base.as_ref().map(Given::as_base), &given, options.rules());
    let checked = Box::pin(checked).await.map_err(refused)?;
    let elapsed = begun.elapsed();
    write_reports(&checked, elapsed, options)?;
    let is_sound = checked.iter().all(|file| findings(file).is_empty());
    let class = if is_sound { Class::Done } else { Class::Integrity };
    say(&checked, &mut text);
    if context.output.format == Format::Github {
        for file in &checked {
            let title = format!("{} hazards", file.path);
            for message in findings(file) {
                text.raw(annotation(&file.path, &title, &message));
            }
        }
    }
    let body = Document { files: checked.iter().map(document).collect() };
    Ok(Answer::of("check", Found { class, errors: Vec::new(), body }, text)?)
}

/// What `--base` names.
enum Given<'g> {
    File(&'g str, String),
    Live(Box<DatabaseUrl>),
}

impl Given<'_> {
    fn as_base(&self) -> Base<'_> {
        match self {
            Self::File(path, text) => Base::File(SqlFile { path, text }),
            Self::Live(url) => Base::Live(url),
        }
    }
}

/// A database, by its address or by the variable that holds it, or else a file.
fn of_base<'g>(context: &Context, base: &'g str) -> Result<Given<'g>, Failure> {
    if base.contains("://") || base.ends_with("DATABASE_URL") {
        return context.environment.named("--base", base).map(|url| Given::Live(Box::new(url)));
    }
    Ok(Given::File(base, read(Path::new(base))?))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("`{}` cannot be read: {error}", file.display()), "name a file of SQL in UTF-8")
    })
}

/// What was given cannot be applied; other failures are the server's.
fn refused(error: RehearsalError) -> anyhow::Error {
    let hint = match &error {
        RehearsalError::Refused { is_base: true, .. } => {
            "`pg_dump --schema-only` writes the schema of a database as `--base` needs it"
        }
        RehearsalError::Refused { .. } => {
            "`--base` names the schema that it is applied to; what runs outside a transaction begins with `-- no-transaction`"
        }
        RehearsalError::Sql(source) => {
            return Failure::usage(source.to_string(), "each file holds SQL as the server takes it").into();
        }
        RehearsalError::Dump { .. } => {
            let hint = "the role has to be able to read the definition of each table".to_owned();
            return Failure { class: Class::Connection, message: error.to_string(), hint: Some(hint) }.into();
        }
        _ => return error.into(),
    };
    Failure::usage(error.to_string(), hint).into()
}

/// What is wrong with a file, one sentence each.
fn findings(file: &CheckedFile) -> Vec<String> {
    file.hazards.iter().map(says).chain(file.faults.iter().cloned()).collect()
}

fn document(file: &CheckedFile) -> FileDocument {
    let hazard = |hazard: &Hazard| FindingDocument {
        rule: Some(hazard.rule),
        object: Some(hazard.object.clone()),
        statement: hazard.statement.clone(),
        message: says(hazard),
    };
    let fault = |fault: &String| FindingDocument {
        rule: None,
        object: None,
        statement: None,
        message: fault.clone(),
    };
    let found: Vec<_> = file.hazards.iter().map(hazard).chain(file.faults.iter().map(fault)).collect();
    FileDocument { file: file.path.clone(), passed: found.is_empty(), findings: found }
}

fn say(checked: &[CheckedFile], text: &mut Text) {
    let mut table = Table::new(&["FILE", "RESULT"]);
    for file in checked {
        let (result, painted): (_, fn(Paint, &str) -> String) = match findings(file).len() {
            0 => ("passed".to_owned(), Paint::good),
            n => (counted(n, "finding", "findings"), Paint::bad),
        };
        table.painted(vec![(file.path.clone(), None), (result, Some(painted))]);
    }
    text.table(table);
    for file in checked {
        for finding in findings(file) {
            text.line(format!("{}: {finding}", file.path));
        }
    }
}

fn write_reports(checked: &[CheckedFile], elapsed: Duration, options: &CheckOptions) -> anyhow::Result<()> {
    let write = |file: &Path, report: String| fs::write(file, report).map_err(NotWritten::at(file));
    if let Some(file) = &options.junit {
        let each = elapsed / u32::try_from(checked.len().max(1)).unwrap_or(u32::MAX);
        let cases = checked.iter().map(|file| (file.path.as_str(), "hazards", each, findings(file)));
        write(file, junit(cases))?;
    }
    if let Some(file) = &options.sarif {
        let hazards = checked.iter().flat_map(|file| file.hazards.iter().map(move |hazard| (file, hazard)));
        let results = hazards.map(|(file, hazard)| SarifResult {
            rule: hazard.rule,
            why: hazard.why,
            instead: hazard.instead,
            message: says(hazard),
            file: file.path.clone(),
            migration: file.path.clone(),
            object: &hazard.object,
        });
        let report = serde_json::to_string_pretty(&sarif(&results.collect::<Vec<_>>()))?;
        write(file, report + "\n")?;
    }
    Ok(())
}
