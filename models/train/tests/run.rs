//! The whole loop on a tiny CLIP: it learns, it resumes on the same curve, and an interrupt leaves a checkpoint.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::path::Path;

use candle_core::{DType, Device};
use lucency_nn::{Interrupt, Mode, Weights};
use lucency_train::checkpoint::Checkpoint;
use lucency_train::contrastive::{
    ClaimWordings, ClassSet, ClassWordings, Contrastive, ContrastiveConfig, Guide, Parts,
    PromptPool,
};
use lucency_train::data::{Augment, Caption, InMemory, Mirror, Mixture, Part, Place, Sample};
use lucency_train::optim::{AdamWConfig, Schedule};
use lucency_train::run::{Ending, Outcome, Plan, train};
use lucency_zoo::clip::{Clip, ClipConfig, KeyLayout, ResNetConfig, TextConfig, VisionConfig};
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::{ClipTokenizer, prune};

const SIDE: usize = 32;

/// A square on the left or right, or none, on a grey ground.
fn sample(index: usize) -> Sample {
    let kind = index % 3; // none, left, right
    let mut data = vec![40 + (index * 7 % 60) as u8; SIDE * SIDE];
    if kind > 0 {
        for y in 10..20 {
            for x in 0..9 {
                data[y * SIDE + x + if kind == 1 { 3 } else { 20 }] = 230;
            }
        }
    }
    let text = [
        "No square.",
        "A square on the left.",
        "A square on the right.",
    ][kind];
    let left = if kind == 1 { 3.0 } else { 20.0 };
    Sample {
        image: Image8::new(SIDE, SIDE, 1, data).unwrap(),
        captions: vec![Caption {
            text: text.into(),
            fact: Some(text.into()),
        }],
        facts: vec![text.into()],
        claims: vec![(0, kind > 0)],
        places: if kind == 0 {
            Vec::new()
        } else {
            let edges = [left, 10.0, left + 9.0, 20.0].map(|v: f32| v / SIDE as f32);
            vec![Place { claim: 0, edges }]
        },
        located: vec![0],
        classes: if kind == 0 {
            Vec::new()
        } else {
            vec![(0, kind - 1)]
        },
        mirror: Mirror::Never,
    }
}

fn pool() -> PromptPool {
    let class = |name: &str| ClassWordings {
        name: name.into(),
        texts: vec![format!("A square on the {name}.")],
    };
    PromptPool {
        claims: vec![ClaimWordings {
            name: "square".into(),
            positive: vec!["There is a square.".into(), "A square.".into()],
            negative: vec!["No square.".into()],
        }],
        class_sets: vec![ClassSet {
            name: "side".into(),
            classes: vec![class("left"), class("right")],
        }],
    }
}

fn plan(total: u64) -> Plan {
    Plan {
        seed: 3,
        schedule: Schedule {
            peak: 3e-3,
            warmup: 3,
            total,
            floor: 0.1,
        },
        optimiser: AdamWConfig::default(),
        clip_norm: 5.0,
        ema_decay: 0.9,
        checkpoint_every: 4,
        evaluate_every: 0,
        log_every: 1,
    }
}

