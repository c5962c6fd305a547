//! The commands that look, print and keep: how long they take for all five services, and what a backup costs beside plain
//! `pg_dump` and `pg_restore`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::figure::{Figures, tell};
use super::{Bench, assessments, process, server};

/// Most rows of the service that is kept and restored.
const MOST_ROWS: u64 = 100_000;
/// What `check` and `sql` of all five services may take.
const CHECK: Duration = Duration::from_secs(60);
const SQL: Duration = Duration::from_secs(10);

/// The database in which the service is.
const DATABASE: &str = "kept";
const SERVICE: &str = "assessments";

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let n_times = bench.repeat.div_ceil(3);
    let services = concat!(env!("CARGO_MANIFEST_DIR"), "/../services");
    for (command, limit) in [(vec!["check", "--directory", services], CHECK), (vec!["sql"], SQL)] {
        tell(&format!("commands: {}", command[0]));
        let mut ours = Vec::new();
        for _ in 0..n_times {
            // Both need no database, and `sql` would leave out what this one has.
            ours.push(process::timed(bench.migrate("", &command).env_remove("DATABASE_URL"))?);
        }
        figures.alone(&format!("`{}` of all services", command[0]), ours, limit);
    }

    let url = filled(bench)?;
    let directory = bench.cluster.socket_directory().join("backups");
    fs::create_dir(&directory)?;
    let dump = directory.join("plain.dump");
    of_drift(bench, &url, n_times, figures)?;
    let (mut ours, mut proven, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 1..=n_times {
        tell(&format!("commands: backup: {turn} of {n_times}"));
        ours.push(process::timed(&mut backup(bench, &url, &directory, "--no-verify"))?);
        theirs.push(process::timed(
            client(bench, "pg_dump").args(["-Fc", "-n", SERVICE, "-f"]).arg(&dump).arg(&url),
        )?);
        proven.push(process::timed(&mut backup(bench, &url, &directory, "--verify"))?);
    }
    figures.compared("backup", &ours, &theirs);
    figures.compared("backup with trial, against a dump", &proven, &theirs);

    let archive = newest_archive(&directory)?;
    let archive = archive.to_str().context("the name of an archive is text")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=n_times {
        tell(&format!("commands: restore: {turn} of {n_times}"));
        ours.push(process::timed(&mut bench.migrate(&url, &["restore", archive, "--allow-data-loss"]))?);
        process::timed(&mut bench.migrate(&url, &["restore", "--drop-old", SERVICE, "--allow-data-loss"]))?;
        let empty = bench.cluster.create_database()?;
        let mut restore = client(bench, "pg_restore");
        theirs.push(process::timed(restore.args(["-1", "-d", empty.url()]).arg(&dump))?);
    }
    figures.compared("restore, against one into an empty database", &ours, &theirs);
    Ok(server::drop_copy(&bench.cluster, DATABASE)?)
}

fn of_drift(bench: &Bench, url: &str, n_times: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..n_times {
        ours.push(process::timed(&mut bench.migrate(url, &["drift", SERVICE]))?);
        theirs.push(process::timed(client(bench, "pg_dump").args([
            "-s",
            "-n",
            SERVICE,
            "-f",
            "/dev/null",
            url,
        ]))?);
    }
    figures.compared("`drift` of one service, against a dump of its schema", &ours, &theirs);
    Ok(())
}

/// A database in which the service has rows and is at the head of its expand steps; its address.
fn filled(bench: &Bench) -> anyhow::Result<String> {
    let n_rows = bench.rows.min(MOST_ROWS);
    tell(&format!("commands: {n_rows} rows"));
    bench.cluster.psql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
    let url = bench.cluster.url(DATABASE);
    process::timed(&mut bench.migrate(&url, &["up", "assessments@m20260122_000001_create_questions"]))?;
    bench.cluster.psql(DATABASE, &format!("SET search_path = {SERVICE};\n{}", assessments::seed(n_rows)))?;
    process::timed(&mut bench.migrate(&url, &["up", SERVICE]))?;
    bench.cluster.psql(DATABASE, "VACUUM (ANALYZE)")?;
    Ok(url)
}

fn backup(bench: &Bench, url: &str, directory: &Path, verify: &str) -> Command {
    let mut command = bench.migrate(url, &["backup", SERVICE, verify, "--to"]);
    command.arg(directory);
    command
}

/// A program of the server's version, beside its `psql`.
fn client(bench: &Bench, program: &str) -> Command {
    Command::new(bench.cluster.binaries().psql().with_file_name(program))
}

/// The archive that was written last: of one kept by this program a manifest is beside it.
fn newest_archive(directory: &Path) -> anyhow::Result<PathBuf> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SERVICE))
            && path.extension().is_some_and(|extension| extension == "dump")
        {
            archives.push(path);
        }
    }
    archives.into_iter().max().context("no archive was written")
}
