//! Ratios as a picture: a bar for each, from the line at which both sides take the same time.

use std::fmt::Write as _;

use maud::Render as _;

/// A ratio of durations.
pub(super) struct Bar {
    /// What was measured.
    pub(super) what: String,
    /// How many times as long as the other side, by the medians.
    pub(super) ratio: f64,
    /// The most that it should be, where something is promised.
    pub(super) limit: Option<f64>,
}

/// Height of a bar with what separates it from the next, in units of the picture.
const ROW: f64 = 26.0;
const BAR: f64 = 14.0;
/// Where bars begin and end: names are to their left, ratios to their right.
const LEFT: f64 = 360.0;
const RIGHT: f64 = 800.0;
const WIDTH: f64 = 880.0;
/// Space above the first bar and below the last.
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// The ends of the scale grow with the figures and are never narrower than this.
const SCALE: (f64, f64) = (0.5, 2.0);

/// Colours for light and dark pages.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.small{font-size:11px;fill:#59636e}\
    .met{fill:#2da44e}.missed{fill:#cf222e}.other{fill:#8c959f}.line{stroke:#59636e;stroke-width:1}\
    .limit{stroke:#1f2328;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}\
    .limit{stroke:#f0f6fc}}";

/// The picture, as SVG; the scale is logarithmic, so that half and twice as long are equally far from the line.
pub(super) fn chart(place: &str, bars: &[Bar]) -> String {
    let height = TOP + ROW * bars.len() as f64 + BOTTOM;
    let all = || bars.iter().flat_map(|bar| [bar.ratio, bar.limit.unwrap_or(bar.ratio)]);
    let (least, most) = (all().fold(SCALE.0, f64::min), all().fold(SCALE.1, f64::max));
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * (ratio / least).ln() / (most / least).ln();
    let one = x(1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>How many times as long as the other side</title>\n<style>{STYLE}</style>\n\
         <text class=\"small\" x=\"{one:.1}\" y=\"18\" text-anchor=\"middle\">1 ×: as long as the other side</text>\n"
    );
    for (number, bar) in bars.iter().enumerate() {
        let (top, end) = (TOP + ROW * number as f64, x(bar.ratio));
        let middle = top + BAR / 2.0;
        let class = match bar.limit {
            None => "other",
            Some(limit) if bar.ratio <= limit => "met",
            Some(_) => "missed",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{:.2} ×</text>",
            LEFT - 10.0,
            middle + 4.0,
            escaped(&bar.what),
            one.min(end),
            (end - one).abs().max(1.0),
            one.max(end) + 8.0,
            middle + 4.0,
            bar.ratio,
        );
        if let Some(limit) = bar.limit {
            let (at, bottom) = (x(limit), top + BAR + 3.0);
            let top = top - 3.0;
            let _ = writeln!(
                svg,
                "<line class=\"limit\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
            );
        }
    }
    let (end, foot) = (height - BOTTOM + 4.0, height - BOTTOM + 24.0);
    let _ = writeln!(
        svg,
        "<line class=\"line\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"26\" y2=\"{end:.1}\"/>\n\
         <text class=\"small\" x=\"10\" y=\"{foot:.1}\">Green: within its limit (the mark); red: beyond; grey: nothing is promised. \
         Logarithmic.</text>\n<text class=\"small\" x=\"10\" y=\"{:.1}\">{}</text>\n</svg>",
        foot + 18.0,
        escaped(place.split(", `").next().unwrap_or(place)),
    );
    svg
}

/// As text of the picture; backticks are Markdown's.
fn escaped(text: &str) -> String {
    text.replace('`', "").render().into_string()
}

#[cfg(test)]
mod tests {
    use super::{Bar, chart};

    #[test]
    fn each_ratio_is_coloured_by_its_limit() {
        let bar = |what: &str, ratio, limit| Bar { what: what.to_owned(), ratio, limit };
        let bars = [bar("a < b", 0.5, Some(0.8)), bar("c", 3.0, Some(1.5)), bar("d", 20.0, None)];
        let svg = chart("PostgreSQL 18, 2 cores, `fsync = on`", &bars);
        let classes: Vec<&str> =
            svg.lines().filter_map(|line| line.split_once("<rect class=\"")?.1.split('"').next()).collect();
        assert_eq!(classes, ["met", "missed", "other"]);
        assert!(
            svg.contains("a &lt; b") && svg.contains(">20.00 ×<") && svg.contains("PostgreSQL 18, 2 cores<")
        );
    }
}
