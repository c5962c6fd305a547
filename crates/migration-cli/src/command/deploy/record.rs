//! The record of a deployment that is not over: what was asked for, what is done, and what it takes to go back.
//!
//! It is a file, written anew after each step, beside the logs. One deployment at a time has the directory: a lock on a file
//! of its own ends with the process, and the record stays, for `--resume`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use migration_coordinator::OwnRun;
use migration_report::Class;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::arguments::{DeployArguments, OnFailure};
use crate::exit::Failure;
use crate::json_file;
use crate::not_written::NotWritten;

/// What the file is called inside, with the version of what it means.
const SCHEMA: &str = "migrate-deployment/v1";
const RECORD: &str = "deployment.json";
const LOCK: &str = "deployment.lock";

/// A deployment that is not over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: String,
    /// When it began, by this machine's clock.
    pub(super) begun_at: String,
    pub(super) log: PathBuf,
    pub(super) arguments: DeployArguments,
    /// Steps that need not be done again.
    pub(super) done: Vec<Step>,
    /// The step that it is at.
    pub(super) at: Step,
    /// Whether applying has begun, so that the databases may be other than before.
    pub(super) has_changed: bool,
    /// Whether the application may have written since.
    pub(super) has_started: bool,
    /// What was applied and was not taken back, as `service:migration`.
    pub(super) migrations: Vec<String>,
    /// What reverted migrations had lost when they were applied.
    pub(super) lost: Vec<String>,
    /// The way back that it is on.
    pub(super) going_back: Option<GoingBack>,
    /// The run that the journals have for all that it applies, and where each service that it changes was before it began.
    pub(super) own: OwnRun,
    /// The backups that it made.
    pub(super) archives: Vec<PathBuf>,
    /// The databases that it is for, without secrets; none until it is connected.
    pub(super) databases: Vec<String>,
}

/// A way back that was begun and is not gone to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoingBack {
    pub(super) chosen: OnFailure,
    /// How the step failed that it goes back from.
    pub(super) class: Class,
    /// The backups that are restored already.
    pub(super) restored: Vec<PathBuf>,
}

/// The directory, for as long as it is this process's.
pub(super) struct Place {
    directory: PathBuf,
    _lock: File,
}

impl Record {
    pub(super) fn new(begun_at: String, log: PathBuf, arguments: DeployArguments) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            begun_at,
            log,
            arguments,
            done: Vec::new(),
            at: Step::Prerequisites,
            has_changed: false,
            has_started: false,
            migrations: Vec::new(),
            lost: Vec::new(),
            going_back: None,
            own: OwnRun::new(),
            archives: Vec::new(),
            databases: Vec::new(),
        }
    }

    /// Whether the application was stopped and not started again.
    pub(super) fn is_stopped(&self) -> bool {
        self.arguments.stop_command.is_some()
            && self.done.contains(&Step::Stop)
            && !self.done.contains(&Step::Start)
    }
}

impl Place {
    /// Takes the directory, which is made if it is missing.
    ///
    /// # Errors
    /// Another deployment has it, or it cannot be made.
    pub(super) fn take(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).map_err(NotWritten::at(directory))?;
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(json_file::PRIVATE)
            .open(&path)
            .map_err(NotWritten::at(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure {
                class: Class::Busy,
                message: format!("another deployment is running: it has `{}`", directory.display()),
                hint: Some(
                    "wait until it is over, or set `MIGRATE_DEPLOY_DIR` for a deployment of something else"
                        .to_owned(),
                ),
            }
            .into()),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("could not lock `{}`", path.display()))
            }
        }
    }

    /// The record of a deployment that is not over.
    pub(super) fn record(&self) -> anyhow::Result<Option<Record>> {
        read(&self.directory)
    }

    /// A log of this name.
    pub(super) fn log(&self, begun_at: &str) -> PathBuf {
        self.directory.join(format!("{}.log", begun_at.replace([':', '-'], "")))
    }

    /// Writes the record, or leaves what was there.
    pub(super) fn write(&self, record: &Record) -> anyhow::Result<()> {
        json_file::write(&self.directory.join(RECORD), json_file::PRIVATE, record)
    }

    /// Removes the record: the deployment is over.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        let path = self.directory.join(RECORD);
        fs::remove_file(&path).with_context(|| format!("could not remove `{}`", path.display()))
    }
}

/// The record in a directory; reads only.
pub(super) fn read(directory: &Path) -> anyhow::Result<Option<Record>> {
    let path = directory.join(RECORD);
    let unreadable = |why: String| {
        Failure::usage(
            format!("`{}` {why}", path.display()),
            "it says where a deployment stood: look at it, and at the log beside it, before you remove it",
        )
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(format!("cannot be read: {error}")).into()),
    };
    let record: Record = serde_json::from_str(&text)
        .map_err(|error| unreadable(format!("is no record of a deployment: {error}")))?;
    if record.schema != SCHEMA {
        return Err(unreadable(format!("is `{}`, not `{SCHEMA}`", record.schema)).into());
    }
    Ok(Some(record))
}
