//! Each trouble in plain words, and the ways on from it, as commands of this program where it has one.

use migration_coordinator::Trouble as Found;
use migration_kit::{MigrationName, ServiceName};
use migration_plan::{Direction, few_words};
use migration_report::Words;
use serde::Serialize;

use crate::command::migrations;
use crate::shell::word;
use crate::words::OurWords;

/// Something that is wrong.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Trouble {
    pub(super) kind: &'static str,
    pub(super) migration: Option<String>,
    pub(super) says: String,
    pub(super) ways: Vec<Way>,
}

/// A way on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Way {
    pub(super) does: String,
    /// What to run for it in a shell, without the program; `None` if it is nothing that can be run here.
    pub(super) command: Option<String>,
}

impl Way {
    fn by_hand(does: impl Into<String>) -> Self {
        Self { does: does.into(), command: None }
    }

    fn run(does: impl Into<String>, command: String) -> Self {
        Self { does: does.into(), command: Some(command) }
    }

    fn forget(service: &ServiceName, migration: &MigrationName) -> Self {
        let does = "if no build has it any more: count it as never applied, and keep what it made";
        Self::run(does, format!("repair --forget {}", of(service, migration)))
    }
}

/// How many names are offered for a migration that is missing.
const OFFERED: usize = 3;

/// How many migrations are named in one sentence.
const SHOWN: usize = 5;

impl Trouble {
    /// Adds what can be done where no other database has it.
    pub(super) fn on_a_private_server(&mut self) {
        if self.kind == "edited" {
            let does = "if it is a draft, applied to this private server only: delete all data in it, and apply it anew";
            self.ways.push(Way::run(does, "db reset --yes".to_owned()));
        }
    }

