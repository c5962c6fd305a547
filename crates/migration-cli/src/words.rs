//! How this command line spells what hints name, its commands, options and variables, and what it knows of its own errors.

use std::error::Error;
use std::io::ErrorKind;

#[cfg(feature = "rehearsal")]
use migration_author::AuthorError;
use migration_backup::BackupError;
use migration_coordinator::Offer;
#[cfg(feature = "rehearsal")]
use migration_rehearsal::RehearsalError;
use migration_report::{Class, OwnError, Words};
use postgres_sandbox::SandboxError;

#[cfg(feature = "rehearsal")]
use crate::arguments::Source;
use crate::environment::variable;
use crate::exit::Failure;
use crate::not_written::{NotWritten, cannot_be_written};
use crate::shell::{setting, word};

/// Whether the directory of the private server is one that no server can be in, and so wrongly named.
fn is_of_directory(error: &SandboxError) -> bool {
    match error {
        SandboxError::NotOurs { .. } => true,
        SandboxError::File { action, source, .. } => match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::InvalidFilename | ErrorKind::InvalidInput => true,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::AlreadyExists => {
                *action == "create"
            }
            _ => false,
        },
        _ => false,
    }
}

/// What to do about a table that another transaction keeps locked.
const WHEN_IT_IS_OVER: &str = "nothing was changed; try again when that transaction is over";

/// How a backup ended that was not made, or not restored.
fn of_backup(error: &BackupError) -> Class {
    match error {
        BackupError::Upkeep(error) => Class::of(error, &OurWords),
        BackupError::Run(error) => Class::of(error, &OurWords),
        BackupError::Connect(error) => Class::of(error, &OurWords),
        BackupError::NoClients { .. } | BackupError::NotApart { .. } | BackupError::Unreadable { .. } => {
            Class::Usage
        }
        BackupError::File { action: "write", source, .. } if cannot_be_written(source.kind()) => Class::Usage,
        BackupError::Locked { .. } | BackupError::NotFenced { .. } => Class::Busy,
        BackupError::Schema { source, .. } if source.is_locked() => Class::Busy,
        BackupError::Lost { .. }
        | BackupError::MoveLost { .. }
        | BackupError::Forbidden { .. }
        | BackupError::Connections { .. }
        | BackupError::Node { .. }
        | BackupError::Read { .. }
        | BackupError::Schema { .. }
        | BackupError::Server { .. } => Class::Connection,
        error if error.is_not_permitted() => Class::Connection,
        BackupError::Unknown { .. } | BackupError::MoveUnknown { .. } => Class::Partial,
        BackupError::NotRestorable { .. }
        | BackupError::Damaged { .. }
        | BackupError::NotKept { .. }
        | BackupError::Different { .. } => Class::Integrity,
        BackupError::Partition { .. }
        | BackupError::AttachedToOther { .. }
        | BackupError::NotTried { .. }
        | BackupError::Unfit { .. }
        | BackupError::Elsewhere { .. }
        | BackupError::WouldReplace { .. }
        | BackupError::WouldLose { .. }
        | BackupError::StillUsed { .. }
        | BackupError::Remains { .. }
        | BackupError::Moved { .. }
        | BackupError::NotMovable { .. }
        | BackupError::NotAccepted { .. }
        | BackupError::NoRoles { .. }
        | BackupError::External { .. }
        | BackupError::WouldDrop { .. } => Class::Refused,
        _ => Class::Failed,
    }
}

