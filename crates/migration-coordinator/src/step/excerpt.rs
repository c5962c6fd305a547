//! A statement as a person may see it: on one line, shortened around the place of the error, without the values in it,
//! which may be data or secrets.

/// Characters that are shown before and after the place of the error.
const AROUND: usize = 70;

/// Characters that are shown of a statement's beginning.
const BEGINNING: usize = 60;

/// Longest number that is shown: `varchar(255)`, not an account.
const LONGEST_NUMBER: usize = 4;

/// Marks the place of the error.
const HERE: char = '→';

/// An excerpt of a statement; `position` is PostgreSQL's, in characters from 1.
pub(super) fn excerpt(sql: &str, position: Option<usize>) -> String {
    let chars: Vec<char> = sql.chars().collect();
    let position = position.filter(|position| (1..=chars.len()).contains(position)).map(|place| place - 1);
    let (masked, place) = masked(&chars, position);
    let Some(place) = place else { return shortened(&masked, BEGINNING + 2 * AROUND) };
    let before = if place <= BEGINNING + AROUND {
        masked[..place].iter().collect()
    } else {
        let near: String = masked[place - AROUND..place].iter().collect();
        format!("{} {}", shortened(&masked, BEGINNING), near.trim_start())
    };
    format!("{before}{HERE}{}", shortened(&masked[place..], AROUND))
}

/// The first so many characters, with dots if there are more.
fn shortened(chars: &[char], n: usize) -> String {
    let shown: String = chars.iter().take(n).collect();
    if chars.len() > n { format!("{}…", shown.trim_end()) } else { shown.trim_end().to_owned() }
}

/// The statement on one line, with dots in the place of values, and where the place of the error is in it.
fn masked(sql: &[char], position: Option<usize>) -> (Vec<char>, Option<usize>) {
    let mut shown: Vec<char> = Vec::new();
    let mut place = None;
    let mut at = 0;
    while at < sql.len() {
        let (length, token) = token(&sql[at..]);
        if matches!(token, Token::Space) && shown.last().is_some_and(|last| *last != ' ') {
            shown.push(' ');
        }
        if place.is_none() && position.is_some_and(|position| position < at + length) {
            place = Some(shown.len());
        }
        match token {
            Token::Space => {}
            Token::Value(open, close) => {
                shown.extend(open.chars().chain(['…']).chain(close.chars()));
            }
            Token::Text => shown.extend(&sql[at..at + length]),
        }
        at += length;
    }
    (shown, place)
}

enum Token {
    /// White space or a comment.
    Space,
    /// A value, with what is shown around the dots.
    Value(&'static str, &'static str),
    /// Anything else.
    Text,
}

/// The length and the kind of what a text begins with; it has at least one character.
fn token(text: &[char]) -> (usize, Token) {
    let next = |n: usize| text.get(n).copied().unwrap_or('\0');
    match (text[0], next(1)) {
        (char, _) if char.is_whitespace() => (run(text, char::is_whitespace), Token::Space),
        ('-', '-') => (run(text, |char| char != '\n'), Token::Space),
        ('/', '*') => (end_of_comment(text), Token::Space),
        ('\'', _) => (end_of_string(text, 0, false), Token::Value("'", "'")),
        ('e' | 'E', '\'') => (end_of_string(text, 1, true), Token::Value("'", "'")),
        ('"', _) => (end_of_quoted(text), Token::Text),
        ('$', _) => match end_of_dollar_quoted(text) {
            Some(end) => (end, Token::Value("$$", "$$")),
            None => (1 + run(&text[1..], |char| char.is_ascii_digit()), Token::Text),
        },
        (char, _) if char.is_ascii_digit() => {
            let length = run(text, |char| char.is_ascii_alphanumeric() || char == '.');
            (length, if length > LONGEST_NUMBER { Token::Value("", "") } else { Token::Text })
        }
        (char, _) if is_word(char) => (run(text, |char| is_word(char) || char.is_ascii_digit()), Token::Text),
        _ => (1, Token::Text),
    }
}

fn is_word(char: char) -> bool {
    char.is_alphabetic() || char == '_'
}

fn run(text: &[char], is_part: impl Fn(char) -> bool) -> usize {
    text.iter().take_while(|char| is_part(**char)).count()
}

/// Comments nest.
fn end_of_comment(text: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn end_of_string(text: &[char], quote: usize, escapes: bool) -> usize {
    let mut at = quote + 1;
    while at < text.len() {
        match text[at] {
            '\\' if escapes => at += 2,
            '\'' if text.get(at + 1) == Some(&'\'') => at += 2,
            '\'' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn end_of_quoted(text: &[char]) -> usize {
    text.iter().skip(1).position(|char| *char == '"').map_or(text.len(), |end| end + 2)
}

fn end_of_dollar_quoted(text: &[char]) -> Option<usize> {
    let name = run(&text[1..], |char| is_word(char) || char.is_ascii_digit());
    let tag = text.get(..name + 2).filter(|tag| tag[name + 1] == '$' && !tag[1].is_ascii_digit())?;
    let body = &text[tag.len()..];
    let end = body.windows(tag.len()).position(|window| window == tag);
    Some(end.map_or(text.len(), |end| end + 2 * tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_without_its_values() {
        let long = format!("SELECT {} FROM wrong", "a, ".repeat(100));
        for (sql, position, shown) in [
            ("CREATE TABLE t (id int, c varcharx)", Some(27), "CREATE TABLE t (id int, c →varcharx)"),
            ("  SELECT\n\t 1 -- a comment\n / 0", None, "SELECT 1 / 0"),
            (
                "INSERT INTO t VALUES ('s3cret', E'it\\'s', 'a''b', 12, 1234567, 3.14159)",
                None,
                "INSERT INTO t VALUES ('…', '…', '…', 12, …, …)",
            ),
            (
                "CREATE FUNCTION f() AS $body$ SELECT 'x' $body$ LANGUAGE sq",
                Some(58),
                "CREATE FUNCTION f() AS $$…$$ LANGUAGE →sq",
            ),
            (
                "SELECT $1, \"a'b\" /* /* x */ 'y' */ WHERE x1 = 'open",
                Some(12),
                "SELECT $1, →\"a'b\" WHERE x1 = '…'",
            ),
            ("UPDATE t SET p = 'pässword' WHERE nö = 1", Some(35), "UPDATE t SET p = '…' WHERE →nö = 1"),
            ("SELECT 1", Some(99), "SELECT 1"),
            ("SELECT 'a", Some(8), "SELECT →'…'"),
            ("", None, ""),
        ] {
            assert_eq!(excerpt(sql, position), shown, "{sql}");
        }
        let near = excerpt(&long, Some(313));
        assert!(
            near.starts_with("SELECT a, a,") && near.contains("…") && near.ends_with(", FROM →wrong"),
            "{near}"
        );
        assert!(near.chars().count() < 150, "{near}");
        let excerpt = excerpt(&long, None);
        assert!(excerpt.ends_with('…') && excerpt.chars().count() < 210, "{excerpt}");
    }
}