    pub(super) fn of(service: &ServiceName, found: &Found) -> Self {
        let (kind, migration, says, ways) = match found {
            Found::RowsLost { migrations } if !migrations.is_empty() => {
                let names = few_words(migrations.iter().map(|name| format!("`{name}`")), SHOWN);
                let says = format!(
                    "its version table has no row of {names}, the journal records the application, and what was made is there"
                );
                let restore = Way::run(
                    "make the rows again from the journal",
                    format!("repair --restore-rows {service}"),
                );
                ("rows_lost", None, says, vec![restore])
            }
            Found::RowsLost { .. } => {
                let says = "its version table is gone or empty, and the journal records what was applied";
                let restore = Way::run(
                    "make the rows again from the journal",
                    format!("repair --restore-rows {service}"),
                );
                let gone = "if its tables are gone on purpose too: drop its journal, and it starts over";
                ("rows_lost", None, says.to_owned(), vec![restore, Way::by_hand(gone)])
            }
            Found::JournalLost { says } => {
                let back = Way::by_hand("restore it from a backup");
                let anew = Way::run(
                    "where there is none: compare the schema with what the applied migrations make, and write it anew",
                    format!("repair --rewrite-journal {service}"),
                );
                ("journal_lost", None, says.clone(), vec![back, anew])
            }
            Found::StoppedMidway { migration, direction } => stopped_midway(service, migration, *direction),
            Found::BegunElsewhere { migration } => {
                let says =
                    format!("`{migration}` was begun and not finished, and this build does not have it");
                let build = Way::by_hand("finish or revert it with the build that began it");
                ("begun_elsewhere", Some(migration), says, vec![build, Way::forget(service, migration)])
            }
            Found::InvalidIndex { index, table, is_busy } => {
                let says = format!(
                    "the index `{index}` of `{table}` is invalid: a build of it was interrupted; every write pays for it, \
                     and no query uses it"
                );
                let way = if *is_busy {
                    Way::by_hand(
                        "another session may be building it at this moment: look again when that is over",
                    )
                } else {
                    let drop = format!("repair --drop-invalid-indexes {service}");
                    Way::run(
                        "drop it; a migration that stopped midway does so by itself when it is continued",
                        drop,
                    )
                };
                ("invalid_index", None, says, vec![way])
            }
            Found::Edited { migration } => {
                let says = format!(
                    "`{migration}` is applied, and its SQL was edited since: other databases get other tables"
                );
                let back = Way::by_hand("restore the file, and put the change into a new migration");
                let accept = Way::run(
                    "if the result is the same, as after reformatting: accept it",
                    format!("repair --accept-edit {}", of(service, migration)),
                );
                ("edited", Some(migration), says, vec![back, accept])
            }
            Found::Renamed { applied, now } => {
                let says = format!(
                    "`{applied}` is applied, and is called `{now}` in this build, which has the same number"
                );
                let back = Way::by_hand(format!("name the file `{applied}` again"));
                ("renamed", Some(applied), says, vec![back, renamed(service, applied, now)])
            }
            Found::Squashed { migration, replaced } => {
                let says = format!(
                    "`{migration}` replaces {} that are applied, and would be applied over what those made",
                    migrations(replaced.len())
                );
                let way = Way::run(
                    "record it as applied in their place",
                    format!("repair --squashed {}", of(service, migration)),
                );
                ("squashed", Some(migration), says, vec![way])
            }
            Found::Missing { migration, pending } => {
                let says = format!("`{migration}` is applied, and this build does not have it");
                let back = Way::by_hand("use the build that has it, or bring its file back");
                let names = pending.iter().take(OFFERED).map(|now| renamed(service, migration, now));
                let ways = std::iter::once(back).chain(names).chain([Way::forget(service, migration)]);
                ("missing", Some(migration), says, ways.collect())
            }
            Found::Ahead { migration } => {
                let says = format!("`{migration}` is applied, and newer than this build");
                let build = Way::by_hand("use the build that applied it, or a newer one");
                let on = "if the older application runs on purpose: apply all the same";
                let on = Way::run(on, format!("up {service} --allow-ahead"));
                ("ahead", Some(migration), says, vec![build, on, Way::forget(service, migration)])
            }
            Found::NotKept(result) => {
                let says =
                    format!("no longer as `{}` left it: {}: {}", result.migration, result.says, result.found);
                let ways = if cfg!(feature = "rehearsal") {
                    let repair = format!("drift {service} --repair");
                    vec![Way::run("show the statements that bring the schema back", repair)]
                } else {
                    vec![Way::run("show all that differs", format!("verify {service}"))]
                };
                return Self { kind: "not_kept", migration: Some(result.migration.clone()), says, ways };
            }
            Found::History(error) => {
                let hint = error.hint().worded(|offer| OurWords.offer(offer));
                ("history", None, error.to_string(), vec![Way::by_hand(hint)])
            }
        };
        Self { kind, migration: migration.map(ToString::to_string), says, ways }
    }
}

fn renamed(service: &ServiceName, applied: &MigrationName, now: &MigrationName) -> Way {
    let does = format!("if it is called `{now}` in every build now: rename its row");
    Way::run(does, format!("repair --renamed {}", word(&format!("{service}:{applied}={now}"))))
}

/// A migration as an argument.
fn of(service: &ServiceName, migration: &MigrationName) -> String {
    word(&format!("{service}:{migration}"))
}

type Explained<'m> = (&'static str, Option<&'m MigrationName>, String, Vec<Way>);

fn stopped_midway<'m>(
    service: &ServiceName,
    migration: &'m MigrationName,
    direction: Direction,
) -> Explained<'m> {
    let doing = if direction == Direction::Apply { "applied" } else { "reverted" };
    let says = format!(
        "`{migration}` stopped midway while it was {doing}: it is neither applied nor reverted, and what it had done is kept"
    );
    let ways = vec![
        Way::run("apply it: what is done already is not done twice", format!("up {service}")),
        Way::run("revert it", format!("down {service}@-1")),
    ];
    ("stopped_midway", Some(migration), says, ways)
}
