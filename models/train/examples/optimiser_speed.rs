//! Times AdamW's step in place beside the same step with copies, and Adamax's, on as many numbers as CLIP's ViT-B/32 image tower has.
//!
//! `cargo run -p lucency-train --example optimiser_speed`

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use lucency_train::optim::{AdamW, AdamWConfig, Adamax, AdamaxConfig, Optimiser};
use rayon::prelude::*;

const BLOCKS: usize = 12;
const WIDTH: usize = 768;
const ROUNDS: usize = 5;

type Named = Vec<(String, Var)>;

fn vars() -> candle_core::Result<Named> {
    let shapes = [
        ("q", vec![WIDTH, WIDTH]),
        ("k", vec![WIDTH, WIDTH]),
        ("v", vec![WIDTH, WIDTH]),
        ("out", vec![WIDTH, WIDTH]),
        ("widen", vec![4 * WIDTH, WIDTH]),
        ("narrow", vec![WIDTH, 4 * WIDTH]),
        ("bias", vec![9 * WIDTH]),
    ];
    let mut out = Vec::new();
    for block in 0..BLOCKS {
        for (name, shape) in &shapes {
            let value = Tensor::randn(0f32, 0.02, shape.as_slice(), &Device::Cpu)?;
            out.push((format!("{block}.{name}"), Var::from_tensor(&value)?));
        }
    }
    Ok(out)
}

/// AdamW with arrays copied out and values copied back, on the same threads.
#[derive(Default)]
struct Copying {
    steps: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Copying {
    fn step(&mut self, vars: &Named, grads: &GradStore, rate: f64) -> candle_core::Result<()> {
        self.steps += 1;
        let c = AdamWConfig::default();
        let size = (rate / (1.0 - c.beta1.powi(self.steps))) as f32;
        let root = (1.0 - c.beta2.powi(self.steps)).sqrt() as f32;
        let (b1, b2, eps) = (c.beta1 as f32, c.beta2 as f32, c.eps as f32);
        for (i, (_, var)) in vars.iter().enumerate() {
            let Some(grad) = grads.get(var.as_tensor()) else {
                continue;
            };
            let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
            let mut value: Vec<f32> = var.flatten_all()?.to_vec1()?;
            if self.moments.len() <= i {
                let zeros = vec![0.0; value.len()];
                self.moments.push((zeros.clone(), zeros));
            }
            let (first, second) = &mut self.moments[i];
            let keep = match var.dims().len() {
                1 => 1.0,
                _ => (1.0 - rate * c.weight_decay) as f32,
            };
            value
                .par_chunks_mut(1 << 14)
                .zip(grad.par_chunks(1 << 14))
                .zip(first.par_chunks_mut(1 << 14))
                .zip(second.par_chunks_mut(1 << 14))
                .for_each(|(((value, grad), first), second)| {
                    for i in 0..value.len() {
                        let g = grad[i];
                        first[i] = b1 * first[i] + (1.0 - b1) * g;
                        second[i] = b2 * second[i] + (1.0 - b2) * g * g;
                        let denominator = second[i].sqrt() / root + eps;
                        value[i] = value[i] * keep - size * first[i] / denominator;
                    }
                });
            var.set(&Tensor::from_vec(value, var.dims(), var.device())?)?;
        }
        Ok(())
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    lucency_nn::keep_freed_memory();
    let (own, copied, third) = (vars()?, vars()?, vars()?);
    let count: usize = own.iter().map(|(_, var)| var.elem_count()).sum();
    let grads = |vars: &Named| -> Result<GradStore, Box<dyn std::error::Error>> {
        let mut sum = Tensor::new(0f32, &Device::Cpu)?;
        for (_, var) in vars {
            sum = (sum + var.sqr()?.sum_all()?)?;
        }
        Ok(sum.backward()?)
    };
    let mut optimisers: (AdamW, Copying, Adamax) = (
        AdamW::new(AdamWConfig::default()),
        Copying::default(),
        Adamax::new(AdamaxConfig::default()),
    );
    let (of_own, of_copied, of_third) = (grads(&own)?, grads(&copied)?, grads(&third)?);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        optimisers.0.step(&own, &of_own, 1e-4, 1.0)?;
        let fused = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        optimisers.1.step(&copied, &of_copied, 1e-4)?;
        let copying = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        optimisers.2.step(&third, &of_third, 1e-4, 1.0)?;
        let adamax = begun.elapsed().as_secs_f64();
        if round > 0 {
            for (times, time) in times.iter_mut().zip([fused, copying, adamax]) {
                times.push(time);
            }
        }
    }
    let [fused, copying, adamax] = times.map(median);
    println!("{count} numbers, {} threads", rayon::current_num_threads());
    println!(
        "AdamW in place {fused:.3} s, with copies {copying:.3} s: ratio {:.2}",
        fused / copying
    );
    println!("Adamax in place {adamax:.3} s");
    Ok(())
}
