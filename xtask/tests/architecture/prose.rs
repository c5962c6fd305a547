//! Words that a stranger would stumble over, in what programs print.

use crate::{below, nothing_wrong, read, relative, root};

/// What is not written, and what is.
const UNIDIOMATIC: [(&str, &str); 10] = [
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
];

/// Whether the program shows this line of its source: code, with its texts, or the documentation of an argument.
fn is_printed(line: &str, is_of_arguments: bool) -> bool {
    match line.trim_start() {
        line if line.starts_with("///") => is_of_arguments,
        line => !line.starts_with("//"),
    }
}

#[test]
fn errors_and_help_are_idiomatic() {
    let mut wrong = Vec::new();
    for path in below(&root().join("crates"), "rs") {
        let name = relative(&path);
        if !name.contains("/src/") {
            continue;
        }
        let is_of_arguments = name.ends_with("/arguments.rs");
        let text = read(&path);
        let printed = text.lines().enumerate().filter(|(_, line)| is_printed(line, is_of_arguments));
        for (index, line) in printed {
            for (found, instead) in UNIDIOMATIC.iter().filter(|(words, _)| line.contains(words)) {
                wrong.push(format!("{name}:{}: not `{}`: {instead}", index + 1, found.trim()));
            }
        }
    }
    nothing_wrong(&wrong);
}
