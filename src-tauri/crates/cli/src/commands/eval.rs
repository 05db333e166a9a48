//! `lucency eval`: measures of a pack on data that the caller names.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lucency_assistant::Interrupt;
use lucency_assistant::evaluate::{self, RefusalRate, ZeroShotReport};
use serde::Serialize;

use super::assist::{PackChoice, progress_line};
use super::eval_retrieval::RetrievalOf;
use super::eval_vqa::Vqa;
use super::finetune::{FinetuneEval, Learning};
use crate::output::{CommandError, Output};

/// What to measure.
#[derive(Subcommand)]
pub enum Eval {
    /// Retrieval between images and reports: recall in both directions over all pairs
    Retrieval(RetrievalOf),
    /// Question answering on a file in VQA-RAD's or SLAKE's JSON form
    Vqa(Box<Vqa>),
    /// Zero-shot classification of a folder per class
    Zeroshot(ZeroShot),
    /// How many images are refused: radiographs, and images that are none
    Guard(Guard),
    /// An adapter beside its base pack, on cases of other patients
    Finetune(Box<FinetuneEval>),
    /// What a method makes of few labels: a learning curve on patients that stay the same
    Learning(Box<Learning>),
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

/// `lucency eval guard --data DIR --foreign DIR`
#[derive(Args)]
pub struct Guard {
    /// Folder with images that should be answered from, however deep; may be given several times
    #[arg(long, value_name = "DIR", required_unless_present = "foreign")]
    data: Vec<PathBuf>,
    /// Folder with images that should be refused, however deep; may be given several times
    #[arg(long, value_name = "DIR")]
    foreign: Vec<PathBuf>,
    #[command(flatten)]
    pack: PackChoice,
}

/// Refusals by folder.
#[derive(Serialize)]
struct Refusals {
    data: Vec<RefusalRate>,
    foreign: Vec<RefusalRate>,
}

impl Eval {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let (stop, mut report) = (Interrupt::new(), progress_line());
        match self {
            Eval::Retrieval(retrieval) => retrieval.run(output, &stop, &mut report),
            Eval::Vqa(vqa) => vqa.run(output, &stop, &mut report),
            Eval::Learning(learning) => learning.run(output, &stop, &mut report),
            Eval::Finetune(finetune) => finetune.run(output, &stop, &mut report),
            Eval::Guard(guard) => {
                let assistant = guard.pack.open()?;
                let mut rates =
                    |folders| evaluate::evaluate_guard(&assistant, folders, &stop, &mut report);
                let measured = Refusals {
                    data: rates(&guard.data)?,
                    foreign: rates(&guard.foreign)?,
                };
                output.print(&measured, guard_text)
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

fn guard_text(r: &Refusals) -> String {
    let line = |kind: &str, r: &RefusalRate| {
        let far = r.unlikeness.map_or(String::new(), |[median, high, largest]| {
            format!("; unlikeness median {median:.2}, nine in ten below {high:.2}, at most {largest:.2}")
        });
        format!(
            "{kind} {}: {} of {} refused ({:.1} %), {} as no radiograph, {} as unlike the training images; {} unreadable{far}",
            r.folder,
            r.not_a_radiograph + r.unlike_training,
            r.n,
            r.refused * 100.0,
            r.not_a_radiograph,
            r.unlike_training,
            r.unreadable
        )
    };
    let data = r.data.iter().map(|rate| line("data", rate));
    let foreign = r.foreign.iter().map(|rate| line("foreign", rate));
    data.chain(foreign).collect::<Vec<_>>().join("\n")
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
