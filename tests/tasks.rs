//! Tasks of a service that are no migrations: where their values come from, what they say, and what they never say.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Lab, Ran, Running, run};

const TOKEN: &str = "7301:s3cr3t-token";
const OTHER_TOKEN: &str = "7302:s3cr3t-other";

/// A database with two bots, each with a course.
fn lab() -> Lab {
    let lab = Lab::migrated();
    lab.query("INSERT INTO profochatbot.course (course_id, bot_name) VALUES ('first', 'bot-1'), ('second', 'bot-2')");
    lab
}

/// Runs a task of the service.
fn task(lab: &Lab, arguments: &[&str]) -> Ran {
    lab.migrate(&[&["task", "profochatbot"], arguments].concat())
}

/// Sets a bot's token, read from a variable.
fn set_token(lab: &Lab, bot: &str, token: &str, options: &[&str]) -> Ran {
    let arguments =
        [options, &["task", "profochatbot", "set-bot-token", bot, "--token-from", "BOT_TOKEN"]].concat();
    shows_no_token(run(lab.command(&arguments).env("BOT_TOKEN", token)))
}

#[track_caller]
fn shows_no_token(ran: Ran) -> Ran {
    assert!(!ran.shown().contains("s3cr3t"), "{}", ran.shown());
    ran
}

fn token_of(lab: &Lab, bot: &str) -> String {
    lab.query(&format!("SELECT bot_token FROM profochatbot.bot WHERE bot_name = '{bot}'"))
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()))
}

