//! Seconds of one training step of MEVF, by parts: `cargo run -p lucency-train --example vqa_speed`.
//!
//! Published sizes: batch 32, MAML on 84×84, the auto-encoder with reconstruction on 128×128, an LSTM of 1024, bilinear
//! attention with two glimpses, 500 answers. An epoch of VQA-RAD is 96 such steps.

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Dropout, Mode, Weights};
use lucency_train::losses::mevf_loss;
use lucency_train::optim::{Adamax, AdamaxConfig, Optimiser, clip_scale, gradient_norm};
use lucency_zoo::vqa::{
    Cdae, Fusion, MamlCnn, Mevf, MevfConfig, QuestionConfig, Rnn, VisualBatch, VisualConfig,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BATCH: usize = 32;
const CPU: Device = Device::Cpu;

fn main() -> Outcome<()> {
    let maml = Tensor::rand(0f32, 1f32, (BATCH, 1, 84, 84), &CPU)?;
    let ae = Tensor::rand(0f32, 1f32, (BATCH, 1, 128, 128), &CPU)?;
    println!("{:<28} {:>10} {:>10}", "", "forward s", "backward s");
    let weights = fresh()?;
    let net = MamlCnn::load(&weights)?;
    part("MAML", &mut || {
        Ok(net.forward(&maml, Mode::Train)?.sum_all()?)
    })?;
    let weights = fresh()?;
    let net = Cdae::load(&weights)?;
    part("auto-encoder, code alone", &mut || {
        Ok(net.encode(&ae)?.sum_all()?)
    })?;
    part("auto-encoder", &mut || {
        Ok((net.forward(&ae)? - &ae)?.sqr()?.mean_all()?)
    })?;
    let weights = fresh()?;
    let model = Mevf::load(&weights, &config())?;
    let tokens: Vec<Vec<u32>> = (0..BATCH as u32)
        .map(|i| (0..12).map(|j| (i * 31 + j * 7) % 1178).collect())
        .collect();
    let targets = Tensor::zeros((BATCH, 500), DType::F32, &CPU)?;
    let features = Tensor::rand(0f32, 1f32, (BATCH, 128), &CPU)?;
    part("question", &mut || Ok(model.read(&tokens)?.sum_all()?))?;
    let mut dropout = Dropout::new(1);
    part("question and attention", &mut || {
        let output = model.forward_from_features(&features, &tokens, Some(&mut dropout))?;
        Ok(mevf_loss(&output.logits, &targets, None)?)
    })?;
    let batch = VisualBatch {
        maml: Some(maml),
        ae: Some(ae.clone()),
        clip: None,
    };
    let mut whole = || -> Outcome<Tensor> {
        let output = model.forward(&batch, &tokens, Mode::Train, Some(&mut dropout))?;
        let copy = output.reconstruction.as_ref().map(|copy| (&ae, copy));
        Ok(mevf_loss(&output.logits, &targets, copy)?)
    };
    let gradients = part("whole model", &mut whole)?;
    let vars = weights.vars();
    let count: usize = vars.iter().map(|(_, var)| var.elem_count()).sum();
    let mut optimiser = Adamax::new(AdamaxConfig::default());
    for _ in 0..2 {
        let start = Instant::now();
        let scale = clip_scale(gradient_norm(&gradients, &vars)?, 0.25);
        let norm = start.elapsed().as_secs_f64();
        optimiser.step(&vars, &gradients, 0.001, scale)?;
        let both = start.elapsed().as_secs_f64();
        println!(
            "norm {norm:.3} s, Adamax {:.3} s, {count} parameters",
            both - norm
        );
    }
    Ok(())
}

fn fresh() -> Outcome<Weights> {
    let weights = Weights::fresh(1, &CPU);
    weights.train_where(|_| true)?;
    Ok(weights)
}

fn config() -> MevfConfig {
    MevfConfig {
        question: QuestionConfig {
            words: 1178,
            length: 12,
            word_dim: 300,
            concatenated: true,
            rnn: Rnn::Lstm,
            hidden: 1024,
        },
        visual: VisualConfig {
            maml: true,
            ae_side: Some(128),
            clip_dim: None,
        },
        fusion: Fusion::Ban,
        glimpses: 2,
        hidden: 1024,
        answers: 500,
        mask_padding: false,
        dropout: 0.5,
    }
}

/// Prints the best of a few rounds.
fn part(name: &str, loss: &mut dyn FnMut() -> Outcome<Tensor>) -> Outcome<GradStore> {
    let rounds = std::env::args().nth(1).map_or(Ok(4), |n| n.parse())?;
    let mut best = (f64::MAX, f64::MAX);
    let mut last = None;
    for _ in 0..rounds {
        let start = Instant::now();
        let loss = loss()?;
        let forward = start.elapsed().as_secs_f64();
        last = Some(loss.backward()?);
        best = (
            best.0.min(forward),
            best.1.min(start.elapsed().as_secs_f64() - forward),
        );
    }
    println!("{name:<28} {:>10.3} {:>10.3}", best.0, best.1);
    last.ok_or_else(|| "at least one round is needed".into())
}