/// Trains in `run`, from its checkpoint if there is one; stops before step `stop_at`.
fn go(run: &Path, total: u64, stop_at: Option<u64>) -> Outcome {
    let pool = pool();
    let tokenizer = ClipTokenizer::pruned(&prune::select(pool.texts(), 600)).unwrap();
    let config = ClipConfig {
        layout: KeyLayout::OpenAi,
        embed_dim: 16,
        vision: VisionConfig::ResNet(ResNetConfig::new(SIDE, [1, 1, 1, 1], 4)),
        text: TextConfig::compact(tokenizer.vocab_size(), 16, 16, 1),
    };
    let weights = match Checkpoint::find(run).unwrap() {
        Some(checkpoint) => Weights::open(&checkpoint.weights(), &Device::Cpu).unwrap(),
        None => Weights::fresh(3, &Device::Cpu),
    };
    weights.train_where(|_| true).unwrap();
    let clip = Clip::load(&weights, &config).unwrap();
    let guide = Guide::load(&weights, 64, 16, 1, 1.0).unwrap();
    let mut data = InMemory::default();
    (0..18).for_each(|i| data.push(i as u64, sample(i)));
    let mixture = Mixture::new(3, vec![Part::single(0..12, 6)]).unwrap();
    let mut objective = Contrastive::new(
        Parts {
            clip,
            preprocess: Preprocess::squash_grey(SIDE),
            tokenizer,
            data: &data,
            mixture,
            held_out: (12..18).collect(),
            pool,
            guide: Some(guide),
        },
        ContrastiveConfig {
            seed: 3,
            augment: Augment {
                rotation_deg: 2.0,
                scale_min: 0.95,
                scale_max: 1.0,
                ..Augment::default()
            },
            caption_weight: 1.0,
            claim_weight: 1.0,
            claim_focus: 0.5,
            class_weight: 1.0,
            local_weight: 1.0,
            global_weight: 1.0,
            caption_share: 0.8,
            claims_per_step: 1,
            longest_text: 16,
        },
    );
    let stop = Interrupt::new();
    let outcome = train(
        &plan(total),
        &weights,
        &mut objective,
        run,
        &stop,
        &mut |p| {
            if stop_at == Some(p.done) {
                stop.stop();
            }
        },
    )
    .unwrap();
    let frozen: Vec<String> = weights
        .vars()
        .into_iter()
        .filter(|(_, v)| v.dtype() != DType::F32)
        .map(|(k, _)| k)
        .collect();
    assert!(frozen.is_empty(), "everything trains in 32 bits");
    outcome
}

#[test]
fn a_tiny_run_learns_claims_and_captions() {
    let run = tempfile::tempdir().unwrap();
    let outcome = go(run.path(), 120, None);
    assert_eq!(outcome.ending, Ending::Finished);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&outcome.losses[..5]), mean(&outcome.losses[115..]));
    assert!(
        last < 0.45 * first,
        "the loss falls from {first:.2} to {last:.2}"
    );
    assert!(outcome.figures["auroc"] > 0.95, "{:?}", outcome.figures);
}

#[test]
fn a_run_that_was_interrupted_goes_on_along_the_same_curve() {
    let whole = tempfile::tempdir().unwrap();
    let parted = tempfile::tempdir().unwrap();
    let straight = go(whole.path(), 10, None);
    let first = go(parted.path(), 10, Some(6));
    assert_eq!(first.ending, Ending::Stopped);
    assert_eq!(first.steps, 6);
    let second = go(parted.path(), 10, None);
    assert_eq!(second.ending, Ending::Finished);
    let joined: Vec<f64> = first.losses.iter().chain(&second.losses).copied().collect();
    for (step, (a, b)) in straight.losses.iter().zip(&joined).enumerate() {
        assert!(
            (a - b).abs() <= 1e-4 * a.abs(),
            "step {}: {a} without a stop, {b} with one",
            step + 1
        );
    }
    let lines = std::fs::read_to_string(parted.path().join("log.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 10, "one line a step, none twice");
}

#[test]
fn an_interrupt_leaves_a_checkpoint_that_loads_as_a_model() {
    let run = tempfile::tempdir().unwrap();
    go(run.path(), 10, Some(2));
    let checkpoint = Checkpoint::find(run.path()).unwrap().expect("a checkpoint");
    assert_eq!(checkpoint.state.step, 2);
    let weights = Weights::open(&checkpoint.averaged(), &Device::Cpu).unwrap();
    let tokenizer = ClipTokenizer::pruned(&prune::select(pool().texts(), 600)).unwrap();
    let config = ClipConfig {
        layout: KeyLayout::OpenAi,
        embed_dim: 16,
        vision: VisionConfig::ResNet(ResNetConfig::new(SIDE, [1, 1, 1, 1], 4)),
        text: TextConfig::compact(tokenizer.vocab_size(), 16, 16, 1),
    };
    let clip = Clip::load(&weights, &config).unwrap();
    let pixels = Preprocess::squash_grey(SIDE)
        .batch(&[&sample(1).image], &Device::Cpu)
        .unwrap();
    let embedded = clip.embed_images(&pixels, Mode::Eval).unwrap();
    assert_eq!(embedded.dims(), [1, 16]);
}
