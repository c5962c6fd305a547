//! Words of a printed command as a shell takes them: whoever copies it gets the same words back.

/// A word, in quotes if a shell would read it otherwise. What has control characters is not shown as it is, quoted or not.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.,:/@%+=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A setting of a variable, as a shell and `.env` take it.
pub(crate) fn setting(variable: &str, value: &str) -> String {
    format!("{variable}={}", word(value))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{setting, word};

    #[test]
    fn a_shell_gets_the_word_back() {
        for text in [
            "", "chat", "m2025_a", "größe", "a b", "it's", "a`id`", "$(id)", "a\"b", "*", "~", "a\\b", "!!",
            "#a", "a;b", "''",
        ] {
            let said = Command::new("sh").args(["-c", &format!("printf %s {}", word(text))]).output();
            assert_eq!(String::from_utf8(said.expect("there is a shell").stdout).as_deref(), Ok(text));
        }
        assert_eq!((word("chat@-1"), word("a b")), ("chat@-1".to_owned(), "'a b'".to_owned()));
        assert_eq!(setting("CHAT_DATABASE_SCHEMA", "My chat"), "CHAT_DATABASE_SCHEMA='My chat'");
    }
}
