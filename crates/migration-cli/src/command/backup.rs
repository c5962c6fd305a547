//! `backup` and `backups`: archives of single services, and what became of them; also what `up --backup` does first.

use std::path::{Path, PathBuf};

use migration_backup::{
    Backup, BackupError, BackupOptions, External, Kind, Listed, Manifest, Pipe, Problem, Progress, Retention,
    Verification, Verify, list, prune,
};
use migration_coordinator::Cancellation;
use migration_kit::ServiceName;
use migration_plan::{NameError, counted};
use migration_report::{Class, Diagnostic, Found};
use serde::Serialize;

use super::run::caller;
use super::space::bytes;
use super::{connect, names};
use crate::arguments::BackupArguments;
use crate::context::Context;
use crate::database::Connected;
use crate::exit::Failure;
use crate::output::{Answer, Paint, Table, Text};
use crate::words::OurWords;

/// What `backup` did.
#[derive(Debug, Clone, Serialize)]
struct Document {
    directory: String,
    backups: Vec<BackupDocument>,
    /// Services that have nothing to back up yet.
    empty: Vec<String>,
    /// Older archives that were removed.
    removed: Vec<String>,
}

/// What `backups` found.
#[derive(Debug, Clone, Serialize)]
struct ListDocument {
    directory: String,
    backups: Vec<BackupDocument>,
}

/// One backup.
#[derive(Debug, Clone, Serialize)]
struct BackupDocument {
    archive: String,
    /// `whole`, `external`, `damaged` or `incomplete`.
    state: &'static str,
    problem: Option<String>,
    /// Whether it was restored on trial.
    verified: bool,
    manifest: Option<Manifest>,
}

impl BackupDocument {
    fn of(listed: &Listed) -> Self {
        let (state, problem) = match &listed.problem {
            None if listed.manifest.as_ref().is_some_and(is_external) => ("external", None),
            None => ("whole", None),
            Some(Problem::Damaged(what)) => ("damaged", Some(what.clone())),
            Some(Problem::Incomplete(what)) => ("incomplete", Some(what.clone())),
        };
        Self {
            archive: listed.archive.display().to_string(),
            state,
            problem,
            verified: listed.manifest.as_ref().is_some_and(is_verified),
            manifest: listed.manifest.clone(),
        }
    }

    fn made(backup: &Backup) -> Self {
        let (archive, manifest) = (backup.archive.clone(), Some(backup.manifest.clone()));
        Self::of(&Listed { archive, manifest, problem: None })
    }
}

/// Backs services up.
pub(super) async fn backup(
    context: &Context,
    services: &[String],
    options: &BackupArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let mut wanted = names(&connected, services)?;
    if wanted.is_empty() {
        wanted = connected.deployment.services().map(|(service, ..)| service.name().clone()).collect();
    }
    let directory = directory(context, options.to.as_deref())?;
    let mut how = how(context, &directory, cancellation)?;
    if options.archive {
        how.external = None;
    }
    if let (Some(option), Some(_)) = (of_archives(options), &how.external) {
        let message = format!("`{option}` is for archives, and `MIGRATE_BACKUP_COMMAND` makes the backup");
        return Err(Failure::usage(message, "`--archive` dumps with `pg_dump` all the same").into());
    }
    how.wait = options.wait;
    how.jobs = options.jobs;
    how.pipe = options.to_command.as_deref().map(|command| pipe(context, command));
    how.verify = match (options.verify, options.no_verify) {
        (true, _) => Verify::Always,
        (_, true) => Verify::Never,
        _ => how.verify,
    };
    let made = make(context, &connected, &wanted, &how).await;
    let mut failures: Vec<anyhow::Error> = made.failure.into_iter().map(raised).collect();
    // Who names a service learns that what bears its names is not backed up.
    if !services.is_empty() {
        failures.extend(made.of_others.into_iter().map(anyhow::Error::from));
    }
    let retention = Retention { newest: options.keep, days: options.keep_days };
    let mut removed = Vec::new();
    for backup in &made.done {
        match prune(&directory, &backup.manifest.service, retention) {
            Ok(old) => removed.extend(old),
            Err(error) => failures.push(raised(error)),
        }
    }
    let mut text = Text::default();
    let note = context.output.paint.warn("note");
    for service in &made.empty {
        text.note(format!("{note}  `{service}` has nothing to back up yet"));
    }
    for archive in &removed {
        text.note(format!("{note}  removed the older `{}`", context.environment.relative(archive)));
    }
    let errors: Vec<Diagnostic> =
        failures.iter().map(|error| Diagnostic::of(error.as_ref(), &OurWords)).collect();
    errors.iter().cloned().for_each(|error| text.error(error));
    let body = Document {
        directory: if how.pipe.is_some() { String::new() } else { directory.display().to_string() },
        backups: made.done.iter().map(BackupDocument::made).collect(),
        empty: made.empty.iter().map(ToString::to_string).collect(),
        removed: made.swept.iter().chain(&removed).map(|archive| archive.display().to_string()).collect(),
    };
    Ok(Answer::of("backup", Found::despite(errors, body), text)?)
}

