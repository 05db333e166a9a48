//! `lucency eval`: measures of a pack on data that the caller names.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lucency_assistant::Interrupt;
use lucency_assistant::evaluate::{self, VqaControls, VqaReport, ZeroShotReport};

use super::assist::{PackChoice, progress_line};
use crate::output::{CommandError, Output};

/// What to measure.
#[derive(Subcommand)]
pub enum Eval {
    /// Question answering on a file in VQA-RAD's JSON form
    Vqa(Vqa),
    /// Zero-shot classification of a folder per class
    Zeroshot(ZeroShot),
}

/// `lucency eval vqa --data DIR --questions FILE.json`
#[derive(Args)]
pub struct Vqa {
    /// Folder with the images, however deep
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Questions and answers
    #[arg(long, value_name = "FILE.json")]
    questions: PathBuf,
    /// Measure also with blank and with shuffled images: what the images are worth
    #[arg(long)]
    controls: bool,
    #[command(flatten)]
    pack: PackChoice,
}

/// `lucency eval zeroshot --data DIR`
#[derive(Args)]
pub struct ZeroShot {
    /// Folder with a folder of images for each class
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    pack: PackChoice,
}

impl Eval {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let (stop, mut report) = (Interrupt::new(), progress_line());
        match self {
            Eval::Vqa(vqa) => {
                let assistant = vqa.pack.open()?;
                let controls = match vqa.controls {
                    true => VqaControls::BlankAndShuffled,
                    false => VqaControls::Off,
                };
                let measured = evaluate::evaluate_vqa(
                    &assistant,
                    &vqa.data,
                    &vqa.questions,
                    controls,
                    &stop,
                    &mut report,
                )?;
                output.print(&measured, vqa_text)
            }
            Eval::Zeroshot(zeroshot) => {
                let assistant = zeroshot.pack.open()?;
                let measured =
                    evaluate::evaluate_zeroshot(&assistant, &zeroshot.data, &stop, &mut report)?;
                output.print(&measured, zeroshot_text)
            }
        }
    }
}

fn vqa_text(r: &VqaReport) -> String {
    let rate = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let mut lines = vec![
        format!("n                  {}", r.n),
        format!("open               {}", rate(r.open)),
        format!("closed             {}", rate(r.closed)),
        format!("overall            {:.3}", r.overall),
        format!("ECE                {:.3}", r.ece),
        format!("coverage           {:.3}", r.coverage),
        format!("selective accuracy {}", rate(r.selective_accuracy)),
        format!("image no matter    {:.3}", r.image_made_no_difference),
    ];
    for (name, control) in [
        ("blank image", r.blank_image),
        ("shuffled image", r.shuffled_image),
    ] {
        if let Some(c) = control {
            lines.push(format!(
                "{name}: open {}, closed {}, overall {:.3}",
                rate(c.open),
                rate(c.closed),
                c.overall
            ));
        }
    }
    for (kind, (n, accuracy)) in &r.by_question_type {
        lines.push(format!("{kind:10} {n:5} {accuracy:.3}"));
    }
    lines.join("\n")
}

fn zeroshot_text(r: &ZeroShotReport) -> String {
    let mut lines = vec![
        format!("n                 {}", r.n),
        format!("accuracy          {:.3}", r.accuracy),
        format!("balanced accuracy {:.3}", r.balanced_accuracy),
    ];
    if r.unreadable > 0 {
        lines.push(format!("unreadable        {}", r.unreadable));
    }
    for c in &r.per_class_recall {
        lines.push(format!("{:16} {:5} {:.3}", c.class, c.n, c.recall));
    }
    lines.join("\n")
}
