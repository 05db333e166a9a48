//! `lucency eval vqa`: question answering of a pack, of a training run, or of several seeds.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::evaluate::{
    Answerer, ControlReport, RunAnswerer, VqaControls, VqaReport, VqaSet, evaluate_vqa,
};
use lucency_assistant::{AssistantError, Interrupt, Progress};
use lucency_train::curves::{Chart, Series, draw};
use lucency_train::vqa::seed_runs;
use serde::Serialize;

use super::assist::PackChoice;
use super::table::beside;
use super::train::{FormatChoice, LanguageChoice};
use crate::output::{CommandError, Output};

/// `lucency eval vqa --data DIR --questions FILE.json`
#[derive(Args)]
pub struct Vqa {
    /// Folder with the images, however deep
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Questions and answers; a plain name is looked up in --data
    #[arg(long, value_name = "FILE.json")]
    questions: PathBuf,
    /// Layout of the question file
    #[arg(long, value_enum, default_value_t = FormatChoice::Auto)]
    format: FormatChoice,
    /// Language of SLAKE's questions
    #[arg(long, value_enum, default_value_t = LanguageChoice::En)]
    language: LanguageChoice,
    /// Measure also with blank and with shuffled images: what the images are worth
    #[arg(long)]
    controls: bool,
    /// Measure a run of `train vqa` in place of a pack
    #[arg(long, value_name = "RUN", conflicts_with = "pack")]
    run: Option<PathBuf>,
    /// How many seeds of the run to measure; their mean and standard deviation are given [default: all]
    #[arg(long, requires = "run")]
    seeds: Option<usize>,
    /// Ask the run about the mean of so many small views of each image, itself among them [default: as it was trained]
    #[arg(long, value_name = "N", requires = "run", value_parser = clap::value_parser!(u64).range(1..=32))]
    views: Option<u64>,
    /// Pack whose image tower gives the run's CLIP features [default: the one it was trained with]
    #[arg(long, value_name = "PACK", requires = "run")]
    encoder: Option<String>,
    /// Folder for report.json, reliability.svg and risk-coverage.svg
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pack: PackChoice,
}

/// What several seeds gave.
#[derive(Serialize)]
struct Seeds {
    seeds: Vec<VqaReport>,
    mean: Spread,
    sd: Spread,
}

/// A figure of each rate over seeds.
#[derive(Serialize)]
struct Spread {
    open: Option<f64>,
    closed: Option<f64>,
    overall: f64,
    ece: f64,
    shuffled_fall: Option<f64>,
}

impl Vqa {
    /// Measures and prints.
    pub fn run(
        &self,
        output: Output,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), CommandError> {
        let Some(run) = &self.run else {
            let assistant = self.pack.open()?;
            let measured = self.measure(&assistant, stop, report)?;
            self.keep(&measured, &measured)?;
            return output.print(&measured, text);
        };
        let mut folders = seed_runs(run).map_err(AssistantError::from)?;
        if let Some(wanted) = self.seeds {
            if wanted == 0 || wanted > folders.len() {
                return Err(CommandError::new(
                    "bad_arguments",
                    format!(
                        "the run has {} seeds, so --seeds {wanted} cannot be measured",
                        folders.len()
                    ),
                ));
            }
            folders.truncate(wanted);
        }
        let encoder = self.encoder.clone().or_else(|| noted_encoder(run));
        let mut reports = Vec::new();
        for folder in &folders {
            let answerer = RunAnswerer::open(folder, encoder.as_deref())?.with_views(self.views);
            reports.push(self.measure(&answerer, stop, report)?);
        }
        if let [measured] = reports.as_slice() {
            self.keep(measured, measured)?;
            return output.print(measured, text);
        }
        let all = Seeds {
            mean: spread(&reports, mean),
            sd: spread(&reports, deviation),
            seeds: reports,
        };
        if let Some(first) = all.seeds.first() {
            self.keep(&all, first)?;
        }
        output.print(&all, seeds_text)
    }