/// The first option that was given and is of archives.
fn of_archives(options: &BackupArguments) -> Option<&'static str> {
    let given = [
        ("--to-command", options.to_command.is_some()),
        ("--jobs", options.jobs.is_some()),
        ("--verify", options.verify),
        ("--no-verify", options.no_verify),
    ];
    given.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
}

/// Lists the backups of a directory.
pub(super) fn backups(
    context: &Context,
    services: &[String],
    named: Option<&Path>,
) -> anyhow::Result<Answer> {
    let directory = directory(context, named)?;
    // It may be one that this build does not know.
    let named_services: Result<Vec<ServiceName>, NameError> =
        services.iter().map(|name| name.parse()).collect();
    named_services.map_err(|error| Failure::usage(error.to_string(), "`status` lists the services"))?;
    // Where nobody has named one, none was made yet.
    let is_missing = named.is_none() && matches!(directory.try_exists(), Ok(false));
    let mut listed = if is_missing { Vec::new() } else { list(&directory).map_err(raised)? };
    // What cannot be read may be anybody's.
    listed.retain(|listed| match &listed.manifest {
        Some(manifest) => services.is_empty() || services.contains(&manifest.service),
        None => true,
    });
    let mut table =
        Table::new(&["SERVICE", "TAKEN AT", "NEWEST MIGRATION", "ROWS", "SIZE", "ARCHIVE", "STATE"])
            .right(&["ROWS", "SIZE"]);
    for found in &listed {
        let of = |get: &dyn Fn(&Manifest) -> String| found.manifest.as_ref().map(get).unwrap_or_default();
        let (state, paint): (String, fn(Paint, &str) -> String) = match &found.problem {
            Some(Problem::Damaged(what)) => (format!("damaged: {what}"), Paint::bad),
            Some(Problem::Incomplete(what)) => (format!("incomplete: {what}"), Paint::bad),
            None if found.manifest.as_ref().is_some_and(is_external) => {
                ("external: only its tool knows whether it is whole".to_owned(), Paint::warn)
            }
            None if found.manifest.as_ref().is_some_and(is_verified) => {
                ("whole, restored on trial".to_owned(), Paint::good)
            }
            None => ("whole, not restored on trial".to_owned(), Paint::good),
        };
        table.painted(vec![
            (of(&|manifest| manifest.service.clone()), None),
            (of(&|manifest| manifest.taken_at.clone()), None),
            (of(&|manifest| manifest.newest.clone().unwrap_or_default()), None),
            (of(&|manifest| n_counted(manifest).map(|n| n.to_string()).unwrap_or_default()), None),
            (
                of(&|manifest| {
                    if is_external(manifest) { String::new() } else { bytes(manifest.size_bytes) }
                }),
                None,
            ),
            (context.environment.relative(&found.archive).to_string(), None),
            (state, Some(paint)),
        ]);
    }
    let mut text = Text::default();
    if listed.is_empty() {
        text.line(format!("there are no backups in `{}`", context.environment.relative(&directory)));
    }
    text.table(table);
    let is_bad = listed.iter().any(|found| found.problem.is_some());
    let body = ListDocument {
        directory: directory.display().to_string(),
        backups: listed.iter().map(BackupDocument::of).collect(),
    };
    let class = if is_bad { Class::Integrity } else { Class::Done };
    Ok(Answer::of("backups", Found { class, errors: Vec::new(), body }, text)?)
}

/// Backs up what a run is about to change.
pub(super) async fn before_a_run(
    context: &Context,
    connected: &Connected,
    services: &[ServiceName],
    cancellation: &Cancellation,
) -> anyhow::Result<Vec<PathBuf>> {
    let directory = directory(context, None)?;
    let made = make(context, connected, services, &how(context, &directory, cancellation)?).await;
    match made.failure {
        None => Ok(made.done.into_iter().map(|backup| backup.archive).collect()),
        Some(error) => Err(raised(error)),
    }
}

