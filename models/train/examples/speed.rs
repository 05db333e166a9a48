//! Images a second of one training step for a few image towers: `cargo run -p lucency-train --example speed`.

use std::time::Instant;

use candle_core::{Device, Tensor};
use lucency_nn::{Mode, Weights};
use lucency_zoo::clip::{Clip, ClipConfig, KeyLayout, ResNetConfig, TextConfig, VisionConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let batch = 32;
    for (side, layers, width) in [
        (128, [1, 2, 2, 1], 24),
        (128, [2, 2, 2, 2], 24),
        (128, [1, 2, 2, 1], 32),
        (160, [1, 2, 2, 1], 24),
        (128, [1, 1, 1, 1], 24),
    ] {
        let config = ClipConfig {
            layout: KeyLayout::OpenAi,
            embed_dim: 256,
            vision: VisionConfig::ResNet(ResNetConfig::new(side, layers, width)),
            text: TextConfig::compact(3000, 64, 192, 3),
        };
        let weights = Weights::fresh(1, &Device::Cpu);
        weights.train_where(|_| true)?;
        let clip = Clip::load(&weights, &config)?;
        let count: usize = weights.vars().iter().map(|(_, v)| v.elem_count()).sum();
        let pixels = Tensor::rand(-1f32, 1f32, (batch, 3, side, side), &Device::Cpu)?;
        let ids = Tensor::ones((48, 20), candle_core::DType::U32, &Device::Cpu)?;
        let mut times = [0f64; 3];
        let rounds = 3;
        for round in 0..=rounds {
            let t0 = Instant::now();
            let images = clip.encode_image(&pixels, Mode::Train)?;
            let loss = images.sqr()?.mean_all()?;
            let t1 = Instant::now();
            loss.backward()?;
            let t2 = Instant::now();
            clip.encode_text(&ids)?.sqr()?.mean_all()?.backward()?;
            let t3 = Instant::now();
            if round > 0 {
                times[0] += (t1 - t0).as_secs_f64();
                times[1] += (t2 - t1).as_secs_f64();
                times[2] += (t3 - t2).as_secs_f64();
            }
        }
        let n = rounds as f64;
        println!(
            "{side} {layers:?} width {width}: {:.1}M parameters, forward {:.3} s, backward {:.3} s, {:.1} images/s; 48 texts of 20: {:.3} s",
            count as f64 / 1e6,
            times[0] / n,
            times[1] / n,
            batch as f64 * n / (times[0] + times[1]),
            times[2] / n
        );
    }
    Ok(())
}
