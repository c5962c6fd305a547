//! Words that a stranger would stumble over, in what programs print and in comments.

use std::path::PathBuf;

use crate::{below, nothing_wrong, read, relative, root};

/// What is not written, and what is.
const UNIDIOMATIC: [(&str, &str); 12] = [
    (" in the way", "`blocked by`, `blocks`"),
    (" to be had", "`could not be acquired`"),
    (" goes on", "`continues`"),
    (" going on after", "`continuing after`"),
    (" is told", "`is reported`"),
    (" tells ", "`reports`, `records`, `shows`"),
    (" is asked for", "`is requested`"),
    ("what was done stands", "`what was done is kept`"),
    (" stands before ", "`precedes`"),
    (" who holds ", "`which session holds`"),
    ("omebody else", "`another session`, `another owner`"),
    (" cannot be told:", "`is not known:`"),
];

/// What is not written in comments either, and what is.
const UNIDIOMATIC_IN_COMMENTS: [(&str, &str); 17] = [
    (" in the way", "`blocked by`, `blocks`"),
    (" to be had", "`could not be acquired`"),
    (" goes on", "`continues`"),
    (" is told", "`is reported`, `is given`"),
    (" tells of", "`reports`, `records`"),
    (" stands in the ", "`is in the`"),
    (" stands there", "`is there`, `is recorded`"),
    (" who holds ", "`that holds`"),
    ("omebody", "`another session`, `an operator`, or the passive"),
    (" are told", "`is printed for`, `is reported to`"),
    (" be told.", "`is not known`"),
    ("; told ", "`reported`"),
    (" Told ", "`Reported`"),
    (" stand before ", "`precede`"),
    (" stands before ", "`precedes`"),
    (" stand between ", "`are between`"),
    (" stands earlier", "`precedes`, `comes earlier`"),
];

/// Whether the program shows this line of its source: code, with its texts, or the documentation of an argument.
fn is_printed(line: &str, is_of_arguments: bool) -> bool {
    match line.trim_start() {
        line if line.starts_with("///") => is_of_arguments,
        line => !line.starts_with("//"),
    }
}

/// Each line of the crates' sources that this takes, with what is not written there.
fn unidiomatic(is_read: impl Fn(&str, &str) -> bool, words: &[(&str, &str)]) -> Vec<String> {
    let sources = below(&root().join("crates"), "rs").into_iter();
    unidiomatic_in(sources.filter(|path| relative(path).contains("/src/")), is_read, words)
}

/// Each line of these files that this takes, with what is not written there.
fn unidiomatic_in(
    files: impl Iterator<Item = PathBuf>,
    is_read: impl Fn(&str, &str) -> bool,
    words: &[(&str, &str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in files {
        let (name, text) = (relative(&path), read(&path));
        for (index, line) in text.lines().enumerate().filter(|(_, line)| is_read(&name, line)) {
            for (found, instead) in words.iter().filter(|(words, _)| line.contains(words)) {
                wrong.push(format!("{name}:{}: not `{}`: {instead}", index + 1, found.trim()));
            }
        }
    }
    wrong
}

#[test]
fn errors_and_help_are_idiomatic() {
    let is_printed = |name: &str, line: &str| is_printed(line, name.ends_with("/arguments.rs"));
    nothing_wrong(&unidiomatic(is_printed, &UNIDIOMATIC));
}

#[test]
fn comments_are_idiomatic() {
    let is_comment = |_: &str, line: &str| line.trim_start().starts_with("//");
    nothing_wrong(&unidiomatic(is_comment, &UNIDIOMATIC_IN_COMMENTS));
}

#[test]
fn documents_are_idiomatic() {
    let documents = below(root(), "md").into_iter();
    nothing_wrong(&unidiomatic_in(documents, |_, _| true, &UNIDIOMATIC_IN_COMMENTS));
}