    fn measure(
        &self,
        answerer: &dyn Answerer,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<VqaReport, CommandError> {
        let set = VqaSet {
            data: self.data.clone(),
            questions: beside(&self.data, &self.questions),
            format: self.format.into(),
            language: self.language.into(),
        };
        let controls = match self.controls {
            true => VqaControls::BlankAndShuffled,
            false => VqaControls::Off,
        };
        Ok(evaluate_vqa(answerer, &set, controls, stop, report)?)
    }

    /// Writes the report and its diagrams where `--out` says; with several seeds the diagrams are the first's.
    fn keep<T: Serialize>(&self, all: &T, drawn: &VqaReport) -> Result<(), CommandError> {
        let Some(out) = &self.out else {
            return Ok(());
        };
        let write = |name: &str, text: String| {
            std::fs::write(out.join(name), text)
                .map_err(|e| CommandError::new("io", format!("{}: {e}", out.join(name).display())))
        };
        std::fs::create_dir_all(out)
            .map_err(|e| CommandError::new("io", format!("{}: {e}", out.display())))?;
        let json = serde_json::to_string_pretty(all)
            .map_err(|e| CommandError::new("json", e.to_string()))?;
        write("report.json", json)?;
        write("reliability.svg", draw(&[reliability(drawn)]))?;
        write("risk-coverage.svg", draw(&[risk(drawn)]))
    }
}

/// The pack that `train vqa` noted beside the runs.
fn noted_encoder(run: &Path) -> Option<String> {
    let text = std::fs::read_to_string(run.join("encoder.txt")).ok()?;
    Some(text.trim().to_owned())
}

fn reliability(report: &VqaReport) -> Chart {
    let points = |y: fn(&lucency_assistant::evaluate::ReliabilityBin) -> f64| {
        let bins = report.reliability.iter();
        bins.map(|b| (b.confidence, y(b))).collect()
    };
    Chart {
        title: format!("Reliability, calibration error {:.3}", report.ece),
        x: "confidence".into(),
        series: vec![
            Series {
                name: "accuracy".into(),
                points: points(|b| b.accuracy),
            },
            Series {
                name: "ideal".into(),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
            },
        ],
    }
}

fn risk(report: &VqaReport) -> Chart {
    Chart {
        title: format!("Risk and coverage, area {:.3}", report.area_under_risk),
        x: "share of questions answered".into(),
        series: vec![Series {
            name: "error rate".into(),
            points: report.risk_coverage.clone(),
        }],
    }
}

fn spread(reports: &[VqaReport], of: fn(&[f64]) -> f64) -> Spread {
    let all = |pick: &dyn Fn(&VqaReport) -> Option<f64>| -> Option<f64> {
        let values: Option<Vec<f64>> = reports.iter().map(pick).collect();
        values.map(|v| of(&v))
    };
    let each = |pick: fn(&VqaReport) -> f64| of(&reports.iter().map(pick).collect::<Vec<_>>());
    Spread {
        open: all(&|r| r.open),
        closed: all(&|r| r.closed),
        overall: each(|r| r.overall),
        ece: each(|r| r.ece),
        shuffled_fall: all(&|r| r.shuffled_image.map(|c| c.fall)),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample's standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

fn rate(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |v| format!("{v:.3}"))
}

fn text(r: &VqaReport) -> String {
    let mut lines = vec![
        format!("n                  {}", r.n),
        format!("open               {}", rate(r.open)),
        format!("closed             {}", rate(r.closed)),
        format!("overall            {:.3}", r.overall),
        format!("ECE                {:.3}", r.ece),
        format!("coverage           {:.3}", r.coverage),
        format!("selective accuracy {}", rate(r.selective_accuracy)),
        format!("area under risk    {:.3}", r.area_under_risk),
        format!("image no matter    {:.3}", r.image_made_no_difference),
    ];
    lines.extend(r.blank_image.map(|c| control("blank image", &c)));
    lines.extend(r.shuffled_image.map(|c| control("shuffled image", &c)));
    for (title, table) in [
        ("question type", &r.by_question_type),
        ("organ", &r.by_organ),
        ("phrase type", &r.by_phrase_type),
    ] {
        if !table.is_empty() {
            lines.push(format!("by {title}:"));
        }
        for (name, (n, accuracy)) in table {
            lines.push(format!("  {name:16} {n:5} {accuracy:.3}"));
        }
    }
    lines.join("\n")
}

fn control(name: &str, c: &ControlReport) -> String {
    format!(
        "{name}: open {}, closed {}, overall {:.3}, falls by {:.3}",
        rate(c.open),
        rate(c.closed),
        c.overall,
        c.fall
    )
}

fn seeds_text(all: &Seeds) -> String {
    let mut lines: Vec<String> = all
        .seeds
        .iter()
        .enumerate()
        .map(|(i, r)| {
            let (open, closed) = (rate(r.open), rate(r.closed));
            format!(
                "seed {}: open {open} closed {closed} overall {:.3}",
                i + 1,
                r.overall
            )
        })
        .collect();
    let pair = |m: Option<f64>, s: Option<f64>| format!("{} ± {}", rate(m), rate(s));
    let (m, s) = (&all.mean, &all.sd);
    lines.push(format!("open           {}", pair(m.open, s.open)));
    lines.push(format!("closed         {}", pair(m.closed, s.closed)));
    lines.push(format!(
        "overall        {:.3} ± {:.3}",
        m.overall, s.overall
    ));
    lines.push(format!("ECE            {:.3} ± {:.3}", m.ece, s.ece));
    if m.shuffled_fall.is_some() {
        lines.push(format!(
            "shuffled falls {}",
            pair(m.shuffled_fall, s.shuffled_fall)
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_means_and_sample_deviations() {
        assert!((mean(&[0.6, 0.7, 0.8]) - 0.7).abs() < 1e-12);
        assert!((deviation(&[0.6, 0.7, 0.8]) - 0.1).abs() < 1e-12);
        assert_eq!(deviation(&[0.6]), 0.0);
    }
}