/// Makes backups, and says of each that it is there.
async fn make(
    context: &Context,
    connected: &Connected,
    services: &[ServiceName],
    how: &BackupOptions,
) -> migration_backup::Made {
    let bar = context.output.bar();
    let note = context.output.paint.warn("note");
    let show = |progress: Progress<'_>| match progress {
        Progress::Large(service, size) => {
            let mut text = Text::default();
            text.note(format!(
                "{note}  `{service}` has {}: dumping that takes long, and restoring it longer; a physical backup instead is made by a \
                 command that `MIGRATE_BACKUP_COMMAND` names",
                bytes(size)
            ));
            bar.suspend(|| context.output.say(&text));
        }
        Progress::Option(service, columns, option) => {
            let mut text = Text::default();
            text.note(format!(
                "{note}  `{service}`: {columns} have the option `{option}`, which a server of another build may refuse to restore"
            ));
            bar.suspend(|| context.output.say(&text));
        }
        Progress::LeftOut(service, left_out, may_resume) => {
            let mut text = Text::default();
            if let Some(half_built) = left_out.half_built() {
                let mends = match may_resume {
                    true => format!("`up {service}` finishes what was begun"),
                    false => format!("`repair {service}` says what mends it"),
                };
                text.note(format!("{note}  `{service}`: {half_built}: {mends}"));
            }
            for other in &left_out.others {
                text.note(format!("{note}  `{service}`: the backup does not know {other}"));
            }
            bar.suspend(|| context.output.say(&text));
        }
        Progress::Commanded(name) => bar.set_message(format!("{name}  made by the command")),
        Progress::Written(service, size) => {
            bar.set_message(format!("{service}  backing up  {}", bytes(size)));
        }
        Progress::Verifying(service) => bar.set_message(format!("{service}  restoring on trial")),
    };
    let made = Box::pin(migration_backup::backup(&connected.deployment, services, how, &show)).await;
    bar.finish_and_clear();
    let mut text = Text::default();
    for left in &made.swept {
        let left = context.environment.relative(left);
        text.note(format!("{note}  removed `{left}`, which a backup that was killed had left"));
    }
    for Backup { archive, manifest } in &made.done {
        let rows = n_counted(manifest).map(|n| format!("{}, ", counted(n, "row", "rows")));
        let proof = match (&manifest.external, &manifest.verification) {
            (Some(External { name, .. }), _) => {
                format!("`{name}` of the command: only its tool knows whether it is whole")
            }
            (None, Verification::Restored) => format!("{}, restored on trial", bytes(manifest.size_bytes)),
            (None, Verification::Skipped(why)) => {
                format!("{}, not restored on trial: {why}", bytes(manifest.size_bytes))
            }
        };
        let place = context.environment.relative(archive);
        text.line(format!("{}  {place}  {}{proof}", manifest.service, rows.unwrap_or_default()));
    }
    context.output.say(&text);
    made
}

fn how(context: &Context, directory: &Path, cancellation: &Cancellation) -> anyhow::Result<BackupOptions> {
    let mut how = BackupOptions::new(directory);
    how.external = context.environment.backup_command()?.map(|command| pipe(context, &command));
    how.search = context.environment.programs()?;
    how.tool = caller().tool;
    how.cancellation = cancellation.clone();
    Ok(how)
}

fn directory(context: &Context, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    Ok(match named {
        Some(named) => named.to_owned(),
        None => context.environment.backup_directory()?,
    })
}

/// A command that keeps, gives or makes backups. It gets no address and no password of a database.
pub(super) fn pipe(context: &Context, command: &str) -> Pipe {
    Pipe { command: command.to_owned(), withheld: context.environment.secrets() }
}

/// How many rows a backup has, if they were counted.
fn n_counted(manifest: &Manifest) -> Option<i64> {
    (!is_external(manifest) || !manifest.tables.is_empty()).then(|| manifest.n_rows())
}

fn is_external(manifest: &Manifest) -> bool {
    manifest.kind == Kind::External
}

fn is_verified(manifest: &Manifest) -> bool {
    manifest.verification == Verification::Restored
}

/// An error of the coordinator as itself, so that its class and its hint are known.
pub(super) fn raised(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Upkeep(error) => error.into(),
        BackupError::Run(error) => error.into(),
        BackupError::Connect(error) => error.into(),
        error => error.into(),
    }
}
