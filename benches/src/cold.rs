//! The first run: 100 small migrations of five services on an empty database, against a script of the same.

use std::fs;

use benches::Size;

use super::figure::{Figures, tell};
use super::{Bench, process, server};

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let script = bench.cluster.socket_directory().join("cold.sql");
    fs::write(&script, Size::S5M20.script())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=bench.repeat {
        tell(&format!("cold: {turn} of {}", bench.repeat));
        let (mine, other) = (bench.cluster.create_database()?, bench.cluster.create_database()?);
        let mut psql = server::psql(&bench.cluster, other.url());
        psql.arg("-f").arg(&script);
        let mut up = bench.synthetic(mine.url(), Size::S5M20, &["up"]);
        if turn % 2 == 0 {
            theirs.push(process::timed(&mut psql)?);
            ours.push(process::timed(&mut up)?);
        } else {
            ours.push(process::timed(&mut up)?);
            theirs.push(process::timed(&mut psql)?);
        }
    }
    figures.durations("100 migrations, 5 services", &ours, &theirs, 0.8);
    let database = bench.cluster.create_database()?;
    let seen = process::watched(&mut bench.synthetic(database.url(), Size::S5M20, &["up"]))?;
    figures.memory("peak memory", seen.peak_bytes);
    Ok(())
}