#[test]
fn a_token_is_read_from_a_variable() {
    let lab = lab();
    assert_snapshot!(set_token(&lab, "bot-1", TOKEN, &[]).shown(), @"
    exit 0
    --- stdout
    bot `bot-1` has a token now
    --- stderr
    ");
    assert_eq!(token_of(&lab, "bot-1"), TOKEN);
    let before = lab.query("SELECT bot FROM profochatbot.bot ORDER BY bot_id");
    assert_snapshot!(set_token(&lab, "bot-1", TOKEN, &[]).exits(0).stdout, @"nothing was changed: bot `bot-1` has this token already");
    assert_eq!(lab.query("SELECT bot FROM profochatbot.bot ORDER BY bot_id"), before);
    assert_snapshot!(set_token(&lab, "bot-1", OTHER_TOKEN, &[]).exits(0).stdout, @"bot `bot-1` has another token now");
    assert_eq!(token_of(&lab, "bot-1"), OTHER_TOKEN);
    assert_snapshot!(set_token(&lab, "bot-2", OTHER_TOKEN, &[]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: the token for bot `bot-2` belongs to another bot
      hint each bot has a token of its own: ask BotFather for this one's
    ");
    assert_snapshot!(set_token(&lab, "bot-3", TOKEN, &[]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: account `default` has no bot `bot-3`
      hint bots are known by the names that runs and courses give
    ");
}

#[test]
fn a_token_is_read_from_standard_input() {
    let lab = lab();
    let mut command = lab.command(&["task", "profochatbot", "set-bot-token", "bot-1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8(said).unwrap(), "bot `bot-1` has a token now\n");
    assert_eq!(token_of(&lab, "bot-1"), TOKEN);
    // Nothing is no token.
    assert_snapshot!(task(&lab, &["set-bot-token", "bot-1"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: the token is empty or has blanks in it
      hint give the token as Telegram's BotFather wrote it, on one line
    ");
    assert_eq!(token_of(&lab, "bot-1"), TOKEN);
}

#[test]
fn what_was_given_in_the_wrong_place_is_not_repeated() {
    let lab = lab();
    for options in [&["--json"][..], &[]] {
        let task = |arguments: &[&str]| {
            let words = [options, &["task", "profochatbot", "set-bot-token", "bot-1"], arguments].concat();
            shows_no_token(lab.migrate(&words).exits(2))
        };
        task(&[TOKEN]);
        task(&[TOKEN, OTHER_TOKEN]);
        task(&["--token-from", TOKEN]);
        task(&[&format!("--token={TOKEN}")]);
        task(&["--token", TOKEN]);
    }
    let from_variable = ["task", "profochatbot", "set-bot-token", "bot-1", "--token-from", "BOT_TOKEN"];
    for token in ["", "7301:s3cr3t token", "7301:s3cr3t\ntoken"] {
        shows_no_token(run(lab.command(&from_variable).env("BOT_TOKEN", token)).exits(2));
    }
    let not_text = OsString::from_vec([b"7301:s3cr3t-".as_slice(), &[0xff]].concat());
    assert_snapshot!(shows_no_token(run(lab.command(&from_variable).env("BOT_TOKEN", not_text))).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: the environment variable named by `--token-from` is not text
      hint set it to the token as Telegram's BotFather wrote it
    ");
    assert_snapshot!(task(&lab, &["set-bot-token", "bot-1", "--token-from", TOKEN]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: the environment variable named by `--token-from` is not set
      hint `--token-from` takes the name of a variable, not the token
    ");
    assert_snapshot!(task(&lab, &["set-bot-token", "bot-1", TOKEN]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: the token was given as an argument, which others can read
      hint name its variable with `--token-from`, or write it to standard input; if others may have read it, let BotFather make a new one
    ");
    assert_eq!(token_of(&lab, "bot-1"), "");
}

/// While the task runs, its token stands neither in the arguments of its process nor in what the server shows of it.
#[test]
#[cfg(target_os = "linux")]
fn a_token_is_seen_nowhere_while_its_task_runs() {
    let lab = lab();
    let mut in_the_way = lab.session();
    in_the_way.query("BEGIN");
    in_the_way.query("SELECT FROM profochatbot.bot FOR UPDATE");
    let mut command =
        lab.command(&["task", "profochatbot", "set-bot-token", "bot-1", "--token-from", "BOT_TOKEN"]);
    command.env("BOT_TOKEN", TOKEN);
    let running = Running::start(command);
    let mut watch = lab.session();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    watch.until(waits, "1");
    let arguments = std::fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("s3cr3t"));
    let shown =
        "SELECT count(*) FROM pg_stat_activity AS a WHERE a::text ~ 's3cr3t' AND pid <> pg_backend_pid()";
    assert_eq!(watch.query(shown), "0");
    in_the_way.query("ROLLBACK");
    shows_no_token(running.finish().exits(0));
    assert_eq!(token_of(&lab, "bot-1"), TOKEN);
}

#[test]
fn an_account_gets_its_first_owner() {
    let lab = lab();
    let own = |arguments: &[&str]| task(&lab, &[&["add-owner"], arguments].concat());
    assert_snapshot!(own(&["42", "--username", "@anna"]).shown(), @"
    exit 0
    --- stdout
    Telegram user 42 was added and owns account `default` now
    --- stderr
    ");
    assert_snapshot!(own(&["42"]).exits(0).stdout, @"nothing was changed: Telegram user 42 owns account `default` already");
    assert_snapshot!(own(&["42", "--username", "anna2"]).exits(0).stdout, @"Telegram user 42, who owns account `default`, has another user name now");
    lab.query("UPDATE profochatbot.account_member SET role = 'member'");
    assert_snapshot!(own(&["42"]).exits(0).stdout, @"Telegram user 42, a member of account `default`, owns it now");
    assert_snapshot!(own(&["43"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: account `default` has an owner already, Telegram user 42
      hint further owners are added by the owner, in the application
    ");
    let members =
        "SELECT account_id, telegram_user_id, telegram_username, role FROM profochatbot.account_member";
    assert_eq!(lab.query(members), "1|42|anna2|owner");
}

#[test]
fn every_deployment_gets_a_token_once() {
    let lab = lab();
    let said = task(&lab, &["issue-tokens"]).exits(0).stdout;
    let tokens = "SELECT format('deployment %s (%s, %s): %s', deployment_id, bot_name, course_id, token) FROM profochatbot.enrollment_token \
         JOIN profochatbot.course_deployment USING (deployment_id) JOIN profochatbot.bot USING (bot_id) ORDER BY deployment_id";
    assert_eq!(said, format!("{}\n2 tokens issued, 0 deployments had one\n", lab.query(tokens)));
    let issued = lab.query(tokens);
    assert_snapshot!(task(&lab, &["issue-tokens"]).exits(0).stdout, @"0 tokens issued, 2 deployments had one");
    assert_eq!(lab.query(tokens), issued);
}

#[test]
fn machines_are_told_what_changed() {
    let lab = lab();
    let json = |arguments: &[&str]| {
        document(&lab.migrate(&[&["--json", "task", "profochatbot"], arguments].concat()).exits(0))
    };
    let set = |token| document(&set_token(&lab, "bot-1", token, &["--json"]).exits(0));
    let changes = [set(TOKEN), set(TOKEN), set(OTHER_TOKEN)];
    assert_eq!(
        changes.map(|document| document["change"].clone()),
        [json!("set"), json!("unchanged"), json!("replaced")]
    );
    assert_eq!(
        json(&["add-owner", "42"]),
        json!({
            "task": "add-owner",
            "account_member_id": 1,
            "change": "added",
            "message": "Telegram user 42 was added and owns account `default` now",
        })
    );
    assert_eq!(json(&["add-owner", "42"])["change"], "unchanged");
    assert_eq!(json(&["add-owner", "42", "--username", "anna"])["change"], "renamed");
    let issued = json(&["issue-tokens"]);
    assert_eq!((issued["issued"].as_array().unwrap().len(), &issued["n_unchanged"]), (2, &json!(0)));
    assert_eq!(issued["issued"][0]["token"].as_str().unwrap().len(), 43);
    assert_eq!(json(&["issue-tokens"])["n_unchanged"], 2);
}

#[test]
fn the_tasks_of_a_service_are_listed() {
    let lab = Lab::empty();
    let tasks = |arguments: &[&str]| {
        let document = lab.migrate(&[&["task", "--json"], arguments].concat()).exits(0).json();
        document["tasks"].as_array().unwrap().len()
    };
    assert!(tasks(&[]) > 0);
    assert_eq!(tasks(&["profochatbot"]), tasks(&[]));
    assert_eq!(tasks(&["chat"]), 0);
    assert_eq!(lab.migrate(&["task", "chat"]).exits(0).stdout, "service `chat` has no tasks\n");
    lab.migrate(&["task", "chatt"]).exits(2);
}

/// Whatever is wrong with the words, and wherever the format was asked for.
#[test]
fn arguments_that_a_task_does_not_take_are_an_answer_of_the_format_that_was_asked_for() {
    let lab = Lab::migrated();
    let listed = lab.migrate(&["task", "--json"]).exits(0).json();
    let listed = listed["tasks"].as_array().unwrap();
    let tasks = listed.iter().map(|task| ["service", "name"].map(|field| task[field].as_str().unwrap()));
    let wrong: [&[&str]; 4] =
        [&["--no-such-option"], &["--="], &["\u{1b}[31m", "one", "two", "many"], &[""; 9]];
    let mut cases: Vec<Vec<&str>> =
        tasks.flat_map(|task| wrong.map(|words| [&task[..], words].concat())).collect();
    cases.extend([vec!["chat", "dance"], vec!["nobody", "dance"], vec!["", ""], vec!["profochatbot", ""]]);
    for words in cases {
        for (before, behind) in [
            (&["--json", "task"][..], &[][..]),
            (&["task", "--json"], &[]),
            (&["task"], &["--json"]),
            (&["task"], &["--format", "json"]),
            (&["task"], &["--format=json"]),
        ] {
            let ran = lab.migrate(&[before, &words, behind].concat());
            let document = ran.json();
            assert!(ran.code == 2 && document["exit_code"] == 2, "{words:?} {behind:?}\n{}", ran.shown());
            assert!(!document["errors"][0]["message"].as_str().unwrap().contains('\u{1b}'), "{document}");
        }
    }
    let done = document(&lab.migrate(&["task", "profochatbot", "issue-tokens", "--json"]).exits(0));
    assert_eq!(done["task"], "issue-tokens");
    assert!(lab.migrate(&["task", "profochatbot", "--json"]).exits(0).json()["tasks"].is_array());
    // Behind `--` it is a word of the task.
    let ran = lab.migrate(&["task", "profochatbot", "issue-tokens", "--", "--json"]).exits(2);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.shown());
}

#[test]
fn a_task_before_its_migrations_says_what_it_lacks() {
    let lab = Lab::empty();
    assert_snapshot!(task(&lab, &["issue-tokens"]).shown(), @"
    exit 3
    --- stdout
    --- stderr
    error: service `profochatbot`: the migrations that the task needs are not applied
      hint run `up profochatbot` first
    ");
    lab.migrate(&["up", "profochatbot@m20260105_000001_create_account"]).exits(0);
    task(&lab, &["issue-tokens"]).exits(3);
}
