//! Steps as code: in a transaction as statements, outside of one as steps of the kit.

use crate::reserved;
use crate::step::{Column, Key, Step};

/// Code that does something, and code that takes it back.
pub(crate) struct Code {
    pub(crate) up: Vec<String>,
    pub(crate) down: Vec<String>,
}

impl Code {
    fn of(up: impl Into<String>, down: impl Into<String>) -> Self {
        Self { up: vec![up.into()], down: vec![down.into()] }
    }
}

/// A step in a transaction, over tables that nobody uses yet.
pub(crate) fn in_transaction(step: &Step) -> Code {
    let execute = |sql: &str| format!("db.execute_unprepared({}).await?;", text(sql));
    let (up, down) = match step {
        Step::CreateEnum { name, labels } => {
            (create_enum(name, labels), format!("DROP TYPE {}", ident(name)))
        }
        Step::CreateTable { table, sql, .. } => (plain(sql), format!("DROP TABLE {}", ident(table))),
        Step::CreateIndex(Key { table, name, columns }) => (
            format!("CREATE INDEX {} ON {} ({})", ident(name), ident(table), idents(columns)),
            format!("DROP INDEX {}", ident(name)),
        ),
        Step::AddForeignKey { key, .. } => (
            format!("ALTER TABLE {} ADD {}", ident(&key.table), foreign_key(step)),
            format!("ALTER TABLE {} DROP CONSTRAINT {}", ident(&key.table), ident(&key.name)),
        ),
        // Nothing else is about new tables alone.
        _ => return in_steps(step),
    };
    Code::of(execute(&up), execute(&down))
}

/// A step outside of a transaction, which can be run again from its start.
pub(crate) fn in_steps(step: &Step) -> Code {
    match step {
        Step::RenameColumn { table, from, to } => Code::of(rename(table, from, to), rename(table, to, from)),
        Step::CreateEnum { name, labels } => {
            let create = create_enum(name, labels);
            let once = format!("DO $$ BEGIN {create}; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
            Code::of(execute(&once), execute(&format!("DROP TYPE IF EXISTS {}", ident(name))))
        }
        Step::AddLabel { name, label } => Code {
            up: vec![format!("online.add_enum_value({}, {}).await?;", text(name), text(label))],
            down: Vec::new(),
        },
        Step::CreateTable { table, sql, .. } => {
            let create = plain(sql).replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1);
            let is_gone = format!("SELECT to_regclass({}) IS NULL", literal(&ident(table)));
            Code::of(execute(&create), brief(&format!("DROP TABLE {}", ident(table)), table, &is_gone))
        }
        Step::AddColumn(column) => Code::of(add_column(column), drop_column(column)),
        Step::DropColumn(column) => Code::of(drop_column(column), add_column(column)),
        Step::SetDefault { table, column, from, to } => {
            let place = texts([table.as_str(), column]);
            let set = |default: &str| format!("online.set_default({place}, {}).await?;", text(default));
            let back = match from {
                Some(from) => set(from),
                None => format!("online.drop_default({place}).await?;"),
            };
            Code::of(set(to), back)
        }
        Step::SetType { table, column, from, to, is_cast: [there, back], rewrites, .. } => {
            let mut up = vec![set_type(table, column, to, *there)];
            if *rewrites {
                let why = "// It writes the whole table anew under a lock that nothing passes, and gives up if that is not brief: for a\n        \
                           // large table add a column of the new type, carry values over, and drop the old one.";
                up.insert(0, why.to_owned());
            }
            Code { up, down: vec![set_type(table, column, from, *back)] }
        }
        Step::DropNotNull { table, column } => {
            Code::of(drop_not_null(table, column), set_not_null(table, column))
        }
        Step::SetNotNull { table, column, .. } => {
            Code::of(set_not_null(table, column), drop_not_null(table, column))
        }
        Step::AddPrimaryKey(key) => Code::of(add_key("add_primary_key", key), drop_constraint(key)),
        Step::AddUnique(key) => Code::of(add_key("add_unique", key), drop_constraint(key)),
        Step::CreateIndex(Key { table, name, columns }) => Code::of(
            format!(
                "online.create_index({}, {}).run().await?;",
                texts([name, table]),
                list(&quoted(columns))
            ),
            format!("online.drop_index({}).await?;", text(name)),
        ),
        Step::AddForeignKey { key, referenced, columns, actions } => Code {
            up: add_foreign_key(step, key, (referenced, columns), actions),
            down: vec![drop_constraint(key)],
        },
    }
}

