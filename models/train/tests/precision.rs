//! bf16 and mixed precision through the composed operations, which is what runs on accelerators, beside f32 through the fused ones.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod tiny;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Place, Precision};
use lucency_train::finetune::{Method, TunePlan};
use lucency_train::optim::Rate;
use lucency_train::run::Ending;
use lucency_zoo::clip::KeyLayout;
use tiny::{Base, Things, bits, plan, resnet, values, vit, with_fresh};

const METHODS: [Method; 6] = [
    Method::Lora,
    Method::Ia3,
    Method::Prefix,
    Method::Prompt,
    Method::Full,
    Method::Contrastive,
];

/// Loss and all gradients in a row, of a second step at other weights; types of the variables are checked on the way.
fn second_step(base: &Base, plan: &TunePlan) -> (f64, Vec<f64>) {
    let towers = with_fresh(base, plan);
    let vars = towers.weights.vars();
    let things = Things::new(12);
    let mut objective = things.objective(towers, plan);
    objective.gradients(0, &vars).unwrap();
    for (_, var) in &vars {
        // The same move in every precision; layers that kept their copies would not see it.
        let n = var.elem_count();
        let moves = (0..n).map(|i| 0.02 * (i as f32 * 1.7).sin());
        let moves = Tensor::from_iter(moves, var.device()).unwrap();
        let moves = moves.reshape(var.dims()).unwrap();
        let value = (var.to_dtype(DType::F32).unwrap() + moves).unwrap();
        var.set(&value.to_dtype(var.dtype()).unwrap()).unwrap();
    }
    let (loss, grads) = objective.gradients(1, &vars).unwrap();
    assert_eq!(loss.total.dtype(), DType::F32, "a loss is f32");
    let mut all = Vec::new();
    for (key, var) in &vars {
        let wide = key.contains("ln_") || key.contains("norm") || key.contains("bn");
        let wide = wide || key.contains("downsample.1") || key == "logit_scale";
        let wanted = if wide {
            DType::F32
        } else {
            plan.precision.master()
        };
        assert_eq!(var.dtype(), wanted, "{:?}: `{key}`", plan.precision);
        let grad = grads.get(var.as_tensor()).unwrap();
        assert_eq!(grad.dtype(), var.dtype());
        let grad = values(&grad.to_dtype(DType::F32).unwrap());
        all.extend(grad.into_iter().map(f64::from));
    }
    (f64::from(values(&loss.total)[0]), all)
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn gradients_agree_with_those_in_f32_as_far_as_16_bits_go() {
    for base in [
        vit(KeyLayout::OpenAi),
        vit(KeyLayout::HuggingFace),
        resnet(),
    ] {
        for method in METHODS {
            let wide = TunePlan {
                dropout: 0.0,
                ..plan(method)
            };
            let (loss, wanted) = second_step(&base, &wide);
            for precision in [Precision::Mixed, Precision::Bf16] {
                for checkpointing in [false, true] {
                    let narrow = TunePlan {
                        precision,
                        checkpointing,
                        ..wide.clone()
                    };
                    let (found_loss, found) = second_step(&base, &narrow);
                    let name = format!("{method:?} in {precision:?}");
                    let apart = (found_loss - loss).abs();
                    assert!(
                        apart < 0.1 * loss,
                        "{name}: loss {found_loss}, in f32 {loss}"
                    );
                    let alike = cosine(&wanted, &found);
                    println!("{name}: cosine {alike:.4}");
                    assert!(alike > 0.98, "{name}: cosine {alike}");
                    assert_ne!(found, wanted, "{name}: it is another computation");
                }
            }
        }
    }
}

#[test]
fn mixed_precision_learns_and_a_run_that_is_taken_up_again_ends_with_the_same_bits() {
    let base = vit(KeyLayout::OpenAi);
    let things = Things::new(16);
    let plan = TunePlan {
        epochs: 40,
        augment: false,
        rate: Rate::Constant { rate: 2e-2 },
        precision: Precision::Mixed,
        ..plan(Method::Lora)
    };
    let run = |folder: &std::path::Path, stop_after: Option<u64>| {
        things.run(&base, &plan, folder, stop_after)
    };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let wanted = run(whole.path(), None);
    assert!(wanted.figures["auroc"] > 0.95, "{:?}", wanted.figures);
    assert_eq!(run(parts.path(), Some(7)).ending, Ending::Stopped);
    let found = run(parts.path(), None);
    assert!(bits(&wanted.towers.trained()) == bits(&found.towers.trained()));
    let masters: Vec<Tensor> = found.towers.trained().into_values().collect();
    assert!(masters.iter().all(|t| t.dtype() == DType::F32));
}

#[test]
fn every_method_has_the_processors_gradients_in_the_reference_place() {
    for base in [vit(KeyLayout::HuggingFace), resnet()] {
        let elsewhere = Base {
            place: Place {
                device: Device::Cpu,
                precision: Precision::F64,
            },
            tensors: base.tensors.clone(),
            config: base.config.clone(),
            preprocess: base.preprocess.clone(),
            tokenizer: base.tokenizer.clone(),
        };
        for method in METHODS {
            let plan = TunePlan {
                epochs: 2,
                ..plan(method)
            };
            let step = |base: &Base| {
                let towers = with_fresh(base, &plan);
                let vars = towers.weights.vars();
                let things = Things::new(12);
                let mut objective = things.objective(towers, &plan);
                let (loss, grads) = objective.gradients(0, &vars).unwrap();
                let mut all = Vec::new();
                for (_, var) in &vars {
                    let grad = grads.get(var.as_tensor()).unwrap();
                    all.extend(
                        values(&grad.to_dtype(DType::F32).unwrap())
                            .into_iter()
                            .map(f64::from),
                    );
                }
                (f64::from(values(&loss.total)[0]), all)
            };
            let ((loss, grads), (wanted, wanted_grads)) = (step(&elsewhere), step(&base));
            assert!(
                (loss - wanted).abs() < 1e-4 * wanted.abs(),
                "{method:?}: {loss} {wanted}"
            );
            let cosine = cosine(&grads, &wanted_grads);
            assert!(cosine > 0.9999, "{method:?}: cosine {cosine}");
        }
    }
}
