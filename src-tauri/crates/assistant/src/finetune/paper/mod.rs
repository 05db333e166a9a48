//! An adapter's report on paper: a PDF file with what the window's report page shows.

mod sheet;

use lucency_zoo::preprocess::Image8;

use super::{adapter_report, run_detail};
use crate::dto::{AdapterReport, ClassPlots, ConfusionTable, FigureInterval, PlotPoint, ReportRow};
use crate::error::{AssistantError, Result};
use crate::{Options, picture};
use sheet::{BOLD, Grey, PLAIN, QUIET, Sheet, Style, WARNING, WIDTH};

/// The notice below every page.
const NOTICE: &str = "Lucency – research use only, not a medical device";
/// Sides of a plot and of a worst error's picture, points.
const PLOT: f32 = 150.0;
const PICTURE: f32 = 88.0;
/// Longest side of a picture in the file, pixels.
const PIXELS: usize = 192;
const MARGIN: f32 = 48.0;
const ADAPTER: [f32; 3] = [0.04, 0.36, 0.68];
const ALONE: [f32; 3] = [0.45, 0.5, 0.55];
const FRAME: [f32; 3] = [0.72, 0.75, 0.78];

/// The report of a run, or of an adapter, as a PDF file.
///
/// - `name`: a run's, or an adapter's that came from elsewhere
/// - returns the file's bytes and its number of pages
///
/// Errors if there is neither, or the run left no adapter.
pub fn report_pdf(options: &Options, name: &str) -> Result<(Vec<u8>, usize)> {
    let adapter = match run_detail(options, name) {
        Ok(detail) => detail.run.adapter.ok_or_else(|| {
            super::refuse(
                "no_report",
                format!("the run `{name}` has no report yet: it left no adapter"),
            )
        })?,
        Err(AssistantError::Training { code: "no_run", .. }) => name.to_owned(),
        Err(other) => return Err(other),
    };
    let report = adapter_report(options, &adapter)?;
    page(&report).finish(&format!("Report of {adapter}"), NOTICE)
}

fn page(report: &AdapterReport) -> Sheet {
    let mut sheet = Sheet::new();
    let adapter = &report.adapter;
    let title = Style { size: 16.0, ..BOLD };
    sheet.paragraph(&format!("Report of {}", adapter.name), title);
    let method = format!("{:?}", adapter.method);
    let day = adapter.created.get(..10).unwrap_or_default();
    sheet.paragraph(
        &format!(
            "{method} on the pack {}, {day}. {}",
            adapter.pack, adapter.notes
        ),
        PLAIN,
    );
    sheet.paragraph(
        &format!(
            "Judged on {} cases of {} patients ({}), beside the pack alone on the same cases. Intervals are 95 %, over patients.",
            report.cases, report.patients, report.judged_on
        ),
        QUIET,
    );
    verdict(&mut sheet, report);
    if !report.rows.is_empty() {
        sheet.heading("Before and after");
        sheet.table(
            &[139.0, 40.0, 110.0, 110.0, 50.0, 50.0],
            &figures(&report.rows),
        );
    }
    if !report.retrieval.is_empty() {
        sheet.heading("Retrieval");
        sheet.table(&[139.0, 40.0, 130.0, 130.0], &retrieval(report));
    }
    if let (Some(after), Some(before)) = (report.accuracy, report.base_accuracy) {
        let line = format!(
            "The likeliest class is the true one in {:.1} % of the judged cases; with the pack alone in {:.1} %.",
            100.0 * after,
            100.0 * before
        );
        sheet.paragraph(&line, PLAIN);
    }
    if !report.plots.is_empty() {
        sheet.heading("ROC and reliability");
        sheet.paragraph("Blue: with the adapter. Grey: the pack alone.", QUIET);
        report
            .plots
            .iter()
            .for_each(|plots| draw_plots(&mut sheet, plots));
    }
    if let Some(table) = &report.confusion {
        for (name, cells) in [
            ("with the adapter", &table.after),
            ("the pack alone", &table.before),
        ] {
            sheet.heading(&format!("Confusion, {name} (true class in rows)"));
            confusion(&mut sheet, table, cells);
        }
    }
    forgotten(&mut sheet, report);
    worst(&mut sheet, report);
    if !report.trained.is_empty() {
        sheet.heading("Trained on");
        let part = |c: &crate::dto::ClassCount| {
            format!("{}: {} cases of {} patients", c.name, c.cases, c.patients)
        };
        let all: Vec<String> = report.trained.iter().map(part).collect();
        sheet.paragraph(&all.join("; "), PLAIN);
    }
    sheet.gap(6.0);
    sheet.paragraph(&format!("Pack {}", adapter.pack_hash), QUIET);
    sheet
}

