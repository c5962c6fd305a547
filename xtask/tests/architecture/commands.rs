//! That every command and every option that a message, a comment or a document names in backticks is one that there is.
//! The command line's own definition reads them.

use std::path::Path;

use clap::error::ErrorKind;
use clap::{Args, Command};
use migration_cli::Arguments;

use crate::{below, nothing_wrong, read, relative, root};

/// Options of other programs that texts name, and one of the notation in which plans are tested.
const OF_OTHERS: [&str; 14] = [
    "--schema-only",
    "--workspace",
    "--no-fail-fast",
    "--manifest-path",
    "--release",
    "--test",
    "--help",
    "--locked",
    "--edition",
    "--config-path",
    "--version",
    "--env-file",
    "--name",
    "--allow-any",
];

/// What messages put in the place of names, and a name that fits there.
const NAMES: [(&str, &str); 9] = [
    ("{id}", "chat:m1"),
    ("{requirement}", "chat:m1"),
    ("{target}", "m1"),
    ("SERVICE", "chat"),
    ("NAME", "m1"),
    ("TARGET", "m1"),
    ("<schema>", "chat"),
    ("[…]", ""),
    ("…", ""),
];

/// What makes a text wrong. A command may be named without the arguments that it needs.
const WRONG: [ErrorKind; 4] = [
    ErrorKind::UnknownArgument,
    ErrorKind::InvalidSubcommand,
    ErrorKind::ValueValidation,
    ErrorKind::ArgumentConflict,
];

fn program() -> Command {
    Arguments::augment_args(Command::new("migrate"))
}

#[test]
fn every_command_that_is_named_is_there() {
    let program = program();
    let tasks = profochatbot_migration::commands::tasks().into_iter();
    let with_tasks = program.clone().subcommands(tasks.map(|task| (task.command)()));
    let mut wrong = Vec::new();
    let mut n_named = 0;
    for file in ["rs", "md", "example", "yml"].iter().flat_map(|extension| below(root(), extension)) {
        let text = read(&file);
        let spans = spans(&file, &text);
        for span in spans.iter().map(String::as_str).filter(|span| is_ours(&program, span)) {
            n_named += 1;
            if let Err(why) = understood(&program, span) {
                wrong.push(format!("{}: `{span}`: {why}", relative(&file)));
            }
        }
        for option in spans.iter().flat_map(|span| span.split(' ')).filter_map(option) {
            if !OF_OTHERS.contains(&option) && !has_option(&with_tasks, option) {
                wrong.push(format!("{}: no command has an option `{option}`", relative(&file)));
            }
        }
    }
    assert!(n_named > 100, "only {n_named} were found");
    nothing_wrong(&wrong);
}

#[test]
fn every_example_of_the_help_is_understood() {
    let program = program();
    let long = program.get_after_long_help().map(ToString::to_string);
    let short = program.get_subcommands().filter_map(|command| Some(command.get_after_help()?.to_string()));
    let helps: Vec<String> = long.into_iter().chain(short).collect();
    let mut wrong = Vec::new();
    let mut n_examples = 0;
    for help in &helps {
        let (_, examples) = help.split_once("Example").unwrap();
        for example in examples.lines().skip(1).take_while(|line| !line.is_empty()) {
            let example = example.trim().split("  ").next().unwrap();
            let example = example.trim_start_matches("source <(").trim_end_matches(')');
            let example = example.split(" >> ").next().unwrap();
            n_examples += 1;
            if let Err(why) = understood(&program, example) {
                wrong.push(format!("help: `{example}`: {why}"));
            }
        }
    }
    assert_eq!(helps.len(), program.get_subcommands().count() + 1, "each command has examples");
    assert!(n_examples > 35, "only {n_examples} examples were found");
    nothing_wrong(&wrong);
}

/// Crates that other programs than this command line use.
const LIBRARIES: [&str; 4] = ["migration-plan", "migration-kit", "migration-coordinator", "migration-report"];

