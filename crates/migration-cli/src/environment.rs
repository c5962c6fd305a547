//! The environment: process variables, then `.env`. The only place that reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use migration_coordinator::DatabaseUrl;
use migration_kit::ServiceName;

use crate::exit::Failure;

/// Variables by name; those of the process win over those of `.env`.
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    directory: PathBuf,
}

impl Environment {
    /// Reads the process's variables, and `.env` from the working directory or the nearest one above that has it.
    ///
    /// # Errors
    /// [`Failure`] if `.env` is malformed; its text is not repeated, since it holds secrets.
    pub(crate) fn read() -> Result<Self, Failure> {
        let directory = std::env::current_dir().map_err(|error| {
            Failure::usage(
                format!("the working directory cannot be read: {error}"),
                "change to another directory",
            )
        })?;
        let mut variables = BTreeMap::new();
        if let Some(file) = directory.ancestors().map(|above| above.join(".env")).find(|file| file.is_file())
        {
            let malformed = || {
                Failure::usage(
                    format!("`{}` cannot be read: each line must be `NAME=value`", file.display()),
                    "compare it with `.env.example`",
                )
            };
            for pair in dotenvy::from_path_iter(&file).map_err(|_| malformed())? {
                let (name, value) = pair.map_err(|_| malformed())?;
                variables.insert(name, value);
            }
        }
        // A variable that is not UTF-8 is none of ours.
        variables.extend(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(Self { variables, directory })
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Schema of a service where it is not the default: `<SERVICE>_DATABASE_SCHEMA`.
    pub(crate) fn schema(&self, service: &ServiceName) -> Option<&str> {
        self.get(&variable(service, "DATABASE_SCHEMA"))
    }

    /// Address of a service's database: `<SERVICE>_DATABASE_URL`, else `DATABASE_URL`, with the variable's name.
    ///
    /// # Errors
    /// [`Failure`] naming the variable whose value is not an address.
    pub(crate) fn url(&self, service: &ServiceName) -> Result<Option<(DatabaseUrl, &str)>, Failure> {
        let own = variable(service, "DATABASE_URL");
        for name in [own.as_str(), "DATABASE_URL"] {
            if let Some(text) = self.get(name) {
                let url = text.parse().map_err(|error| {
                    Failure::usage(
                        format!("`{name}`: {error}"),
                        match name {
                            "DATABASE_URL" => {
                                "set it in the environment or in `.env`, or unset it to use the embedded default"
                            }
                            _ => "set it in the environment or in `.env`, or unset it to use DATABASE_URL",
                        },
                    )
                })?;
                return Ok(Some((url, text)));
            }
        }
        Ok(None)
    }

    /// Directory of the embedded default: `MIGRATE_POSTGRES_DIR`, else `.postgres` beside the nearest `Cargo.lock` at or
    /// above the working directory, else in the working directory.
    pub(crate) fn cluster_directory(&self) -> PathBuf {
        if let Some(directory) = self.get("MIGRATE_POSTGRES_DIR") {
            return self.directory.join(directory);
        }
        let root = self.directory.ancestors().find(|above| above.join("Cargo.lock").is_file());
        root.unwrap_or(&self.directory).join(".postgres")
    }

    /// A path as a user would write it from the working directory.
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.directory).unwrap_or(path).display()
    }
}

fn variable(service: &ServiceName, suffix: &str) -> String {
    format!("{}_{suffix}", service.as_str().to_ascii_uppercase())
}
