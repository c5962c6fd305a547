//! How carrying evaluations over grows with their number, against one `UPDATE` with the same function.

use std::fs;
use std::time::Duration;

use super::figure::{Figures, milliseconds, tell};
use super::growth::{exponent, of};
use super::{Bench, assessments, median, process, server, under_load};

/// Largest exponent that counts as linear growth: a batch finds its rows by an index, which gets deeper.
const LINEAR: f64 = 1.1;

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let sizes = [bench.rows / 100, bench.rows / 10, bench.rows];
    let mut medians = [(Duration::ZERO, Duration::ZERO); 3];
    for (n_rows, medians) in sizes.into_iter().zip(&mut medians) {
        *medians = carried_over(bench, n_rows)?;
    }
    let (least_ours, least_theirs) = medians[0];
    for (n_rows, (ours, theirs)) in sizes.into_iter().zip(medians) {
        let text = |took, least| format!("{}, {:.2} × the least", milliseconds(took), of(took, least));
        figures.remark(&format!("{n_rows} evaluations"), text(ours, least_ours), text(theirs, least_theirs));
    }
    let fitted = |durations| exponent(sizes.map(|n_rows| n_rows as f64), durations);
    let (ours, theirs) = (fitted(medians.map(|(ours, _)| ours)), fitted(medians.map(|(_, theirs)| theirs)));
    figures.row(
        "exponent over rows",
        format!("{ours:.2}"),
        format!("{theirs:.2}"),
        format!("at most {LINEAR:.1}"),
        ours <= LINEAR,
    );
    Ok(())
}

/// How long ours and the other side took over so many rows, by turns: medians.
fn carried_over(bench: &Bench, n_rows: u64) -> anyhow::Result<(Duration, Duration)> {
    let template = under_load::seeded(bench, &assessments::subject(n_rows))?;
    let script = bench.cluster.socket_directory().join("update.sql");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=bench.repeat.div_ceil(3) {
        tell(&format!("backfill: {n_rows} rows, {turn} of {}", bench.repeat.div_ceil(3)));
        let url = server::copy(&bench.cluster, &template, "filled")?;
        ours.push(process::timed(&mut bench.migrate(&url, &assessments::FILLED))?);
        fs::write(&script, assessments::update(bench, "filled")?)?;
        server::drop_copy(&bench.cluster, "filled")?;
        let url = server::copy(&bench.cluster, &template, "updated")?;
        theirs.push(process::timed(server::psql(&bench.cluster, &url).arg("-f").arg(&script))?);
        server::drop_copy(&bench.cluster, "updated")?;
    }
    server::drop_copy(&bench.cluster, &template)?;
    Ok((median(ours), median(theirs)))
}
