//! The environment: process variables, then `.env`. The only place that reads more than colours from them, and as long as there
//! are variables.

mod dotenv;
mod misspelt;
mod passfile;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use migration_coordinator::{DatabaseUrl, Defaults};
use migration_kit::ServiceName;
use postgres_sandbox::Search;
use sea_orm::sqlx::postgres::PgConnectOptions;

use crate::exit::Failure;

/// Variables by name; those of the process win over those of `.env`.
pub(crate) struct Environment {
    process: BTreeMap<String, OsString>,
    dotenv: Option<Dotenv>,
    /// What was read from a file descriptor: the password of every address.
    password: Option<String>,
    directory: PathBuf,
    notes: RefCell<Vec<String>>,
    /// The addresses from `.env` that were asked for, a sentence each.
    from_dotenv: RefCell<Vec<String>>,
    /// The address in `DATABASE_URL`, once it was asked for: it is that of hundreds of services.
    shared: RefCell<Option<DatabaseUrl>>,
}

/// The nearest `.env`.
struct Dotenv {
    file: PathBuf,
    lines: Result<dotenv::Lines, String>,
}

/// The variables that are this program's alone. The last is read where PostgreSQL's programs are looked for.
const OURS: [&str; 9] = [
    "MIGRATE_BACKUP_DIR",
    "MIGRATE_BACKUP_COMMAND",
    "MIGRATE_DEPLOY_DIR",
    "MIGRATE_POSTGRES_DIR",
    "MIGRATE_EMBEDDED",
    "MIGRATE_POSTGRES_DOWNLOAD",
    "MIGRATE_ALLOWED_OBJECTS",
    "MIGRATE_SQL_ASCII",
    "MIGRATE_TEST_POSTGRES",
];

/// The origin of the process's variables.
const PROCESS: &str = "the environment";
/// The origin of what an option says.
const ARGUMENTS: &str = "the command line";

/// A value and where it is from.
#[derive(Debug)]
pub(crate) struct Value<'e> {
    /// Without blanks around it.
    pub(crate) text: &'e str,
    /// As it is written: blanks may be a part of a password.
    pub(crate) whole: &'e str,
    /// For a sentence: `the environment`, or the file and the line.
    pub(crate) origin: String,
}

/// A variable as people are shown it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// Its value; of an address without the password, of a password and of a command, which may hold one, nothing.
    pub(crate) value: String,
    pub(crate) origin: String,
}

impl<'e> Value<'e> {
    fn of(whole: &'e str, origin: String) -> Self {
        Self { text: whole.trim(), whole, origin }
    }
}

