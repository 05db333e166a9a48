//! Times a cross-validated probe on 10,000 cached embeddings of 256 dimensions.
//!
//! `probe_speed FOLDER` writes `features.f64` and `labels.u8` for `docs/finetuning.md`'s scikit-learn lines, and prints
//! its own time, the chosen strength and the AUROC of left-out cases.

use std::time::Instant;

use lucency_nn::Interrupt;
use lucency_train::metrics::auroc;
use lucency_train::probe::{ClassWeights, Features, Labels, Probe, ProbePlan, SelectBy};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CASES: usize = 10_000;
const WIDTH: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let slope: Vec<f64> = (0..WIDTH).map(|_| rng.random_range(-0.2..0.2)).collect();
    let mut values = Vec::with_capacity(CASES * WIDTH);
    let mut of = Vec::with_capacity(CASES);
    for _ in 0..CASES {
        let row: Vec<f64> = (0..WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let z: f64 = row.iter().zip(&slope).map(|(x, s)| x * s).sum();
        of.push(Some(usize::from(rng.random_bool(1.0 / (1.0 + (-z).exp())))));
        values.extend(row);
    }
    if let Some(folder) = std::env::args().nth(1) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(format!("{folder}/features.f64"), bytes)?;
        let bytes: Vec<u8> = of.iter().map(|c| c.unwrap_or(0) as u8).collect();
        std::fs::write(format!("{folder}/labels.u8"), bytes)?;
    }
    let truth: Vec<bool> = of.iter().map(|c| *c == Some(1)).collect();
    let features = Features::new(values, WIDTH)?;
    let labels = Labels::Classes { of, classes: 2 };
    let groups: Vec<u64> = (0..CASES as u64).collect();
    let plan = ProbePlan {
        strengths: (-4..=5).map(|e| 10f64.powi(e)).collect(),
        folds: 5,
        weights: ClassWeights::Equal,
        select: SelectBy::Auroc,
        seed: 1,
    };
    let start = Instant::now();
    let fit = Probe::fit(
        std::slice::from_ref(&features),
        &labels,
        &groups,
        &plan,
        &Interrupt::new(),
        &mut |_| {},
    )?;
    let seconds = start.elapsed().as_secs_f64();
    let scores: Vec<f64> = fit.left_out.iter().map(|row| row[1]).collect();
    println!(
        "{seconds:.2} s, C {}, AUROC of left-out cases {:.5}",
        fit.probe.strength,
        auroc(&scores, &truth)?
    );
    Ok(())
}
