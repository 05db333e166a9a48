//! DINOv2 under low-rank updates and learned scales.

use crate::dino::{config, inputs, load, loss, stream, weights};
use crate::{assert_close, difference, values};
use candle_core::Tensor;
use lucency_nn::{Adaptation, AdapterKind, Weights};
use lucency_zoo::dino::Dino;

fn kinds() -> [AdapterKind; 2] {
    [
        AdapterKind::Lora {
            rank: 4,
            alpha: 8.0,
            dropout: 0.0,
        },
        AdapterKind::Ia3 {
            feedforward: vec!["fc2".into()],
        },
    ]
}

fn targets() -> Vec<String> {
    ["qkv", "proj", "fc1", "fc2"].map(String::from).to_vec()
}

fn adapt(weights: &Weights, kind: &AdapterKind) -> Dino {
    let adaptation = Adaptation::new(kind.clone(), targets(), 7).unwrap();
    weights.adapt(adaptation).unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    load(weights)
}

/// Steps by the sign of the gradient; the losses.
fn train(tower: &Dino, weights: &Weights, steps: usize) -> Vec<f32> {
    let pixels = &inputs()["image56"];
    (0..steps)
        .map(|_| {
            let loss = loss(tower, pixels);
            let gradients = loss.backward().unwrap();
            for (key, var) in weights.vars() {
                let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{key}"));
                let update = (gradient.sign().unwrap() * 3e-3).unwrap();
                var.set(&(var.as_detached_tensor() - update).unwrap())
                    .unwrap();
            }
            loss.to_scalar().unwrap()
        })
        .collect()
}

#[test]
fn adapters_start_unchanged_learn_alone_and_agree_plain_and_packed() {
    let pixels = &inputs()["image56"];
    let base = load(&stream()).encode(pixels).unwrap();
    for kind in kinds() {
        let run = |weights: Weights| -> (Vec<f32>, Tensor) {
            let tower = adapt(&weights, &kind);
            let start = tower.encode(pixels).unwrap();
            assert_close("the start", &start, &base, 1e-5);
            let vars = weights.vars();
            // Two blocks of four maps; a low-rank update has two tensors.
            let each = if matches!(kind, AdapterKind::Lora { .. }) {
                2
            } else {
                1
            };
            assert_eq!(vars.len(), 2 * 4 * each);
            assert!(vars.iter().all(|(key, _)| Adaptation::owns(key)));
            let before: Vec<Vec<f32>> = vars.iter().map(|(_, var)| values(var)).collect();
            let losses = train(&tower, &weights, 6);
            for ((key, var), before) in vars.iter().zip(before) {
                assert_ne!(values(var), before, "{key} never moved");
            }
            (losses, tower.encode(pixels).unwrap())
        };
        let (plain, packed) = (run(weights()), run(weights().packed()));
        assert!(plain.0[5] < plain.0[0], "{kind:?}: {:?}", plain.0);
        assert!(
            difference(&plain.1, &base) > 1e-2,
            "{kind:?} changes nothing"
        );
        for (plain, packed) in plain.0.iter().zip(&packed.0) {
            assert!((plain - packed).abs() < 1e-4, "{plain} is not {packed}");
        }
    }
}

#[test]
fn updates_worked_into_the_file_give_the_adapted_tower() {
    let [kind, _] = kinds();
    let pixels = &inputs()["image70"];
    let adapted = weights();
    let tower = adapt(&adapted, &kind);
    train(&tower, &adapted, 3);
    let mut tensors = adapted.snapshot().unwrap();
    let updates: Vec<String> = tensors
        .keys()
        .filter_map(|key| Some(key.strip_suffix(".lora_A.weight")?.to_owned()))
        .collect();
    assert_eq!(updates.len(), 8);
    for map in updates {
        let mut take = |part: &str| tensors.remove(&format!("{map}.{part}")).unwrap();
        let (a, b) = (take("lora_A.weight"), take("lora_B.weight"));
        let delta = (b.matmul(&a).unwrap() * 2.0).unwrap();
        let weight = (take("weight") + delta).unwrap();
        tensors.insert(format!("{map}.weight"), weight);
    }
    let merged = Weights::from_tensors(tensors.into_iter().collect(), "merged").packed();
    let merged = Dino::load(&merged.pp("img_encoder_q.model"), &config()).unwrap();
    let (found, wanted) = (
        merged.encode(pixels).unwrap(),
        tower.encode(pixels).unwrap(),
    );
    assert_close("class token", &found, &wanted, 2e-5);
}
