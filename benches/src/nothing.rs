//! The run that is made most often: nothing is pending. Against one `psql` that reads the version tables.

use std::collections::BTreeSet;
use std::fs;

use benches::Size;
use postgres_sandbox::Database;

use super::figure::{Figures, tell};
use super::{Bench, process, server};

/// Most statements that it may send.
const STATEMENTS: usize = 3;

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let database = bench.cluster.create_database()?;
    process::timed(&mut bench.synthetic(database.url(), Size::S5M20, &["up"]))?;
    let query = Size::S5M20.query();
    for command in ["up", "status"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        tell(&format!("nothing: {command}"));
        // Short ones are cheap to repeat, and need it.
        for _ in 0..bench.repeat * 5 {
            ours.push(process::timed(&mut bench.synthetic(database.url(), Size::S5M20, &[command]))?);
            theirs.push(process::timed(server::psql(&bench.cluster, database.url()).args(["-c", &query]))?);
        }
        figures.durations(&format!("`{command}` with nothing to do"), &ours, &theirs, 1.2);
        let seen = process::watched(&mut bench.synthetic(database.url(), Size::S5M20, &[command]))?;
        figures.memory(&format!("peak memory of `{command}`"), seen.peak_bytes);
        let (n_sessions, n_statements) = count(bench, &database, command)?;
        figures.row(
            &format!("sessions and statements of `{command}`"),
            format!("{n_sessions}, {n_statements}"),
            String::new(),
            format!("1, at most {STATEMENTS}"),
            n_sessions == 1 && n_statements <= STATEMENTS,
        );
    }
    Ok(())
}

/// How many sessions a command opens and how many statements it sends, as the server logs them.
fn count(bench: &Bench, database: &Database, command: &str) -> anyhow::Result<(usize, usize)> {
    let alter = |action: &str| {
        bench.cluster.psql("postgres", &format!("ALTER DATABASE {} {action}", database.name()))
    };
    alter("SET log_statement = 'all'")?;
    let before = fs::read(bench.cluster.log_file())?.len();
    process::timed(&mut bench.synthetic(database.url(), Size::S5M20, &[command]))?;
    let log = fs::read(bench.cluster.log_file())?.split_off(before);
    alter("RESET log_statement")?;
    let log = String::from_utf8_lossy(&log);
    let statements: Vec<&str> = log
        .lines()
        .filter(|line| {
            line.starts_with("session=") && (line.contains("statement: ") || line.contains(" execute "))
        })
        .collect();
    let sessions: BTreeSet<&str> = statements.iter().filter_map(|line| line.split(' ').next()).collect();
    Ok((sessions.len(), statements.len()))
}
