//! The parts of a migration that follow from its steps: its body, what it says of itself, what it loses, what must hold after it.

use crate::code::{Code, ident, in_steps, in_transaction, is_of_type, list, of_column, text};
use crate::step::{Column, Form, Key, Step, are_about_new_tables};

/// What steps come to.
pub(crate) struct Written {
    pub(crate) form: Form,
    /// What it does, its locks, and what `down` loses, one sentence per line.
    pub(crate) says: Vec<String>,
    /// The statements of `up`, one per line.
    pub(crate) up: String,
    /// Those of `down`.
    pub(crate) down: String,
    /// Calls on its details.
    pub(crate) details: String,
}

impl Written {
    pub(crate) fn of(steps: &[Step]) -> Self {
        let form = if are_about_new_tables(steps) { Form::Transaction } else { Form::Steps };
        let code = |step| if form == Form::Transaction { in_transaction(step) } else { in_steps(step) };
        let code: Vec<Code> = steps.iter().map(code).collect();
        let lines = |lines: Vec<&String>| {
            lines.iter().map(|line| format!("        {line}\n")).collect::<String>() + "        Ok(())\n"
        };
        let is_final = steps.iter().any(|step| matches!(step, Step::AddLabel { .. }));
        let down = if is_final {
            format!("        Err(DbErr::Migration({}.to_owned()))\n", text(FINAL))
        } else {
            let goes = |(step, _): &(&Step, &Code)| !is_of_new_column(step, steps);
            let back = steps.iter().zip(&code).rev().filter(goes);
            lines(back.flat_map(|(_, code)| &code.down).collect())
        };
        Self {
            form,
            says: says(steps, form, is_final),
            up: lines(code.iter().flat_map(|code| &code.up).collect()),
            down,
            details: details(steps, is_final),
        }
    }
}

/// Whether a step is about a column that another step adds: taking that back drops it, and `down` may have done so before it was
/// killed and begun again.
fn is_of_new_column(step: &Step, steps: &[Step]) -> bool {
    let (Step::SetDefault { table, column, .. } | Step::SetNotNull { table, column, .. }) = step else {
        return false;
    };
    steps
        .iter()
        .any(|other| matches!(other, Step::AddColumn(new) if (&new.table, &new.name) == (table, column)))
}

/// Why a value of an enum type stays.
const FINAL: &str = "PostgreSQL takes no value from an enum type";

fn says(steps: &[Step], form: Form, is_final: bool) -> Vec<String> {
    let mut says: Vec<String> = vec!["From the difference between the entities and the schema:".to_owned()];
    says.extend(steps.iter().map(|step| format!("- {}", what(step))));
    says.push(String::new());
    let mut locked: Vec<&str> =
        steps.iter().filter(|step| is_exclusive(step)).filter_map(Step::table).collect();
    locked.dedup();
    let written = steps.iter().find_map(|step| match step {
        Step::SetType { table, rewrites: true, .. } => Some(table),
        _ => None,
    });
    says.push(match (form, written) {
        (Form::Transaction, _) => "Strongest lock: those of new tables, which nobody uses yet.".to_owned(),
        (_, Some(table)) => {
            format!("Strongest lock: ACCESS EXCLUSIVE on `{table}` while all of it is written anew.")
        }
        _ if locked.is_empty() => {
            "Strongest lock: SHARE ROW EXCLUSIVE at most, for an instant: reading continues.".to_owned()
        }
        _ => format!(
            "Strongest lock: ACCESS EXCLUSIVE on `{}`, for the instant of each change.",
            locked.join("`, `")
        ),
    });
    let lost = lost(steps);
    let gone = gone(steps);
    if !gone.is_empty() {
        says.push(format!("It loses {}.", gone.join(", ")));
    }
    says.push(match (is_final, lost.is_empty()) {
        (true, _) => format!("There is no `down`: {FINAL}."),
        (_, true) => "`down` loses nothing.".to_owned(),
        (_, false) => format!("`down` loses {}.", lost.join(", ")),
    });
    says
}

fn what(step: &Step) -> String {
    let of = |Key { table, columns, .. }: &Key| format!("`{table}` ({})", columns.join(", "));
    match step {
        Step::RenameColumn { table, from, to } => format!("renames `{table}.{from}` to `{to}`"),
        Step::CreateEnum { name, .. } => format!("makes the type `{name}`"),
        Step::AddLabel { name, label } => format!("adds `{label}` to the type `{name}`"),
        Step::CreateTable { table, .. } => format!("makes the table `{table}`"),
        Step::AddColumn(column) => format!("adds `{}.{}`", column.table, column.name),
        Step::DropColumn(column) => format!("drops `{}.{}`", column.table, column.name),
        Step::SetDefault { table, column, to, .. } => format!("gives `{table}.{column}` the default `{to}`"),
        Step::SetType { table, column, from, to, .. } => {
            format!("makes `{table}.{column}` `{to}` instead of `{from}`")
        }
        Step::DropNotNull { table, column } => format!("lets `{table}.{column}` be null"),
        Step::SetNotNull { table, column, .. } => format!("makes `{table}.{column}` refuse null"),
        Step::AddPrimaryKey(key) => format!("adds the primary key of {}", of(key)),
        Step::AddUnique(key) => format!("makes rows unique in {}", of(key)),
        Step::CreateIndex(key) => format!("indexes {}", of(key)),
        Step::AddForeignKey { key, referenced, .. } => format!("lets {} refer to `{referenced}`", of(key)),
    }
}

