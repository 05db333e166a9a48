//! `lucency bench train`: what a step of fine-tuning costs on a CLIP ViT-B/32, and how long a probe takes.

use std::time::Instant;

use candle_core::{Device, Tensor};
use clap::{Args, ValueEnum};
use lucency_assistant::Interrupt;
use lucency_nn::{Adaptation, AdapterKind, Bias, Linear, Mode, Weights, ops, release_freed_memory};
use lucency_train::optim::{AdamW, AdamWConfig};
use lucency_train::probe::{ClassWeights, Features, Labels, Probe, ProbePlan, SelectBy};
use lucency_zoo::clip::ImageEncoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::bench::{Machine, machine, status_mib};
use super::bench_models::vit_b32;
use crate::output::{CommandError, Output};

/// Embeddings of the probe's benchmark, and their width.
const EMBEDDINGS: (usize, usize) = (10_000, 256);
/// Rank of the low-rank updates.
const RANK: usize = 8;

/// `lucency bench train`
#[derive(Args)]
pub struct BenchTrain {
    /// Steps that are timed after a first one; the median counts
    #[arg(long, default_value_t = 3)]
    steps: usize,
    /// Images a step
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Leave the probe out
    #[arg(long)]
    no_probe: bool,
    /// Measure this case alone, so that no other one has touched the program's memory; may be given several times [default: all]
    #[arg(long = "case", value_enum, value_name = "CASE")]
    cases: Vec<Case>,
}

/// A step that is measured; the cheaper ones first, for systems that only know the peak so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Low-rank updates, with gradient checkpointing
    LoraCheckpointing,
    /// Low-rank updates of rank 8 on the attention's four maps
    Lora,
    /// All weights, with gradient checkpointing
    FullCheckpointing,
    /// All weights
    Full,
}

impl Case {
    fn parts(self) -> (Trained, Kept) {
        match self {
            Self::LoraCheckpointing => (Trained::LowRank, Kept::BlockInputs),
            Self::Lora => (Trained::LowRank, Kept::Everything),
            Self::FullCheckpointing => (Trained::All, Kept::BlockInputs),
            Self::Full => (Trained::All, Kept::Everything),
        }
    }
}

/// What a step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trained {
    All,
    LowRank,
}

/// What is kept of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Everything,
    /// The input of each block; the rest is computed again.
    BlockInputs,
}

/// A method's cost.
#[derive(Serialize)]
struct Cost {
    /// One step with forward, backward and optimiser, median.
    step_s: f64,
    /// Largest resident memory while stepping, MiB; all of the process so far where the system cannot measure anew.
    peak_memory_mib: Option<f64>,
    /// Numbers that are trained.
    trained: usize,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    model: &'static str,
    batch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<Cost>,
    /// With gradient checkpointing.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_checkpointing: Option<Cost>,
    /// Rank 8 on the attention's four maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<Cost>,
    /// With gradient checkpointing.
    #[serde(skip_serializing_if = "Option::is_none")]
    lora_checkpointing: Option<Cost>,
    /// Five-fold cross-validation of ten strengths on 10,000 embeddings of 256 dimensions, and the last fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_s: Option<f64>,
}

