//! The row of a migration in the table of its service's README.

/// The text with a row behind the last migration's; `None` if there is no such table. `cells` are known values by the header of their column.
pub(crate) fn with_row(text: &str, migration: &str, cells: &[(&str, &str)]) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_row = |line: &str| {
        line.starts_with('|') && line.contains("_") && first_cell(line).is_some_and(is_migration)
    };
    let is_header = |line: &str| line.starts_with("| migration |");
    // The rule below the header of a table that has no row yet.
    let empty =
        || Some(lines.iter().position(|line| is_header(line))? + 1).filter(|rule| *rule < lines.len());
    let last = lines.iter().rposition(|line| is_row(line)).or_else(empty)?;
    let rule = lines[..=last].iter().rposition(|line| line.starts_with("|-") || line.starts_with("| -"))?;
    let header = lines[rule.checked_sub(1)?];
    let known = |column: &str| {
        let is_of = |(name, _): &&(&str, &str)| column.starts_with(name);
        cells.iter().find(is_of).map_or("–", |(_, value)| value)
    };
    let columns = header.trim().trim_matches('|').split('|').skip(1).map(|column| known(column.trim()));
    let row = std::iter::once(format!("| `{migration}` |")).chain(columns.map(|cell| format!(" {cell} |")));
    let end = if lines[last].ends_with("\r\n") { "\r\n" } else { "\n" };
    let mut after = lines[..=last].concat();
    if !after.ends_with('\n') {
        after += end;
    }
    Some(after + &row.collect::<String>() + end + &lines[last + 1..].concat())
}

fn first_cell(line: &str) -> Option<&str> {
    line.split('|').nth(1)?.trim().strip_prefix('`')?.strip_suffix('`')
}

fn is_migration(name: &str) -> bool {
    name.strip_prefix('m')
        .is_some_and(|rest| rest.len() > 16 && rest.as_bytes()[..8].iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_follows_the_last_migration() {
        let text = "# x\n\n| migration | phase | does | lock |\n|---|---|---|---|\n\
                    | `m20250101_000001_create_a` | expand | a | none |\n\nBoth.\n\n| other | table |\n|---|---|\n| a | b |\n";
        let cells = [("phase", "expand"), ("does", "adds b")];
        let expected =
            text.replace("| none |\n", "| none |\n| `m20250102_000001_add_b` | expand | adds b | – |\n");
        assert_eq!(with_row(text, "m20250102_000001_add_b", &cells).as_deref(), Some(&*expected));
        let empty = "# x\n\n| migration | does |\n|---|---|\n\n## Y\n";
        let expected = empty.replace("|---|\n", "|---|\n| `m20250102_000001_add_b` | adds b |\n");
        assert_eq!(with_row(empty, "m20250102_000001_add_b", &cells).as_deref(), Some(&*expected));
        assert_eq!(with_row("# x\n\n| a | b |\n|---|---|\n", "m20250102_000001_add_b", &cells), None);
    }
}
