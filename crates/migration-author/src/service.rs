//! A new service of the workspace: its package, and everywhere services are listed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::draft::{Draft, read};
use crate::manifest::{Dependency, Manifest, Place};
use crate::{AuthorError, lines, list, name, package};

/// A service that is to be written.
#[derive(Debug, Clone)]
pub struct NewService<'s> {
    /// Its name: `billing`, `order-history`.
    pub name: &'s str,
    /// Names that other services have, and their schemas.
    pub taken: Vec<String>,
    /// The lock file of a service that has no migrations.
    pub lock_file: String,
}

/// What the workspace says of its services, in the files that a new one changes.
struct Workspace {
    root: PathBuf,
    /// The directory of the services, as the root writes it: `services`.
    services: String,
}

impl NewService<'_> {
    /// The files of the service, and those that change with it. `directory` has a directory of each service's name, in a
    /// workspace whose package `xtask` lists them.
    ///
    /// # Errors
    /// [`AuthorError`]; nothing is written.
    pub fn draft(&self, directory: &Path) -> Result<Draft, AuthorError> {
        name::check_service(self.name)?;
        let workspace = Workspace::around(directory)?;
        self.is_new(directory)?;
        let mut draft = Draft::of(self.name.to_owned());
        let at = directory.join(self.name);
        for (path, text) in package::files(self.name, directory) {
            draft.create(at.join(path), text);
        }
        draft.create(at.join("migrations.lock"), self.lock_file.clone());
        self.manifests(&workspace, &mut draft)?;
        self.list(&workspace, &mut draft)?;
        let example = workspace.root.join(".env.example");
        if example.is_file() {
            let (example, text) = read(&example)?;
            let after = lines::with_variables(&text, self.name);
            draft.change(example, text, after);
        }
        let pipeline = workspace.root.join(".gitlab/migrations.yml");
        if pipeline.is_file() {
            let (pipeline, text) = read(&pipeline)?;
            if lines::keys(&text).any(|key| key == self.name) {
                return Err(self.taken(format!("`{}` has something of this name", pipeline.display())));
            }
            if let Some(after) = lines::with_job(&text, self.name) {
                draft.change(pipeline, text, after);
            }
        }
        Ok(draft)
    }

    fn package(&self) -> String {
        format!("{}-migration", self.name)
    }

    fn taken(&self, what: String) -> AuthorError {
        AuthorError::Taken { name: self.name.to_owned(), what }
    }

    /// Whether the name is free: another service of this name would read the same variables.
    fn is_new(&self, directory: &Path) -> Result<(), AuthorError> {
        let entries = fs::read_dir(directory).map_err(AuthorError::file("read", directory))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        match names.chain(self.taken.iter().cloned()).find(|there| is_like(there, self.name)) {
            Some(there) => Err(self.taken(format!("there is a service or a schema `{there}`"))),
            None => Ok(()),
        }
    }

    /// The workspace's dependency, and that of `xtask`.
    fn manifests(&self, workspace: &Workspace, draft: &mut Draft) -> Result<(), AuthorError> {
        let package = self.package();
        let (path, text) = read(&workspace.root.join("Cargo.toml"))?;
        let unfit = |why: String| AuthorError::unfit(&path, why);
        let manifest = Manifest::parse(&text).map_err(unfit)?;
        let table = ["workspace", "dependencies"];
        let names = manifest.names(&table).map_err(unfit)?;
        if names.iter().any(|there| is_like(there, &package)) {
            return Err(self.taken(format!("the workspace has a dependency `{package}`")));
        }
        let place = format!("{}/", workspace.services);
        let value = format!("{{ path = \"{place}{}\", default-features = false }}", self.name);
        let dependency = Dependency { name: &package, value };
        let after = manifest.with(&table, &dependency, &Place::BehindPath(&place)).map_err(unfit)?;
        draft.change(path.clone(), text, after);

        let (path, text) = read(&workspace.root.join("xtask/Cargo.toml"))?;
        let unfit = |why: String| AuthorError::unfit(&path, why);
        let manifest = Manifest::parse(&text).map_err(unfit)?;
        let value = "{ workspace = true, features = [\"runtime-tokio\"] }".to_owned();
        let dependency = Dependency { name: &package, value };
        let after = manifest.with(&["dependencies"], &dependency, &Place::Sorted).map_err(unfit)?;
        draft.change(path.clone(), text, after);
        Ok(())
    }

    /// The line in the list of all services.
    fn list(&self, workspace: &Workspace, draft: &mut Draft) -> Result<(), AuthorError> {
        let (path, text) = read(&workspace.root.join("xtask/src/services.rs"))?;
        let unfit = |why: String| AuthorError::unfit(&path, why);
        let list = list::services(&text).map_err(unfit)?;
        let entry = format!("{}::service()", self.package().replace('-', "_"));
        let after = list.with(&text, &entry);
        let again = list::services(&after).map_err(unfit)?;
        if again.entries != [&list.entries[..], &[entry]].concat() {
            return Err(unfit("the new service did not get its place in the list".to_owned()));
        }
        draft.change(path.clone(), text, after);
        Ok(())
    }
}

/// Whether two names are one where `-` cannot be written.
fn is_like(name: &str, other: &str) -> bool {
    name.replace(['-', '.'], "_") == other.replace('-', "_")
}

impl Workspace {
    /// The workspace that a directory of services is in.
    fn around(directory: &Path) -> Result<Self, AuthorError> {
        let foreign = |why: &'static str| AuthorError::NoWorkspace { path: directory.to_owned(), why };
        let services = fs::canonicalize(directory).map_err(AuthorError::file("read", directory))?;
        let is_root = |directory: &&Path| {
            let text = fs::read_to_string(directory.join("Cargo.toml")).unwrap_or_default();
            Manifest::parse(&text).is_ok_and(|manifest| manifest.get(&["workspace"]).is_some())
        };
        let root =
            services.ancestors().skip(1).find(is_root).ok_or_else(|| foreign("it is in no workspace"))?;
        let within = services.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
        let (_, text) = read(&root.join("Cargo.toml"))?;
        let manifest =
            Manifest::parse(&text).map_err(|why| AuthorError::unfit(root.join("Cargo.toml"), why))?;
        let members = manifest.get(&["workspace", "members"]).and_then(|members| members.as_array());
        let all = format!("{within}/*");
        if !members.is_some_and(|members| members.iter().any(|member| member.as_str() == Some(&all))) {
            return Err(foreign("the workspace does not have all packages in it as members"));
        }
        if !["xtask/Cargo.toml", "xtask/src/services.rs"].iter().all(|file| root.join(file).is_file()) {
            return Err(foreign("the workspace has no `xtask/src/services.rs` that lists its services"));
        }
        Ok(Self { root: root.to_owned(), services: within })
    }
}
