//! `lucency train probe`: logistic regression on a pack's frozen features.

use clap::{Args, ValueEnum};
use lucency_assistant::dto::{CalibrationMethod, TrainingMethod, TrainingOptions, TrainingRequest};
use lucency_assistant::finetune::{Background, preset_of_method, remove_run, start_run};
use lucency_train::finetune::FeatureSet;
use lucency_train::probe::{ClassWeights, ProbePlan, SelectBy};

use super::super::table::DataArgs;
use super::tune::{go_on, now};
use super::{CalibrationChoice, options};
use crate::output::{CommandError, Output};

/// `lucency train probe --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL --name NAME`
#[derive(Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the run and of its adapter
    #[arg(long)]
    name: String,
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// What the probe reads; `auto` takes texture unless another predicts left-out patients clearly better
    #[arg(long, value_enum, default_value_t = FeatureChoice::Auto)]
    features: FeatureChoice,
    /// What decides between regularisation strengths and features
    #[arg(long, value_enum, default_value_t = SelectChoice::Auroc)]
    select: SelectChoice,
    /// Let every case count alike; else classes count alike in sum
    #[arg(long)]
    equal_weights: bool,
    /// How logits become probabilities, fitted on left-out scores [default: a temperature and an offset a class; Platt for findings]
    #[arg(long, value_enum)]
    calibration: Option<CalibrationChoice>,
    /// Folds of whole patients in cross-validation
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of the folds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cores at most [default: all]
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// A remark that is kept with the adapter
    #[arg(long, default_value = "")]
    notes: String,
}

/// What a probe reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FeatureChoice {
    Auto,
    Texture,
    Layout,
    Embedding,
}

impl FeatureChoice {
    fn sets(self) -> Vec<FeatureSet> {
        match self {
            Self::Auto => FeatureSet::ALL.to_vec(),
            Self::Embedding => vec![FeatureSet::Embedding],
            Self::Texture => vec![FeatureSet::Texture],
            Self::Layout => vec![FeatureSet::Layout],
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SelectChoice {
    Auroc,
    Loss,
}

impl ProbeArgs {
    /// Trains, judges, writes the adapter and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let options = options()?;
        let request = TrainingRequest {
            name: self.name.clone(),
            preset: preset_of_method(TrainingMethod::Probe),
            data: self.data.data(&options)?,
            pack: self.pack.clone(),
            options: TrainingOptions {
                seed: Some(self.seed),
                calibration: self.calibration.map(CalibrationMethod::from),
                ..TrainingOptions::default()
            },
            cores: Some(self.cores.unwrap_or(usize::MAX)),
            notes: self.notes.clone(),
        };
        let background = Background {
            probe: Some((self.plan(), self.features.sets())),
            ..Background::default()
        };
        let run = start_run(&options, &request, &now())?;
        go_on(&options, &run, &background, output).inspect_err(|_| {
            // A probe has no step to go on from: what failed is begun anew under the same name.
            let _ = remove_run(&options, &self.name);
        })
    }

    fn plan(&self) -> ProbePlan {
        ProbePlan {
            folds: self.folds,
            weights: match self.equal_weights {
                true => ClassWeights::Equal,
                false => ClassWeights::Balanced,
            },
            select: match self.select {
                SelectChoice::Auroc => SelectBy::Auroc,
                SelectChoice::Loss => SelectBy::Loss,
            },
            seed: self.seed,
            ..ProbePlan::default()
        }
    }
}
