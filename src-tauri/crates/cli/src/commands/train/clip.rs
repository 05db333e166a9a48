//! `lucency train clip`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::Device;
use lucency_nn::{Interrupt, Progress, Weights};
use lucency_train::checkpoint::Checkpoint;
use lucency_train::contrastive::{Contrastive, ContrastiveConfig, Guide, Parts};
use lucency_train::data::{Augment, InMemory, Mixture, Part};
use lucency_train::optim::{AdamWConfig, Schedule};
use lucency_train::run::{Ending, Plan, train};
use lucency_zoo::clip::{Clip, ClipConfig, KeyLayout, ResNetConfig, TextConfig, VisionConfig};
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::tokenizer::{ClipTokenizer, prune};
use serde::Serialize;

use super::{Preset, mednist, phantoms, prompts::Prompts, vqa_rad};
use crate::output::{CommandError, Output};

/// Train the demo pack's image and text towers; a run that was stopped goes on from its checkpoint.
#[derive(clap::Args)]
pub struct ClipArgs {
    /// The recipe.
    #[arg(long, value_enum, default_value_t = Preset::Demo)]
    preset: Preset,
    /// MedNIST: a folder a class.
    #[arg(long)]
    mednist: PathBuf,
    /// VQA-RAD: `train.json` and `images`.
    #[arg(long)]
    vqa_rad: PathBuf,
    /// Where the run's log, checkpoint and tokenizer go.
    #[arg(long)]
    out: PathBuf,
    /// Steps of the whole run.
    #[arg(long)]
    steps: Option<u64>,
    /// Phantoms to train on.
    #[arg(long)]
    phantoms: Option<u64>,
    /// Start from the averaged weights of this finished run and refine them: a lower rate, more of MedNIST.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Seed of everything.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// File in a refining run's folder: the state of the run that it started from.
pub const EARLIER: &str = "earlier.json";
/// Side of the images kept in memory, of which random crops become the model's input.
pub const KEPT_SIDE: usize = 208;
/// Side of the model's input.
pub const SIDE: usize = 160;
/// Channels after the stem of the image tower.
const WIDTH: usize = 24;
/// Channels of its trunk.
const TRUNK_CHANNELS: usize = 16 * WIDTH;
/// Longest text in tokens.
pub const CONTEXT: usize = 48;
const VOCABULARY: usize = 3000;
/// First seeds of the phantoms for training and for the run's own validation.
pub const TRAIN_SEEDS: u64 = 1_000_000;
const VALIDATION_SEEDS: u64 = 2_000_000;
const VALIDATION_COUNT: u64 = 400;
/// How much the claim losses lean on findings that are still hard.
const FOCUS: f32 = 1.5;
/// Units of each source in a batch: phantoms, pairs of a phantom with and without a small finding, MedNIST, VQA-RAD.
const BATCH: [usize; 4] = [22, 10, 3, 3];
/// The same in a refining run.
const REFINING: [usize; 4] = [12, 6, 16, 8];

#[derive(Serialize)]
struct Report {
    finished: bool,
    steps: u64,
    figures: std::collections::BTreeMap<String, f64>,
}

/// The architecture of the demo preset.
pub fn demo_config(vocab: usize) -> ClipConfig {
    ClipConfig {
        layout: KeyLayout::OpenAi,
        embed_dim: 256,
        vision: VisionConfig::ResNet(ResNetConfig::new(SIDE, [1, 2, 2, 1], WIDTH)),
        text: TextConfig::compact(vocab, CONTEXT, 192, 3),
    }
}

/// The preprocessing of the demo preset.
pub fn demo_preprocess() -> Preprocess {
    Preprocess::squash_grey(SIDE)
}

impl ClipArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let report = self.train().map_err(CommandError::from)?;
        output.print(&report, |r| {
            let figures: Vec<String> = r
                .figures
                .iter()
                .map(|(k, v)| format!("{k}: {v:.4}"))
                .collect();
            format!("{} steps\n{}", r.steps, figures.join("\n"))
        })
    }

    fn train(&self) -> Result<Report> {
        let Preset::Demo = self.preset;
        std::fs::create_dir_all(&self.out).with_context(|| format!("{}", self.out.display()))?;
        let stop = Interrupt::new();
        let report = |p: Progress| super::print_progress(&p);
        let prompts = Prompts::demo();
        let count = self.phantoms.unwrap_or(6000);
        let cache = |name: &str, n: u64| self.out.join(format!("{name}-{n}.grey"));
        let training = phantoms::phantoms(
            TRAIN_SEEDS,
            count,
            KEPT_SIDE,
            &cache("phantoms", count),
            &stop,
            &report,
        )?;
        let validation = phantoms::phantoms(
            VALIDATION_SEEDS,
            VALIDATION_COUNT,
            KEPT_SIDE,
            &cache("validation", VALIDATION_COUNT),
            &stop,
            &report,
        )?;
        let mednist = mednist::read(&self.mednist, KEPT_SIDE)?;
        let vqa = vqa_rad::read(&self.vqa_rad, KEPT_SIDE)?;

        let mut data = InMemory::default();
        let mut indices: [Vec<usize>; 3] = Default::default();
        let mut held_out = Vec::new();
        let mut push = |group: u64, sample, list: &mut Vec<usize>| {
            list.push(lucency_train::data::Dataset::len(&data));
            data.push(group, sample);
        };
        for phantom in &training {
            push(
                phantom.spec.seed,
                phantoms::sample(phantom, &prompts),
                &mut indices[0],
            );
        }
        for (i, image) in mednist.iter().enumerate() {
            let list = if image.held_out {
                &mut held_out
            } else {
                &mut indices[1]
            };
            push(i as u64, mednist::sample(image), list);
        }
        for (group, sample) in vqa_rad::samples(&vqa) {
            push(group, sample, &mut indices[2]);
        }
        let file = cache("twins", count);
        let refined = phantoms::twins(&training, KEPT_SIDE, &file, &stop, &report)?;
        let mut twins = Vec::new();
        for (place, twin) in &refined {
            let mut list = Vec::new();
            push(twin.spec.seed, phantoms::sample(twin, &prompts), &mut list);
            twins.push(vec![indices[0][*place], list[0]]);
        }
        for phantom in &validation {
            push(
                phantom.spec.seed,
                phantoms::sample(phantom, &prompts),
                &mut held_out,
            );
        }

        let tokenizer = self.tokenizer(&data, &prompts, &vqa)?;
        let config = demo_config(tokenizer.vocab_size());
        let steps = self
            .steps
            .unwrap_or(if self.from.is_some() { 250 } else { 2000 });
        let plan = Plan {
            seed: self.seed,
            schedule: Schedule {
                peak: if self.from.is_some() { 4e-4 } else { 1.2e-3 },
                warmup: if self.from.is_some() { 20 } else { 150 },
                total: steps,
                floor: 0.01,
            },
            optimiser: AdamWConfig::default(),
            clip_norm: 2.0,
            ema_decay: 0.995,
            checkpoint_every: 100,
            evaluate_every: 250,
            log_every: 10,
        };
        let weights = match (Checkpoint::find(&self.out)?, &self.from) {
            (Some(checkpoint), _) => Weights::open(&checkpoint.weights(), &Device::Cpu)?,
            (None, Some(from)) => {
                let earlier = Checkpoint::find(from)?
                    .with_context(|| format!("{} holds no checkpoint", from.display()))?;
                super::write_json(&self.out.join(EARLIER), &earlier.state)?;
                Weights::open(&earlier.averaged(), &Device::Cpu)?
            }
            (None, None) => Weights::fresh(self.seed, &Device::Cpu),
        };
        weights.train_where(|_| true)?;
        let clip = Clip::load(&weights, &config)?;
        let claims = prompts.pool.claims.len();
        let guide = Guide::load(&weights, TRUNK_CHANNELS, config.embed_dim, claims, FOCUS)?;
        let [phantom_indices, mednist_indices, vqa_indices] = indices;
        let batch = if self.from.is_some() { REFINING } else { BATCH };
        let mixture = Mixture::new(
            self.seed,
            vec![
                Part::single(phantom_indices, batch[0]),
                Part {
                    units: twins,
                    per_batch: batch[1],
                },
                Part::single(mednist_indices, batch[2]),
                Part::single(vqa_indices, batch[3]),
            ],
        )?;
        let mut objective = Contrastive::new(
            Parts {
                clip,
                preprocess: demo_preprocess(),
                tokenizer,
                data: &data,
                mixture,
                held_out,
                pool: prompts.pool,
                guide: Some(guide),
            },
            ContrastiveConfig {
                seed: self.seed,
                augment: Augment::default(),
                caption_weight: 0.5,
                claim_weight: 4.0,
                claim_focus: FOCUS,
                class_weight: if self.from.is_some() { 1.0 } else { 0.3 },
                local_weight: 6.0,
                global_weight: 3.0,
                caption_share: 0.25,
                claims_per_step: 12,
                longest_text: 40,
            },
        );
        let outcome = train(
            &plan,
            &weights,
            &mut objective,
            &self.out,
            &stop,
            &mut |p| super::print_progress(&p),
        )?;
        Ok(Report {
            finished: outcome.ending == Ending::Finished,
            steps: outcome.steps,
            figures: outcome.figures,
        })
    }

    /// The run's tokenizer: kept if it is there, else made from every text that training may read.
    fn tokenizer(
        &self,
        data: &InMemory,
        prompts: &Prompts,
        vqa: &vqa_rad::VqaRad,
    ) -> Result<ClipTokenizer> {
        let path = self.out.join("tokenizer.json");
        if let Some(from) = self.from.as_ref().filter(|_| !path.is_file()) {
            let earlier = ClipTokenizer::load(&from.join("tokenizer.json"))?;
            earlier.save(&path)?;
        }
        if path.is_file() {
            return Ok(ClipTokenizer::load(&path)?);
        }
        let mut texts: Vec<String> = prompts.pool.texts().map(str::to_string).collect();
        for index in 0..lucency_train::data::Dataset::len(data) {
            let sample = lucency_train::data::Dataset::sample(data, index)?;
            texts.extend(sample.captions.iter().map(|c| c.text.clone()));
        }
        for question in &vqa.questions {
            // Questions are rare beside captions but must be read well.
            texts.extend(std::iter::repeat_n(
                format!("{} {}", question.question, question.answer()),
                8,
            ));
        }
        let tokenizer = ClipTokenizer::pruned(&prune::select(&texts, VOCABULARY))?;
        tokenizer.save(&path)?;
        Ok(tokenizer)
    }
}
