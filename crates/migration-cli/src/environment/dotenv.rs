//! Reads `.env` as tolerantly as can be: a fault belongs to the variable in whose line it is, and is reported when that
//! variable is asked for. Lines of other programs may look as they like. No message repeats the text of a line.
//!
//! A value is bare (it ends at the end of the line or before ` #`), in single quotes (literal) or in double quotes (with
//! `\n`, `\"`, `\\`, `\$`). `$NAME`, `${NAME}` and `${NAME:-default}` are replaced, except in single quotes, by variables of
//! the process and of the lines above.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// What a file says, by variable.
pub(super) type Lines = BTreeMap<String, Line>;

/// What the last line that sets a variable says.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) value: Result<String, Fault>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    NoEquals,
    /// Something precedes its name, or its name is in quotes.
    Before,
    NotUtf8,
    OpenQuote,
    AfterQuote,
    /// It is within a value that another line begins, or that line forgot a quote.
    InQuotes {
        begun: usize,
    },
    /// The braces around a name do not hold a name.
    Braces,
    /// The name is given where it was in braces: without them it may be a piece of a password.
    Unset {
        name: Option<String>,
    },
    Later {
        line: usize,
    },
    Faulty {
        line: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEquals => f.write_str("is not followed by `=`"),
            Self::Before => f.write_str("has something else before it, or around it"),
            Self::NotUtf8 => f.write_str("has a value that is not UTF-8"),
            Self::OpenQuote => f.write_str("has a quote that is not closed"),
            Self::AfterQuote => f.write_str("has text after the closing quote"),
            Self::InQuotes { begun } => {
                write!(f, "is in the quotes that line {begun} opens; close them in that line")
            }
            Self::Braces => f.write_str("has a `${` that no variable follows"),
            Self::Unset { name: Some(name) } => write!(f, "refers to `{name}`, which is not set"),
            Self::Unset { name: None } => f.write_str("has a `$` that refers to a variable that is not set"),
            Self::Later { line } => write!(f, "refers to a variable that line {line} sets, further down"),
            Self::Faulty { line } => {
                write!(f, "refers to a variable that line {line} does not set correctly")
            }
        }
    }
}

impl Fault {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Unset { .. } | Self::Braces => {
                "set it, or write the value in single quotes if the `$` is part of it"
            }
            Self::Later { .. } => "move that line up",
            _ => "each line must be `NAME=value`; `.env.example` explains quotes",
        }
    }
}

/// Reads the bytes of a file. `process` looks a variable of the process up; `is_ours` knows the variables that no
/// foreign line may swallow.
pub(super) fn read(
    bytes: &[u8],
    process: impl Fn(&str) -> Option<String>,
    is_ours: impl Fn(&str) -> bool,
) -> Lines {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let raw: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let texts: Vec<String> = raw.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let mut lines = Lines::new();
    let mut skip_to = 0;
    for (at, text) in texts.iter().enumerate() {
        let inside = at < skip_to;
        if let Some(name) = nearly_named(text).filter(|name| !inside && !lines.contains_key(*name)) {
            let (number, value) = (at + 1, Err(Fault::Before));
            lines.insert(name.to_owned(), Line { number, value });
        }
        let Some((name, rest)) = named(text) else { continue };
        if inside && !is_ours(name) {
            continue;
        }
        let number = at + 1;
        let value = match rest {
            _ if inside => Err(Fault::InQuotes { begun: begun(&texts, at) }),
            None => Err(Fault::NoEquals),
            Some(_) if std::str::from_utf8(raw[at]).is_err() => Err(Fault::NotUtf8),
            Some(rest) => {
                let n_lines = extent(rest, &texts[at + 1..]);
                skip_to = at + n_lines;
                let whole =
                    std::iter::once(rest).chain(texts[at + 1..at + n_lines].iter().map(String::as_str));
                let look_up = |wanted: &str| match (process(wanted), lines.get(wanted)) {
                    (Some(value), _) => Ok(Some(value)),
                    (None, Some(Line { value: Ok(value), .. })) => Ok(Some(value.clone())),
                    (None, Some(line)) => Err(Fault::Faulty { line: line.number }),
                    (None, None) => {
                        let later = texts.iter().skip(number).position(|text| {
                            named(text).is_some_and(|(name, rest)| name == wanted && rest.is_some())
                        });
                        later.map_or(Ok(None), |after| Err(Fault::Later { line: number + after + 1 }))
                    }
                };
                value(whole.collect::<Vec<_>>().join("\n").trim(), &look_up)
            }
        };
        lines.insert(name.to_owned(), Line { number, value });
    }
    lines
}

/// The variable that a line begins with, and what comes after its `=`. `None` for a line that begins with none.
fn named(line: &str) -> Option<(&str, Option<&str>)> {
    let line = line.trim();
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((name, rest.trim_start().strip_prefix('=')))
}