#[test]
fn no_library_names_an_option_or_a_command() {
    let program = program();
    let mut wrong = Vec::new();
    for file in LIBRARIES.iter().flat_map(|name| below(&root().join("crates").join(name).join("src"), "rs")) {
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for quoted in
            lines.filter(|line| line.contains('"')).flat_map(|line| line.split('`').skip(1).step_by(2))
        {
            // `apply` and `revert` (an alias) are the libraries' own words too; behind the name of a program nothing is.
            let is_ours = |verb| program.get_subcommands().any(|command| command.get_name() == verb);
            let is_command = quoted.split_once(' ').is_some_and(|(verb, rest)| {
                verb != "apply" && is_ours(verb)
                    || verb == "migrate" && is_ours(rest.split(' ').next().unwrap_or_default())
            });
            if is_command || quoted.split(' ').filter_map(option).any(|option| has_option(&program, option)) {
                wrong.push(format!("{}: `{quoted}`", relative(&file)));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn what_is_not_there_is_found() {
    let program = program();
    for (span, is_right) in [
        ("up chat", true),
        ("up {id}", true),
        ("down {service}@-1", true),
        ("db reset --yes", true),
        ("cargo xtask migrate up --contract", true),
        ("mend chat", false),
        ("mend {}", false),
        ("stamp {service}@{target}", true),
        ("doctor --fix", false),
        ("status --fast", false),
        ("db drop", false),
        ("down chat --contract", false),
    ] {
        assert!(is_ours(&program, span), "{span}");
        assert_eq!(understood(&program, span).is_ok(), is_right, "{span}");
    }
    for span in ["version", "up", "SELECT 1", "cargo test --workspace", "updated_at", "psql -X"] {
        assert!(!is_ours(&program, span) || understood(&program, span).is_ok(), "{span}");
    }
}

/// What is in backticks, and the commands in a document's blocks of code, each on one line.
fn spans(file: &Path, text: &str) -> Vec<String> {
    let is_source = file.extension().is_some_and(|extension| extension == "rs");
    let mut joined = String::new();
    let mut commands = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim_start_matches("$ ");
        if let Some(command) = trimmed.strip_prefix("cargo xtask migrate").filter(|_| !is_source) {
            commands.push(format!("cargo xtask migrate{}", command.split(" #").next().unwrap().trim_end()));
        }
        // A string or a comment that goes on in the next line.
        let line = line.trim().trim_start_matches(['/', '!']).trim_start();
        match line.strip_suffix('\\').filter(|_| is_source) {
            Some(line) => joined.push_str(line),
            None => {
                joined.push_str(line);
                joined.push(if line.is_empty() || line.starts_with("```") { '\n' } else { ' ' });
            }
        }
    }
    for block in joined.split('\n') {
        let quoted = block.split('`').skip(1).step_by(2).map(|span| span.trim().to_owned());
        commands.extend(quoted.filter(|span| !span.is_empty() && span.len() < 100));
    }
    commands
}

/// Whether a text is a command of ours, or one of the same shape that is not there.
fn is_ours(program: &Command, span: &str) -> bool {
    if let Some(rest) = span.strip_prefix("cargo xtask migrate ") {
        return !rest.starts_with('{');
    }
    let mut words = span.split(' ');
    let (Some(verb), Some(next)) = (words.next(), words.next()) else {
        return span != "up" && program.find_subcommand(span).is_some();
    };
    let is_verb = verb.len() > 1 && verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_about_a_service = ["chat", "SERVICE", "{}", "{service}"].iter().any(|name| next.starts_with(name));
    let is_of_others = [
        "cargo", "docker", "pip", "curl", "git", "migrate", "psql", "pub", "fn", "as", "postgres", "rustfmt",
    ];
    match verb {
        _ if is_of_others.contains(&verb) => false,
        _ if program.find_subcommand(verb).is_some() => true,
        _ => is_verb && (is_about_a_service || next.starts_with("--")),
    }
}

fn understood(program: &Command, span: &str) -> Result<(), String> {
    let span = span.strip_prefix("cargo xtask migrate").unwrap_or(span);
    let named = NAMES.iter().fold(span.to_owned(), |span, (name, value)| span.replace(name, value));
    let words: Vec<String> = named.split_whitespace().map(filled).collect();
    let arguments = std::iter::once("migrate".to_owned()).chain(words);
    match program.clone().try_get_matches_from(arguments) {
        Err(error) if WRONG.contains(&error.kind()) => {
            Err(error.to_string().lines().next().unwrap_or_default().to_owned())
        }
        _ => Ok(()),
    }
}

/// A word in which names take the place of what is filled in at run time.
fn filled(word: &str) -> String {
    let mut filled = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        filled.push_str("chat");
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    filled + rest
}

/// The option that a word is, if it is one.
fn option(word: &str) -> Option<&str> {
    let word = word.split('=').next()?;
    let name = word.strip_prefix("--")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_name.then_some(word)
}

fn has_option(command: &Command, option: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some(&option[2..]))
        || command.get_subcommands().any(|command| has_option(command, option))
}
