//! `lucency bench models`: how fast published architectures run here, at their real sizes.
//!
//! With a case it speaks the protocol for comparisons of [`super::bench_serve`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use clap::Args;
use lucency_assistant::AssistantError;
use lucency_nn::{Mode, Quantisation, Weights};
use lucency_train::TrainError;
use lucency_zoo::clip::{ClipConfig, ImageEncoder, KeyLayout, TextEncoder};
use lucency_zoo::dino::{Dino, DinoConfig, Resizing};
use serde::Serialize;

use super::bench::{Machine, machine, status_mib};
use super::bench_serve::{serve, time};
use crate::computing::compute;
use crate::output::{CommandError, Output};

/// Calls of each case when all are timed.
const CALLS: usize = 7;

/// `lucency bench models`
#[derive(Args)]
pub struct BenchModels {
    /// img, text (14 × 77 ids), rn50, dino (DINOv2 ViT-B/14), train (a full step), trainlora (rank 8 on queries and values): then standard input says how
    /// many calls to time; all cases in turn if none
    case: Option<String>,
    /// Images in a batch
    batch: Option<usize>,
    /// Folder with `clip/model.safetensors`, `dino.safetensors` and `in.safetensors` (`x` [16, 3, 224, 224], `ids` [14, 77]);
    /// weights and inputs are drawn if there is none
    #[arg(long, value_name = "DIR", default_value = "bench-data")]
    data: PathBuf,
    /// Keep the matrices of img, text and dino in fewer bits: q8 or q4
    #[arg(long, value_name = "BITS")]
    quantise: Option<Quantisation>,
}

/// Where the weights of the CLIP cases lie in the data folder.
const CLIP: &str = "clip/model.safetensors";

/// One case.
#[derive(Serialize)]
struct Timed {
    case: &'static str,
    batch: usize,
    /// Median of the calls after the first.
    median_ms: f64,
    fastest_ms: f64,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    calls: usize,
    cases: Vec<Timed>,
    peak_memory_mib: Option<f64>,
}

/// One call of a case.
type Call = Box<dyn FnMut() -> lucency_train::Result<Tensor>>;

impl BenchModels {
    /// Measures.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        match &self.case {
            Some(case) => self.serve(case),
            None => self.all(output),
        }
    }

    /// Times calls as standard input asks for them.
    fn serve(&self, case: &str) -> Result<(), CommandError> {
        let mut call = self.call(case, self.batch.unwrap_or(1))?;
        serve(
            || call().map_err(failed),
            std::io::stdin().lock(),
            std::io::stdout().lock(),
        )
    }

    fn all(&self, output: Output) -> Result<(), CommandError> {
        let mut cases = Vec::new();
        for (case, batch) in [
            ("img", 1),
            ("img", 16),
            ("text", 14),
            ("rn50", 1),
            ("dino", 1),
            ("train", 16),
            ("trainlora", 16),
        ] {
            let mut call = self.call(case, batch)?;
            call().map_err(failed)?;
            let mut times = (0..CALLS)
                .map(|_| time(&mut || call().map_err(failed)))
                .collect::<Result<Vec<_>, _>>()?;
            times.sort_by(f64::total_cmp);
            cases.push(Timed {
                case,
                batch,
                median_ms: times[CALLS / 2],
                fastest_ms: times[0],
            });
        }
        let measured = Measured {
            machine: machine(),
            calls: CALLS,
            cases,
            peak_memory_mib: status_mib("VmHWM:"),
        };
        output.print(&measured, |m| {
            let head = format!("{}, {} threads", m.machine.cpu, m.machine.threads);
            let line = |t: &Timed| format!("{:6} {:3} {:9.1} ms", t.case, t.batch, t.median_ms);
            let lines: Vec<String> = m.cases.iter().map(line).collect();
            format!("{head}\n{}", lines.join("\n"))
        })
    }

    /// Loads a case's network and inputs.
    fn call(&self, case: &str, batch: usize) -> Result<Call, CommandError> {
        let inputs = Inputs::load(&self.data.join("in.safetensors")).map_err(failed)?;
        let vit = vit_b32()?;
        match case {
            "img" => {
                let weights = self.weights(CLIP, false)?;
                let tower = ImageEncoder::load(&weights, &vit).map_err(zoo)?;
                drop(weights);
                let x = inputs.images(batch).map_err(failed)?;
                Ok(Box::new(move || Ok(tower.encode(&x, Mode::Eval)?)))
            }
            "text" => {
                let weights = self.weights(CLIP, false)?;
                let tower = TextEncoder::load(&weights, &vit).map_err(zoo)?;
                drop(weights);
                let ids = inputs.ids(batch).map_err(failed)?;
                Ok(Box::new(move || Ok(tower.encode(&ids)?)))
            }
            "rn50" => {
                let place = compute()?.place();
                let weights = Weights::fresh(0, &place.device).packed();
                let weights = weights.in_precision(place.precision);
                let tower = ImageEncoder::load(&weights, &rn50(&vit)).map_err(zoo)?;
                let x = inputs.images(batch).map_err(failed)?;
                Ok(Box::new(move || Ok(tower.encode(&x, Mode::Eval)?)))
            }
            "dino" => {
                let weights = self.weights("dino.safetensors", false)?;
                let tower = Dino::load(&weights, &vit_b14(&weights)?).map_err(zoo)?;
                drop(weights);
                let x = inputs.images(batch).map_err(failed)?;
                Ok(Box::new(move || Ok(tower.encode(&x)?)))
            }
            "train" | "trainlora" => {
                let weights = self.weights(CLIP, case == "train")?;
                let x = inputs.images(batch).map_err(failed)?;
                training(&weights, &vit, x, case == "trainlora").map_err(failed)
            }
            other => Err(CommandError::new(
                "bad_request",
                format!(
                    "there is no case {other:?}; cases are img, text, rn50, dino, train, trainlora"
                ),
            )),
        }
    }

    /// The weights of a file in the data folder, drawn if there is none.
    fn weights(&self, file: &str, trains: bool) -> Result<Weights, CommandError> {
        let file = self.data.join(file);
        let quantise = self.quantise.filter(|_| !trains);
        let place = compute()?.place();
        let device = &place.device;
        let weights = match (file.is_file(), trains) {
            (true, true) => Weights::open(&file, device).map_err(|e| failed(e.into()))?,
            (true, false) => Weights::stream(&file, device).map_err(|e| failed(e.into()))?,
            (false, true) => Weights::fresh(0, device),
            (false, false) => Weights::fresh(0, device).packed(),
        };
        let weights = weights.in_precision(place.precision);
        Ok(weights.quantised(quantise))
    }
}

