//! `lucency bench vqa`: how fast this machine trains MEVF at its published size, and how fast it answers.

use std::time::Instant;

use clap::Args;
use lucency_assistant::{AssistantError, assets};
use lucency_nn::Weights;
use lucency_train::TrainError;
use lucency_train::metrics::vqa::AnswerType;
use lucency_train::optim::{Adamax, AdamaxConfig, Optimiser, clip_scale, gradient_norm};
use lucency_train::run::Objective;
use lucency_train::vqa::{
    AnswerVocabulary, Dictionary, Examples, ImageSet, Method, Preset, QaRecord, QuestionTypes,
    VqaObjective, VqaPlan,
};
use lucency_zoo::preprocess::Image8;
use serde::Serialize;

use super::assist::{PackChoice, open};
use super::bench::{Machine, changed, files, fresh_assistant, machine, median, ms, status_mib};
use crate::output::{CommandError, Output};

/// Questions of VQA-RAD's training split, and its answers: what an epoch and a classifier are.
const QUESTIONS: usize = 3064;
const ANSWERS: usize = 458;
/// Images that are drawn; a batch sees each at most once.
const IMAGES: usize = 64;
/// Runs of each warm question.
const ASKS: usize = 15;

/// `lucency bench vqa`
#[derive(Args)]
pub struct BenchVqa {
    /// Steps that are timed; the median counts
    #[arg(long, default_value_t = 6)]
    steps: u64,
    /// Leave asking out, which needs a pack
    #[arg(long)]
    no_ask: bool,
    #[command(flatten)]
    pack: PackChoice,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    /// MEVF with bilinear attention, MAML and autoencoder, at its published sizes.
    model: &'static str,
    batch: usize,
    steps: u64,
    /// One step with forward, backward and optimiser, median.
    train_step_ms: f64,
    /// Slowest of them.
    train_slowest_step_ms: f64,
    /// An epoch of VQA-RAD's 3,064 questions at that pace.
    train_epoch_s: f64,
    /// Largest resident memory until the end of training, MiB.
    train_peak_memory_mib: Option<f64>,
    /// A new question on an image that was seen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ask_warm_same_image_ms: Option<f64>,
    /// A question on an image that was not seen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ask_warm_new_image_ms: Option<f64>,
}

