//! `lucency train answers`: the answer head, calibration, and the pack.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights, save_tensors};
use lucency_train::answers::{
    Control, FitConfig, Judged, RememberConfig, fit, fresh_head_weights, judge, remember,
};
use lucency_train::calibration::{abstention_threshold, fit_temperature, softmax};
use lucency_train::checkpoint::{Checkpoint, State};
use lucency_train::metrics::ece;
use lucency_train::metrics::vqa::{VqaScore, score};
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig};
use serde::Serialize;

use super::clip::{EARLIER, KEPT_SIDE, TRAIN_SEEDS, demo_config, demo_preprocess};
use super::findings::{self, FindingFigures};
use super::mix::{choose_mix, set_mix};
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
    /// Leave the memory of questions about known images out, to see what it is worth.
    #[arg(long)]
    no_memory: bool,
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
/// Accuracy wanted among answered questions, and the least share that must be answered.
pub const WANTED_ACCURACY: f64 = 0.8;
/// See [`WANTED_ACCURACY`].
pub const LEAST_COVERAGE: f64 = 0.4;

/// Name of the set that confidence is calibrated on.
pub const POOLED: &str = "vqa-rad held-out questions and images";

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
    /// The same with temperatures that were fitted on the other half of the questions.
    pub ece_after: f64,
    /// The temperature.
    pub temperature: f64,
    /// The abstention threshold.
    pub threshold: f64,
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
                "ECE before {:.3}, after {:.3}, temperature {:.3}, threshold {:.3}",
                m.ece_before, m.ece_after, m.temperature, m.threshold
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

        let all: Vec<usize> = questions.vqa.clone();
        let seen: Vec<usize> = vqa
            .by_question
            .train
            .iter()
            .map(|i| questions.vqa[*i])
            .collect();
        // The two fits share nothing: one core each.
        let (validated, shipped) = std::thread::scope(|scope| {
            let shipped =
                (!self.validate_only).then(|| scope.spawn(|| self.learn(&questions, &all, &stop)));
            let validated = self.learn(&questions, &seen, &stop);
            let shipped =
                shipped.map(|fit| fit.join().expect("a fit reports errors and does not panic"));
            (validated, shipped)
        });
        let (tensors, mut head_config) = self.remember(validated?, &questions, &seen)?;
        let mix = choose_mix(&tensors, &mut head_config, &questions, &vqa)?;
        let validated = self.validate(&load(&tensors, &head_config)?, &questions, &vqa)?;
        let Some(shipped) = shipped else {
            return Ok(validated);
        };
        let (shipped, mut head_config) = self.remember(shipped?, &questions, &all)?;
        set_mix(&mut head_config, mix);
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

    /// Measures a head that was fitted without the held-out questions, and calibrates on them.
    fn validate(
        &self,
        head: &AnswerHead,
        questions: &Questions,
        vqa: &vqa_rad::VqaRad,
    ) -> Result<Measured> {
        let place =
            |list: &[usize]| -> Vec<usize> { list.iter().map(|i| questions.vqa[*i]).collect() };
        let by_question = place(&vqa.by_question.held_out);
        let by_image = place(&vqa.by_image.held_out);
        let ask = |rows: &[usize], control| judge(head, &questions.data, rows, control);
        // What a user brings is an image that was never seen: it has its say in how sure an answer may be.
        let pool: Vec<usize> = by_question.iter().chain(&by_image).copied().collect();
        let judged = ask(&pool, Control::Image)?;
        let temperature = fit_temperature(&judged.logits, &judged.right)?;
        let threshold = threshold_of(&judged, temperature)?;
        let mut answers = BTreeMap::new();
        let pooled = score(&judged.at(temperature, threshold))?;
        answers.insert(POOLED.to_string(), Rates::from(pooled));
        let mut put = |name: &str, j: &Judged| -> Result<()> {
            answers.insert(
                name.to_string(),
                score(&j.at(temperature, threshold))?.into(),
            );
            Ok(())
        };
        for (rows, name) in [(&by_question, "questions"), (&by_image, "images")] {
            put(
                &format!("vqa-rad held-out {name}"),
                &ask(rows, Control::Image)?,
            )?;
            put(
                &format!("vqa-rad held-out {name}, question alone"),
                &ask(rows, Control::NoImage)?,
            )?;
            put(
                &format!("vqa-rad held-out {name}, shuffled images"),
                &ask(rows, Control::Shuffled)?,
            )?;
        }
        let phantoms = &questions.phantom_held_out;
        put("phantom questions", &ask(phantoms, Control::Image)?)?;
        put(
            "phantom questions, question alone",
            &ask(phantoms, Control::NoImage)?,
        )?;
        let ece_before = score(&judged.at(1.0, 0.0))?.ece;
        let ece_after = crossed_ece(&judged)?;
        Ok(Measured {
            answers,
            ece_before,
            ece_after,
            temperature,
            threshold,
            findings: None,
        })
    }

    /// Adds what is remembered of some questions of VQA-RAD to a head.
    fn remember(
        &self,
        mut head: HashMap<String, Tensor>,
        questions: &Questions,
        rows: &[usize],
    ) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
        let mut config = questions.config.clone();
        if !self.no_memory {
            let how = RememberConfig::default();
            let (memory, tensors) = remember(&questions.data, rows, config.answers.len(), &how)?;
            head.extend(tensors);
            config.memory = Some(memory);
        }
        Ok((head, config))
    }

    /// Fits a head on some questions of VQA-RAD and all easy ones.
    fn learn(
        &self,
        questions: &Questions,
        vqa: &[usize],
        stop: &Interrupt,
    ) -> Result<HashMap<String, Tensor>> {
        let weights = fresh_head_weights(&questions.data.features, self.seed)?;
        let rows: Vec<usize> = vqa.iter().chain(&questions.easy).copied().collect();
        let tensors = fit(
            &weights,
            &questions.config,
            &questions.data,
            &rows,
            &self.how(),
            stop,
            &mut |p| {
                if p.done.is_multiple_of(4) {
                    super::print_progress(&p);
                }
            },
        )?;
        Ok(tensors)
    }
}

