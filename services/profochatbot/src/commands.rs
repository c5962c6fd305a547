//! The service's tasks as commands: where their values come from, and what they print.
//!
//! A token comes from an environment variable or from standard input, never from an argument, which anybody on the
//! machine could read. Who gives one as an argument all the same is refused, and it is not repeated to logs. What a task
//! does is [`crate::task`]'s part.

use std::env::VarError;
use std::io::Read;

use anyhow::Context;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use migration_cli::{Task, TaskContext, TaskFuture, wrong_usage};
use serde_json::{Value, json};

use crate::NAME;
use crate::task::{
    AddFirstOwner, BotToken, OwnerChange, SetBotToken, TaskError, TokenChange, add_first_owner,
    issue_public_tokens, set_bot_token,
};

/// Why a token cannot be read. It never shows what was given: that may be the token.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    /// There is no such variable.
    #[error("the environment variable named by `--token-from` is not set")]
    NotSet,
    /// The variable is not UTF-8.
    #[error("the environment variable named by `--token-from` is not text")]
    NotText,
    /// The token stands in the arguments.
    #[error("the token was given as an argument, which others can read")]
    InArguments,
}

/// The tasks of this service, for a program that offers them.
#[must_use]
pub fn tasks() -> Vec<Task> {
    vec![
        Task { service: NAME, command: set_bot_token_command, run: run_set_bot_token },
        Task { service: NAME, command: add_owner_command, run: run_add_owner },
        Task { service: NAME, command: issue_tokens_command, run: run_issue_tokens },
    ]
}

/// Arguments of `set-bot-token`.
#[derive(Debug, Args)]
struct SetBotTokenArguments {
    /// Name of the bot
    bot: String,
    /// Slug of the bot's account
    #[arg(long, default_value = "default")]
    account: String,
    /// Environment variable that holds the token; without it, the token is read from standard input
    #[arg(long, value_name = "VARIABLE")]
    token_from: Option<String>,
    /// Takes what should not be there, so that no message repeats it.
    #[arg(hide = true, num_args = 0..)]
    in_arguments: Vec<String>,
}

impl SecretError {
    fn hint(&self) -> &'static str {
        match self {
            Self::NotSet => "`--token-from` takes the name of a variable, not the token",
            Self::NotText => "set it to the token as Telegram's BotFather wrote it",
            Self::InArguments => {
                "name its variable with `--token-from`, or write it to standard input; \
                                  if others may have read it, let BotFather make a new one"
            }
        }
    }
}

/// Arguments of `add-owner`.
#[derive(Debug, Args)]
struct AddOwnerArguments {
    /// The owner's Telegram id
    telegram_user_id: i64,
    /// The owner's Telegram user name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Slug of the account
    #[arg(long, default_value = "default")]
    account: String,
}

fn set_bot_token_command() -> Command {
    SetBotTokenArguments::augment_args(Command::new("set-bot-token"))
        .about("Set the token of a bot, from a variable or from standard input")
}

fn add_owner_command() -> Command {
    AddOwnerArguments::augment_args(Command::new("add-owner"))
        .about("Make somebody the first owner of an account")
}

fn issue_tokens_command() -> Command {
    Command::new("issue-tokens").about("Issue a public enrollment token for every deployment that has none")
}

fn run_set_bot_token(TaskContext { arguments, db }: TaskContext) -> TaskFuture {
    Box::pin(async move {
        let SetBotTokenArguments { bot, account, token_from, in_arguments } = read(&arguments)?;
        if !in_arguments.is_empty() {
            return Err(withheld(SecretError::InArguments));
        }
        let token = BotToken::new(&secret(token_from.as_deref())?).map_err(told)?;
        let set =
            set_bot_token(&db, &SetBotToken { account, bot: bot.clone(), token }).await.map_err(told)?;
        let (change, message) = match set.change {
            TokenChange::Set => ("set", format!("bot `{bot}` has a token now")),
            TokenChange::Replaced => ("replaced", format!("bot `{bot}` has another token now")),
            TokenChange::Unchanged => {
                ("unchanged", format!("nothing was changed: bot `{bot}` has this token already"))
            }
        };
        Ok(json!({ "task": "set-bot-token", "bot_id": set.bot_id, "change": change, "message": message }))
    })
}

fn run_add_owner(TaskContext { arguments, db }: TaskContext) -> TaskFuture {
    Box::pin(async move {
        let AddOwnerArguments { telegram_user_id, username, account } = read(&arguments)?;
        let telegram_username = username.map(|name| name.trim_start_matches('@').to_owned());
        let task = AddFirstOwner { account: account.clone(), telegram_user_id, telegram_username };
        let added = add_first_owner(&db, &task).await.map_err(told)?;
        let owner = format!("Telegram user {telegram_user_id}");
        let (change, message) = match added.change {
            OwnerChange::Added => ("added", format!("{owner} was added and owns account `{account}` now")),
            OwnerChange::Promoted => {
                ("promoted", format!("{owner}, a member of account `{account}`, owns it now"))
            }
            OwnerChange::Renamed => {
                ("renamed", format!("{owner}, who owns account `{account}`, has another user name now"))
            }
            OwnerChange::Unchanged => {
                ("unchanged", format!("nothing was changed: {owner} owns account `{account}` already"))
            }
        };
        Ok(json!({
            "task": "add-owner",
            "account_member_id": added.account_member_id,
            "change": change,
            "message": message,
        }))
    })
}

fn run_issue_tokens(TaskContext { db, .. }: TaskContext) -> TaskFuture {
    Box::pin(async move {
        let done = issue_public_tokens(&db).await.map_err(told)?;
        let mut lines: Vec<String> = done
            .issued
            .iter()
            .map(|token| {
                format!(
                    "deployment {} ({}, {}): {}",
                    token.deployment_id, token.bot, token.course_id, token.token
                )
            })
            .collect();
        let tokens = if done.issued.len() == 1 { "token" } else { "tokens" };
        let deployments = if done.n_unchanged == 1 { "deployment" } else { "deployments" };
        lines.push(format!(
            "{} {tokens} issued, {} {deployments} had one",
            done.issued.len(),
            done.n_unchanged
        ));
        let issued: Vec<Value> = done
            .issued
            .iter()
            .map(|token| {
                json!({
                    "deployment_id": token.deployment_id,
                    "course_id": token.course_id,
                    "bot": token.bot,
                    "token": token.token,
                })
            })
            .collect();
        Ok(json!({
            "task": "issue-tokens",
            "issued": issued,
            "n_unchanged": done.n_unchanged,
            "message": lines.join("\n"),
        }))
    })
}

fn read<T: FromArgMatches>(arguments: &ArgMatches) -> anyhow::Result<T> {
    T::from_arg_matches(arguments).context("the arguments do not fit the task")
}

/// The secret from this variable, or all of standard input.
fn secret(variable: Option<&str>) -> anyhow::Result<String> {
    let Some(variable) = variable else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("the token cannot be read from standard input")?;
        return Ok(text);
    };
    #[expect(clippy::disallowed_methods, reason = "this is a part of the command line")]
    let read = std::env::var(variable);
    read.map_err(|error| {
        withheld(match error {
            VarError::NotPresent => SecretError::NotSet,
            VarError::NotUnicode(_) => SecretError::NotText,
        })
    })
}

/// A refusal of what was given, without it.
fn withheld(error: SecretError) -> anyhow::Error {
    let hint = error.hint();
    wrong_usage(error, hint)
}

/// A task's error with its hint. One of the database keeps its own causes.
fn told(error: TaskError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => wrong_usage(error, hint),
        None => error.into(),
    }
}
