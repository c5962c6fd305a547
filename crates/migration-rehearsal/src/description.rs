//! What a migration does, in one sentence: the first of the `//!` that its file begins with.

use std::fs;
use std::path::Path;

/// The text of a lock file, each migration with its description where a file of its name is in the `src` below the directory.
pub(crate) fn described(lock_file: &str, directory: &Path) -> String {
    let mut text = String::with_capacity(lock_file.len());
    for line in lock_file.lines() {
        text.push_str(line);
        text.push('\n');
        if line.is_empty() || line.starts_with([' ', '#']) {
            continue;
        }
        // After the name come its phase, how it runs, and two checksums.
        let name = line.rsplitn(5, ' ').last().unwrap_or_default();
        let source = fs::read_to_string(directory.join("src").join(format!("{name}.rs")));
        if let Some(does) = source.ok().and_then(|source| first_sentence(&source)) {
            text.push_str(&format!("  does {does}\n"));
        }
    }
    text
}

/// The first sentence of a file's `//!`, without its full stop and without the phase, which is known otherwise.
fn first_sentence(source: &str) -> Option<String> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let text = without_phase(&paragraph);
    let end = text.find(". ").unwrap_or(text.len());
    let sentence = text[..end].trim_end_matches('.');
    let first = sentence.chars().next()?;
    Some(first.to_uppercase().chain(sentence.chars().skip(1)).collect())
}

/// The text after `Expand.`, `Contract, phase 4.` or `Expand:`.
fn without_phase(text: &str) -> &str {
    const LONGEST: usize = 40;
    let phase = ["Expand", "Contract"].into_iter().find_map(|phase| text.strip_prefix(phase));
    if !phase.is_some_and(|after| after.starts_with([',', '.', ':'])) {
        return text;
    }
    match text.find([':', '.']) {
        Some(end) if end <= LONGEST => text[end + 1..].trim_start(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_first_sentence_without_the_phase() {
        for (source, expected) in [
            ("//! Creates `a`, and\n//! `b`. More.\n//!\n//! Locks.\nuse x;", Some("Creates `a`, and `b`")),
            ("//! Expand. Adds `a.b`.\n", Some("Adds `a.b`")),
            ("//! Contract, phases 4 and 7. One course is one row.\n", Some("One course is one row")),
            ("//! Expand: the table `a`, still empty.\n", Some("The table `a`, still empty")),
            ("//! Expands the table: it gets rows.\n", Some("Expands the table: it gets rows")),
            ("use x;\n//! Not at its beginning.\n", None),
            ("", None),
        ] {
            assert_eq!(first_sentence(source).as_deref(), expected, "{source}");
        }
    }
}