fn execute(sql: &str) -> String {
    format!("online.execute({}).await?;", text(sql))
}

/// One short statement under a strong lock, unless what it does is done.
fn brief(sql: &str, table: &str, is_done: &str) -> String {
    format!(
        "online.brief({}).locking({}, LockMode::AccessExclusive).unless({}).run().await?;",
        text(sql),
        text(table),
        text(is_done)
    )
}

fn rename(table: &str, from: &str, to: &str) -> String {
    let sql = format!("ALTER TABLE {} RENAME COLUMN {} TO {}", ident(table), ident(from), ident(to));
    brief(&sql, table, &format!("SELECT {}", of_column(table, to, "count(*) = 1")))
}

fn set_type(table: &str, column: &str, type_: &str, is_cast: bool) -> String {
    let name = ident(column);
    let using = if is_cast { format!(" USING {name}::{type_}") } else { String::new() };
    let sql = format!("ALTER TABLE {} ALTER COLUMN {name} TYPE {type_}{using}", ident(table));
    brief(&sql, table, &format!("SELECT {}", is_of_type(table, column, type_)))
}

/// Whether a column is of a type, in SQL.
pub(crate) fn is_of_type(table: &str, column: &str, type_: &str) -> String {
    of_column(table, column, &format!("bool_and(format_type(atttypid, atttypmod) = {})", literal(type_)))
}

/// A question about a column in the catalog.
pub(crate) fn of_column(table: &str, column: &str, asked: &str) -> String {
    format!(
        "{asked} FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {}",
        literal(&ident(table)),
        literal(column)
    )
}

fn add_column(Column { table, name, type_, default, not_null }: &Column) -> String {
    let default = default.as_ref().map(|default| format!(".default({})", text(default))).unwrap_or_default();
    // Rows that exist could not have it without a default.
    let not_null = if *not_null && !default.is_empty() { ".not_null()" } else { "" };
    format!("online.add_column({}){not_null}{default}.run().await?;", texts([table, name, type_]))
}

fn drop_column(Column { table, name, .. }: &Column) -> String {
    format!("online.drop_column({}).await?;", texts([table, name]))
}

fn set_not_null(table: &str, column: &str) -> String {
    format!("online.set_not_null({}).await?;", texts([table, column]))
}

fn drop_not_null(table: &str, column: &str) -> String {
    format!("online.drop_not_null({}).await?;", texts([table, column]))
}

fn add_key(step: &str, Key { table, name, columns }: &Key) -> String {
    format!("online.{step}({}, {}).await?;", texts([table, name]), list(columns))
}

fn drop_constraint(Key { table, name, .. }: &Key) -> String {
    format!("online.drop_constraint({}).await?;", texts([table, name]))
}

/// By the kit's step, and by statements where that does not know an action.
fn add_foreign_key(
    step: &Step,
    key: &Key,
    (referenced, columns): (&str, &[String]),
    actions: &str,
) -> Vec<String> {
    let on_delete = match actions {
        "" => Some(""),
        "ON DELETE CASCADE" => Some(".on_delete(OnDelete::Cascade)"),
        "ON DELETE RESTRICT" => Some(".on_delete(OnDelete::Restrict)"),
        "ON DELETE SET NULL" => Some(".on_delete(OnDelete::SetNull)"),
        _ => None,
    };
    if let Some(on_delete) = on_delete {
        let (name, table) = (text(&key.name), text(&key.table));
        let (from, to) = (list(&key.columns), list(columns));
        return vec![format!(
            "online.add_foreign_key({name}, ({table}, {from}), ({}, {to})){on_delete}.run().await?;",
            text(referenced)
        )];
    }
    let sql = format!("ALTER TABLE {} ADD {} NOT VALID", ident(&key.table), foreign_key(step));
    let is_done = format!(
        "SELECT count(*) = 1 FROM pg_constraint WHERE conrelid = to_regclass({}) AND conname = {}",
        literal(&ident(&key.table)),
        literal(&key.name)
    );
    let locking = format!(
        "online.brief({}).locking({}, LockMode::ShareRowExclusive).locking({}, LockMode::ShareRowExclusive).unless({}).run().await?;",
        text(&sql),
        text(referenced),
        text(&key.table),
        text(&is_done)
    );
    vec![locking, format!("online.validate_constraint({}).await?;", texts([&key.table, &key.name]))]
}

