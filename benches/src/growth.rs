//! How a run that finds nothing to do grows with the services and with the applied migrations.
//!
//! What counts is the ratio to the smallest size, measured by turns on one server, and the exponent of the power of the
//! size that fits the durations best: 1 is linear growth.

use std::time::Duration;

use benches::Size;

use super::figure::{Figures, milliseconds, tell};
use super::{Bench, median, process, server};

/// One of the things that grow: three sizes, and for the larger ones at most how many times the duration of the smallest.
struct Growing {
    what: &'static str,
    sizes: [Size; 3],
    /// What grows, in numbers.
    count: fn(Size) -> usize,
    limits: [Option<f64>; 3],
}

const GROWING: [Growing; 2] = [
    Growing {
        what: "applied migrations",
        sizes: [Size::S5M20, Size::S5M200, Size::S5M2000],
        count: Size::n_migrations,
        limits: [None, None, Some(1.5)],
    },
    Growing {
        what: "services",
        sizes: [Size::S5M20, Size::S100M20, Size::S500M20],
        count: Size::n_services,
        limits: [None, Some(3.0), Some(10.0)],
    },
];

/// Largest exponent that counts as linear growth.
const LINEAR: f64 = 1.0;

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    for growing in GROWING {
        growing.measure(bench, figures)?;
    }
    Ok(())
}

/// How long ours and `psql` took at one size.
#[derive(Default)]
struct Taken {
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
}

impl Growing {
    fn measure(&self, bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
        let mut databases = Vec::with_capacity(self.sizes.len());
        for size in self.sizes {
            tell(&format!("growth: applying {} migrations", size.n_migrations()));
            let database = bench.cluster.create_database()?;
            process::timed(&mut bench.synthetic(database.url(), size, &["up"]))?;
            // As a server has them some time after a run, whether by itself or not.
            bench.cluster.psql(database.name(), "VACUUM ANALYZE")?;
            databases.push(database);
        }
        for asked in ["up", "status"] {
            let mut taken: [Taken; 3] = Default::default();
            tell(&format!("growth: `{asked}` over {}", self.what));
            for _ in 0..bench.repeat * 3 {
                for ((size, database), taken) in self.sizes.into_iter().zip(&databases).zip(&mut taken) {
                    taken.ours.push(process::timed(&mut bench.synthetic(database.url(), size, &[asked]))?);
                    let mut psql = server::psql(&bench.cluster, database.url());
                    taken.theirs.push(process::timed(psql.args(["-c", &size.query()]))?);
                }
            }
            self.tell(asked, taken, figures);
        }
        Ok(())
    }

    fn tell(&self, asked: &str, taken: [Taken; 3], figures: &mut Figures) {
        let medians = taken.map(|taken| (median(taken.ours), median(taken.theirs)));
        let (least_ours, least_theirs) = medians[0];
        for ((size, limit), (ours, theirs)) in self.sizes.into_iter().zip(self.limits).zip(medians) {
            let what = format!("`{asked}`, {} {}", (self.count)(size), self.what);
            let (ratio, their_ratio) = (of(ours, least_ours), of(theirs, least_theirs));
            let ours = format!("{}, {ratio:.2} × the least", milliseconds(ours));
            let theirs = format!("{}, {their_ratio:.2} × the least", milliseconds(theirs));
            match limit {
                Some(limit) => {
                    figures.row(&what, ours, theirs, format!("at most {limit:.1} ×"), ratio <= limit);
                }
                None => figures.remark(&what, ours, theirs),
            }
        }
        let sizes = self.sizes.map(|size| (self.count)(size) as f64);
        let ours = exponent(sizes, medians.map(|(ours, _)| ours));
        let theirs = exponent(sizes, medians.map(|(_, theirs)| theirs));
        figures.row(
            &format!("`{asked}`, exponent over {}", self.what),
            format!("{ours:.2}"),
            format!("{theirs:.2}"),
            format!("at most {LINEAR:.1}"),
            ours <= LINEAR,
        );
    }
}

pub(super) fn of(duration: Duration, least: Duration) -> f64 {
    duration.as_secs_f64() / least.as_secs_f64()
}

/// The exponent of the power of the sizes that fits the durations best: the slope of their logarithms, by least squares.
/// What every run takes makes the smallest ones look flat, so the slope of the last two counts if it is steeper.
pub(super) fn exponent(sizes: [f64; 3], durations: [Duration; 3]) -> f64 {
    let x = sizes.map(f64::ln);
    let y = durations.map(|duration| duration.as_secs_f64().ln());
    let mean = |values: [f64; 3]| values.iter().sum::<f64>() / 3.0;
    let (middle_x, middle_y) = (mean(x), mean(y));
    let above: f64 = x.iter().zip(y).map(|(x, y)| (x - middle_x) * (y - middle_y)).sum();
    let below: f64 = x.iter().map(|x| (x - middle_x).powi(2)).sum();
    (above / below).max((y[2] - y[1]) / (x[2] - x[1]))
}