impl BenchTrain {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let cost = |case: Case| -> Result<Option<Cost>, CommandError> {
            if !self.cases.is_empty() && !self.cases.contains(&case) {
                return Ok(None);
            }
            release_freed_memory();
            let (trained, kept) = case.parts();
            self.cost(trained, kept).map(Some).map_err(failed)
        };
        let lora_checkpointing = cost(Case::LoraCheckpointing)?;
        let lora = cost(Case::Lora)?;
        let full_checkpointing = cost(Case::FullCheckpointing)?;
        let measured = Measured {
            machine: machine(),
            model: "image tower of CLIP ViT-B/32, eight classes",
            batch: self.batch,
            full: cost(Case::Full)?,
            full_checkpointing,
            lora,
            lora_checkpointing,
            probe_s: match self.no_probe {
                true => None,
                false => Some(probe_s().map_err(failed)?),
            },
        };
        output.print(&measured, |m| {
            let line = |name: &str, cost: &Cost| {
                format!(
                    "{name:18} {:.2} s a step, {:.0} MiB, {} numbers trained",
                    cost.step_s,
                    cost.peak_memory_mib.unwrap_or_default(),
                    cost.trained
                )
            };
            let costs = [
                ("full", &m.full),
                ("full checkpointing", &m.full_checkpointing),
                ("lora", &m.lora),
                ("lora checkpointing", &m.lora_checkpointing),
            ];
            let measured = costs.into_iter();
            let mut lines: Vec<String> = measured
                .filter_map(|(name, cost)| cost.as_ref().map(|cost| line(name, cost)))
                .collect();
            lines.extend(m.probe_s.map(|s| format!("{:18} {s:.2} s", "probe")));
            lines.join("\n")
        })
    }

    fn cost(&self, trained: Trained, kept: Kept) -> lucency_train::Result<Cost> {
        let config = vit_b32().map_err(|e| lucency_train::TrainError::Plan(e.message))?;
        let weights = Weights::fresh(0, &Device::Cpu).packed();
        if trained == Trained::LowRank {
            let kind = AdapterKind::Lora {
                rank: RANK,
                alpha: 2.0 * RANK as f64,
                dropout: 0.0,
            };
            let targets = ["q_proj", "k_proj", "v_proj", "out_proj"].map(String::from);
            weights.adapt(Adaptation::new(kind, targets.to_vec(), 1)?)?;
            weights.train_where(Adaptation::owns)?;
        } else {
            weights.train_where(|_| true)?;
        }
        let gathered = (kept == Kept::BlockInputs).then(|| weights.checkpoint());
        let tower = ImageEncoder::load(&weights, &config)?;
        let own = Weights::fresh(1, &Device::Cpu);
        own.train_where(|_| true)?;
        let head = Linear::load(&own.pp("head"), config.embed_dim, 8, Bias::Yes)?;
        let mut vars = weights.vars();
        vars.extend(own.vars());
        let mut optimiser = AdamW::new(AdamWConfig::default());
        let x = Tensor::randn(0f32, 1.0, (self.batch, 3, 224, 224), &Device::Cpu)?;
        let classes: Vec<i64> = (0..self.batch).map(|i| i as i64 % 8).collect();
        let classes = Tensor::from_vec(classes, self.batch, &Device::Cpu)?;
        let mut times = Vec::new();
        for step in 0..=self.steps.max(1) {
            if step == 1 {
                // Lets Linux measure the peak anew.
                let _ = std::fs::write("/proc/self/clear_refs", "5");
            }
            let begun = Instant::now();
            let logits = head.forward(&tower.encode(&x, Mode::Eval)?)?;
            let loss = ops::cross_entropy(&logits, &classes)?;
            let mut grads = loss.backward()?;
            if let Some(gathered) = &gathered {
                gathered.collect(&mut grads)?;
            }
            optimiser.step(&vars, &grads, 1e-5, 1.0)?;
            if step > 0 {
                times.push(begun.elapsed().as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(Cost {
            step_s: times[times.len() / 2],
            peak_memory_mib: status_mib("VmHWM:"),
            trained: vars.iter().map(|(_, var)| var.elem_count()).sum(),
        })
    }
}

/// Seconds of a probe on drawn embeddings.
fn probe_s() -> lucency_train::Result<f64> {
    let (cases, width) = EMBEDDINGS;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let slope: Vec<f64> = (0..width).map(|_| rng.random_range(-0.2..0.2)).collect();
    let (mut values, mut of) = (Vec::with_capacity(cases * width), Vec::new());
    for _ in 0..cases {
        let row: Vec<f64> = (0..width).map(|_| rng.random_range(-1.0..1.0)).collect();
        let z: f64 = row.iter().zip(&slope).map(|(x, s)| x * s).sum();
        of.push(Some(usize::from(rng.random_bool(1.0 / (1.0 + (-z).exp())))));
        values.extend(row);
    }
    let features = Features::new(values, width)?;
    let labels = Labels::Classes { of, classes: 2 };
    let groups: Vec<u64> = (0..cases as u64).collect();
    let plan = ProbePlan {
        strengths: (-4..=5).map(|e| 10f64.powi(e)).collect(),
        folds: 5,
        weights: ClassWeights::Equal,
        select: SelectBy::Auroc,
        seed: 1,
    };
    let begun = Instant::now();
    let never = Interrupt::new();
    Probe::fit(
        std::slice::from_ref(&features),
        &labels,
        &groups,
        &plan,
        &never,
        &mut |_| {},
    )?;
    Ok(begun.elapsed().as_secs_f64())
}

fn failed(error: lucency_train::TrainError) -> CommandError {
    lucency_assistant::AssistantError::from(error).into()
}
