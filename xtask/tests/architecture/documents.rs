//! That the documents say what is true. What a command prints is tested where it is run.

use std::path::Path;
use std::process::Command;

use crate::{below, list, nothing_wrong, read, relative, root, services};

/// Files that define the events.
const EVENTS: [&str; 3] = [
    "crates/migration-coordinator/src/event.rs",
    "crates/migration-kit/src/event.rs",
    "crates/migration-cli/src/output/error.rs",
];

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in below(root(), "md") {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let outside = link.contains("://") || path.is_empty();
            if !outside && !document.parent().unwrap().join(path).exists() {
                wrong.push(format!("{}: `{link}` leads nowhere", relative(&document)));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_test_command_of_the_readme_is_the_one_that_ci_runs() {
    let readme = read("README.md");
    let line = readme.lines().find(|line| line.starts_with("cargo test ")).expect("it says how to test");
    let command = line.split('#').next().unwrap().trim();
    let check = format!("check \"tests on PostgreSQL $MIGRATE_TEST_POSTGRES\" {command}\n");
    assert!(read(".ci/run").contains(&check), "`{command}`");
}

#[test]
fn the_readme_names_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["migrate", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let readme = read("README.md");
    let wrong: Vec<String> = names
        .filter(|name| !name.is_empty() && *name != "help")
        .filter(|name| !readme.contains(&format!("cargo xtask migrate {name} ")))
        .map(|name| format!("README.md: `cargo xtask migrate {name}` is missing"))
        .collect();
    nothing_wrong(&wrong);
}

/// Before, during, after and back: in its service's README an operator finds each with a command for that very service.
#[test]
fn each_service_tells_its_operator_the_way() {
    let mut wrong = Vec::new();
    for service in services() {
        let readme = read(format!("services/{service}/README.md"));
        let (_, way) = readme.split_once("\n## For its operator\n").unwrap_or_default();
        let way = way.split("\n## ").next().unwrap_or_default();
        for (place, command) in [("Before", "plan"), ("During", "up"), ("After", "verify"), ("Back", "down")]
        {
            let told = way.split("\n- **").find_map(|told| told.strip_prefix(&format!("{place}.** ")));
            let named = format!("`cargo xtask migrate {command} {service}");
            if !told
                .is_some_and(|told| told.split_whitespace().collect::<Vec<_>>().join(" ").contains(&named))
            {
                wrong.push(format!("services/{service}/README.md: **{place}.** does not name {named}`"));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_runbook_has_every_exit_code_and_every_class() {
    let exits = read("crates/migration-cli/src/exit.rs");
    let (_, arms) = exits.split_once("Self::Ended(class) => match class {").unwrap();
    let (arms, _) = arms.split_once("\n            },").unwrap();
    let arms: Vec<(&str, &str)> = arms
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Class::")?.trim_end_matches(',').split_once(" => "))
        .collect();
    assert!(arms.len() > 8, "{arms:?}");
    let runbook = read("docs/runbook.md");
    let sections: Vec<&str> = runbook.split("\n## ").skip(1).collect();
    let wrong: Vec<String> = arms
        .iter()
        .filter(|(class, code)| {
            let section = sections.iter().find(|section| {
                let (heading, _) = section.split_once(':').unwrap_or_default();
                heading.split(" and ").any(|named| named == *code)
            });
            let named = format!("Class *{}*", class.to_lowercase());
            *class != "Done" && !section.is_some_and(|section| section.contains(&named))
        })
        .map(|(class, code)| format!("docs/runbook.md: `## {code}: …` with `{class}` is missing"))
        .collect();
    nothing_wrong(&wrong);
}

#[test]
fn the_readme_names_every_exit_code() {
    let exits = read("crates/migration-cli/src/exit.rs");
    let (_, codes) = exits.split_once("fn code(self)").unwrap();
    let (codes, _) = codes.split_once("\n    }\n").unwrap();
    let codes = codes.lines().filter_map(|line| line.split_once(" => ")?.1.strip_suffix(','));
    let readme = read("README.md");
    let wrong: Vec<String> = codes
        .filter(|code| !readme.contains(&format!("| {code} |")) && !readme.contains(&format!("| {code}, 1")))
        .filter(|code| !readme.contains(&format!(", {code} |")))
        .map(|code| format!("README.md: exit code {code} is missing"))
        .collect();
    nothing_wrong(&wrong);
}

#[test]
fn every_variable_stands_in_the_example() {
    let example = read(".env.example");
    let mut expected = Vec::new();
    for word in capitals(&read("crates/migration-cli/src/environment/mod.rs")) {
        match word.as_str() {
            "DATABASE_URL" | "DATABASE_SCHEMA" => {
                let own = |service: &String| format!("{}_{word}", service.to_uppercase().replace('-', "_"));
                expected.extend(services().iter().map(own));
                expected.extend((word == "DATABASE_URL").then_some(word));
            }
            _ => expected.push(word),
        }
    }
    // The locale is the system's, not a setting of the program.
    let of_terminal = capitals(&read("crates/migration-cli/src/output/terminal.rs")).into_iter();
    expected.extend(of_terminal.filter(|name| !name.starts_with("LC_")));
    let compose = read("docker-compose.yml");
    let in_compose = compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
    expected.extend(in_compose.map(str::to_owned));
    let stands =
        |name: &str| example.lines().any(|line| line.trim_start_matches('#').split('=').next() == Some(name));
    let mut wrong: Vec<String> =
        expected.iter().filter(|name| !stands(name)).map(|name| format!("`{name}` is missing")).collect();
    wrong.dedup();
    assert!(expected.contains(&"NO_COLOR".to_owned()) && expected.len() > 4, "{expected:?}");
    nothing_wrong(&wrong);
}

/// String literals that are names of variables: `"NO_COLOR"`.
fn capitals(source: &str) -> Vec<String> {
    let is_name = |text: &&str| {
        text.len() > 3
            && text.contains('_')
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    source.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_rule_has_its_page_with_its_reason() {
    let mut wrong = Vec::new();
    let rules =
        list("crates/migration-rehearsal/src/hazards").into_iter().filter(|file| !file.ends_with("mod.rs"));
    let rules: Vec<String> = rules.map(read).collect();
    for rule in &rules {
        let text = |field: &str| rule.split(&format!("{field}: \"")).nth(1)?.split('"').next();
        let id = text("id").unwrap();
        let page = root().join(format!("docs/rules/{id}.md"));
        let page = if page.exists() { read(page).to_lowercase() } else { String::new() };
        if [text("why"), text("instead")].iter().flatten().any(|says| !page.contains(&says.to_lowercase())) {
            wrong.push(format!(
                "docs/rules/{id}.md: it does not give the rule's reason and what to do instead"
            ));
        }
    }
    assert_eq!(rules.len(), list("docs/rules").len(), "each page is of a rule");
    nothing_wrong(&wrong);
}

#[test]
fn every_event_is_documented_with_its_fields() {
    let documented = read("docs/json.md");
    let mut wrong = Vec::new();
    let mut n_events = 0;
    for file in EVENTS {
        for (kind, fields) in events(&read(file)) {
            n_events += 1;
            let Some(row) = documented.lines().find(|line| line.starts_with(&format!("| `{kind}` |"))) else {
                wrong.push(format!("docs/json.md: the event `{kind}` is missing"));
                continue;
            };
            for field in fields.iter().filter(|field| !row.contains(&format!("`{field}`"))) {
                wrong.push(format!("docs/json.md: `{kind}` has a field `{field}`"));
            }
        }
    }
    assert!(n_events >= 13, "only {n_events} events were found");
    nothing_wrong(&wrong);
}

/// Kind and fields of each `tracing` event in a file.
fn events(source: &str) -> Vec<(String, Vec<String>)> {
    let calls = source.split("tracing::").skip(1).filter_map(|rest| {
        let (arguments, _) = rest.split_once(");\n")?;
        let (_, arguments) = arguments.split_once("kind = \"")?;
        let (kind, fields) = arguments.split_once('"')?;
        let fields = fields.split(',').map(|field| field.split('=').next().unwrap().trim().to_owned());
        Some((kind.to_owned(), fields.filter(|field| !field.is_empty()).collect()))
    });
    calls.collect()
}

#[test]
fn every_field_of_a_document_is_documented() {
    let documented = read("docs/json.md");
    let mut wrong = Vec::new();
    let mut n_fields = 0;
    for file in below(Path::new("crates"), "rs") {
        for field in serialized_fields(&read(&file)) {
            n_fields += 1;
            if !documented.contains(&format!("`{field}`")) && !documented.contains(&format!(".{field}`")) {
                wrong.push(format!("docs/json.md: `{field}` of {} is missing", relative(&file)));
            }
        }
    }
    assert!(n_fields > 90, "only {n_fields} fields were found");
    nothing_wrong(&wrong);
}

/// Fields of the structs of a file that are printed as JSON; what is read back too is our own.
fn serialized_fields(source: &str) -> Vec<String> {
    let mut fields = Vec::new();
    for rest in source.split("Serialize)]\n").skip(1) {
        let Some((body, _)) = rest.split_once("\n}") else { continue };
        let mut hidden = false;
        for line in body.lines().skip(1).map(str::trim) {
            if line.starts_with("#[serde(skip)]") || line.starts_with("#[serde(flatten)]") {
                hidden = true;
            } else if !line.starts_with("//") && !line.starts_with('#') {
                let name = line.split(':').next().unwrap().trim_start_matches("pub(crate) ");
                let name = name.trim_start_matches("pub(super) ").trim_start_matches("pub ");
                fields.extend((!hidden && line.contains(':')).then(|| name.to_owned()));
                hidden = false;
            }
        }
    }
    fields
}