impl Environment {
    /// Reads the process's variables, and `.env` from the working directory or the nearest one above that has it. What
    /// is wrong with a variable or with the file is reported when a variable is asked for that it could hold.
    ///
    /// # Errors
    /// [`Failure`] if there is no working directory, or if the file descriptor for the password cannot be read.
    pub(crate) fn read(password_fd: Option<u32>) -> Result<Self, Failure> {
        let password = password_fd.map(passfile::of_descriptor).transpose()?;
        let directory = std::env::current_dir().map_err(|error| {
            Failure::usage(
                format!("the working directory cannot be read: {error}"),
                "change to another directory",
            )
        })?;
        let process: BTreeMap<String, OsString> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        // One that cannot be looked at is one all the same; it is refused when it is asked.
        let is_there = |file: &PathBuf| fs::symlink_metadata(file).is_ok_and(|found| !found.is_dir());
        let file = directory.ancestors().map(|above| above.join(".env")).find(is_there);
        let dotenv = file.map(|file| {
            let lines = match fs::read(&file) {
                Ok(bytes) if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") => {
                    Err("it is UTF-16; save it as UTF-8".to_owned())
                }
                // So is UTF-16 without a mark, of which no line would be one of ours.
                Ok(bytes) if bytes.contains(&0) => {
                    Err("it has bytes that are zero; save it as UTF-8".to_owned())
                }
                Ok(bytes) => {
                    let of_process = |name: &str| {
                        process.get(name)?.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
                    };
                    Ok(dotenv::read(&bytes, of_process, is_ours))
                }
                Err(error) => Err(error.to_string()),
            };
            Dotenv { file, lines }
        });
        let (notes, from_dotenv, shared): (RefCell<Vec<String>>, _, _) = Default::default();
        let here = directory.join(".env");
        if here.is_dir() {
            add(&notes, format!("`{}` is a directory, and no variable is read from it", here.display()));
        }
        Ok(Self { process, dotenv, password, directory, notes, from_dotenv, shared })
    }

    /// A variable that is set and not empty.
    ///
    /// # Errors
    /// [`Failure`] if its value is not text, or if `.env` cannot be read or is malformed where it sets it.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Value<'_>>, Failure> {
        if let Some(value) = self.process.get(name) {
            let text = value.to_str().ok_or_else(|| {
                Failure::usage(
                    format!("`{name}` from the environment is not UTF-8"),
                    "percent-encode what is not ASCII in an address: `ä` is %C3%A4",
                )
            })?;
            if !text.trim().is_empty() {
                return Ok(Some(Value::of(text, PROCESS.to_owned())));
            }
            if name.ends_with("DATABASE_URL") && self.is_ci() {
                return Err(Failure::usage(
                    format!("`{name}` is set in the environment, but empty, and `CI` is set"),
                    "give this job its address: a secret may be missing here; or leave the variable out",
                ));
            }
        }
        let Some(Dotenv { file, lines }) = &self.dotenv else { return Ok(None) };
        let lines = lines.as_ref().map_err(|reason| {
            Failure::usage(
                format!("`{}` cannot be read: {reason}", file.display()),
                "make it readable, or change to another directory",
            )
        })?;
        let Some(line) = lines.get(name) else { return Ok(None) };
        let origin = format!("`{}`, line {}", file.display(), line.number);
        match &line.value {
            Ok(value) if value.trim().is_empty() => Ok(None),
            Ok(value) => Ok(Some(Value::of(value, origin))),
            Err(fault) => Err(Failure::usage(format!("{origin}: `{name}` {fault}"), fault.hint())),
        }
    }

    /// A variable of the process alone that is text and not empty.
    #[cfg(feature = "otlp")]
    pub(crate) fn of_process(&self, name: &str) -> Option<&str> {
        self.process.get(name)?.to_str().map(str::trim).filter(|value| !value.is_empty())
    }

    /// Schema of a service where it is not the default: `<SERVICE>_DATABASE_SCHEMA`.
    pub(crate) fn schema(&self, service: &ServiceName) -> Result<Option<&str>, Failure> {
        let name = variable(service, "DATABASE_SCHEMA");
        let Some(value) = self.get(&name)? else { return Ok(None) };
        if value.text.chars().any(char::is_control) {
            return Err(Failure::usage(
                format!("`{name}` from {} holds a control character", value.origin),
                "write the name of a schema",
            ));
        }
        Ok(Some(value.text))
    }

    /// Objects that every migration may touch: `MIGRATE_ALLOWED_OBJECTS`, parted by commas.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn allowed_objects(&self) -> Result<Vec<String>, Failure> {
        let value = self.get("MIGRATE_ALLOWED_OBJECTS")?;
        let objects = value.iter().flat_map(|value| value.text.split(',')).map(str::trim);
        Ok(objects.filter(|object| !object.is_empty()).map(str::to_owned).collect())
    }

    /// Whether migrations are applied where text may be any bytes: `MIGRATE_SQL_ASCII`, `allow` or `never`.
    ///
    /// # Errors
    /// [`Failure`] if it has another value, or as [`Self::get`].
    pub(crate) fn allows_any_bytes(&self) -> Result<bool, Failure> {
        Ok(self.allowed("MIGRATE_SQL_ASCII")?.unwrap_or(false))
    }

    /// Address of a service's database: `<SERVICE>_DATABASE_URL`, else `DATABASE_URL`.
    ///
    /// # Errors
    /// [`Failure`] naming the variable whose value is not an address, and where it is from.
    pub(crate) fn url(&self, service: &ServiceName) -> Result<Option<DatabaseUrl>, Failure> {
        let own = variable(service, "DATABASE_URL");
        if let Some(value) = self.get(&own)? {
            return self.address(&own, &value).map(Some);
        }
        if let Some(url) = &*self.shared.borrow() {
            return Ok(Some(url.clone()));
        }
        let Some(value) = self.get("DATABASE_URL")? else { return Ok(None) };
        let url = self.address("DATABASE_URL", &value)?;
        self.shared.replace(Some(url.clone()));
        Ok(Some(url))
    }

    /// A database that an option names: its address, or the variable that holds it.
    ///
    /// # Errors
    /// [`Failure`] if it is neither.
    pub(crate) fn named(&self, option: &str, given: &str) -> Result<DatabaseUrl, Failure> {
        if given.contains("://") {
            return self.address(option, &Value::of(given, ARGUMENTS.to_owned()));
        }
        let value = self.get(given)?.ok_or_else(|| {
            let is = if self.is_set(given) { "empty" } else { "not set" };
            Failure::usage(
                format!("`{option}` names `{given}`, which is {is}"),
                "set it to an address in the environment or in `.env`",
            )
        })?;
        self.address(given, &value)
    }

    /// The same, of which the option must not hold a password: everybody on the machine sees the arguments of a program.
    ///
    /// # Errors
    /// [`Failure`] if it does, or as [`Self::named`].
    pub(crate) fn target(&self, option: &str, given: &str) -> Result<DatabaseUrl, Failure> {
        let hint = "put the address into a variable or into `.env`, and name that";
        let is_address = given.contains("://");
        if !is_address && !given.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let what = format!("`{option}` names no variable, and holds no address");
            return Err(Failure::usage(what, hint));
        }
        if is_address && DatabaseUrl::parse(given, &Defaults::default()).is_ok_and(|url| url.has_password()) {
            let what = format!("`{option}` holds a password, which others see in the list of processes");
            return Err(Failure::usage(what, format!("change that password, {hint}")));
        }
        self.named(option, given)
    }

    fn address(&self, name: &str, value: &Value<'_>) -> Result<DatabaseUrl, Failure> {
        let origin = &value.origin;
        let url = DatabaseUrl::parse(value.text, &self.defaults()?).map_err(|error| Failure {
            hint: error.hint().map(str::to_owned),
            ..Failure::usage(format!("`{name}` from {origin}: {error}"), "")
        })?;
        // The one that all share is known by itself.
        let url = if name == "DATABASE_URL" { url } else { url.named(name) };
        for (parameter, file) in url.files() {
            if let Err(error) = File::open(self.directory.join(file)) {
                return Err(Failure::usage(
                    format!("`{name}` from {origin}: `{}` cannot be read: {error}", file.display()),
                    format!("name a file with `{parameter}` that exists and is readable"),
                ));
            }
        }
        if ![PROCESS, ARGUMENTS].contains(&value.origin.as_str()) {
            add(&self.from_dotenv, format!("`{name}` is from {origin}"));
        }
        for note in url.notes() {
            self.note(format!("`{name}` from {origin}: {note}"));
        }
        if let Some(password) = &self.password {
            return Ok(url.with_password(password));
        }
        if url.has_password() {
            return Ok(url);
        }
        if let Some(password) = self.get("PGPASSWORD")? {
            return Ok(url.with_password(password.whole));
        }
        let file = match self.get("PGPASSFILE")? {
            Some(file) => self.path("PGPASSFILE", &file)?,
            None => match self.process.get("HOME") {
                Some(home) => Path::new(home).join(".pgpass"),
                None => return Ok(url),
            },
        };
        match passfile::password(&file, &url) {
            Ok(Some(password)) => Ok(url.with_password(&password)),
            Ok(None) => Ok(url),
            Err(note) => {
                self.note(note);
                Ok(url)
            }
        }
    }

    /// What addresses leave out, from libpq's variables; the user, as a last resort, is the one of the process.
    fn defaults(&self) -> Result<Defaults, Failure> {
        let mut defaults = Defaults::default();
        let process = PgConnectOptions::new_without_pgpass();
        defaults.insert("user", "the user of the process", process.get_username());
        for (parameter, variable) in Defaults::VARIABLES {
            if let Some(value) = self.get(variable)? {
                defaults.insert(parameter, variable, value.text);
            }
        }
        Ok(defaults)
    }

    /// Why no private server may be started where no address is set, if it may not.
    ///
    /// # Errors
    /// [`Failure`] if `MIGRATE_EMBEDDED` has a value that it cannot have.
    pub(crate) fn embedded_forbidden(&self) -> Result<Option<&'static str>, Failure> {
        Ok(match self.allowed("MIGRATE_EMBEDDED")? {
            Some(false) => Some("`MIGRATE_EMBEDDED` is `never`"),
            Some(true) => None,
            None => self.is_ci().then_some("`CI` is set"),
        })
    }

    /// Where PostgreSQL's programs are looked for, and whether they may be fetched.
    ///
    /// # Errors
    /// [`Failure`] if `MIGRATE_POSTGRES_DOWNLOAD` has a value that it cannot have.
    pub(crate) fn programs(&self) -> Result<Search, Failure> {
        let search = Search::from_environment();
        let is_offline = self.allowed("MIGRATE_POSTGRES_DOWNLOAD")? == Some(false);
        Ok(if is_offline { search.offline() } else { search })
    }

    /// What a variable says that is `allow` or `never`; `None` if it is not set.
    fn allowed(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name)? {
            Some(Value { text: "allow", .. }) => Ok(Some(true)),
            Some(Value { text: "never", .. }) => Ok(Some(false)),
            Some(Value { origin, .. }) => Err(Failure::usage(
                format!("`{name}` from {origin} has a value that it cannot have"),
                "write `allow` or `never`",
            )),
            None => Ok(None),
        }
    }

    /// The variables that are set and that these services read, without secrets.
    pub(crate) fn settings(&self, services: &[&ServiceName]) -> Vec<Setting> {
        let of_service = |service: &&ServiceName| {
            [variable(service, "DATABASE_URL"), variable(service, "DATABASE_SCHEMA")]
        };
        let of_libpq = Defaults::VARIABLES.iter().map(|(_, variable)| *variable);
        let shared = ["DATABASE_URL"].into_iter().chain(OURS).chain(of_libpq);
        let shared = shared.chain(["PGPASSWORD", "PGPASSFILE"]).map(str::to_owned);
        let names = shared.chain(services.iter().flat_map(of_service));
        let shown = |name: String| {
            let Value { text, origin, .. } = self.get(&name).ok()??;
            let value = if name.ends_with("DATABASE_URL") {
                let url = DatabaseUrl::parse(text, &self.defaults().ok()?);
                url.map_or_else(|_| "not an address".to_owned(), |url| url.to_string())
            } else if ["PGPASSWORD", "MIGRATE_BACKUP_COMMAND"].contains(&name.as_str()) {
                "(not shown)".to_owned()
            } else {
                text.to_owned()
            };
            Some(Setting { name, value, origin })
        };
        names.filter_map(shown).collect()
    }

    /// Notes the variables whose names are nearly one of ours.
    pub(crate) fn note_misspelt(&self, services: &[&ServiceName]) {
        let of_dotenv =
            self.dotenv.as_ref().and_then(|dotenv| Some((&dotenv.file, dotenv.lines.as_ref().ok()?)));
        let is_set = |name: &str| {
            self.process.contains_key(name) || of_dotenv.is_some_and(|(_, lines)| lines.contains_key(name))
        };
        let names: Vec<&str> = self.process.keys().map(String::as_str).collect();
        for (name, what) in misspelt::misspelt(&names, services, is_set) {
            self.note(format!("`{name}` from {PROCESS} {what}"));
        }
        let Some((file, lines)) = of_dotenv else { return };
        let names: Vec<&str> = lines.keys().map(String::as_str).collect();
        for (name, what) in misspelt::misspelt(&names, services, is_set) {
            self.note(format!("`{name}` from `{}`, line {}, {what}", file.display(), lines[name].number));
        }
    }

    /// Whether a variable is set, to nothing maybe.
    fn is_set(&self, name: &str) -> bool {
        let lines = self.dotenv.as_ref().and_then(|dotenv| dotenv.lines.as_ref().ok());
        self.process.contains_key(name) || lines.is_some_and(|lines| lines.contains_key(name))
    }

    /// Whether `DATABASE_URL` is set to nothing.
    pub(crate) fn has_empty_address(&self) -> bool {
        self.process.contains_key("DATABASE_URL")
    }

    fn is_ci(&self) -> bool {
        let value = self.process.get("CI").map(|value| value.to_string_lossy().trim().to_ascii_lowercase());
        value.is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off"))
    }

    /// Directory of the embedded default: `MIGRATE_POSTGRES_DIR`, else `.postgres` beside the nearest `Cargo.lock` at or
    /// above the working directory, else in the working directory.
    ///
    /// # Errors
    /// [`Failure`] if it begins with a `~` that stands for no known directory.
    pub(crate) fn cluster_directory(&self) -> Result<PathBuf, Failure> {
        if let Some(value) = self.get("MIGRATE_POSTGRES_DIR")? {
            return self.path("MIGRATE_POSTGRES_DIR", &value);
        }
        let root = self.directory.ancestors().find(|above| above.join("Cargo.lock").is_file());
        Ok(root.unwrap_or(&self.directory).join(".postgres"))
    }

    /// The variables of the process that hold addresses or passwords of databases, or name files with passwords.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let is_one = |name: &&String| name.ends_with("DATABASE_URL") || name.starts_with("PGPASS");
        self.process.keys().filter(is_one).cloned().collect()
    }

    /// Directory of backups: `MIGRATE_BACKUP_DIR`, else `backups` in the working directory.
    ///
    /// # Errors
    /// [`Failure`] if it begins with a `~` that stands for no known directory.
    pub(crate) fn backup_directory(&self) -> Result<PathBuf, Failure> {
        match self.get("MIGRATE_BACKUP_DIR")? {
            Some(value) => self.path("MIGRATE_BACKUP_DIR", &value),
            None => Ok(self.directory.join("backups")),
        }
    }

    /// Command of the shell that makes backups in place of `pg_dump`: `MIGRATE_BACKUP_COMMAND`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn backup_command(&self) -> Result<Option<String>, Failure> {
        Ok(self.get("MIGRATE_BACKUP_COMMAND")?.map(|value| value.text.to_owned()))
    }

    /// Directory of the record of a deployment and of its logs: `MIGRATE_DEPLOY_DIR`, else `deployments` in the working directory.
    ///
    /// # Errors
    /// [`Failure`] if it begins with a `~` that stands for no known directory.
    pub(crate) fn deploy_directory(&self) -> Result<PathBuf, Failure> {
        match self.get("MIGRATE_DEPLOY_DIR")? {
            Some(value) => self.path("MIGRATE_DEPLOY_DIR", &value),
            None => Ok(self.directory.join("deployments")),
        }
    }

    /// A path that a variable names: from the working directory, or from the home directory if it begins with `~/`.
    fn path(&self, name: &str, value: &Value<'_>) -> Result<PathBuf, Failure> {
        let Some(below) = value.text.strip_prefix('~') else { return Ok(self.directory.join(value.text)) };
        match self.process.get("HOME") {
            Some(home) if below.is_empty() || below.starts_with('/') => {
                Ok(Path::new(home).join(below.trim_start_matches('/')))
            }
            _ => Err(Failure::usage(
                format!("`{name}` from {} begins with a `~` that stands for no directory", value.origin),
                "write the whole path, or `./~…` for a name that begins with `~`",
            )),
        }
    }

    /// A path as a user would write it from the working directory.
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.directory).unwrap_or(path).display()
    }

    /// What was noticed since the last time, each once.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// Where addresses are from that are not from the environment, for when they turn out not to work.
    pub(crate) fn origins(&self) -> Vec<String> {
        self.from_dotenv.borrow().clone()
    }

    fn note(&self, note: String) {
        add(&self.notes, note);
    }
}

/// Adds a sentence that is not among them.
fn add(sentences: &RefCell<Vec<String>>, sentence: String) {
    let mut sentences = sentences.borrow_mut();
    if !sentences.contains(&sentence) {
        sentences.push(sentence);
    }
}

/// Name of a service's own variable.
pub(crate) fn variable(service: &ServiceName, suffix: &str) -> String {
    format!("{}_{suffix}", service.as_str().to_ascii_uppercase().replace(['-', '.'], "_"))
}

/// Whether a variable is one of those that are asked for.
fn is_ours(name: &str) -> bool {
    let of_libpq = Defaults::VARIABLES.iter().map(|(_, variable)| *variable);
    name.ends_with("DATABASE_URL")
        || name.ends_with("DATABASE_SCHEMA")
        || OURS.contains(&name)
        || of_libpq.chain(["PGPASSWORD", "PGPASSFILE"]).any(|known| known == name)
}
