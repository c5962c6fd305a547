//! Words that fingers know from other tools: what is plain is done, the rest is answered with the exact command.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use migration_kit::Service;
use migration_plan::Selection;

use crate::context::Program;
use crate::exit::Failure;
use crate::shell;

/// Commands of Alembic, Django, diesel, Flyway, sea-orm-cli and sqlx-cli that have another name here, or no place.
const COMMANDS: [(&[&str], Answer); 9] = [
    (&["run", "migrate", "apply"], Answer::Command("up")),
    (&["rollback", "undo"], Answer::Command("down SERVICE@-1")),
    (&["heads", "list", "show", "showmigrations"], Answer::Command("history")),
    (&["pending"], Answer::Command("plan")),
    (&["branches"], Answer::Command("graph")),
    (&["validate"], Answer::Command("verify")),
    #[cfg(feature = "rehearsal")]
    (&["revision", "makemigrations", "create", "new", "add"], Answer::Command("generate SERVICE NAME")),
    #[cfg(not(feature = "rehearsal"))]
    (
        &["revision", "makemigrations", "generate", "create", "new", "add"],
        Answer::Sentence(
            "a migration is a file in `src` of its service, listed in its `lib.rs`; then `artifacts` records its checksum and locks",
        ),
    ),
    (&["fake", "baseline"], Answer::Command("stamp SERVICE@TARGET")),
    (
        &["fresh", "refresh", "reset", "clean", "drop"],
        Answer::Sentence(
            "nothing here drops a whole database; `down SERVICE@base`, then `up SERVICE`, rebuilds one service",
        ),
    ),
];

/// Options of Alembic, Django, Rails and sqlx-cli for which there is a command here: where it applies, and where it reverts.
const OPTIONS: &[(&[&str], &str, &str)] = &[
    (&["--dry-run", "--plan", "--pretend"], "plan", "plan --down SERVICE@TARGET"),
    #[cfg(feature = "rehearsal")]
    (&["--sql"], "sql", "sql --down SERVICE@TARGET"),
    #[cfg(feature = "rehearsal")]
    (&["--fake", "--fake-initial"], "stamp SERVICE@TARGET", "stamp SERVICE@TARGET"),
];

