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
