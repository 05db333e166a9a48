//! `lucency train answers`: the answer head, calibration, and the pack.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights, save_tensors};
use lucency_train::answers::{
    Control, FitConfig, Judged, fit, fit_recall, fresh_head_weights, judge, with_memory,
};
use lucency_train::calibration::{abstention_threshold, fit_temperature};
use lucency_train::checkpoint::Checkpoint;
use lucency_train::metrics::vqa::{VqaScore, score};
use lucency_train::split::grouped_split;
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig};
use serde::Serialize;

use super::clip::{KEPT_SIDE, TRAIN_SEEDS, demo_config, demo_preprocess};
use super::findings::{self, FindingFigures};
use super::pack::{self, Parts};
use super::prompts::Prompts;
use super::questions::{Questions, Sources, gather};
use super::{Preset, mednist, phantoms, vqa_rad};
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
    #[arg(long, default_value_t = 24)]
    epochs: u64,
    /// Phantoms to ask about.
    #[arg(long, default_value_t = 1500)]
    phantoms: u64,
    /// Phantoms in the calibration set and in the test set of findings.
    #[arg(long, default_value_t = 500)]
    judged: u64,
    /// Measure on the validation splits only; write no pack.
    #[arg(long)]
    validate_only: bool,
    /// Seed of everything.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// First seeds of the phantoms whose findings are calibrated and tested.
const CALIBRATION_SEEDS: u64 = 3_000_000;
const TEST_SEEDS: u64 = 4_000_000;
/// First seed of the phantoms whose questions are held out.
const ASKED_SEEDS: u64 = 2_500_000;
/// Accuracy wanted among answered questions, and the least share that must be answered.
pub const WANTED_ACCURACY: f64 = 0.75;
/// See [`WANTED_ACCURACY`].
pub const LEAST_COVERAGE: f64 = 0.5;

/// Rates of one set of questions.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    /// Questions.
    pub n: usize,
    /// Accuracy on open questions.
    pub open: Option<f64>,
    /// Accuracy on closed questions.
    pub closed: Option<f64>,
    /// Accuracy on all.
    pub overall: f64,
    /// Calibration error.
    pub ece: f64,
    /// Share answered.
    pub coverage: f64,
    /// Accuracy on answered ones.
    pub selective_accuracy: Option<f64>,
}

impl From<VqaScore> for Rates {
    fn from(s: VqaScore) -> Self {
        Self {
            n: s.n,
            open: s.open,
            closed: s.closed,
            overall: s.overall,
            ece: s.ece,
            coverage: s.coverage,
            selective_accuracy: s.selective_accuracy,
        }
    }
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Rates by set and control.
    pub answers: BTreeMap<String, Rates>,
    /// Calibration error of held-out questions before the temperature.
    pub ece_before: f64,
    /// The temperature.
    pub temperature: f64,
    /// The abstention threshold.
    pub threshold: f64,
    /// The memory's four numbers.
    pub recall: Vec<f32>,
    /// Findings and classes.
    pub findings: Option<FindingFigures>,
}

