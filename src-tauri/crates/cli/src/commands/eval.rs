//! `lucency eval`: measures of a pack on data that the caller names.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lucency_assistant::Interrupt;
use lucency_assistant::evaluate::{self, ZeroShotReport};

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

impl Eval {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let (stop, mut report) = (Interrupt::new(), progress_line());
        match self {
            Eval::Retrieval(retrieval) => retrieval.run(output, &stop, &mut report),
            Eval::Vqa(vqa) => vqa.run(output, &stop, &mut report),
            Eval::Learning(learning) => learning.run(output, &stop, &mut report),
            Eval::Finetune(finetune) => finetune.run(output, &stop, &mut report),
            Eval::Zeroshot(zeroshot) => {
                let assistant = zeroshot.pack.open()?;
                let measured =
                    evaluate::evaluate_zeroshot(&assistant, &zeroshot.data, &stop, &mut report)?;
                output.print(&measured, zeroshot_text)
            }
        }
    }
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