/// What to do next about a backup.
fn hint_of_backup(error: &BackupError) -> Option<String> {
    Some(match error {
        BackupError::WouldReplace { .. } => {
            "`--dry-run` shows them table by table; `--allow-data-loss` sets them aside and restores"
                .to_owned()
        }
        BackupError::Schema { source, .. } if source.is_locked() => WHEN_IT_IS_OVER.to_owned(),
        BackupError::WouldLose { .. } => "make a backup, then say `--allow-data-loss`".to_owned(),
        BackupError::NotTried { .. } => "without `--verify` it is made, and not tried".to_owned(),
        BackupError::WouldDrop { .. } => "`--allow-data-loss` drops it for good".to_owned(),
        BackupError::Elsewhere { .. } => "`--from-elsewhere` restores it all the same".to_owned(),
        BackupError::Node { .. } => "`citus status` shows which nodes answer".to_owned(),
        BackupError::Moved { .. } => {
            "nothing is recorded of it here; `backup` again when no migration runs".to_owned()
        }
        BackupError::External { .. } => {
            "restore it beside with that tool, `backup --archive` the service there, and restore \
            that: docs/physical-backups.md"
                .to_owned()
        }
        BackupError::NoRoles { .. } => {
            "create them there, or leave owners and rights out with `--no-owner`; policies need theirs".to_owned()
        }
        BackupError::File { action: "write", source, .. } if cannot_be_written(source.kind()) => {
            "name a directory that can be written with `MIGRATE_BACKUP_DIR`".to_owned()
        }
        BackupError::NotAccepted { place, no_owner, .. } => match (error.is_not_permitted(), *place) {
            (true, "here") => "connect here as the owner of its schema".to_owned(),
            (true, _) if !no_owner => {
                "connect there as a role that may act as its owners, or leave owners and rights out with `--no-owner`".to_owned()
            }
            (true, _) => "connect there as a role that may do that".to_owned(),
            (false, _) => "nothing was changed; make there what is missing, or take it out of the service".to_owned(),
        },
        BackupError::NotKept { service, .. } => format!("`verify {service}` shows all that do not"),
        BackupError::NotFenced { .. } => {
            "nothing was changed; try again when that transaction is over".to_owned()
        }
        BackupError::Different { .. } => "nothing was changed in either place".to_owned(),
        BackupError::Unreadable { .. } => "`backups` lists those that there are".to_owned(),
        error => return error.hint(),
    })
}

/// How writing source ended that wrote nothing, and what to do next.
#[cfg(feature = "rehearsal")]
fn of_author(error: &AuthorError) -> OwnError {
    let (class, hint) = match error {
        AuthorError::Name { .. } => (Class::Usage, Some("name it `verb_noun`, as in `add_invoice_due`")),
        AuthorError::ServiceName { .. } => (
            Class::Usage,
            Some("name it with lower-case letters, digits and `_`, as in `billing` or `order_history`"),
        ),
        AuthorError::NoWorkspace { .. } => (
            Class::Usage,
            Some(
                "`--directory` names the directory of the services of a workspace that has an `xtask`; elsewhere a service is added by hand",
            ),
        ),
        AuthorError::NoService { .. } => {
            (Class::Usage, Some("`--directory` names the directory that has one of each service's name"))
        }
        AuthorError::Duplicate { .. }
        | AuthorError::Taken { .. }
        | AuthorError::Unfit { .. }
        | AuthorError::NotInSql { .. } => (Class::Usage, None),
        AuthorError::File { action: "write", source, .. } if cannot_be_written(source.kind()) => {
            (Class::Usage, Some("name a directory that can be written with `--directory`"))
        }
        _ => (Class::Failed, None),
    };
    OwnError { class, hint: hint.map(str::to_owned) }
}

/// How a rehearsal ended that was asked for something that it cannot do, and what to do next.
#[cfg(feature = "rehearsal")]
fn of_rehearsal(error: &RehearsalError) -> Option<OwnError> {
    let hint = match error {
        RehearsalError::Schema { source, .. } if source.is_locked() => {
            return Some(OwnError { class: Class::Busy, hint: Some(WHEN_IT_IS_OVER.to_owned()) });
        }
        // Of a connection that was lost, or of rights.
        RehearsalError::Schema { .. } => return Some(OwnError { class: Class::Connection, hint: None }),
        RehearsalError::Entity { .. } => {
            "its columns have types, defaults and keys that PostgreSQL knows, and no other entity has its table"
        }
        RehearsalError::File { action: "write", source, .. } if cannot_be_written(source.kind()) => {
            "name a directory that can be written with `--directory`"
        }
        RehearsalError::Choice { .. } => {
            "`diff` lists what entities leave out, and what they have that is not there"
        }
        _ => return None,
    };
    Some(OwnError { class: Class::Usage, hint: Some(hint.to_owned()) })
}

/// The words of this command line.
pub(crate) struct OurWords;

/// A command that only some builds have.
fn rehearsing(command: &str) -> String {
    let which = if cfg!(feature = "rehearsal") { "" } else { " of a build with the feature `rehearsal`" };
    format!("`{command}`{which}")
}

