//! Line charts as SVG: a run's curves, reliability, risk and coverage.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::Result;
use crate::best::write_whole;
use crate::log::Log;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// Its points, by rising x.
    pub points: Vec<(f64, f64)>,
}

/// A chart of lines over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Name of the horizontal axis.
    pub x: String,
    /// The lines.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 42.0;
/// Colours that stay apart for colour-blind readers. Source: Okabe and Ito 2008.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];

/// Draws charts below one another as one SVG document; points that are not numbers are left out.
pub fn draw(charts: &[Chart]) -> String {
    let height = HEIGHT * charts.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (i, chart) in charts.iter().enumerate() {
        let _ = write!(svg, "<g transform=\"translate(0 {})\">", i as f64 * HEIGHT);
        draw_one(chart, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_one(chart: &Chart, svg: &mut String) {
    let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    let all = || {
        chart
            .series
            .iter()
            .flat_map(|s| s.points.iter().filter(finite))
    };
    let span = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        match (low.is_finite(), high > low) {
            (true, true) => (low, high),
            (true, false) => (low - 0.5, low + 0.5),
            _ => (0.0, 1.0),
        }
    };
    let (x0, x1) = span(&mut all().map(|p| p.0));
    let (y0, y1) = span(&mut all().map(|p| p.1));
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let at_x = |x: f64| LEFT + (x - x0) / (x1 - x0) * (right - LEFT);
    let at_y = |y: f64| bottom - (y - y0) / (y1 - y0) * (bottom - TOP);
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>",
        escape(&chart.title)
    );
    for k in 0..=4 {
        let share = f64::from(k) / 4.0;
        let (x, y) = (x0 + share * (x1 - x0), y0 + share * (y1 - y0));
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\
             <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{6}</text>",
            at_y(y),
            LEFT - 6.0,
            at_y(y) + 4.0,
            short(y),
            at_x(x),
            bottom + 16.0,
            short(x)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (LEFT + right) / 2.0,
        bottom + 34.0,
        escape(&chart.x)
    );
    for (i, series) in chart.series.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let points: Vec<String> = series
            .points
            .iter()
            .filter(finite)
            .map(|p| format!("{:.1},{:.1}", at_x(p.0), at_y(p.1)))
            .collect();
        let y = TOP + 16.0 * i as f64 + 8.0;
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\
             <text x=\"{}\" y=\"{y}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            right + 8.0,
            escape(&series.name)
        );
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.2}")
    } else {
        format!("{value:.1e}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Draws `curves.svg` of a run's folder from its log: loss, validation figures, learning rate.
///
/// Errors if the log cannot be read or the file not written.
pub fn write(run: &Path) -> Result<()> {
    let lines = Log::read(&run.join("log.jsonl"))?;
    let mut losses: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut figures: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut rate = Vec::new();
    for line in &lines {
        let step = line.step as f64;
        losses
            .entry("loss".into())
            .or_default()
            .push((step, line.loss));
        rate.push((step, line.rate));
        for (name, value) in &line.figures {
            figures
                .entry(name.clone())
                .or_default()
                .push((step, *value));
        }
    }
    let chart = |title: &str, lines: BTreeMap<String, Vec<(f64, f64)>>| Chart {
        title: title.into(),
        x: "step".into(),
        series: lines
            .into_iter()
            .map(|(name, points)| Series { name, points })
            .collect(),
    };
    let mut charts = vec![chart("Training loss", losses)];
    if !figures.is_empty() {
        charts.push(chart("Validation", figures));
    }
    charts.push(chart(
        "Learning rate",
        BTreeMap::from([("rate".to_string(), rate)]),
    ));
    write_whole(&run.join("curves.svg"), draw(&charts).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_holds_every_finite_point_and_escapes_its_names() {
        let chart = Chart {
            title: "a < b".into(),
            x: "step".into(),
            series: vec![Series {
                name: "one & two".into(),
                points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)],
            }],
        };
        let svg = draw(&[chart]);
        assert!(svg.contains("a &lt; b") && svg.contains("one &amp; two"));
        assert!(svg.contains("points=\"60.0,258.0 490.0,34.0\""), "{svg}");
    }
}