/// What a line sets that begins with no variable and `=`: the word before its `=`, such as `DATABASE-URL`, or `DATABASE_URL` behind
/// a misspelt `export`. It may be meant for ours.
fn nearly_named(line: &str) -> Option<&str> {
    if line.trim_start().starts_with('#') || named(line).is_some_and(|(_, rest)| rest.is_some()) {
        return None;
    }
    let word = line.split_once('=')?.0.split_whitespace().next_back()?;
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    (!word.is_empty()).then_some(word)
}

/// How many lines a value takes: more than one if it opens a quote that a later line closes.
fn extent(first: &str, after: &[String]) -> usize {
    let first = first.trim();
    let Some(quote @ ('"' | '\'')) = first.chars().next() else { return 1 };
    let mut open = Quoted { quote, escaped: false };
    if open.closes_in(&first[1..]) {
        return 1;
    }
    let closing = after.iter().position(|line| open.closes_in(line));
    closing.map_or(1, |lines| lines + 2)
}

/// Text behind an opening quote.
struct Quoted {
    quote: char,
    escaped: bool,
}

impl Quoted {
    fn closes_in(&mut self, text: &str) -> bool {
        text.chars().any(|character| {
            let escaped = std::mem::take(&mut self.escaped);
            self.escaped = character == '\\' && self.quote == '"' && !escaped;
            character == self.quote && !escaped
        })
    }
}

/// The line, counted from 1, whose quotes this one is in.
fn begun(texts: &[String], inside: usize) -> usize {
    let opens = |at: &usize| {
        let rest = named(&texts[*at]).and_then(|(_, rest)| rest);
        rest.is_some_and(|rest| at + extent(rest, &texts[at + 1..]) > inside)
    };
    (0..inside).find(opens).map_or(inside, |at| at + 1)
}

/// Reads a value.
fn value(text: &str, look_up: &dyn Fn(&str) -> Result<Option<String>, Fault>) -> Result<String, Fault> {
    let mut value = String::new();
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let mut characters = text[quote.map_or(0, char::len_utf8)..].chars().peekable();
    let mut blank = true;
    while let Some(character) = characters.next() {
        match character {
            end if Some(end) == quote => {
                let after: String = characters.collect();
                let after = after.trim();
                return if after.is_empty() || after.starts_with('#') {
                    Ok(value)
                } else {
                    Err(Fault::AfterQuote)
                };
            }
            '\\' if quote == Some('"') => match characters.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(literal @ ('"' | '\\' | '$')) => value.push(literal),
                other => value.extend(std::iter::once('\\').chain(other)),
            },
            '\\' if quote.is_none() && characters.peek() == Some(&'$') => value.extend(characters.next()),
            '$' if quote != Some('\'') => reference(&mut characters, &mut value, look_up)?,
            '#' if quote.is_none() && blank => break,
            other => value.push(other),
        }
        blank = character.is_whitespace();
    }
    if quote.is_some() { Err(Fault::OpenQuote) } else { Ok(value.trim_end().to_owned()) }
}

