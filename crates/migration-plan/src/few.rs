//! Numbers of things, for people; and long lists: the first few, and how many more there are. Machines get all of them.

use std::fmt::Display;

/// A number of things: `1 row`, `3 rows`.
///
/// ```
/// # use migration_plan::counted;
/// assert_eq!(counted(1, "index", "indexes"), "1 index");
/// assert_eq!(counted(0, "index", "indexes"), "0 indexes");
/// ```
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    let things = if n == N::from(1) { one } else { many };
    format!("{n} {things}")
}

/// How many more there are than are shown: `and 3 more`. `None` where all are shown.
///
/// ```
/// # use migration_plan::and_more;
/// assert_eq!(and_more(5, 2).as_deref(), Some("and 3 more"));
/// assert_eq!(and_more(2, 5), None);
/// ```
#[must_use]
pub fn and_more(n_all: usize, n_shown: usize) -> Option<String> {
    n_all.checked_sub(n_shown).filter(|n_more| *n_more > 0).map(|n_more| format!("and {n_more} more"))
}

/// At most so many of these words on one line, and how many more there are: `a, b and 3 more`.
#[must_use]
pub fn few_words(words: impl IntoIterator<Item = impl Display>, most: usize) -> String {
    joined(words, most, ", ", " ")
}

/// At most so many of these sentences on one line, and how many more there are: `a; b; and 3 more`.
#[must_use]
pub fn few_sentences(sentences: impl IntoIterator<Item = impl Display>, most: usize) -> String {
    joined(sentences, most, "; ", "; ")
}

/// At most so many of these lines, and one that says how many more there are.
#[must_use]
pub fn few_lines(lines: impl IntoIterator<Item = String>, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    let more = and_more(lines.len(), most);
    lines.truncate(most);
    lines.extend(more);
    lines
}

fn joined(
    items: impl IntoIterator<Item = impl Display>,
    most: usize,
    between: &str,
    before_rest: &str,
) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(most).map(|item| item.to_string()).collect();
    let n_all = shown.len() + items.count();
    let rest = and_more(n_all, shown.len()).map(|more| format!("{before_rest}{more}"));
    shown.join(between) + &rest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{few_lines, few_sentences, few_words};

    #[test]
    fn what_is_not_shown_is_counted() {
        let cases = [
            (0, "", "", ""),
            (2, "a, b", "a; b", "a|b"),
            (3, "a, b, c", "a; b; c", "a|b|c"),
            (5, "a, b, c and 2 more", "a; b; c; and 2 more", "a|b|c|and 2 more"),
        ];
        for (n, words, sentences, lines) in cases {
            let all = || ["a", "b", "c", "d", "e"].into_iter().take(n);
            assert_eq!(few_words(all(), 3), words);
            assert_eq!(few_sentences(all(), 3), sentences);
            assert_eq!(few_lines(all().map(str::to_owned), 3).join("|"), lines);
        }
    }
}