impl Words for OurWords {
    fn offer(&self, offer: &Offer) -> String {
        match offer {
            Offer::Apply(selection) => {
                let selection = word(selection);
                format!("`up {selection}`")
            }
            Offer::Revert(selection) => {
                let selection = word(selection);
                format!("`down {selection}`")
            }
            Offer::Status(None) => "`status`".to_owned(),
            Offer::Status(Some(service)) => format!("`status {service}`"),
            Offer::History(service) => format!("`history {service}`"),
            Offer::Plan(service) => format!("`plan {service}`"),
            Offer::Rejects(service) => format!("`rejects {service}`"),
            Offer::Locks => "`locks`".to_owned(),
            Offer::ApplyContractSteps => "`up --contract`".to_owned(),
            Offer::ContractSteps => "`--contract`".to_owned(),
            Offer::AllowAhead => "`up --allow-ahead`".to_owned(),
            Offer::AllowDataLoss => "`--allow-data-loss`".to_owned(),
            Offer::Accept(object) => {
                let object = word(object);
                format!("`--accept {object}`")
            }
            Offer::Adopt(service) => rehearsing(&format!("adopt {service} --from schema")),
            #[cfg(feature = "rehearsal")]
            Offer::AdoptFrom(service, table) => match Source::of_table(table) {
                Some(source) => format!("`adopt {service} --from {source}`"),
                None => self.offer(&Offer::Adopt(service.clone())),
            },
            #[cfg(not(feature = "rehearsal"))]
            Offer::AdoptFrom(service, _) => self.offer(&Offer::Adopt(service.clone())),
            Offer::Repair(service) => format!("`repair {service}`"),
            Offer::RepairSchema(service) => rehearsing(&format!("drift {service} --repair")),
            Offer::NewBeside => "`--new-beside`".to_owned(),
            Offer::Atomic => "`--atomic`".to_owned(),
            Offer::WaitLonger => "`--wait 10m`".to_owned(),
            Offer::OneAtATime => "`--jobs 1`".to_owned(),
            Offer::Address => "DATABASE_URL".to_owned(),
            Offer::AddressOf(service) => format!("`{}`", variable(service, "DATABASE_URL")),
            Offer::Roles(service) => format!("`roles {service} --dry-run`"),
            Offer::Move(service) => format!("`move {service}`"),
            Offer::Schema(service) => format!("`{}`", variable(service, "DATABASE_SCHEMA")),
            Offer::PlaceIn(service, schema) => {
                format!("`{}`", setting(&variable(service, "DATABASE_SCHEMA"), schema))
            }
            Offer::AllowedObjects => "`MIGRATE_ALLOWED_OBJECTS`".to_owned(),
            Offer::AnyBytes => "`MIGRATE_SQL_ASCII=allow`".to_owned(),
            other => other.to_string(),
        }
    }

    fn own(&self, error: &(dyn Error + 'static)) -> Option<OwnError> {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(OwnError { class: failure.class, hint: failure.hint.clone() });
        }
        if let Some(error) = error.downcast_ref::<NotWritten>() {
            return Some(error.own());
        }
        if let Some(error) = error.downcast_ref::<BackupError>() {
            return Some(OwnError { class: of_backup(error), hint: hint_of_backup(error) });
        }
        #[cfg(feature = "rehearsal")]
        if let Some(error) = error.downcast_ref::<AuthorError>() {
            return Some(of_author(error));
        }
        #[cfg(feature = "rehearsal")]
        if let Some(error) = error.downcast_ref::<RehearsalError>()
            && let Some(own) = of_rehearsal(error)
        {
            return Some(own);
        }
        let error = error.downcast_ref::<SandboxError>()?;
        let class = if is_of_directory(error) { Class::Usage } else { Class::Connection };
        let hint = match error {
            error if is_of_directory(error) => Some(
                "set MIGRATE_POSTGRES_DIR to an empty or new directory, or DATABASE_URL to a server"
                    .to_owned(),
            ),
            SandboxError::Damaged { .. } => {
                Some("restore it from a backup, or delete all data in it with `db reset --yes`".to_owned())
            }
            SandboxError::OtherMajor { missing, .. } => {
                Some(format!("{}, or delete all data in it with `db reset --yes`", missing.hint()))
            }
            error => error.hint(),
        };
        Some(OwnError { class, hint })
    }
}
