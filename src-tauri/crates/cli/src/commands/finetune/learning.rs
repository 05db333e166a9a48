//! `lucency eval learning`: what a method makes of few labels.

use clap::{Args, ValueEnum};
use lucency_assistant::dto::{TrainingMethod, TrainingOptions};
use lucency_assistant::finetune::{Amount, LearningCurve, LearningPlan, learning_curve};
use lucency_assistant::{Interrupt, Progress};

use super::super::table::DataArgs;
use super::options;
use crate::output::{CommandError, Output};

/// `lucency eval learning --method probe --shots 1,5,25,100 --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL`
#[derive(Args)]
pub struct Learning {
    #[command(flatten)]
    data: DataArgs,
    /// Which method learns
    #[arg(long, value_enum, default_value_t = MethodChoice::Probe)]
    method: MethodChoice,
    /// Labelled cases of each class [default: 1,5,25,100]
    #[arg(long, value_delimiter = ',', conflicts_with = "shares")]
    shots: Vec<usize>,
    /// Percent of each class's cases, such as 1,10,100, in place of numbers of cases
    #[arg(long, value_delimiter = ',', value_parser = percent)]
    shares: Vec<f64>,
    /// Passes over the training cases
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Seed of division and choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
}

/// Methods that learn from labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodChoice {
    Probe,
    Lora,
    Ia3,
    Prefix,
    Prompt,
    Full,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 100.0 => Ok(value),
        _ => Err("a share is a number above 0 and at most 100".into()),
    }
}

impl Learning {
    fn amounts(&self) -> Vec<Amount> {
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
        let plan = LearningPlan {
            method: match self.method {
                MethodChoice::Probe => TrainingMethod::Probe,
                MethodChoice::Lora => TrainingMethod::Lora,
                MethodChoice::Ia3 => TrainingMethod::Ia3,
                MethodChoice::Prefix => TrainingMethod::Prefix,
                MethodChoice::Prompt => TrainingMethod::Prompt,
                MethodChoice::Full => TrainingMethod::Full,
            },
            amounts: self.amounts(),
            options: TrainingOptions {
                epochs: self.epochs,
                seed: Some(self.seed),
                ..TrainingOptions::default()
            },
        };
        let data = self.data.data(&options)?;
        let pack = self.pack.as_deref();
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
