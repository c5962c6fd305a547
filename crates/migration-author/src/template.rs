//! The text of a new migration.
//!
//! What nobody has written yet fails when it is run, and says so: a migration that does nothing would be recorded as applied.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use migration_plan::MigrationId;

use crate::step::Form;
use crate::written::Written;

/// What a file is made from.
pub(crate) struct Template<'t> {
    pub(crate) migration: &'t str,
    /// `crate::NAME`, or the service's name in quotes.
    pub(crate) service: &'t str,
    pub(crate) sentence: &'t str,
    pub(crate) form: Form,
    pub(crate) contract: bool,
    pub(crate) requires: &'t [MigrationId],
    /// What it does, where that is known.
    pub(crate) written: Option<&'t Written>,
}

/// What a migration is said to do, from its name: `add_message_source` adds message source.
pub(crate) fn sentence(words: &str) -> String {
    let (verb, rest) = words.split_once('_').unwrap_or((words, ""));
    let verb = match verb {
        "create" => "Creates",
        "add" => "Adds",
        "drop" => "Drops",
        "rename" => "Renames",
        "index" => "Indexes",
        "backfill" => "Fills",
        "check" => "Checks",
        "normalize" => "Normalizes",
        _ => return format!("Is to {}.", words.replace('_', " ")),
    };
    format!("{verb} {}", rest.replace('_', " ")).trim_end().to_owned() + "."
}

impl Template<'_> {
    /// The module.
    pub(crate) fn module(&self) -> String {
        let phase = if self.contract { "Contract" } else { "Expand" };
        let mut text = format!("//! {}\n//!\n//! {phase}. ", self.sentence);
        match self.written {
            None => {
                text += "Not written yet: the strongest table lock and for how long it is held, and what `down` loses.\n";
            }
            Some(written) => text += &(written.says.join("\n//! ").replace("//! \n", "//!\n") + "\n"),
        }
        text.push('\n');
        if self.contract {
            text += "use std::time::Duration;\n\n";
        }
        text += match self.form {
            _ if self.written.is_some() => "",
            Form::Transaction => "use migration_kit::{Details, ServiceMigration};\n",
            Form::Steps => {
                "use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};\n"
            }
            Form::Sql => {
                "use migration_kit::sql::{SqlMigration, from_files};\nuse migration_kit::{Details, ServiceMigration};\n"
            }
        };
        text += &self.written.map(imports).unwrap_or_default();
        text += "use sea_orm_migration::prelude::*;\n\n";
        if self.form == Form::Steps && !self.service.starts_with('"') {
            let _ = writeln!(text, "use {};\n", self.service);
        }
        text += "/// The migration.\n#[derive(DeriveMigrationName)]\npub struct Migration;\n\n";
        if self.contract {
            text += "/// How long old code may still run.\nconst SOAK: Duration = Duration::from_secs(24 * 60 * 60);\n\n";
        }
        text += &match self.form {
            Form::Transaction => self.transaction(),
            Form::Steps => self.steps(),
            Form::Sql => self.sql(),
        };
        text += "\nimpl ServiceMigration for Migration {\n    fn details(&self) -> Details {\n        ";
        text += if self.contract { "Details::contract(SOAK)" } else { "Details::expand()" };
        for id in self.requires {
            let _ = write!(text, ".requires(\"{id}\")");
        }
        text += self.written.map_or("", |written| &written.details);
        text + "\n    }\n}\n"
    }

    fn transaction(&self) -> String {
        if let Some(Written { up, down, .. }) = self.written {
            const CONNECTION: &str = "        let db = manager.get_connection();\n";
            return format!(
                "#[async_trait::async_trait]\nimpl MigrationTrait for Migration {{\n    \
                 async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {{\n{CONNECTION}{up}    }}\n\n    \
                 async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {{\n{CONNECTION}{down}    }}\n}}\n",
            );
        }
        let body = |direction| {
            format!(
                "        // One statement a call: `manager.get_connection().execute_unprepared(\"…\").await?`.\n        {}\n",
                self.unwritten(direction)
            )
        };
        format!(
            "#[async_trait::async_trait]\nimpl MigrationTrait for Migration {{\n    \
             async fn up(&self, _manager: &SchemaManager) -> Result<(), DbErr> {{\n{}    }}\n\n    \
             async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {{\n{}    }}\n}}\n",
            body("up"),
            body("down")
        )
    }

    fn steps(&self) -> String {
        let body = |direction| {
            format!(
                "        // Steps that can be run again from their start: `online.add_column(…).run().await?`.\n        {}\n",
                self.unwritten(direction)
            )
        };
        let service = self.service.rsplit("::").next().unwrap_or(self.service);
        if let Some(Written { up, down, .. }) = self.written {
            let of_down = if down.contains("online.") { "online" } else { "_online" };
            return format!(
                "online_migration!({service}, Migration);\n\nimpl OnlineMigration for Migration {{\n    \
                 async fn up(&self, online: &Online) -> Result<(), DbErr> {{\n{up}    }}\n\n    \
                 async fn down(&self, {of_down}: &Online) -> Result<(), DbErr> {{\n{down}    }}\n}}\n",
            );
        }
        format!(
            "online_migration!({service}, Migration);\n\nimpl OnlineMigration for Migration {{\n    \
             async fn up(&self, _online: &Online) -> Result<(), DbErr> {{\n{}    }}\n\n    \
             async fn down(&self, _online: &Online) -> Result<(), DbErr> {{\n{}    }}\n}}\n",
            body("up"),
            body("down")
        )
    }

    fn unwritten(&self, direction: &str) -> String {
        format!(
            "Err(DbErr::Migration(\"`{direction}` of `{}` is not written yet\".to_owned()))",
            self.migration
        )
    }

    fn sql(&self) -> String {
        let name = self.migration;
        format!(
            "/// Its statements, in both directions.\nconst FILES: [(&str, &[u8]); 2] = [\n    \
             (\"{name}.up.sql\", include_bytes!(\"{name}.up.sql\")),\n    \
             (\"{name}.down.sql\", include_bytes!(\"{name}.down.sql\")),\n];\n\n\
             fn statements() -> Result<SqlMigration, DbErr> {{\n    \
             let read = from_files(FILES).map_err(|error| DbErr::Migration(error.to_string()))?;\n    \
             read.into_iter().next().ok_or_else(|| DbErr::Migration(\"there are no statements\".to_owned()))\n}}\n\n\
             #[async_trait::async_trait]\nimpl MigrationTrait for Migration {{\n    \
             fn use_transaction(&self) -> Option<bool> {{\n        statements().ok()?.use_transaction()\n    }}\n\n    \
             async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {{\n        \
             statements()?.up(manager).await\n    }}\n\n    \
             async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {{\n        \
             statements()?.down(manager).await\n    }}\n}}\n"
        )
    }
}

