//! `lucency train answers`: the answer head, calibration, and the pack.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights, save_tensors};
use lucency_train::answers::{FitConfig, RankConfig};
use lucency_train::checkpoint::{Checkpoint, State};
use lucency_train::metrics::vqa::VqaScore;
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::AnswerHead;

use super::alternatives::{self, Alternative};
use super::clip::{EARLIER, KEPT_SIDE, TRAIN_SEEDS, demo_config, demo_preprocess};
use super::findings::{self, FindingFigures};
use super::folds::{
    Fitted, Ranked, fit_first_folds, fit_folds, limit_folds, measure, ranker_of, refit_folds,
};
use super::kept::{Kept, key_of};
use super::measured::{Measured, OverSeeds};
use super::pack::{self, Parts};
use super::prompts::Prompts;
use super::questions::{Sources, gather};
use super::recipe::{Pool, Recipe};
use super::views::{self, Towers};
use super::vqa_rad::VqaRad;
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
    /// Other ways to fit the head that are measured beside the plain one, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WAY")]
    alternatives: Vec<Alternative>,
    /// Fit so many seeds of the head and the ranker and give mean and standard deviation of every figure; the first is the one that is
    /// used. An ensemble has as many members.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=32))]
    seeds: u64,
    /// Folds of each kind, of known images and of new ones, that are fitted anew for other seeds and other ways, and with
    /// --validate-only judged at all [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4))]
    fold_limit: Option<u64>,
    /// Measure heads and memories alone, without rankers, and only those of the first folds; writes no pack.
    #[arg(long, requires = "fold_limit")]
    heads_only: bool,
    /// What becomes of the seeds' heads: the first is used, their mean, or one that learned from their mean.
    #[arg(long, value_enum, default_value_t = PoolChoice::First)]
    pool: PoolChoice,
    /// A sentence about the run for the model card.
    #[arg(long)]
    note: Option<String>,
    /// Seed of everything.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// What becomes of the heads of several seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PoolChoice {
    /// The first seed's is used; the others say how far the figures depend on chance.
    First,
    /// Their mean, as one wider head.
    Ensemble,
    /// One head that learned from their mean (Hinton et al. 2015).
    Distilled,
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
        let towers = Towers {
            clip: &clip,
            tokenizer: &tokenizer,
            preprocess: &preprocess,
            kept: Kept {
                folder: self.run.join("kept"),
                towers: key_of(&std::fs::read(checkpoint.averaged())?),
            },
        };
        let mut questions = gather(&towers, &sources)?;
        if self.alternatives.iter().any(|a| a.wants_variants()) {
            views::add_variants(&towers, &mut questions, &vqa)?;
        }
        if self.alternatives.contains(&Alternative::Averaged) {
            questions.averaged = Some(views::averaged(&towers, &questions, &vqa)?);
        }

        let recipe = Recipe {
            questions: &questions,
            how: self.how(self.seed),
            gated: true,
            pool: self.pool(),
            averaged: false,
            stop: &stop,
            kept: self.run.join("folds"),
        };
        let limit = self.fold_limit.map_or(usize::MAX, |n| n as usize);
        if self.heads_only {
            let folds = fit_first_folds(&recipe, &vqa, self.seed, limit)?;
            return self.heads(&recipe, &folds);
        }
        let mut folds = fit_folds(&recipe, &vqa, self.seed)?;
        if self.validate_only {
            limit_folds(&mut folds, limit);
        }
        let data = &questions.data;
        let mut validated = measure(&questions, data, &vqa, &folds, &RankConfig::default())?;
        if self.ablations {
            validated.ablations = ablations::measure(&questions, &vqa, &folds)?;
        }
        if !self.alternatives.is_empty() {
            let (wanted, sizes) = (&self.alternatives, (limit, self.seeds));
            let other = alternatives::measure(&recipe, &folds, wanted, sizes, Ranked::Yes)?;
            validated.ablations.extend(other);
        }
        if self.seeds > 1 && self.pool == PoolChoice::First {
            validated.seeds = self.over_seeds(&recipe, &vqa, &folds, limit)?;
        }
        super::write_json(&self.run.join("validated.json"), &validated)?;
        if self.validate_only {
            return Ok(validated);
        }
        let ranker = ranker_of(folds.iter(), &RankConfig::default())?;
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

    /// The heads and memories of the first folds alone, fitted plainly and in other ways.
    fn heads(&self, recipe: &Recipe<'_>, folds: &[Fitted]) -> Result<Measured> {
        let (wanted, sizes) = (&self.alternatives, (folds.len(), self.seeds));
        let ablations = alternatives::measure(recipe, folds, wanted, sizes, Ranked::No)?;
        let runs = match self.seeds {
            1 => Vec::new(),
            _ => self.heads_over_seeds(recipe, folds)?,
        };
        Ok(Measured {
            answers: BTreeMap::new(),
            threshold: 0.0,
            ablations,
            seeds: OverSeeds::of(&runs),
            findings: None,
        })
    }

    /// The rates of heads and memories, by seed.
    fn heads_over_seeds(
        &self,
        recipe: &Recipe<'_>,
        folds: &[Fitted],
    ) -> Result<Vec<BTreeMap<String, VqaScore>>> {
        (0..self.seeds)
            .map(|k| {
                let seed = Recipe {
                    how: self.how(self.seed + k),
                    ..recipe.clone()
                };
                let folds = refit_folds(&seed, folds, folds.len(), Ranked::No)?;
                alternatives::heads(&seed, &folds)
            })
            .collect()
    }

    /// Mean and standard deviation of every figure over seeds of head and ranker; the folds stay the same.
    fn over_seeds(
        &self,
        first: &Recipe<'_>,
        vqa: &VqaRad,
        folds: &[Fitted],
        limit: usize,
    ) -> Result<BTreeMap<String, OverSeeds>> {
        let runs = (0..self.seeds)
            .map(|k| {
                let recipe = Recipe {
                    how: self.how(self.seed + k),
                    ..first.clone()
                };
                let rank = RankConfig {
                    seed: RankConfig::default().seed + k,
                    ..RankConfig::default()
                };
                let folds = refit_folds(&recipe, folds, limit, Ranked::Yes)?;
                eprintln!("seed {}/{}", k + 1, self.seeds);
                let questions = recipe.questions;
                Ok(measure(questions, recipe.shown(), vqa, &folds, &rank)?.answers)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(OverSeeds::of(&runs))
    }

    fn pool(&self) -> Pool {
        match self.pool {
            PoolChoice::First => Pool::Single,
            PoolChoice::Ensemble => Pool::Ensemble(self.seeds),
            PoolChoice::Distilled => Pool::Distilled(self.seeds),
        }
    }

    fn how(&self, seed: u64) -> FitConfig {
        FitConfig {
            seed,
            epochs: self.epochs,
            batch: 64,
            rate: 3e-3,
            weight_decay: 0.02,
            dropout: 0.4,
            image_dropout: 0.1,
            feature_noise: 0.3,
            label_smoothing: 0.0,
            augment: 0.0,
            mirror: 0.0,
            distil: 0.0,
            heat: 1.0,
        }
    }
}