/// Reads what follows a `$`.
fn reference(
    characters: &mut Peekable<Chars<'_>>,
    value: &mut String,
    look_up: &dyn Fn(&str) -> Result<Option<String>, Fault>,
) -> Result<(), Fault> {
    let begins = |c: &char| c.is_ascii_alphabetic() || *c == '_';
    let continues = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    match characters.peek() {
        Some('{') => {
            characters.next();
            let mut text = String::new();
            loop {
                match characters.next() {
                    Some('}') => break,
                    Some(character) => text.push(character),
                    None => return Err(Fault::Braces),
                }
            }
            let (name, default) =
                text.split_once(":-").map_or((text.as_str(), None), |(name, default)| (name, Some(default)));
            if !name.starts_with(|c| begins(&c)) || !name.chars().all(|c| continues(&c)) {
                return Err(Fault::Braces);
            }
            let found = look_up(name)?.or_else(|| default.map(str::to_owned));
            value.push_str(&found.ok_or_else(|| Fault::Unset { name: Some(name.to_owned()) })?);
        }
        Some(first) if begins(first) => {
            let mut name = String::new();
            while let Some(character) = characters.next_if(continues) {
                name.push(character);
            }
            value.push_str(&look_up(&name)?.ok_or(Fault::Unset { name: None })?);
        }
        _ => value.push('$'),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(file: &[u8]) -> String {
        let process = |name: &str| (name == "FROM_PROCESS").then(|| "p".to_owned());
        let lines = read(file, process, |name| name.ends_with("DATABASE_URL"));
        match lines.get("DATABASE_URL") {
            Some(Line { value: Ok(value), .. }) => value.clone(),
            Some(Line { number, value: Err(fault) }) => format!("{number} {fault}"),
            None => "not set".to_owned(),
        }
    }

    #[test]
    fn values_are_read_as_written() {
        for (line, value) in [
            ("DATABASE_URL=a", "a"),
            ("  export\tDATABASE_URL = a b  # comment\r", "a b"),
            ("DATABASE_URL=a#b", "a#b"),
            ("DATABASE_URL=\\a\\$FROM_PROCESS", "\\a$FROM_PROCESS"),
            ("DATABASE_URL='a # $b \\'#c", "a # $b \\"),
            ("DATABASE_URL=\"a\\\"\\$b\\\\ \\x\" # c", "a\"$b\\ \\x"),
            ("DATABASE_URL=\"a\nb\"", "a\nb"),
            ("DATABASE_URL=$FROM_PROCESS-${FROM_PROCESS}$", "p-p$"),
            ("X='x y'\nDATABASE_URL=${X}${Y:-z}", "x yz"),
            ("DATABASE_URL=", ""),
            ("DATABASE_URL= # nothing", ""),
            ("#DATABASE_URL=a", "not set"),
            ("DATABASE_URL=a\nDATABASE_URL=b", "b"),
            ("DATABASE_URLS=a", "not set"),
            ("DATABASE_URL", "1 is not followed by `=`"),
            ("\nDATABASE_URL: a", "2 is not followed by `=`"),
            ("exprt DATABASE_URL=a", "1 has something else before it, or around it"),
            ("- DATABASE_URL=a", "1 has something else before it, or around it"),
            ("\"DATABASE_URL\"=a", "1 has something else before it, or around it"),
            ("exprt DATABASE_URL=a\nDATABASE_URL=b", "b"),
            ("DATABASE-URL=a", "not set"),
            ("DATABASE_URL='a", "1 has a quote that is not closed"),
            ("DATABASE_URL=\"a\\\"", "1 has a quote that is not closed"),
            ("DATABASE_URL='a'b", "1 has text after the closing quote"),
            ("DATABASE_URL=pa$$word", "1 has a `$` that refers to a variable that is not set"),
            ("DATABASE_URL=${WORD}", "1 refers to `WORD`, which is not set"),
            ("DATABASE_URL=${", "1 has a `${` that no variable follows"),
            ("DATABASE_URL=${a b}", "1 has a `${` that no variable follows"),
            ("DATABASE_URL=${LATER}\n\nLATER=x", "1 refers to a variable that line 3 sets, further down"),
            ("X='x\nDATABASE_URL=$X", "2 refers to a variable that line 1 does not set correctly"),
        ] {
            assert_eq!(ask(line.as_bytes()), value, "{line}");
        }
        assert_eq!(ask(b"DATABASE_URL=p\xe4ss"), "1 has a value that is not UTF-8");
    }

    #[test]
    fn foreign_lines_are_passed_over() {
        for line in [
            "APP_NAME=My Great App",
            "MSG=don't",
            "MSG='tis",
            "MSG=\"open",
            "WINPATH=C:\\Users",
            "my-key=1",
            "1KEY=1",
            "word",
            "FOO: bar",
            "=x",
            "BAD=$UNSET ${",
            "KEY=-----BEGIN KEY-----\nabc+/==\n-----END KEY-----",
            "KEY=\"-----BEGIN KEY-----\nabc+/==\n-----END KEY-----\"",
            "[section]",
            "\u{feff}",
        ] {
            for file in [format!("{line}\nDATABASE_URL=a"), format!("DATABASE_URL=a\n{line}")] {
                assert_eq!(ask(file.as_bytes()), "a", "{file}");
            }
        }
        assert_eq!(ask(b"X=\xff\xfe\nDATABASE_URL=a"), "a");
        assert_eq!(ask(b"\xef\xbb\xbfDATABASE_URL=a"), "a");
    }

    #[test]
    fn a_line_of_ours_in_the_quotes_of_another_is_not_guessed_at() {
        let file = "MSG='tis\nDATABASE_URL=a\nOTHER='x'";
        assert_eq!(ask(file.as_bytes()), "2 is in the quotes that line 1 opens; close them in that line");
    }

    proptest::proptest! {
        /// A name in braces is repeated on purpose, so there are no braces here.
        #[test]
        fn no_piece_of_a_line_is_repeated(value in "['\"]?[QZX7@:/?#%&=,$\\\\ '\"]{4,24}['\"]?", above in "[QZX7='\"$]{0,8}") {
            let said = ask(format!("{above}\nDATABASE_URL={value}\n").as_bytes());
            if said.starts_with("2 ") {
                for piece in value.chars().collect::<Vec<_>>().windows(4) {
                    let piece: String = piece.iter().collect();
                    proptest::prop_assert!(!said.contains(&piece), "{piece}: {said}");
                }
            }
        }

        #[test]
        fn any_bytes_are_lines_or_faults(
            text in "(DATABASE_URL|FROM_PROCESS|export |=|\\$|\\$\\{|\\}|'|\"|\\\\|#|\n|\r|:|\\PC|\\p{Cc}){0,30}",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..4),
        ) {
            ask(&[text.as_bytes(), &bytes, text.as_bytes()].concat());
        }
    }
}
