//! Files that are read by the line: the example of `.env`, and the jobs of GitLab.

/// The job that every service's job extends.
const JOB: &str = "  extends: .service";

/// The example with a service's two variables behind those of the last service.
pub(crate) fn with_variables(text: &str, service: &str) -> String {
    let variable = service.to_ascii_uppercase().replace('-', "_");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_last = |line: &&str| {
        line.trim_start_matches('#')
            .split_once('=')
            .is_some_and(|(name, _)| name.ends_with("_DATABASE_SCHEMA"))
    };
    let place = lines.iter().rposition(is_last).map_or(lines.len(), |last| last + 1);
    let mut before = lines[..place].concat();
    if !before.is_empty() && !before.ends_with('\n') {
        before.push('\n');
    }
    format!(
        "{before}#{variable}_DATABASE_URL=\n#{variable}_DATABASE_SCHEMA={service}\n{}",
        lines[place..].concat()
    )
}

/// The names at the beginning of lines: jobs, and words of the language.
pub(crate) fn keys(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with([' ', '#', '-'])).filter_map(|line| line.split(':').next())
}

/// The pipeline with a service's job, in the order of the services' names; `None` if no job is a service's.
pub(crate) fn with_job(text: &str, service: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let jobs: Vec<usize> =
        (1..lines.len()).filter(|line| lines[*line].trim_end() == JOB).map(|line| line - 1).collect();
    let job = format!(
        "{service}:\n{JOB}\n  variables:\n    SERVICE: {service}\n  rules:\n    - changes: [\"services/{service}/**/*\"]\n    \
         - changes: *shared\n"
    );
    let last = *jobs.last()?;
    if let Some(next) = jobs.into_iter().find(|job| lines[*job] > service) {
        return Some(format!("{}{job}\n{}", lines[..next].concat(), lines[next..].concat()));
    }
    let end = lines[last..].iter().position(|line| line.trim().is_empty()).map(|length| last + length);
    Some(match end {
        Some(end) => format!("{}\n{job}{}", lines[..end].concat(), lines[end..].concat()),
        None => format!("{}\n\n{job}", text.trim_end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_follow_those_of_the_last_service() {
        let text = "#A_DATABASE_URL=\n#A_DATABASE_SCHEMA=a\n\n# More.\n";
        let expected = "#A_DATABASE_URL=\n#A_DATABASE_SCHEMA=a\n#B_C_DATABASE_URL=\n#B_C_DATABASE_SCHEMA=b-c\n\n# More.\n";
        assert_eq!(with_variables(text, "b-c"), expected);
        assert_eq!(with_variables("X=1", "b"), "X=1\n#B_DATABASE_URL=\n#B_DATABASE_SCHEMA=b\n");
    }

    #[test]
    fn a_job_stands_in_the_order_of_the_names() {
        let job = |name: &str| {
            with_job("", name).unwrap_or_else(|| {
                format!(
                    "{name}:\n  extends: .service\n  variables:\n    SERVICE: {name}\n  rules:\n    \
                 - changes: [\"services/{name}/**/*\"]\n    - changes: *shared\n"
                )
            })
        };
        let text = |names: &[&str], rest: &str| {
            names.iter().map(|name| job(name)).collect::<Vec<_>>().join("\n") + rest
        };
        let all = "\nall:\n  script: x\n";
        for (name, expected) in [("a", ["a", "b", "d"]), ("c", ["b", "c", "d"]), ("e", ["b", "d", "e"])] {
            assert_eq!(with_job(&text(&["b", "d"], all), name), Some(text(&expected, all)), "{name}");
            assert_eq!(with_job(&text(&["b", "d"], ""), name), Some(text(&expected, "")), "{name}");
        }
        assert_eq!(with_job(all, "c"), None);
        assert_eq!(keys(all).collect::<Vec<_>>(), ["", "all"]);
    }
}