/// What is said of a command of another tool.
enum Answer {
    /// This command does it.
    Command(&'static str),
    Sentence(&'static str),
}

/// The targets of a command that applies: `head` in place of services stands for all of them, as if none were named.
///
/// # Errors
/// A usage error if services are named beside it.
pub(crate) fn to_apply(targets: Vec<Selection>, program: &Program) -> anyhow::Result<Vec<Selection>> {
    no_migrations(&targets, "up", program)?;
    let Some(head) = word(&targets, &["head", "heads"], program)? else { return Ok(targets) };
    if targets.len() == 1 {
        return Ok(Vec::new());
    }
    Err(Failure::usage(
        format!("`{head}` means all services, and others are named beside it"),
        "a service without a target goes to its head",
    )
    .into())
}

/// The targets of a command that reverts. `base` in place of services is not guessed: it would revert everything.
///
/// # Errors
/// A usage error with the exact command.
pub(crate) fn to_revert(targets: Vec<Selection>, program: &Program) -> anyhow::Result<Vec<Selection>> {
    each_by_name(targets, "base", "to revert everything of all services", "down", program)
}

/// The targets of a command that records. `head` in place of services is not guessed: each is compared with what is there.
///
/// # Errors
/// A usage error with the exact command.
#[cfg(feature = "rehearsal")]
pub(crate) fn to_record(targets: Vec<Selection>, program: &Program) -> anyhow::Result<Vec<Selection>> {
    each_by_name(targets, "head", "to record everything of all services", "stamp", program)
}

fn each_by_name(
    targets: Vec<Selection>,
    point: &'static str,
    purpose: &str,
    command: &str,
    program: &Program,
) -> anyhow::Result<Vec<Selection>> {
    no_migrations(&targets, command, program)?;
    if word(&targets, &[point], program)?.is_none() {
        return Ok(targets);
    }
    let all: String =
        program.services()?.iter().map(|service| format!(" {}@{point}", service.name())).collect();
    Err(Failure::usage(
        format!("`{point}` names no service, and each has a history of its own"),
        format!("{purpose}: `{} {command}{all}`", program.invocation),
    )
    .into())
}

/// Refuses ids of migrations in place of services, with the exact command.
fn no_migrations(targets: &[Selection], usual: &str, program: &Program) -> anyhow::Result<()> {
    for target in targets.iter().filter(|target| target.target.is_none()) {
        if let Some(failure) = of_migration(target.service.as_str(), usual, program)? {
            return Err(failure.into());
        }
    }
    Ok(())
}

/// What is said of the id of a migration, or of its beginning, in place of a service.
fn of_migration(id: &str, usual: &str, program: &Program) -> anyhow::Result<Option<Failure>> {
    const SHORTEST: usize = 4;
    let services = program.services()?;
    if id.len() < SHORTEST || services.iter().any(|service| service.name().as_str() == id) {
        return Ok(None);
    }
    let has = |service: &&Service| {
        service.migrations().any(|listed| {
            let name = listed.name().as_str();
            let without_m = name.strip_prefix('m').unwrap_or(name);
            let mut replaces = listed.details().replaces.iter();
            name.starts_with(id) || without_m.starts_with(id) || replaces.any(|old| old.starts_with(id))
        })
    };
    let owners: Vec<&Service> = services.iter().filter(has).collect();
    if owners.is_empty() {
        return Ok(None);
    }
    let command = commanded().unwrap_or(usual);
    let down = if std::env::args().any(|argument| argument == "--down") { " --down" } else { "" };
    let ways = owners.iter().map(|owner| {
        let target = shell::word(&format!("{}@{id}", owner.name()));
        format!("`{} {command}{down} {target}`", program.invocation)
    });
    let owners = owners.iter().map(|owner| format!("`{}`", owner.name())).collect::<Vec<_>>().join(" and ");
    Ok(Some(Failure::usage(
        format!("`{id}` is a migration of {owners}, and each service has a history of its own"),
        format!("with its service: {}", ways.collect::<Vec<_>>().join(" or ")),
    )))
}

/// The command that was asked for, by the name that it has here, if it takes targets.
fn commanded() -> Option<&'static str> {
    std::env::args().skip(1).find_map(|argument| match argument.as_str() {
        "up" | "upgrade" => Some("up"),
        "down" | "downgrade" | "revert" => Some("down"),
        "plan" => Some("plan"),
        "redo" => Some("redo"),
        "sql" => Some("sql"),
        "stamp" => Some("stamp"),
        "deploy" => Some("deploy"),
        _ => None,
    })
}

/// The first of these points that is in place of a service, unless a service has that name.
fn word(
    targets: &[Selection],
    points: &[&'static str],
    program: &Program,
) -> anyhow::Result<Option<&'static str>> {
    let named = |point: &&&str| {
        targets.iter().any(|target| target.target.is_none() && target.service.as_str() == **point)
    };
    let Some(point) = points.iter().find(named) else { return Ok(None) };
    let is_service = program.services()?.iter().any(|service| service.name().as_str() == *point);
    Ok((!is_service).then_some(*point))
}

/// What clap could not read, if it is a word of another tool.
pub(crate) fn answer(error: &clap::Error, program: &Program) -> Option<Failure> {
    let invocation = program.invocation;
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) {
        let (_, answer) = COMMANDS.iter().find(|(words, _)| words.contains(&word.as_str()))?;
        let hint = match answer {
            Answer::Command(command) => format!("it is called `{invocation} {command}` here"),
            Answer::Sentence(sentence) => (*sentence).to_owned(),
        };
        return Some(Failure::usage(format!("there is no command `{word}`"), hint));
    }
    let command = commanded()?;
    let is_back = matches!(command, "down" | "redo");
    let services = program.services().ok()?;
    let service = services.first()?.name();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let target = match command {
            "down" => "@-1",
            "redo" => "",
            "stamp" => "@head",
            _ => return None,
        };
        return Some(Failure::usage(
            format!("`{command}` needs a service: each has a history of its own"),
            format!("for example `{invocation} {command} {service}{target}`; `status` lists the services"),
        ));
    }
    if let (ErrorKind::UnknownArgument, "up" | "down" | "redo", Some(ContextValue::String(option))) =
        (error.kind(), command, error.get(ContextKind::InvalidArg))
        && let Some((_, apply, revert)) =
            OPTIONS.iter().find(|(options, ..)| options.contains(&option.as_str()))
    {
        let instead = if is_back { revert } else { apply };
        return Some(Failure::usage(
            format!("`{command}` has no option `{option}`"),
            format!("it is a command of its own here: `{invocation} {instead}`"),
        ));
    }
    if let (ErrorKind::ValueValidation, Some(ContextValue::String(id))) =
        (error.kind(), error.get(ContextKind::InvalidValue))
        && let Ok(Some(failure)) = of_migration(id, command, program)
    {
        return Some(failure);
    }
    // `-1` looks like an option, `+1` like a target.
    let count = |kind| match error.get(kind) {
        Some(ContextValue::String(word))
            if word.starts_with(['+', '-']) && word[1..].parse::<u32>().is_ok() =>
        {
            Some(word)
        }
        _ => None,
    };
    let word = [ContextKind::InvalidArg, ContextKind::InvalidValue].into_iter().find_map(count)?;
    if !matches!((command, word.starts_with('+')), ("up" | "plan", true) | ("down" | "redo", false)) {
        return None;
    }
    Some(Failure::usage(
        format!("`{word}` needs a service: each has a history of its own"),
        format!("for example `{invocation} {command} {service}@{word}`"),
    ))
}
