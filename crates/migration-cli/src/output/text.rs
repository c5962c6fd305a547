//! What a person may see of a text: the one function that everything passes which comes from outside.
//!
//! Names, values, messages of the server and of other sessions are written by whoever can reach the database. A control
//! character among them would steer the operator's terminal, and a reversed or invisible one would make a line read as
//! something else. Both are written out. Line breaks too: a value must not look like a line of ours.

/// The text as it may be shown. Doing it twice changes nothing.
pub(crate) fn safe(text: &str, ascii: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        push(&mut shown, char, ascii);
    }
    shown
}

/// The same of a text of several lines, such as a script.
pub(super) fn safe_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => shown.push(char),
            char => push(&mut shown, char, false),
        }
    }
    shown
}

/// Adds one character as it may be shown.
pub(super) fn push(shown: &mut String, char: char, ascii: bool) {
    match char {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        char if is_hidden(char) => shown.extend(char.escape_unicode()),
        char if ascii && !char.is_ascii() => match plain(char) {
            Some(plain) => shown.push_str(plain),
            None => shown.extend(char.escape_unicode()),
        },
        char => shown.push(char),
    }
}

/// JSON in which no character is left that a terminal would obey or hide: the same document, with those escaped.
pub(super) fn safe_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for char in json.chars() {
        if char == '\n' || !is_hidden(char) {
            safe.push(char);
        } else {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

/// Whether a terminal would obey the character instead of showing it, or would show nothing, or the rest in another order.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
            // Private to programs. Ours marks its colours with them.
            | '\u{fdd0}'..='\u{fdef}')
}

/// What stands for one of our own characters where there is only ASCII.
fn plain(char: char) -> Option<&'static str> {
    Some(match char {
        '·' | '–' => "-",
        '…' => "...",
        '✗' => "x",
        '→' => "->",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_written_out() {
        for (text, shown, ascii) in [
            ("plain, größer, 日本語, 👩‍💻", "plain, größer, 日本語, 👩‍💻", false),
            ("a\u{1b}[31mRED\u{7}", "a\\u{1b}[31mRED\\u{7}", false),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree", false),
            ("\u{9b}2J\u{7f}\u{8}", "\\u{9b}2J\\u{7f}\\u{8}", false),
            ("\u{202e}drow\u{2066}\u{200b}\u{feff}", "\\u{202e}drow\\u{2066}\\u{200b}\\u{feff}", false),
            ("\u{fdd0}painted\u{e0041}", "\\u{fdd0}painted\\u{e0041}", false),
            ("a · b … – é", "a - b ... - \\u{e9}", true),
        ] {
            assert_eq!(safe(text, ascii), shown, "{text:?}");
            assert_eq!(safe(shown, ascii), safe(&safe(shown, ascii), ascii), "{text:?}");
        }
    }

    #[test]
    fn json_says_the_same_without_them() {
        let document = serde_json::json!({ "value": "\u{1b}[31m\u{9b}\u{202e}\u{e0041}\né" });
        let safe = safe_json(&serde_json::to_string_pretty(&document).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), document);
        assert!(safe.chars().all(|char| char == '\n' || !is_hidden(char)), "{safe:?}");
    }
}
