//! `lucency eval learning`: what a method makes of few labels.

use clap::{Args, ValueEnum};
use lucency_assistant::dto::{TrainingMethod, TrainingOptions};
use lucency_assistant::finetune::{
    Amount, LearningCurve, LearningPlan, Recall, RetrievalCurve, RetrievalPlan, learning_curve,
    retrieval_curve,
};
use lucency_assistant::{Interrupt, Progress};

use super::super::table::DataArgs;
use super::options;
use super::tune::Recipe;
use crate::output::{CommandError, Output};

/// `lucency eval learning --method probe --shots 1,5,25,100 --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL`
#[derive(Args)]
pub struct Learning {
    #[command(flatten)]
    data: DataArgs,
    /// Which method learns
    #[arg(long, value_enum, default_value_t = MethodChoice::Probe)]
    method: MethodChoice,
    /// Labelled cases of each class, or pairs of image and report [default: 1,5,25,100; all pairs]
    #[arg(long, value_delimiter = ',', conflicts_with = "shares")]
    shots: Vec<usize>,
    /// Percent of each class's cases, such as 1,10,100, in place of numbers of cases
    #[arg(long, value_delimiter = ',', value_parser = percent)]
    shares: Vec<f64>,
    /// Judge all cases, each by what was learned from the other patients' folds [default: two fifths of the patients; 5 folds of pairs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=20))]
    folds: Option<u64>,
    /// Recipe of contrastive training
    #[arg(long, value_enum, default_value_t = Recipe::Reports)]
    preset: Recipe,
    /// Passes over the training cases
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Highest learning rate
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// Whether contrastive training leaves the image tower as it is
    #[arg(long, value_name = "BOOL")]
    locked_images: Option<bool>,
    /// Seed of division and choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
}

/// Methods that learn from labels, and the one that learns from reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodChoice {
    Probe,
    Lora,
    Ia3,
    Prefix,
    Prompt,
    Full,
    Contrastive,
}

impl MethodChoice {
    /// The method, if it learns from labels.
    fn learning_from_labels(self) -> Option<TrainingMethod> {
        match self {
            Self::Probe => Some(TrainingMethod::Probe),
            Self::Lora => Some(TrainingMethod::Lora),
            Self::Ia3 => Some(TrainingMethod::Ia3),
            Self::Prefix => Some(TrainingMethod::Prefix),
            Self::Prompt => Some(TrainingMethod::Prompt),
            Self::Full => Some(TrainingMethod::Full),
            Self::Contrastive => None,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100.0 => Ok(value),
        _ => Err("a share is a number above 0 and at most 100".into()),
    }
}

impl Learning {
    fn amounts(&self) -> Vec<Amount> {
        let any = !self.shares.is_empty() || !self.shots.is_empty();
        if self.method == MethodChoice::Contrastive && !any {
            return vec![Amount::Percent(100.0)];
        }
        if !self.shares.is_empty() {
            return self.shares.iter().map(|p| Amount::Percent(*p)).collect();
        }
        let shots: &[usize] = match self.shots.as_slice() {
            [] => &[1, 5, 25, 100],
            shots => shots,
        };
        shots.iter().map(|n| Amount::Shots(*n)).collect()
    }

    /// Draws the curve and prints it.
    pub fn run(
        &self,
        output: Output,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CommandError> {
        let options = options()?;
        let data = self.data.data(&options)?;
        let pack = self.pack.as_deref();
        let numbers = TrainingOptions {
            epochs: self.epochs,
            rate: self.rate,
            locked_images: self.locked_images,
            seed: Some(self.seed),
            ..TrainingOptions::default()
        };
        let folds = self.folds.map(|n| n as usize);
        let Some(method) = self.method.learning_from_labels() else {
            let plan = RetrievalPlan {
                preset: self.preset.preset(),
                amounts: self.amounts(),
                folds: folds.unwrap_or(5),
                options: numbers,
            };
            let curve = retrieval_curve(&options, &plan, &data, pack, stop, progress)?;
            return output.print(&curve, retrieval_text);
        };
        let plan = LearningPlan {
            method,
            amounts: self.amounts(),
            folds,
            options: numbers,
        };
        let curve = learning_curve(&options, &plan, &data, pack, stop, progress)?;
        output.print(&curve, text)
    }
}

fn text(curve: &LearningCurve) -> String {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let line = |name: String, value, low, high| {
        format!(
            "{name:>10}  {} ({} to {})",
            number(value),
            number(low),
            number(high)
        )
    };
    let mut lines = vec![
        format!(
            "{} judged cases of {} patients",
            curve.judged_cases, curve.judged_patients
        ),
        line(
            "zero-shot".into(),
            curve.base_auroc,
            curve.base_auroc_low,
            curve.base_auroc_high,
        ),
    ];
    for point in &curve.points {
        lines.push(match &point.note {
            Some(note) => format!("{:>10}  {note}", point.amount.to_string()),
            None => line(
                point.amount.to_string(),
                point.auroc,
                point.auroc_low,
                point.auroc_high,
            ),
        });
    }
    lines.join("\n")
}

fn retrieval_text(curve: &RetrievalCurve) -> String {
    let mut lines = Vec::new();
    for point in &curve.points {
        let found = &point.retrieval;
        lines.push(format!(
            "{}: {} pairs learned from in each of {} folds, {} pairs of {} patients judged",
            point.amount, point.cases, curve.folds, found.pairs, found.pair_patients
        ));
        for (name, direction) in [
            ("report of an image", &found.image_to_report),
            ("image of a report", &found.report_to_image),
        ] {
            for (after, before) in direction.adapted.iter().zip(&direction.base) {
                let range = |r: &Recall| match (r.low, r.high) {
                    (Some(low), Some(high)) => format!("{:.3} ({low:.3} to {high:.3})", r.value),
                    _ => format!("{:.3}", r.value),
                };
                lines.push(format!(
                    "  {name}, recall@{}: {} after {}",
                    after.k,
                    range(after),
                    range(before)
                ));
            }
        }
        let gain = found.gain.as_ref().map_or(String::new(), |gain| {
            format!(", gain {:.3} to {:.3}", gain.low, gain.high)
        });
        lines.push(format!(
            "  recall@5 both ways: {:.3} after {:.3}{gain}",
            found.recall_at_5, found.base_recall_at_5
        ));
    }
    lines.join("\n")
}
