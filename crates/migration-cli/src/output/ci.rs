//! Results in the forms that CI systems read: JUnit's XML, the annotations of GitHub, and SARIF.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

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

/// A hazard, as SARIF wants it.
pub(crate) struct Result<'r> {
    pub(crate) rule: &'r str,
    /// What the rule is against.
    pub(crate) why: &'r str,
    /// What does the same safely.
    pub(crate) instead: &'r str,
    pub(crate) message: String,
    /// The file that it is shown beside.
    pub(crate) file: String,
    /// `service:migration`.
    pub(crate) migration: String,
    pub(crate) object: &'r str,
}

/// A report in SARIF 2.1.0. What it finds again has the same fingerprint, however lines move.
pub(crate) fn sarif(results: &[Result<'_>]) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    for result in results {
        if !rules.iter().any(|rule| rule["id"] == result.rule) {
            rules.push(json!({
                "id": result.rule,
                "shortDescription": { "text": result.why },
                "help": { "text": result.instead },
            }));
        }
    }
    let shown = results.iter().map(|result| {
        json!({
            "ruleId": result.rule,
            "level": "error",
            "message": { "text": result.message },
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&result.file) },
                    "region": { "startLine": 1 },
                },
                "logicalLocations": [{ "fullyQualifiedName": result.migration }],
            }],
            "partialFingerprints": {
                "hazard/v1": format!("{} {} {}", result.rule, result.migration, result.object),
            },
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "migrate check", "rules": rules } },
            "results": shown.collect::<Vec<_>>(),
        }],
    })
}

/// A path as a relative or absolute reference of a URI.
fn uri(path: &str) -> String {
    let mut written = String::with_capacity(path.len());
    // A first part with a colon would be a scheme.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        written.push_str("./");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~:".contains(&byte) {
            written.push(char::from(byte));
        } else {
            write!(written, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_reserves_is_written_as_text() {
        let (none, two) = (Vec::new(), vec!["a < \"b\" & c\u{1b}[2J".to_owned(), "d\ne".to_owned()]);
        let checks =
            [("shop", "names", Duration::ZERO, none), ("shop", "alone", Duration::from_millis(1500), two)];
        insta::assert_snapshot!(junit(checks.into_iter()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="migrate check">
          <testsuite name="shop" tests="2" failures="1">
            <testcase classname="shop" name="names" time="0.000"></testcase>
            <testcase classname="shop" name="alone" time="1.500"><failure message="a &lt; &quot;b&quot; &amp; c[2J&#10;d&#10;e" type="finding"/></testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn sarif_names_each_rule_once() {
        let result = |object| Result {
            rule: "serial",
            why: "w",
            instead: "i",
            message: "m".to_owned(),
            file: "services/shop/src/m1.rs".to_owned(),
            migration: "shop:m1".to_owned(),
            object,
        };
        let report = sarif(&[result("a.id"), result("b.id")]);
        let run = &report["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 1);
        assert_eq!(run["results"][1]["partialFingerprints"]["hazard/v1"], "serial shop:m1 b.id");
        assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    }

    #[test]
    fn a_path_becomes_a_reference() {
        assert_eq!(uri("./services/shop/src/m1.rs"), "./services/shop/src/m1.rs");
        assert_eq!(uri("a b/50%.sql"), "a%20b/50%25.sql");
        assert_eq!(uri("é:1.sql"), "./%C3%A9:1.sql");
    }

    #[test]
    fn an_annotation_is_one_line() {
        let line = annotation("services/a,b.rs", "shop: names", "50 %\nof it: all, of it");
        assert_eq!(
            line,
            "::error file=services/a%2Cb.rs,line=1,title=shop%3A names::50 %25%0Aof it: all, of it\n"
        );
    }
}