/// A foreign key, in SQL.
fn foreign_key(step: &Step) -> String {
    let Step::AddForeignKey { key, referenced, columns, actions } = step else { return String::new() };
    let sql = format!(
        "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) {actions}",
        ident(&key.name),
        idents(&key.columns),
        ident(referenced),
        idents(columns)
    );
    sql.trim_end().to_owned()
}

fn create_enum(name: &str, labels: &[String]) -> String {
    let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    format!("CREATE TYPE {} AS ENUM ({})", ident(name), labels.join(", "))
}

/// A name in SQL, quoted where it has to be.
pub(crate) fn ident(name: &str) -> String {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let is_plain = name.starts_with(is_letter)
        && name.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
        && !reserved::is_reserved(name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A statement in which only those names are quoted that have to be.
fn plain(sql: &str) -> String {
    let (mut plain, mut rest) = (String::new(), sql);
    while let Some(open) = rest.find(['\'', '"']) {
        let quote = if rest[open..].starts_with('"') { '"' } else { '\'' };
        let Some(length) = rest[open + 1..].find(quote) else { break };
        let (inside, after) = (&rest[open + 1..open + 1 + length], &rest[open + length + 2..]);
        plain += &rest[..open];
        // A doubled quote is a part of what is quoted, which stays as it is.
        let is_part = after.starts_with(quote) || plain.ends_with(quote);
        plain += &if quote == '"' && !is_part { ident(inside) } else { format!("{quote}{inside}{quote}") };
        rest = after;
    }
    plain + rest
}

fn quoted(names: &[String]) -> Vec<String> {
    names.iter().map(|name| ident(name)).collect()
}

fn idents(names: &[String]) -> String {
    quoted(names).join(", ")
}

/// A text in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text in Rust, on several lines where it is long.
pub(crate) fn text(text: &str) -> String {
    const LONGEST: usize = 72;
    let mut lines = vec![String::new()];
    let mut words = format!("{text:?}");
    while let Some(space) = words.find(' ') {
        let rest = words.split_off(space + 1);
        let line = lines.last_mut().expect("there is a first line");
        *line += &words;
        // The space before a line would go with the end of the line.
        if line.len() + rest.find(' ').unwrap_or(rest.len()) > LONGEST && !rest.starts_with(' ') {
            lines.push(String::new());
        }
        words = rest;
    }
    *lines.last_mut().expect("there is a first line") += &words;
    lines.join("\\\n                 ")
}

fn texts<const N: usize>(all: [&str; N]) -> String {
    all.map(text).join(", ")
}

/// A list of texts in Rust.
pub(crate) fn list(all: &[String]) -> String {
    format!("[{}]", all.iter().map(|one| text(one)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::{plain, text};

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        for (sql, expected) in [
            (
                "CREATE TABLE \"note\" (\"id\" bigint, \"order\" date)",
                "CREATE TABLE note (id bigint, \"order\" date)",
            ),
            ("\"Note\" \"a b\" \"1a\"", "\"Note\" \"a b\" \"1a\""),
            ("\"a\" DEFAULT 'say \"b\"' \"c\"", "a DEFAULT 'say \"b\"' c"),
            ("\"a\"\"b\" 'it''s' \"d\"", "\"a\"\"b\" 'it''s' d"),
            ("'open \"a\"", "'open \"a\""),
        ] {
            assert_eq!(plain(sql), expected);
        }
    }

    #[test]
    fn a_long_text_is_on_several_lines() {
        let words = "word ".repeat(20);
        let written = text(&words);
        assert_eq!(written.lines().count(), 2, "{written}");
        let again: syn::LitStr = syn::parse_str(&written).expect("it is a literal");
        assert_eq!(again.value(), words);
        let odd = format!("{}\\ \"a  b\" {}", "x".repeat(71), "y  z ".repeat(30));
        let again: syn::LitStr = syn::parse_str(&text(&odd)).expect("it is a literal");
        assert_eq!(again.value(), odd);
    }
}
