//! A layer scale behind an affine map: worked into packed weights, multiplied where something is trained.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Adaptation, AdapterKind, Bias, LayerScale, Linear, Quantisation, Weights};

const CPU: Device = Device::Cpu;

fn wave(shape: &[usize], step: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * step).sin()).collect();
    Tensor::from_vec(values, shape, &CPU).unwrap()
}

fn tensors() -> HashMap<String, Tensor> {
    HashMap::from([
        ("proj.weight".into(), wave(&[6, 40], 0.7)),
        ("proj.bias".into(), wave(&[6], 1.3)),
        ("ls.gamma".into(), wave(&[6], 2.1).affine(0.2, 0.5).unwrap()),
    ])
}

fn store() -> Weights {
    Weights::from_tensors(tensors(), "waves")
}

fn load(weights: &Weights) -> Linear {
    let scale = LayerScale::load(&weights.pp("ls"), 6, 1.0).unwrap();
    Linear::load_scaled(&weights.pp("proj"), 40, 6, Bias::Yes, Some(&scale)).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn close(found: &Tensor, wanted: &Tensor, tolerance: f32) {
    assert_eq!(found.dims(), wanted.dims());
    for (found, wanted) in values(found).iter().zip(values(wanted)) {
        assert!(
            (found - wanted).abs() <= tolerance,
            "{found} is not {wanted}"
        );
    }
}

/// `γ (x Wᵀ + b)`, composed.
fn wanted(x: &Tensor) -> Tensor {
    let t = tensors();
    let y = x.matmul(&t["proj.weight"].t().unwrap()).unwrap();
    let y = y.broadcast_add(&t["proj.bias"]).unwrap();
    y.broadcast_mul(&t["ls.gamma"]).unwrap()
}

#[test]
fn a_packed_map_holds_the_factors_and_equals_the_plain_product() {
    let (x, shortcut) = (wave(&[5, 40], 0.37), wave(&[5, 6], 0.9));
    for (weights, folded) in [(store(), false), (store().packed(), true)] {
        let layer = load(&weights);
        close(&layer.forward(&x).unwrap(), &wanted(&x), 1e-5);
        let beside = layer.forward_beside(&shortcut, &x).unwrap();
        close(&beside, &(&shortcut + wanted(&x)).unwrap(), 1e-5);
        let t = tensors();
        let factors = t["ls.gamma"].unsqueeze(1).unwrap();
        let weight = match folded {
            true => t["proj.weight"].broadcast_mul(&factors).unwrap(),
            false => t["proj.weight"].clone(),
        };
        close(&layer.weight().unwrap(), &weight, 1e-7);
    }
    let eight = load(&store().quantised(Some(Quantisation::Q8)));
    close(&eight.forward(&x).unwrap(), &wanted(&x), 0.05);
}

#[test]
fn factors_that_are_trained_stay_outside_and_learn() {
    for packed in [false, true] {
        let weights = if packed { store().packed() } else { store() };
        weights.train_where(|key| key == "ls.gamma").unwrap();
        let layer = load(&weights);
        let x = wave(&[5, 40], 0.37);
        let y = layer.forward(&x).unwrap();
        close(&y, &wanted(&x), 1e-5);
        let vars = weights.vars();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        // d(γ² z²)/dγ = 2 γ z² = 2 y² / γ
        let gamma = &tensors()["ls.gamma"];
        let slope = (wanted(&x).sqr().unwrap().sum(0).unwrap() * 2.0).unwrap();
        let slope = (slope / gamma).unwrap();
        let found = gradients.get(&vars[0].1).unwrap();
        let size = values(&slope).iter().fold(1.0f32, |m, v| m.max(v.abs()));
        close(found, &slope, 1e-5 * size);
        assert_eq!(vars.len(), 1, "weight and bias stay frozen");
    }
}

#[test]
fn an_update_stands_inside_the_factors_in_packed_and_plain_stores() {
    let x = wave(&[5, 40], 0.37);
    for packed in [false, true] {
        let mut all = tensors();
        let (a, b) = (wave(&[2, 40], 0.11), wave(&[6, 2], 0.51));
        all.insert("proj.lora_A.weight".into(), a.clone());
        all.insert("proj.lora_B.weight".into(), b.clone());
        let weights = Weights::from_tensors(all, "waves");
        let weights = if packed { weights.packed() } else { weights };
        let kind = AdapterKind::Lora {
            rank: 2,
            alpha: 4.0,
            dropout: 0.0,
        };
        weights
            .adapt(Adaptation::new(kind, vec!["proj".into()], 1).unwrap())
            .unwrap();
        let layer = load(&weights);
        let delta = x.matmul(&a.t().unwrap()).unwrap();
        let delta = (delta.matmul(&b.t().unwrap()).unwrap() * 2.0).unwrap();
        let delta = delta.broadcast_mul(&tensors()["ls.gamma"]).unwrap();
        let wanted = (wanted(&x) + delta).unwrap();
        close(&layer.forward(&x).unwrap(), &wanted, 1e-4);
        close(&layer.merge().unwrap().forward(&x).unwrap(), &wanted, 1e-4);
    }
}

#[test]
fn an_update_is_refused_where_the_factors_are_part_of_the_weight() {
    let own = Weights::fresh(1, &CPU);
    let refused = load(&store().packed()).with_lora(2, 4.0, &own).unwrap_err();
    assert!(refused.to_string().contains("scale"), "{refused}");
    assert!(load(&store()).with_lora(2, 4.0, &own).is_ok());
}

#[test]
fn a_wrong_last_axis_is_refused() {
    let scale = LayerScale::load(&store().pp("ls"), 6, 1.0).unwrap();
    let x = Tensor::zeros((2, 5), DType::F32, &CPU).unwrap();
    assert!(scale.forward(&x).is_err());
}