impl BenchVqa {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let plan = VqaPlan::preset(Preset::Mevf, Method::Mevf);
        let times = self.steps_of(&plan).map_err(AssistantError::from)?;
        let peak = status_mib("VmHWM:");
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let step = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let (same, new) = match self.no_ask {
            true => (None, None),
            false => self.asks()?,
        };
        let measured = Measured {
            machine: machine(),
            model: "MEVF, BAN, MAML + autoencoder, hidden 1024",
            batch: plan.batch,
            steps: self.steps,
            train_step_ms: step,
            train_slowest_step_ms: sorted.last().copied().unwrap_or_default(),
            train_epoch_s: step * QUESTIONS.div_ceil(plan.batch) as f64 / 1000.0,
            train_peak_memory_mib: peak,
            ask_warm_same_image_ms: same,
            ask_warm_new_image_ms: new,
        };
        output.print(&measured, text)
    }

    /// Milliseconds of each step after a first one that is not counted.
    fn steps_of(&self, plan: &VqaPlan) -> Result<Vec<f64>, TrainError> {
        let steps = self.steps.max(1) as usize;
        let records = questions(plan.batch * (steps + 1));
        let images = ImageSet::gather(IMAGES, plan, |i| Ok::<_, TrainError>((picture(i), None)))?;
        let image_of: Vec<usize> = (0..records.len()).map(|i| i % IMAGES).collect();
        let rows: Vec<usize> = (0..records.len()).collect();
        let asked = records.iter().map(|r| r.question.as_str());
        let dictionary = Dictionary::of(asked, plan.unknown());
        let vocabulary = AnswerVocabulary {
            answers: (0..ANSWERS).map(|i| format!("answer{i}")).collect(),
            closed: ANSWERS,
            ..AnswerVocabulary::of(&records, plan.answer_form(), plan.layout(), 0)
        };
        let examples = Examples::of(
            &records,
            &image_of,
            images,
            &dictionary,
            &vocabulary,
            plan,
            &rows,
        );
        let weights = Weights::fresh(plan.seed, &candle_core::Device::Cpu);
        weights.train_where(|_| true)?;
        let sizes = (dictionary.words().len(), ANSWERS, ANSWERS);
        let types = QuestionTypes::default();
        let mut objective =
            VqaObjective::new(plan, &weights, &examples, (rows, Vec::new()), sizes, &types)?;
        let vars = weights.vars();
        let mut optimiser = Adamax::new(AdamaxConfig::default());
        let mut times = Vec::with_capacity(steps);
        for step in 0..=steps as u64 {
            let begun = Instant::now();
            let loss = objective.loss(step)?;
            let grads = loss.total.backward()?;
            let scale = clip_scale(gradient_norm(&grads, &vars)?, plan.clip_norm);
            optimiser.step(&vars, &grads, plan.rate.at(step, 96, 1920), scale)?;
            if step > 0 {
                times.push(ms(begun));
            }
        }
        Ok(times)
    }

    /// Medians of a warm question on a seen and on a new image.
    fn asks(&self) -> Result<(Option<f64>, Option<f64>), CommandError> {
        let assistant = self.pack.open()?;
        let study = files(&assets::demo_study(&assets::find()?))?;
        let file = study.first().ok_or_else(|| {
            CommandError::new("not_found", "the study to measure on has no files")
        })?;
        let picture = open(file, 1)?;
        let now = jiff::Timestamp::now;
        assistant.ask(&picture, "Is there a pleural effusion?", now())?;
        let same = median(ASKS, |i| {
            let question = format!("Is there a pleural effusion on film {i}?");
            Ok(assistant.ask(&picture, &question, now()).map(drop)?)
        })?;
        // A store of its own, so that no embedding comes from an earlier run's disk.
        let scratch = tempfile::tempdir().map_err(|e| CommandError::new("io", e.to_string()))?;
        let fresh = fresh_assistant(&assistant, scratch.path())?;
        fresh.ask(&picture, "Is there a pleural effusion?", now())?;
        let new = median(ASKS, |i| {
            let other = changed(&picture, i);
            Ok(fresh
                .ask(&other, "Is there a pleural effusion?", now())
                .map(drop)?)
        })?;
        Ok((Some(same), Some(new)))
    }
}

/// Questions of twelve words of about VQA-RAD's vocabulary.
fn questions(count: usize) -> Vec<QaRecord> {
    (0..count)
        .map(|i| QaRecord {
            id: i.to_string(),
            image: String::new(),
            organ: String::new(),
            question: (0..12)
                .map(|k| format!("word{}", (i * 31 + k * 97) % 1200))
                .collect::<Vec<_>>()
                .join(" "),
            answers: vec![format!("answer{}", i * 7 % ANSWERS)],
            answer_type: AnswerType::Open,
            question_type: String::new(),
            phrase_type: String::new(),
        })
        .collect()
}

/// A grey pattern that differs from image to image.
fn picture(index: usize) -> Image8 {
    const SIDE: usize = 256;
    Image8 {
        width: SIDE,
        height: SIDE,
        channels: 1,
        data: (0..SIDE * SIDE)
            .map(|i| ((i % SIDE) * (index + 3) / 7 + i / SIDE * (index % 5 + 1)) as u8)
            .collect(),
    }
}

fn text(m: &Measured) -> String {
    let optional = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.1}"));
    let mut lines = vec![
        format!(
            "{}, {} threads, {}",
            m.machine.cpu, m.machine.threads, m.machine.build
        ),
        m.model.to_owned(),
        format!(
            "train step             {:10.1} ms (batch {})",
            m.train_step_ms, m.batch
        ),
        format!("train slowest step     {:10.1} ms", m.train_slowest_step_ms),
        format!("train epoch            {:10.1} s", m.train_epoch_s),
        format!(
            "train peak memory      {:>10} MiB",
            optional(m.train_peak_memory_mib)
        ),
    ];
    if m.ask_warm_same_image_ms.is_some() {
        lines.push(format!(
            "ask, image seen        {:>10} ms",
            optional(m.ask_warm_same_image_ms)
        ));
        lines.push(format!(
            "ask, new image         {:>10} ms",
            optional(m.ask_warm_new_image_ms)
        ));
    }
    lines.join("\n")
}