/// A head from tensors in memory.
pub fn load(tensors: &HashMap<String, Tensor>, config: &AnswerHeadConfig) -> Result<AnswerHead> {
    Ok(AnswerHead::load(
        &Weights::from_tensors(tensors.clone(), "the answer head"),
        config,
    )?)
}

fn threshold_of(judged: &Judged, temperature: f64) -> Result<f64> {
    let confidences: Vec<f64> = judged
        .at(temperature, 0.0)
        .iter()
        .map(|a| a.confidence)
        .collect();
    Ok(abstention_threshold(
        &confidences,
        &judged.right,
        WANTED_ACCURACY,
        LEAST_COVERAGE,
    )?)
}

/// Calibration error where each half of the questions has the temperature that the other half asks for.
fn crossed_ece(judged: &Judged) -> Result<f64> {
    let half = |parity: usize| -> (Vec<Vec<f64>>, Vec<bool>) {
        let chosen = judged
            .logits
            .iter()
            .zip(&judged.right)
            .skip(parity)
            .step_by(2);
        chosen.map(|(l, r)| (l.clone(), *r)).unzip()
    };
    let (mut confidences, mut right) = (Vec::new(), Vec::new());
    for (fitted, asked) in [(0, 1), (1, 0)] {
        let (logits, outcomes) = half(fitted);
        let temperature = fit_temperature(&logits, &outcomes)?;
        let (logits, outcomes) = half(asked);
        confidences.extend(
            logits
                .iter()
                .map(|row| softmax(row, temperature).into_iter().fold(0.0, f64::max)),
        );
        right.extend(outcomes);
    }
    Ok(ece(&confidences, &right)?)
}
