//! How fast a linear layer runs, packed and plain, at the sizes of CLIP ViT-B/32: `cargo run --release -p lucency-nn
//! --example linear_speed`. `RAYON_NUM_THREADS` sets the threads.

use std::time::Instant;

use candle_core::{Device, Tensor};
use lucency_nn::{Bias, Linear, Result, Weights};

/// Layers that take turns, so that weights come from memory as in a model.
const LAYERS: usize = 24;
/// Rows, inputs, outputs.
const SIZES: &[(usize, usize, usize)] = &[
    (50, 768, 768),
    (50, 768, 3072),
    (50, 3072, 768),
    (800, 768, 768),
    (800, 768, 3072),
    (800, 3072, 768),
    (1078, 512, 2048),
];

fn main() -> Result<()> {
    println!("rows inputs outputs: GFLOP/s plain, packed");
    for &(rows, inputs, outputs) in SIZES {
        let weights = Weights::fresh(1, &Device::Cpu);
        let layers = |weights: Weights| -> Result<Vec<Linear>> {
            (0..LAYERS)
                .map(|i| Linear::load(&weights.pp(i), inputs, outputs, Bias::Yes))
                .collect()
        };
        let plain = layers(weights.pp("plain"))?;
        let packed = layers(weights.packed().pp("packed"))?;
        let x = Tensor::randn(0f32, 1.0, (rows, inputs), &Device::Cpu)?;
        let work = 2.0 * (rows * inputs * outputs) as f64 / 1e9;
        let (plain, packed) = (work / best(&plain, &x)?, work / best(&packed, &x)?);
        println!("{rows:5} {inputs:5} {outputs:5}: {plain:6.1} {packed:6.1}");
    }
    Ok(())
}

/// Seconds of a call, of the fastest of many rounds.
fn best(layers: &[Linear], x: &Tensor) -> Result<f64> {
    let mut best = f64::INFINITY;
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < 1.5 {
        let one = Instant::now();
        for layer in layers {
            std::hint::black_box(layer.forward(x)?);
        }
        best = best.min(one.elapsed().as_secs_f64() / layers.len() as f64);
    }
    Ok(best)
}