fn verdict(sheet: &mut Sheet, report: &AdapterReport) {
    let adapter = &report.adapter;
    sheet.heading(match adapter.passes {
        true => "Better: it may go live",
        false => "It may not go live",
    });
    if let Some(value) = adapter.value {
        let metric = match adapter.metric.as_str() {
            "auroc" => "AUROC",
            other => other,
        };
        sheet.paragraph(
            &format!(
                "{metric} {value:.3} with the adapter, {} with the pack alone: gain {} {}.",
                number(adapter.base_value),
                report.gain.value.map_or("–".into(), |g| format!("{g:+.3}")),
                interval(&report.gain)
            ),
            PLAIN,
        );
    }
    if adapter.passes {
        let why = "The whole interval of its gain lies above zero, and its probabilities are no less calibrated.";
        sheet.paragraph(why, PLAIN);
    }
    for line in adapter.reasons.iter().chain(&adapter.warnings) {
        sheet.paragraph(&format!("• {line}"), WARNING);
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |v| format!("{v:.3}"))
}

fn interval(figure: &FigureInterval) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("({low:.3} to {high:.3})"),
        _ => String::new(),
    }
}

fn whole(figure: &FigureInterval) -> String {
    format!("{} {}", number(figure.value), interval(figure))
}

fn header(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn figures(rows: &[ReportRow]) -> Vec<Vec<String>> {
    let words = [
        "Class",
        "Cases",
        "AUROC, adapter",
        "AUROC, pack alone",
        "ECE",
        "Brier",
    ];
    let line = |row: &ReportRow| {
        vec![
            row.name.clone(),
            row.n.to_string(),
            whole(&row.after.auroc),
            whole(&row.before.auroc),
            format!("{:.3}", row.after.ece),
            format!("{:.3}", row.after.brier),
        ]
    };
    std::iter::once(header(&words))
        .chain(rows.iter().map(line))
        .collect()
}

fn retrieval(report: &AdapterReport) -> Vec<Vec<String>> {
    let words = [
        "Direction",
        "k",
        "Recall@k, adapter",
        "Recall@k, pack alone",
    ];
    let line = |row: &crate::dto::RecallRow| {
        vec![
            row.direction.clone(),
            row.k.to_string(),
            whole(&row.after),
            whole(&row.before),
        ]
    };
    std::iter::once(header(&words))
        .chain(report.retrieval.iter().map(line))
        .collect()
}

fn forgotten(sheet: &mut Sheet, report: &AdapterReport) {
    if report.forgotten.is_empty() {
        return;
    }
    sheet.heading("What was forgotten");
    sheet.paragraph("Tasks of the demo cases, which no site trains on.", QUIET);
    let words = [
        "Task",
        "Figure",
        "Cases",
        "Adapter",
        "Pack alone",
        "Change (95 %)",
    ];
    let line = |row: &crate::dto::ForgottenRow| {
        let change = FigureInterval {
            value: None,
            low: row.low,
            high: row.high,
        };
        vec![
            row.name.clone(),
            row.measure.clone(),
            row.cases.to_string(),
            format!("{:.3}", row.after),
            format!("{:.3}", row.before),
            format!("{:+.3} {}", row.after - row.before, interval(&change)),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(header(&words))
        .chain(report.forgotten.iter().map(line))
        .collect();
    sheet.table(&[170.0, 50.0, 40.0, 55.0, 60.0, 124.0], &rows);
}

fn confusion(sheet: &mut Sheet, table: &ConfusionTable, cells: &[Vec<usize>]) {
    let width = (WIDTH - 120.0) / table.classes.len().max(1) as f32;
    let widths: Vec<f32> = std::iter::once(120.0)
        .chain(table.classes.iter().map(|_| width.min(90.0)))
        .collect();
    let first = std::iter::once(String::new()).chain(table.classes.iter().cloned());
    let line = |(name, row): (&String, &Vec<usize>)| {
        let numbers = row.iter().map(usize::to_string);
        std::iter::once(name.clone()).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(first.collect())
        .chain(table.classes.iter().zip(cells).map(line))
        .collect();
    sheet.table(&widths, &rows);
}

fn draw_plots(sheet: &mut Sheet, plots: &ClassPlots) {
    sheet.keep_together(PLOT + 34.0);
    sheet.gap(4.0);
    sheet.paragraph(&plots.name, BOLD);
    let bottom = sheet.top() - PLOT - 4.0;
    for (place, title, after, before) in [
        (
            0.0,
            "1 – specificity / sensitivity",
            &plots.roc_after,
            &plots.roc_before,
        ),
        (
            PLOT + 60.0,
            "mean probability / share",
            &plots.reliability_after,
            &plots.reliability_before,
        ),
    ] {
        let (x, y) = (MARGIN + place, bottom);
        let at = |p: &PlotPoint| (x + PLOT * p.x as f32, y + PLOT * p.y as f32);
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        let frame = corners.map(|(u, v)| at(&PlotPoint { x: u, y: v }));
        sheet.stroke(&frame, FRAME, 0.6);
        sheet.stroke(&[frame[0], frame[2]], FRAME, 0.4);
        for (points, ink) in [(before, ALONE), (after, ADAPTER)] {
            let line: Vec<(f32, f32)> = points.iter().map(at).collect();
            if line.len() > 1 {
                sheet.stroke(&line, ink, 1.2);
            }
        }
        sheet.words(x, y - 10.0, title, QUIET);
    }
    sheet.gap(PLOT + 20.0);
}

fn worst(sheet: &mut Sheet, report: &AdapterReport) {
    if report.worst.is_empty() {
        return;
    }
    sheet.heading("Worst errors");
    let across = (WIDTH / (PICTURE + 12.0)) as usize;
    for row in report.worst.chunks(across) {
        sheet.keep_together(PICTURE + 36.0);
        let bottom = sheet.top() - PICTURE - 2.0;
        for (i, case) in row.iter().enumerate() {
            let x = MARGIN + i as f32 * (PICTURE + 12.0);
            // A file that is gone leaves its place empty; the words say what it was.
            if let Ok(picture) = picture::open(std::path::Path::new(&case.path), 1) {
                sheet.picture(x, bottom, PICTURE, &smaller(&picture.image));
            }
            let small = Style { size: 7.0, ..PLAIN };
            sheet.words(
                x,
                bottom - 9.0,
                &format!("true: {}", short(&case.truth)),
                small,
            );
            let said = format!("said: {} ({:.2})", short(&case.said), case.probability);
            sheet.words(x, bottom - 18.0, &said, small);
        }
        sheet.gap(PICTURE + 28.0);
    }
}

/// So much of a word as stands below a picture.
fn short(word: &str) -> String {
    match word.chars().count() > 18 {
        true => word.chars().take(17).chain(['…']).collect(),
        false => word.to_owned(),
    }
}

/// An image in grey, at most [`PIXELS`] wide and high: the mean of the pixels that fall together.
fn smaller(image: &Image8) -> Grey {
    let step = image.width.max(image.height).div_ceil(PIXELS).max(1);
    let (width, height) = (image.width / step, image.height / step);
    let (width, height) = (width.max(1), height.max(1));
    let mut pixels = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut count) = (0usize, 0);
            for v in (y * step)..((y + 1) * step).min(image.height) {
                for u in (x * step)..((x + 1) * step).min(image.width) {
                    let first = (v * image.width + u) * image.channels;
                    sum += image.data[first..first + image.channels]
                        .iter()
                        .map(|b| usize::from(*b))
                        .sum::<usize>();
                    count += image.channels;
                }
            }
            pixels.push((sum / count.max(1)) as u8);
        }
    }
    Grey {
        width,
        height,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_averaged_down_and_keeps_its_shape() {
        let image = Image8 {
            width: 400,
            height: 200,
            channels: 3,
            data: (0..400 * 200)
                .flat_map(|i| {
                    if i % 400 < 200 {
                        [0; 3]
                    } else {
                        [90, 120, 150]
                    }
                })
                .collect(),
        };
        let found = smaller(&image);
        assert_eq!((found.width, found.height), (133, 66));
        assert_eq!((found.pixels[0], found.pixels[132]), (0, 120));
    }
}
