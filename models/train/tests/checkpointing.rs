//! Gradient checkpointing gives the gradients that a step without it gives, bit for bit.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod tiny;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use lucency_nn::{Adaptation, AdapterKind, Mode, Weights};
use lucency_train::finetune::{Method, TunePlan};
use lucency_zoo::clip::{Clip, KeyLayout};
use tiny::{Base, Things, bits, plan, resnet, values, vit, with_fresh};

/// Loss and gradients of the second step of a method, whose parts are no longer at their first values, by key.
fn second_step(base: &Base, plan: &TunePlan) -> (f32, BTreeMap<String, Tensor>) {
    let towers = with_fresh(base, plan);
    let vars = towers.weights.vars();
    let things = Things::new(12);
    let mut objective = things.objective(towers, plan);
    let (_, grads) = objective.gradients(0, &vars).unwrap();
    for (_, var) in &vars {
        let moved =
            (var.as_tensor() - (grads.get(var.as_tensor()).unwrap() * 0.5).unwrap()).unwrap();
        var.set(&moved).unwrap();
    }
    let (loss, grads) = objective.gradients(1, &vars).unwrap();
    let of = |(key, var): &(String, candle_core::Var)| {
        (key.clone(), grads.get(var.as_tensor()).unwrap().clone())
    };
    (values(&loss.total)[0], vars.iter().map(of).collect())
}

#[test]
fn gradients_of_every_method_are_those_without_checkpointing() {
    for base in [
        resnet(),
        vit(KeyLayout::OpenAi),
        vit(KeyLayout::HuggingFace),
    ] {
        for method in [
            Method::Lora, // with dropout, which is replayed
            Method::Ia3,
            Method::Prefix,
            Method::Prompt,
            Method::Full,
            Method::Contrastive,
        ] {
            for frozen_blocks in [0, 2] {
                let kept = TunePlan {
                    frozen_blocks,
                    ..plan(method)
                };
                let again = TunePlan {
                    checkpointing: true,
                    ..kept.clone()
                };
                assert!(method != Method::Lora || kept.dropout > 0.0);
                let (wanted, found) = (second_step(&base, &kept), second_step(&base, &again));
                assert_eq!(
                    wanted.0.to_bits(),
                    found.0.to_bits(),
                    "{method:?}: the loss"
                );
                assert!(
                    wanted
                        .1
                        .values()
                        .any(|g| values(g).iter().any(|v| *v != 0.0))
                );
                let (wanted, found) = (bits(&wanted.1), bits(&found.1));
                for (key, bits) in &wanted {
                    assert!(*bits == found[key], "{method:?}: the gradient of `{key}`");
                }
            }
        }
    }
}

#[test]
fn without_collecting_the_blocks_have_no_gradient_and_a_forward_pass_alone_costs_nothing() {
    let base = vit(KeyLayout::OpenAi);
    let weights = Weights::from_tensors(base.tensors.clone(), "a test");
    let kind = AdapterKind::Lora {
        rank: 2,
        alpha: 4.0,
        dropout: 0.0,
    };
    let targets = vec!["out_proj".to_string()];
    weights
        .adapt(Adaptation::new(kind, targets, 1).unwrap())
        .unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    let gathered = weights.checkpoint();
    let clip = Clip::load(&weights, &base.config).unwrap();
    let pixels = Tensor::randn(0f32, 1.0, (2, 3, 32, 32), &Device::Cpu).unwrap();
    let embedded = clip.encode_image(&pixels, Mode::Eval).unwrap();
    let mut grads = embedded
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let vars: Vec<_> = weights
        .vars()
        .into_iter()
        .filter(|(key, _)| key.starts_with("visual."))
        .collect();
    assert!(!vars.is_empty());
    assert!(
        vars.iter()
            .all(|(_, var)| grads.get(var.as_tensor()).is_none())
    );
    gathered.collect(&mut grads).unwrap();
    assert!(
        vars.iter()
            .all(|(_, var)| grads.get(var.as_tensor()).is_some())
    );
    // A frozen tower's values need no record at all.
    let frozen = Weights::from_tensors(base.tensors.clone(), "a test");
    frozen.checkpoint();
    let clip = Clip::load(&frozen, &base.config).unwrap();
    assert!(!clip.encode_image(&pixels, Mode::Eval).unwrap().track_op());
}
