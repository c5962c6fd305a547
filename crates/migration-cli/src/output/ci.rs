//! Results in the forms that CI systems read: JUnit's XML, and the annotations of GitHub.

use std::fmt::Write;
use std::time::Duration;

/// JUnit's report over checks, each with the service that it is of, its name, how long it took and what it found.
pub(crate) fn junit<'c>(checks: impl Iterator<Item = (&'c str, &'c str, Duration, Vec<String>)>) -> String {
    let mut suites: Vec<(&str, String, usize, usize)> = Vec::new();
    for (service, check, elapsed, findings) in checks {
        if suites.last().is_none_or(|(last, ..)| *last != service) {
            suites.push((service, String::new(), 0, 0));
        }
        let (_, cases, n_checks, n_failures) = suites.last_mut().expect("one was added just now");
        *n_checks += 1;
        *n_failures += usize::from(!findings.is_empty());
        let says: String = findings.iter().map(|says| xml(says)).collect::<Vec<_>>().join("&#10;");
        let failure = if findings.is_empty() {
            String::new()
        } else {
            format!("<failure message=\"{says}\" type=\"finding\"/>")
        };
        writeln!(
            cases,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">{failure}</testcase>",
            xml(service),
            xml(check),
            elapsed.as_secs_f64(),
        )
        .expect("writing to a string cannot fail");
    }
    let suite = |(service, cases, n_checks, n_failures): &(&str, String, usize, usize)| {
        let service = xml(service);
        format!(
            "  <testsuite name=\"{service}\" tests=\"{n_checks}\" failures=\"{n_failures}\">\n{cases}  </testsuite>\n"
        )
    };
    let suites: String = suites.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"migrate check\">\n{suites}</testsuites>\n"
    )
}

/// A text within XML, also within an attribute. What XML has no place for is left out.
fn xml(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\n' => written.push_str("&#10;"),
            '\t' => written.push_str("&#9;"),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => {}
            char => written.push(char),
        }
    }
    written
}

/// A line by which GitHub shows an error beside the first line of a file.
pub(crate) fn annotation(file: &str, title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::error file={},line=1,title={}::{}\n", property(file), property(title), data(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_reserves_is_written_as_text() {
        let (none, two) = (Vec::new(), vec!["a < \"b\" & c\u{1b}[2J".to_owned(), "d\ne".to_owned()]);
        let checks =
            [("chat", "names", Duration::ZERO, none), ("chat", "alone", Duration::from_millis(1500), two)];
        insta::assert_snapshot!(junit(checks.into_iter()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="migrate check">
          <testsuite name="chat" tests="2" failures="1">
            <testcase classname="chat" name="names" time="0.000"></testcase>
            <testcase classname="chat" name="alone" time="1.500"><failure message="a &lt; &quot;b&quot; &amp; c[2J&#10;d&#10;e" type="finding"/></testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn an_annotation_is_one_line() {
        let line = annotation("services/a,b.rs", "chat: names", "50 %\nof it: all, of it");
        assert_eq!(
            line,
            "::error file=services/a%2Cb.rs,line=1,title=chat%3A names::50 %25%0Aof it: all, of it\n"
        );
    }
}