/// What of the kit is named.
fn imports(written: &Written) -> String {
    let Written { up, down, details, .. } = written;
    let is_named = |name: &str| [up, down, details].iter().any(|text| text.contains(&format!("{name}::")));
    let of_steps: &[&str] = match written.form {
        Form::Steps => &["Online", "OnlineMigration", "online_migration"],
        _ => &[],
    };
    let mut names: Vec<&str> =
        ["Check", "LockMode", "OnDelete"].into_iter().filter(|name| is_named(name)).collect();
    names.extend(["Details", "ServiceMigration"]);
    names.extend(of_steps);
    // In rustfmt's order: types before functions and macros.
    names.sort_by_key(|name| (name.starts_with(char::is_lowercase), *name));
    format!("use migration_kit::{{{}}};\n", names.join(", "))
}

/// SQL that nobody has written yet.
pub(crate) fn unwritten_sql(migration: &str, direction: &str, steps: bool) -> String {
    let mark = if steps { "-- no-transaction\n" } else { "" };
    format!(
        "{mark}-- One statement after the other, in place of this one.\n\
         DO $$ BEGIN RAISE EXCEPTION '`{direction}` of `{migration}` is not written yet'; END $$;\n"
    )
}

/// The text as `rustfmt` lays it out with the settings of its directory; as it is, where there is no `rustfmt`.
pub(crate) fn formatted(text: String, directory: &Path) -> String {
    let started = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut rustfmt) = started else { return text };
    let sent = rustfmt.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    match rustfmt.wait_with_output() {
        Ok(output) if output.status.success() && matches!(sent, Some(Ok(()))) => {
            String::from_utf8(output.stdout).unwrap_or(text)
        }
        _ => text,
    }
}