fn is_exclusive(step: &Step) -> bool {
    !matches!(
        step,
        Step::CreateEnum { .. }
            | Step::AddLabel { .. }
            | Step::CreateTable { .. }
            | Step::CreateIndex(_)
            | Step::AddForeignKey { .. }
    )
}

/// What taking it back loses.
fn lost(steps: &[Step]) -> Vec<String> {
    let of_table = |step: &Step| match step {
        Step::CreateTable { table, .. } => Some(format!("all rows of `{table}`")),
        _ => None,
    };
    let of_column = |step: &Step| match step {
        Step::AddColumn(column) => Some(format!("`{}.{}`", column.table, column.name)),
        _ => None,
    };
    let columns: Vec<String> = steps.iter().filter_map(of_column).collect();
    let values = (!columns.is_empty()).then(|| format!("the values of {}", columns.join(", ")));
    let of_type = |step: &Step| match step {
        Step::SetType { table, column, from, rounds: [_, true], .. } => Some(rounded(table, column, from)),
        _ => None,
    };
    let rounded = steps.iter().filter_map(of_type);
    steps.iter().filter_map(of_table).chain(values).chain(rounded).collect()
}

/// What applying it loses.
fn gone(steps: &[Step]) -> Vec<String> {
    let of = |step: &Step| match step {
        Step::DropColumn(column) => Some(format!("the values of `{}.{}`", column.table, column.name)),
        Step::SetType { table, column, to, rounds: [true, _], .. } => Some(rounded(table, column, to)),
        _ => None,
    };
    steps.iter().filter_map(of).collect()
}

fn rounded(table: &str, column: &str, type_: &str) -> String {
    format!("what `{type_}` does not keep of `{table}.{column}`")
}

fn details(steps: &[Step], is_final: bool) -> String {
    let mut details = String::new();
    let gone = gone(steps);
    if !gone.is_empty() {
        details += &format!(".loses({})", text(&gone.join(", ")));
    }
    let lost = lost(steps);
    if is_final {
        details += &format!(".irreversible({})", text(FINAL));
    } else if !lost.is_empty() {
        details += &format!(".loses_on_revert({})", text(&lost.join(", ")));
        for step in steps {
            match step {
                Step::CreateTable { table, .. } => {
                    details += &format!(".lost_rows({}, \"true\")", text(table));
                }
                Step::AddColumn(column) => {
                    let name = ident(&column.name);
                    let is_lost = match &column.default {
                        Some(default) => format!("{name} IS DISTINCT FROM {default}"),
                        None => format!("{name} IS NOT NULL"),
                    };
                    details += &format!(".lost_rows({}, {})", text(&column.table), text(&is_lost));
                }
                Step::SetType { table, column, rounds: [_, true], .. } => {
                    let is_lost = format!("{} IS NOT NULL", ident(column));
                    details += &format!(".lost_rows({}, {})", text(table), text(&is_lost));
                }
                _ => {}
            }
        }
    }
    for check in steps.iter().map(check) {
        details += &format!(".verify({check})");
    }
    details
}

/// What must hold after a step.
fn check(step: &Step) -> String {
    let column = |table: &str, column: &str, type_: &str| {
        format!("Check::column({}, {}, {})", text(table), text(column), text(type_))
    };
    let of_type = |table: &str, column: &str, type_: &str| {
        let asked = format!("SELECT {}", is_of_type(table, column, type_));
        format!("Check::holds({}, {})", text(&format!("`{table}.{column}` is `{type_}`")), text(&asked))
    };
    match step {
        Step::RenameColumn { table, from, .. } => {
            format!("Check::no_column({}, {})", text(table), text(from))
        }
        Step::CreateEnum { name, labels } => format!("Check::enum_type({}, &{})", text(name), list(labels)),
        Step::AddLabel { name, label } => {
            format!("Check::enum_type({}, &[{}])", text(name), text(label))
        }
        Step::CreateTable { table, columns, .. } => {
            format!("Check::table({}, &{})", text(table), list(columns))
        }
        // It is to refuse null later.
        Step::AddColumn(Column { table, name, type_, default: None, not_null: true }) => {
            of_type(table, name, type_)
        }
        Step::AddColumn(new) => {
            let not_null = if new.not_null { " not null" } else { "" };
            column(&new.table, &new.name, &format!("{}{not_null}", new.type_))
        }
        Step::DropColumn(gone) => format!("Check::no_column({}, {})", text(&gone.table), text(&gone.name)),
        Step::SetDefault { table, column, to, .. } => {
            format!("Check::default_of({}, {}, {})", text(table), text(column), text(to))
        }
        // Whether it takes null is asked by who changes that.
        Step::SetType { table, column, to, .. } => of_type(table, column, to),
        // A column that is gone breaks no promise to take null.
        Step::DropNotNull { table, column } => {
            let found = of_column(table, column, "NOT coalesce(bool_or(attnotnull), false)");
            let says = format!("`{table}.{column}` may be null");
            format!("Check::holds({}, {})", text(&says), text(&format!("SELECT {found}")))
        }
        Step::SetNotNull { table, column: name, type_ } => column(table, name, &format!("{type_} not null")),
        Step::AddPrimaryKey(key) | Step::AddUnique(key) | Step::AddForeignKey { key, .. } => {
            format!("Check::constraint({}, {})", text(&key.table), text(&key.name))
        }
        Step::CreateIndex(key) => format!("Check::index({})", text(&key.name)),
    }
}