impl AnswersArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let measured = self.train().map_err(CommandError::from)?;
        output.print(&measured, |m| {
            let mut lines: Vec<String> = m
                .answers
                .iter()
                .map(|(name, r)| {
                    format!(
                        "{name}: n {} open {:.3} closed {:.3} overall {:.3} ece {:.3} coverage {:.3} answered {:.3}",
                        r.n,
                        r.open.unwrap_or(f64::NAN),
                        r.closed.unwrap_or(f64::NAN),
                        r.overall,
                        r.ece,
                        r.coverage,
                        r.selective_accuracy.unwrap_or(f64::NAN)
                    )
                })
                .collect();
            lines.push(format!(
                "ECE before {:.3}, temperature {:.3}, threshold {:.3}, recall {:?}",
                m.ece_before, m.temperature, m.threshold, m.recall
            ));
            if let Some(f) = &m.findings {
                lines.push(f.to_string());
            }
            lines.join("\n")
        })
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

        let validated = self.validate(&questions, &vqa, &stop)?;
        if self.validate_only {
            return Ok(validated);
        }
        let (tensors, head_config) = self.ship(&questions, &validated, &stop)?;
        let head_file = self.run.join("answers.safetensors");
        let sorted: BTreeMap<String, Tensor> = tensors.into_iter().collect();
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
                steps: checkpoint.state.step,
                minutes: checkpoint.state.elapsed_s / 60.0,
            },
        )?;
        write_json(&self.run.join("measured.json"), &measured)?;
        Ok(measured)
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

    /// Fits without the held-out questions, and measures on them.
    fn validate(
        &self,
        questions: &Questions,
        vqa: &vqa_rad::VqaRad,
        stop: &Interrupt,
    ) -> Result<Measured> {
        let place =
            |list: &[usize]| -> Vec<usize> { list.iter().map(|i| questions.vqa[*i]).collect() };
        let train = &vqa.by_question.train;
        let each: Vec<u64> = (0..train.len() as u64).collect();
        let inner = grouped_split(&each, 0.12, self.seed);
        let inner_train: Vec<usize> = inner.train.iter().map(|i| train[*i]).collect();
        let inner_held: Vec<usize> = inner.held_out.iter().map(|i| train[*i]).collect();
        let known = place(&inner_train);
        let tuning = place(&inner_held);
        let (mut tensors, mut config) = self.learn(questions, &known, stop)?;
        (tensors, config) = with_memory(&tensors, &config, &questions.data, &known)?;
        let recall = fit_recall(&mut tensors, &config, &questions.data, &tuning)?;
        let head = load(&tensors, &config)?;

        let tuned = judge(&head, &questions.data, &tuning, Control::Image)?;
        let temperature = fit_temperature(&tuned.logits, &tuned.labels)?;
        let by_question = place(&vqa.by_question.held_out);
        let by_image = place(&vqa.by_image.held_out);
        let judged = judge(&head, &questions.data, &by_question, Control::Image)?;
        // The threshold may use both held-out sets of questions: it is a choice of one number.
        let pooled = [&tuned, &judged];
        let threshold = threshold_of(&pooled, temperature)?;
        let mut answers = BTreeMap::new();
        let mut put = |name: &str, j: &Judged| -> Result<()> {
            answers.insert(
                name.to_string(),
                score(&j.at(temperature, threshold))?.into(),
            );
            Ok(())
        };
        put("vqa-rad held-out questions", &judged)?;
        let ece_before = score(&judged.at(1.0, 0.0))?.ece;
        for (control, name) in [
            (Control::NoImage, "question alone"),
            (Control::Shuffled, "shuffled images"),
        ] {
            put(
                &format!("vqa-rad held-out questions, {name}"),
                &judge(&head, &questions.data, &by_question, control)?,
            )?;
            put(
                &format!("vqa-rad held-out images, {name}"),
                &judge(&head, &questions.data, &by_image, control)?,
            )?;
        }
        put(
            "vqa-rad held-out images",
            &judge(&head, &questions.data, &by_image, Control::Image)?,
        )?;
        put(
            "phantom questions",
            &judge(
                &head,
                &questions.data,
                &questions.phantom_held_out,
                Control::Image,
            )?,
        )?;
        put(
            "phantom questions, question alone",
            &judge(
                &head,
                &questions.data,
                &questions.phantom_held_out,
                Control::NoImage,
            )?,
        )?;
        // What the memory adds: the same head without it.
        let bare = AnswerHeadConfig {
            memory: None,
            ..config.clone()
        };
        let bare = load(&tensors, &bare)?;
        put(
            "vqa-rad held-out questions, no memory",
            &judge(&bare, &questions.data, &by_question, Control::Image)?,
        )?;
        put(
            "vqa-rad held-out images, no memory",
            &judge(&bare, &questions.data, &by_image, Control::Image)?,
        )?;
        Ok(Measured {
            answers,
            ece_before,
            temperature,
            threshold,
            recall,
            findings: None,
        })
    }

    /// Fits on everything, with the memory's numbers from validation.
    fn ship(
        &self,
        questions: &Questions,
        validated: &Measured,
        stop: &Interrupt,
    ) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
        let (tensors, config) = self.learn(questions, &questions.vqa, stop)?;
        let (mut tensors, config) =
            with_memory(&tensors, &config, &questions.data, &questions.vqa)?;
        let scales = Tensor::from_slice(&validated.recall, validated.recall.len(), &Device::Cpu)?;
        tensors.insert("memory.scales".into(), scales);
        Ok((tensors, config))
    }

    /// The learned paths, from some questions of VQA-RAD and all easy ones.
    fn learn(
        &self,
        questions: &Questions,
        vqa: &[usize],
        stop: &Interrupt,
    ) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
        let seen: Vec<Vec<f32>> = questions.data.features.clone();
        let weights = fresh_head_weights(&seen, self.seed)?;
        let rows: Vec<usize> = vqa.iter().chain(&questions.easy).copied().collect();
        let tensors = fit(
            &weights,
            &questions.config,
            &questions.data,
            &rows,
            &self.how(),
            stop,
            &mut |p| {
                if p.done % 4 == 0 {
                    super::print_progress(&p);
                }
            },
        )?;
        Ok((tensors, questions.config.clone()))
    }
}

fn load(tensors: &HashMap<String, Tensor>, config: &AnswerHeadConfig) -> Result<AnswerHead> {
    Ok(AnswerHead::load(
        &Weights::from_tensors(tensors.clone(), "the answer head"),
        config,
    )?)
}

fn threshold_of(judged: &[&Judged], temperature: f64) -> Result<f64> {
    let answers: Vec<_> = judged.iter().flat_map(|j| j.at(temperature, 0.0)).collect();
    let confidences: Vec<f64> = answers.iter().map(|a| a.confidence).collect();
    let right: Vec<bool> = answers.iter().map(|a| a.right).collect();
    Ok(abstention_threshold(
        &confidences,
        &right,
        WANTED_ACCURACY,
        LEAST_COVERAGE,
    )?)
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text).with_context(|| format!("{}", path.display()))
}
