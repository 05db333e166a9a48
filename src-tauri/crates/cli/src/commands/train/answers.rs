//! `lucency train answers`: the answer head, calibration, and the pack.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights, save_tensors};
use lucency_train::answers::FitConfig;
use lucency_train::checkpoint::{Checkpoint, State};
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::AnswerHead;

use super::clip::{EARLIER, KEPT_SIDE, TRAIN_SEEDS, demo_config, demo_preprocess};
use super::findings::{self, FindingFigures};
use super::folds::{Recipe, fit_folds, measure, ranker_of};
use super::measured::Measured;
use super::pack::{self, Parts};
use super::prompts::Prompts;
use super::questions::{Sources, gather};
use super::{Preset, ablations, mednist, phantoms, vqa_rad};
use crate::output::{CommandError, Output};

/// Train the demo pack's answer head on a run's towers, calibrate, measure, and write the pack.
#[derive(clap::Args)]
pub struct AnswersArgs {
    /// The recipe.
    #[arg(long, value_enum, default_value_t = Preset::Demo)]
    preset: Preset,
    /// The folder of a `train clip` run.
    #[arg(long)]
    run: PathBuf,
    /// MedNIST: a folder a class.
    #[arg(long)]
    mednist: PathBuf,
    /// VQA-RAD: `train.json` and `images`.
    #[arg(long)]
    vqa_rad: PathBuf,
    /// The pack's folder.
    #[arg(long)]
    out: PathBuf,
    /// Passes over the questions.
    #[arg(long, default_value_t = 16)]
    epochs: u64,
    /// Phantoms to ask about.
    #[arg(long, default_value_t = 2000)]
    phantoms: u64,
    /// Phantoms in the calibration set and in the test set of findings.
    #[arg(long, default_value_t = 500)]
    judged: u64,
    /// Measure on the validation splits only; write no pack.
    #[arg(long)]
    validate_only: bool,
    /// Measure the answerer with parts left out, too.
    #[arg(long)]
    ablations: bool,
    /// A sentence about the run for the model card.
    #[arg(long)]
    note: Option<String>,
    /// Seed of everything.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// First seeds of the phantoms whose findings are calibrated and tested.
const CALIBRATION_SEEDS: u64 = 3_000_000;
const TEST_SEEDS: u64 = 4_000_000;
/// First seed of the phantoms whose questions are held out.
const ASKED_SEEDS: u64 = 2_500_000;

impl AnswersArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let measured = self.train().map_err(CommandError::from)?;
        output.print(&measured, Measured::lines)
    }

    fn train(&self) -> Result<Measured> {
        let Preset::Demo = self.preset;
        let stop = Interrupt::new();
        let report = |p: Progress| super::print_progress(&p);
        let checkpoint = Checkpoint::find(&self.run)?
            .with_context(|| format!("{} holds no checkpoint", self.run.display()))?;
        let tokenizer = ClipTokenizer::load(&self.run.join("tokenizer.json"))?;
        let weights = Weights::open(&checkpoint.averaged(), &Device::Cpu)?;
        let config = demo_config(tokenizer.vocab_size());
        let clip = Clip::load(&weights, &config)?;
        let preprocess = demo_preprocess();
        let prompts = Prompts::demo();

        let vqa = vqa_rad::read(&self.vqa_rad, KEPT_SIDE)?;
        let mednist = mednist::read(&self.mednist, KEPT_SIDE)?;
        let cache = |name: &str, n: u64| self.run.join(format!("{name}-{n}.grey"));
        let asked = phantoms::phantoms(
            TRAIN_SEEDS,
            self.phantoms,
            KEPT_SIDE,
            &cache("asked", self.phantoms),
            &stop,
            &report,
        )?;
        let others = phantoms::phantoms(
            ASKED_SEEDS,
            300,
            KEPT_SIDE,
            &cache("asked-held-out", 300),
            &stop,
            &report,
        )?;
        let sources = Sources {
            vqa: &vqa,
            mednist: &mednist,
            phantoms: &asked,
            held_out: &others,
        };
        let questions = gather(&clip, &tokenizer, &preprocess, &sources)?;

        let recipe = Recipe {
            questions: &questions,
            how: self.how(),
            stop: &stop,
            kept: self.run.join("folds"),
        };
        let folds = fit_folds(&recipe, &vqa, self.seed)?;
        let mut validated = measure(&questions, &vqa, &folds)?;
        if self.ablations {
            validated.ablations = ablations::measure(&questions, &vqa, &folds)?;
        }
        super::write_json(&self.run.join("validated.json"), &validated)?;
        if self.validate_only {
            return Ok(validated);
        }
        let ranker = ranker_of(folds.iter())?;
        let shipped = recipe.learn("shipped", &questions.vqa)?;
        let (mut shipped, mut head_config) = (shipped.tensors, shipped.config);
        head_config.ranker = Some(ranker.0);
        shipped.extend(ranker.1);
        let head_file = self.run.join("answers.safetensors");
        let sorted: BTreeMap<String, Tensor> = shipped.into_iter().collect();
        save_tensors(&sorted, &head_file, DType::F16)?;
        let head = AnswerHead::load(&Weights::open(&head_file, &Device::Cpu)?, &head_config)?;

        let weights_file = self.run.join("model.safetensors");
        pack::save_towers(&weights, &weights_file)?;
        let clip = Clip::load(&Weights::open(&weights_file, &Device::Cpu)?, &config)?;
        let judge_set =
            |first| findings::judge_set(&clip, &preprocess, first, self.judged, &stop, &report);
        let calibration = judge_set(CALIBRATION_SEEDS)?;
        let test = judge_set(TEST_SEEDS)?;
        let found = findings::measure(&clip, &tokenizer, &prompts, &calibration, &test)?;
        let classes = findings::six_classes(&clip, &tokenizer, &preprocess, &prompts, &mednist)?;
        let closed = findings::phantom_questions(&clip, &tokenizer, &head, &test)?;
        let figures = FindingFigures {
            phantom_questions: closed,
            six_classes: classes,
            ..found
        };
        let measured = Measured {
            findings: Some(figures),
            ..validated
        };
        pack::write(
            &self.out,
            &Parts {
                clip_config: config,
                preprocess,
                head: head_config,
                measured: &measured,
                prompts: &prompts,
                weights: &weights_file,
                head_file: &head_file,
                tokenizer: &self.run.join("tokenizer.json"),
                stages: self.stages(checkpoint.state)?,
                note: self.note.as_deref(),
            },
        )?;
        super::write_json(&self.run.join("measured.json"), &measured)?;
        Ok(measured)
    }

    /// The towers' runs: the one that was refined, if any, and the last.
    fn stages(&self, last: State) -> Result<Vec<State>> {
        let path = self.run.join(EARLIER);
        let mut stages = Vec::new();
        if path.is_file() {
            stages.push(serde_json::from_str(&std::fs::read_to_string(&path)?)?);
        }
        stages.push(last);
        Ok(stages)
    }

    fn how(&self) -> FitConfig {
        FitConfig {
            seed: self.seed,
            epochs: self.epochs,
            batch: 64,
            rate: 3e-3,
            weight_decay: 0.02,
            dropout: 0.4,
            image_dropout: 0.1,
            feature_noise: 0.3,
            label_smoothing: 0.0,
        }
    }
}
