//! How to install PostgreSQL on this platform: commands as data, to be shown first and run on request.
//!
//! On Debian and Ubuntu the server package also creates and starts a cluster of its own on port 5432. Nobody asked for
//! that one, so its creation is switched off for the time of the installation.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{SandboxError, account};

/// Major version that is installed where the platform's own is too old or where one must be named.
const MAJOR: u32 = 18;
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/no-main-cluster.conf";

/// What is known of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    // Invariant: `ids` goes from the most specific name to the most general: `ubuntu`, `debian`.
    ids: Vec<String>,
    release: u32,
    is_root: bool,
}

/// How to install PostgreSQL. `Display` gives what one would type, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// What [`Install::run`] runs: each after the one before has succeeded.
    pub commands: Vec<InstallCommand>,
    typed: Vec<InstallCommand>,
}

/// One program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallCommand {
    /// The program: `sudo`, `apt-get`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Platform {
    /// The platform we run on.
    #[must_use]
    pub fn this() -> Self {
        if cfg!(target_os = "macos") {
            return Self { ids: vec!["macos".to_owned()], release: 0, is_root: false };
        }
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::from_os_release(&os_release, account::is_root())
    }

    /// Reads the text of `/etc/os-release`; `is_root` tells whether commands can do without `sudo`.
    #[must_use]
    pub fn from_os_release(text: &str, is_root: bool) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let ids = [value("ID"), value("ID_LIKE")].join(" ").split_whitespace().map(str::to_owned).collect();
        let release = value("VERSION_ID").split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        Self { ids, release, is_root }
    }

    /// How to install PostgreSQL here: `major` if one is given, else the platform's own version where it is recent
    /// enough. Nothing for a platform that is not known.
    #[must_use]
    pub fn install(&self, major: Option<u32>) -> Option<Install> {
        self.ids.iter().find_map(|id| match id.as_str() {
            "debian" => Some(self.apt(major.or((self.release < 12).then_some(MAJOR)))),
            "ubuntu" => Some(self.apt(major.or((self.release < 23).then_some(MAJOR)))),
            "rhel" if self.release < 10 => {
                let module = self.command("dnf", &["module", "enable", "-y", "postgresql:15"]);
                Some(Install::typed(vec![module, self.dnf()]))
            }
            "fedora" | "rhel" => Some(Install::typed(vec![self.dnf()])),
            "alpine" => {
                let server =
                    format!("postgresql{}", major.map(|major| major.to_string()).unwrap_or_default());
                let client = format!("{server}-client");
                Some(Install::typed(vec![self.command("apk", &["add", &server, &client])]))
            }
            "arch" => {
                Some(Install::typed(vec![self.command("pacman", &["-S", "--noconfirm", "postgresql"])]))
            }
            "suse" => {
                let args = ["--non-interactive", "install", "postgresql-server"];
                Some(Install::typed(vec![self.command("zypper", &args)]))
            }
            "macos" => {
                let formula = format!("postgresql@{}", major.unwrap_or(MAJOR));
                Some(Install::typed(vec![InstallCommand::new("brew", &["install", &formula])]))
            }
            _ => None,
        })
    }

    /// With apt; a named version comes from the PostgreSQL project's own repository.
    fn apt(&self, major: Option<u32>) -> Install {
        let mut commands = Vec::new();
        let mut package = "postgresql".to_owned();
        if let Some(major) = major {
            commands
                .push(self.command("apt-get", &["install", "-y", "postgresql-common", "ca-certificates"]));
            commands.push(self.command("/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh", &["-y"]));
            package = format!("postgresql-{major}");
        }
        let mut typed = commands.clone();
        typed.push(self.command("apt-get", &["install", "-y", &package]));
        let without_cluster = format!(
            "mkdir -p \"$(dirname {NO_CLUSTER})\" && echo create_main_cluster = false > {NO_CLUSTER} && \
             {{ apt-get install -y {package}; status=$?; rm {NO_CLUSTER}; exit $status; }}"
        );
        commands.insert(0, self.command("apt-get", &["update"]));
        commands.push(self.command("sh", &["-c", &without_cluster]));
        Install { commands, typed }
    }

    fn dnf(&self) -> InstallCommand {
        self.command("dnf", &["install", "-y", "postgresql-server", "postgresql"])
    }

    fn command(&self, program: &str, args: &[&str]) -> InstallCommand {
        let mut command = InstallCommand::new(program, args);
        if !self.is_root {
            let program = std::mem::replace(&mut command.program, "sudo".to_owned());
            command.args.insert(0, program);
        }
        command
    }
}

impl InstallCommand {
    fn new(program: &str, args: &[&str]) -> Self {
        Self { program: program.to_owned(), args: args.iter().map(|&arg| arg.to_owned()).collect() }
    }
}

impl Install {
    /// What is typed is what is run.
    fn typed(commands: Vec<InstallCommand>) -> Self {
        Self { typed: commands.clone(), commands }
    }

    /// Runs the commands; what they print goes to our standard error.
    ///
    /// # Errors
    /// [`SandboxError::Spawn`] or [`SandboxError::Failed`] for the first command that fails; the rest are not run.
    pub fn run(&self) -> Result<(), SandboxError> {
        for InstallCommand { program, args } in &self.commands {
            let status = Command::new(program)
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::inherit())
                .stdout(std::io::stderr())
                .status()
                .map_err(SandboxError::spawn(Path::new(program)))?;
            if !status.success() {
                let message = format!("{status}; its output is above");
                return Err(SandboxError::Failed { program: program.clone(), message });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed: Vec<String> = self.typed.iter().map(InstallCommand::to_string).collect();
        f.write_str(&typed.join(" && "))
    }
}

impl fmt::Display for InstallCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(os_release: &str, is_root: bool, expected: &str) {
        let install = Platform::from_os_release(os_release, is_root).install(None);
        assert_eq!(install.map(|install| install.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn each_platform_has_its_command() {
        check("ID=debian\nVERSION_ID=\"12\"\n", true, "apt-get install -y postgresql");
        check(
            "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n",
            false,
            "sudo apt-get install -y postgresql",
        );
        check("ID=fedora\nVERSION_ID=41\n", false, "sudo dnf install -y postgresql-server postgresql");
        check("ID=alpine\nVERSION_ID=3.21.0\n", true, "apk add postgresql postgresql-client");
        check(
            "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n",
            true,
            "zypper --non-interactive install postgresql-server",
        );
        check("ID=nixos\n", false, "");
        check("", false, "");
    }

    #[test]
    fn releases_with_an_older_postgresql_get_a_newer_one() {
        check(
            "ID=ubuntu\nVERSION_ID=\"22.04\"\n",
            true,
            "apt-get install -y postgresql-common ca-certificates && \
             /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && apt-get install -y postgresql-18",
        );
        check(
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
            true,
            "dnf module enable -y postgresql:15 && dnf install -y postgresql-server postgresql",
        );
    }

    #[test]
    fn debian_creates_no_cluster_of_its_own() {
        let install = Platform::from_os_release("ID=debian\nVERSION_ID=12\n", true).install(None);
        let commands = install.expect("Debian is known").commands;
        assert!(commands[1].to_string().contains("create_main_cluster = false"), "{commands:?}");
    }
}