/// A step of training, full or of low-rank updates: cross-entropy of eight classes on the image embedding, AdamW.
fn training(
    weights: &Weights,
    config: &ClipConfig,
    x: Tensor,
    low_rank: bool,
) -> lucency_train::Result<Call> {
    use lucency_nn::{Adaptation, AdapterKind, Bias, Linear, ops};
    use lucency_train::optim::{AdamW, AdamWConfig};
    if low_rank {
        let kind = AdapterKind::Lora {
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
        };
        let targets = vec!["q_proj".to_owned(), "v_proj".to_owned()];
        weights.adapt(Adaptation::new(kind, targets, 0)?)?;
        weights.train_where(Adaptation::owns)?;
    } else {
        weights.train_where(|_| true)?;
    }
    let tower = ImageEncoder::load(weights, config)?;
    let own = Weights::fresh(1, &Device::Cpu);
    own.train_where(|_| true)?;
    let head = Linear::load(&own.pp("head"), config.embed_dim, 8, Bias::Yes)?;
    let mut vars = weights.vars();
    vars.extend(own.vars());
    let mut optimiser = AdamW::new(AdamWConfig::default());
    let classes: Vec<i64> = (0..x.dim(0)?).map(|i| i as i64 % 8).collect();
    let classes = Tensor::from_vec(classes, x.dim(0)?, &Device::Cpu)?;
    let mut step = move || {
        let logits = head.forward(&tower.encode(&x, Mode::Train)?)?;
        let loss = ops::cross_entropy(&logits, &classes)?;
        optimiser.step(&vars, &loss.backward()?, 1e-5, 1.0)?;
        Ok(loss)
    };
    // As a run does: its steps are taken on threads of a pool.
    Ok(Box::new(move || lucency_nn::on_pool(&mut step)))
}

/// Images and token ids.
struct Inputs(HashMap<String, Tensor>);

impl Inputs {
    fn load(file: &Path) -> lucency_train::Result<Self> {
        if file.is_file() {
            return Ok(Self(candle_core::safetensors::load(file, &Device::Cpu)?));
        }
        let ids: Vec<u32> = (0..14 * 77)
            .map(|i| match i % 77 {
                0 => 49_406,
                76 => 49_407,
                place => (place * 613 + i) as u32 % 49_000,
            })
            .collect();
        let x = Tensor::randn(0f32, 1.0, (16, 3, 224, 224), &Device::Cpu)?;
        let ids = Tensor::from_vec(ids, (14, 77), &Device::Cpu)?;
        Ok(Self(HashMap::from([("x".into(), x), ("ids".into(), ids)])))
    }

    fn images(&self, batch: usize) -> lucency_train::Result<Tensor> {
        Ok(self.0["x"].narrow(0, 0, batch.min(16))?.contiguous()?)
    }

    fn ids(&self, batch: usize) -> lucency_train::Result<Tensor> {
        let ids = self.0["ids"].narrow(0, 0, batch.min(14))?.contiguous()?;
        Ok(ids.to_dtype(DType::U32)?)
    }
}

/// CLIP ViT-B/32 as Hugging Face lays it out.
pub(super) fn vit_b32() -> Result<ClipConfig, CommandError> {
    ClipConfig::from_hf_config_json(r#"{"text_config":{},"vision_config":{}}"#).map_err(zoo)
}

/// CLIP RN50 beside the same text tower.
fn rn50(vit: &ClipConfig) -> ClipConfig {
    use lucency_zoo::clip::{ResNetConfig, VisionConfig};
    ClipConfig {
        layout: KeyLayout::OpenAi,
        embed_dim: 1024,
        vision: VisionConfig::ResNet(ResNetConfig::new(224, [3, 4, 6, 3], 64)),
        ..vit.clone()
    }
}

/// DINOv2 ViT-B/14 with as many registers as the file has, four if the weights are drawn.
fn vit_b14(weights: &Weights) -> Result<DinoConfig, CommandError> {
    let published = r#"{"img_size":518,"patch_size":14,"embed_dim":768,"depth":12,"num_heads":12}"#;
    let config = DinoConfig::from_config_json(published).map_err(zoo)?;
    let registers = match weights.is_fresh() {
        true => 4,
        false => weights
            .shape_of("register_tokens")
            .map_or(0, |shape| shape.dims()[1]),
    };
    Ok(match registers {
        0 => config,
        registers => DinoConfig {
            registers,
            resizing: Resizing::ANTIALIASED,
            ..config
        },
    })
}

fn failed(error: TrainError) -> CommandError {
    AssistantError::from(error).into()
}

fn zoo(error: lucency_zoo::ZooError) -> CommandError {
    failed(error.into())
}
