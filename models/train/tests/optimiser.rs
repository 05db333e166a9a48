//! AdamW against the steps that PyTorch takes on the tiny CLIP of `tests/vectors/clip-vit-hf`.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, Var};
use lucency_train::optim::{AdamW, AdamWConfig, DecayScope};

fn load(name: &str) -> Option<HashMap<String, Tensor>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/clip-vit-hf")
        .join(name);
    if !path.is_file() {
        eprintln!("SKIPPED: {} is absent", path.display());
        return None;
    }
    Some(candle_core::safetensors::load(path, &Device::Cpu).unwrap())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn one_adamw_step_moves_parameters_as_pytorch_does() {
    let (Some(weights), Some(outputs)) = (load("weights.safetensors"), load("outputs.safetensors"))
    else {
        return;
    };
    let config = AdamWConfig {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-6,
        weight_decay: 0.01,
        decay: DecayScope::All,
    };
    let mut checked = 0;
    for (key, wanted) in &outputs {
        let Some(name) = key.strip_prefix("adamw1.") else {
            continue;
        };
        let var = Var::from_tensor(&weights[name]).unwrap();
        let gradient = &outputs[&format!("grad.{name}")];
        // A loss whose gradient is the reference's.
        let loss = (var.as_tensor() * gradient).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let mut optimiser = AdamW::new(config);
        let vars = vec![(name.to_string(), var.clone())];
        optimiser.step(&vars, &grads, 1e-3, 1.0).unwrap();
        let found = values(var.as_tensor());
        for ((w, f), g) in values(wanted).iter().zip(&found).zip(values(gradient)) {
            if g.abs() >= 1e-7 || g == 0.0 {
                assert!((w - f).abs() <= 2e-5, "{name}: {f}, the reference {w}");
            }
        }
        checked += 1;
    }
    assert!(
        checked >= 8,
        "the reference holds eight parameters after a step"
    );
}

#[test]
fn a_restored_optimiser_goes_on_as_if_it_had_never_stopped() {
    let run = |stop_after: Option<usize>| -> Vec<f32> {
        let var = Var::from_slice(&[1f32, -2.0, 3.0], 3, &Device::Cpu).unwrap();
        let vars = vec![("w".to_string(), var.clone())];
        let mut optimiser = AdamW::new(AdamWConfig::default());
        for step in 0..6 {
            if stop_after == Some(step) {
                let (steps, state) = (optimiser.steps(), optimiser.state().unwrap());
                optimiser = AdamW::new(AdamWConfig::default());
                optimiser.restore(steps, &state).unwrap();
            }
            let grads = var
                .as_tensor()
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            optimiser.step(&vars, &grads, 0.1, 1.0).unwrap();
        }
        values(var.as_tensor())
    };
    assert_eq!(run(None), run(Some(3)));
}

/// AdamW with every array copied out and the values copied back: what the step in place must equal.
struct Copying {
    config: AdamWConfig,
    steps: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Copying {
    fn step(&mut self, vars: &[(String, Var)], grads: &[Tensor], rate: f64, scale: f64) {
        self.steps += 1;
        let c = self.config;
        let size = (rate / (1.0 - c.beta1.powi(self.steps))) as f32;
        let root = (1.0 - c.beta2.powi(self.steps)).sqrt() as f32;
        let (b1, b2, eps) = (c.beta1 as f32, c.beta2 as f32, c.eps as f32);
        for (((_, var), grad), (first, second)) in vars.iter().zip(grads).zip(&mut self.moments) {
            let decays = c.decay == DecayScope::All || var.dims().len() > 1;
            let keep = if decays {
                1.0 - rate * c.weight_decay
            } else {
                1.0
            } as f32;
            let mut value = values(var.as_tensor());
            for (i, g) in values(grad).into_iter().enumerate() {
                let g = g * scale as f32;
                first[i] = b1 * first[i] + (1.0 - b1) * g;
                second[i] = b2 * second[i] + (1.0 - b2) * g * g;
                let denominator = second[i].sqrt() / root + eps;
                value[i] = value[i] * keep - size * first[i] / denominator;
            }
            let value = Tensor::from_vec(value, var.dims(), &Device::Cpu).unwrap();
            var.set(&value).unwrap();
        }
    }
}

#[test]
fn a_step_in_place_equals_one_with_copies_bit_for_bit_also_of_strided_gradients() {
    for decay in [DecayScope::All, DecayScope::Matrices] {
        let config = AdamWConfig {
            decay,
            ..AdamWConfig::default()
        };
        let shapes: [&[usize]; 3] = [&[130, 257], &[40_001], &[]];
        let fresh = || -> Vec<(String, Var)> {
            let of = |(i, shape): (usize, &&[usize])| {
                let n: usize = shape.iter().product();
                let start = (0..n).map(|k| ((k * 37 + i) % 101) as f32 / 50.0 - 1.0);
                let value = Tensor::from_iter(start, &Device::Cpu).unwrap();
                let value = value.reshape(*shape).unwrap();
                (format!("v{i}"), Var::from_tensor(&value).unwrap())
            };
            shapes.iter().enumerate().map(of).collect()
        };
        let (ours, theirs) = (fresh(), fresh());
        let mut optimiser = AdamW::new(config);
        let moments = ours.iter().map(|(_, v)| vec![0f32; v.elem_count()]);
        let mut copying = Copying {
            config,
            steps: 0,
            moments: moments.map(|m| (m.clone(), m)).collect(),
        };
        for step in 0..4 {
            // The matrix's gradient comes transposed, as a product's does.
            let slope = |t: &Tensor| (t.sin().unwrap() * (1.0 + step as f64)).unwrap();
            let turned = slope(&ours[0].1.t().unwrap().contiguous().unwrap());
            let slopes = [
                turned,
                slope(ours[1].1.as_tensor()),
                slope(ours[2].1.as_tensor()),
            ];
            let loss = |vars: &[(String, Var)]| {
                let first = (vars[0].1.t().unwrap() * &slopes[0])
                    .unwrap()
                    .sum_all()
                    .unwrap();
                let second = (vars[1].1.as_tensor() * &slopes[1])
                    .unwrap()
                    .sum_all()
                    .unwrap();
                ((first + second).unwrap() + (vars[2].1.as_tensor() * &slopes[2]).unwrap()).unwrap()
            };
            let grads = loss(&ours).backward().unwrap();
            let own: Vec<Tensor> = ours
                .iter()
                .map(|(_, var)| grads.get(var.as_tensor()).unwrap().clone())
                .collect();
            optimiser.step(&ours, &grads, 1e-2, 0.5).unwrap();
            copying.step(&theirs, &own, 1e-2, 0.5);
        }
        for ((_, a), (_, b)) in ours.iter().zip(&theirs) {
            let bits = |t: &Tensor| values(t).into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(a.as_tensor()), bits(b.as_tensor()), "{decay:?}");
        }
    }
}
