//! Every method of fine-tuning on tiny CLIPs: what it trains learns, what it freezes stays, and a run that is taken up again ends with
//! the same weights.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use lucency_nn::Interrupt;
use lucency_train::finetune::{Method, TunePlan, peft, tune, with_adapter};
use lucency_train::optim::{AdamW, Rate};
use lucency_train::run::Ending;
use lucency_zoo::clip::KeyLayout;
use tiny::{Base, Things, bits, plan, resnet, values, vit, with_fresh};

const GRADIENT_METHODS: [Method; 6] = [
    Method::Lora,
    Method::Ia3,
    Method::Prefix,
    Method::Prompt,
    Method::Full,
    Method::Contrastive,
];

/// A method's objective and its variables, walked two steps; the gradients of the second.
fn check_coverage(base: &Base, plan: &TunePlan) {
    let method = plan.method;
    let towers = with_fresh(base, plan);
    let weights = towers.weights.clone();
    let before = weights.snapshot().unwrap();
    let vars = weights.vars();
    assert!(!vars.is_empty());
    let things = Things::new(12);
    let mut objective = things.objective(towers, plan);
    let mut optimiser = AdamW::new(plan.optimiser);
    let (_, grads) = objective.gradients(0, &vars).unwrap();
    optimiser.step(&vars, &grads, 1e-2, 1.0).unwrap();
    let (_, grads) = objective.gradients(1, &vars).unwrap();
    // A bias in front of a softmax over keys, or an entry of a table that no text names, has a zero gradient by its nature.
    for (key, var) in &vars {
        let grad = grads.get(var.as_tensor());
        assert!(grad.is_some(), "{method:?}: `{key}` gets no gradient");
        let moves = values(grad.unwrap()).iter().any(|g| *g != 0.0);
        let by_nature = key.contains("k_proj.bias") || key.contains("position");
        assert!(
            moves || by_nature,
            "{method:?}: the gradient of `{key}` is zero"
        );
    }
    let trained: Vec<&String> = vars.iter().map(|(key, _)| key).collect();
    for (key, tensor) in weights.snapshot().unwrap() {
        if !trained.contains(&&key) && before.contains_key(&key) {
            assert_eq!(
                values(&tensor),
                values(&before[&key]),
                "{method:?}: `{key}` moved"
            );
            assert!(
                grads.get(&tensor).is_none(),
                "{method:?}: `{key}` cost a gradient"
            );
        }
    }
}

#[test]
fn every_trainable_tensor_of_every_method_gets_a_gradient_and_the_others_stay() {
    for base in [
        resnet(),
        vit(KeyLayout::OpenAi),
        vit(KeyLayout::HuggingFace),
    ] {
        for method in GRADIENT_METHODS {
            check_coverage(&base, &plan(method));
        }
        let locked = TunePlan {
            locked_images: true,
            ..plan(Method::Contrastive)
        };
        assert!(!with_fresh(&base, &locked).trains_images());
        check_coverage(&base, &locked);
    }
}

/// A whole run in `folder`, stopped once after `stop_after` steps if that is given; returns what it trained.
fn run(
    base: &Base,
    plan: &TunePlan,
    folder: &Path,
    stop_after: Option<u64>,
) -> (Ending, BTreeMap<String, Tensor>, BTreeMap<String, f64>) {
    let tuned = Things::new(16).run(base, plan, folder, stop_after);
    (tuned.ending, tuned.towers.trained(), tuned.figures)
}

#[test]
fn a_run_that_is_stopped_and_taken_up_again_ends_with_the_same_bits() {
    for (base, method) in [
        (resnet(), Method::Lora),
        (resnet(), Method::Full),
        (vit(KeyLayout::OpenAi), Method::Ia3),
        (vit(KeyLayout::HuggingFace), Method::Prefix),
        (resnet(), Method::Prompt),
        (vit(KeyLayout::OpenAi), Method::Contrastive),
    ] {
        let plan = plan(method);
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ending, wanted, _) = run(&base, &plan, whole.path(), None);
        assert_eq!(ending, Ending::Finished);
        for after in [1, 5, 11] {
            let (ending, ..) = run(&base, &plan, parts.path(), Some(after));
            assert_eq!(ending, Ending::Stopped, "{method:?} stops after {after}");
        }
        let (ending, found, _) = run(&base, &plan, parts.path(), None);
        assert_eq!(ending, Ending::Finished);
        assert!(bits(&wanted) == bits(&found), "{method:?}: other weights");
        let steps = |folder: &Path| {
            let text = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
            let line = |l: &str| serde_json::from_str::<serde_json::Value>(l).unwrap();
            let of = |l: &str| (line(l)["step"].clone(), line(l)["loss"].clone());
            text.lines().map(of).collect::<Vec<_>>()
        };
        assert_eq!(
            steps(whole.path()),
            steps(parts.path()),
            "{method:?}: one curve"
        );
    }
}

#[test]
fn a_run_without_gain_ends_early_and_stays_ended() {
    let (base, folder) = (resnet(), tempfile::tempdir().unwrap());
    let plan = TunePlan {
        patience: 3,
        rate: Rate::Constant { rate: 0.0 },
        ..plan(Method::Lora)
    };
    let (_, first, _) = run(&base, &plan, folder.path(), None);
    let log = || std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    assert_eq!(
        log().lines().count(),
        4,
        "the best is the first, three come after it"
    );
    let (ending, again, _) = run(&base, &plan, folder.path(), None);
    assert_eq!((ending, log().lines().count()), (Ending::Finished, 4));
    assert!(bits(&first) == bits(&again));
}

#[test]
fn a_run_folder_of_another_plan_is_refused() {
    let (base, folder) = (vit(KeyLayout::OpenAi), tempfile::tempdir().unwrap());
    let plan = plan(Method::Lora);
    run(&base, &plan, folder.path(), Some(2));
    let other = TunePlan { rank: 3, ..plan };
    let things = Things::new(16);
    let task = things.task(&[0, 1, 2, 3], &[4, 5]);
    let refused = tune(
        base.model(),
        task,
        &other,
        folder.path(),
        &Interrupt::new(),
        &mut |_| {},
    );
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("another plan"), "{message}");
}

#[test]
fn low_rank_updates_and_all_weights_learn_which_side_a_square_is_on() {
    for (method, rate) in [(Method::Lora, 2e-2), (Method::Full, 5e-3)] {
        let folder = tempfile::tempdir().unwrap();
        let plan = TunePlan {
            epochs: 40,
            augment: false,
            dropout: 0.0,
            layer_decay: 1.0,
            rate: Rate::Constant { rate },
            ..plan(method)
        };
        let (_, _, figures) = run(&vit(KeyLayout::OpenAi), &plan, folder.path(), None);
        assert!(figures["auroc"] > 0.95, "{method:?}: {figures:?}");
    }
}

#[test]
fn gradients_of_cached_embeddings_equal_those_of_the_whole_batch() {
    let base = vit(KeyLayout::OpenAi);
    let things = Things::new(10);
    let of = |chunk: usize| {
        let plan = TunePlan {
            batch: 8,
            chunk,
            ..plan(Method::Contrastive)
        };
        let towers = with_fresh(&base, &plan);
        let vars = towers.weights.vars();
        let mut pairs = things.objective(towers, &plan);
        let whole = pairs.loss(3).unwrap().total;
        let grads = whole.backward().unwrap();
        let (loss, cached) = pairs.gradients(3, &vars).unwrap();
        let same = |a: &Tensor, b: &Tensor| (values(a)[0] - values(b)[0]).abs() < 1e-6;
        assert!(same(&whole, &loss.total));
        for (key, var) in &vars {
            let (a, b) = (grads.get(var.as_tensor()), cached.get(var.as_tensor()));
            let (a, b) = (values(a.unwrap()), values(b.unwrap()));
            let largest = a.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            let apart = a
                .iter()
                .zip(&b)
                .map(|(a, b)| (a - b).abs())
                .fold(0f32, f32::max);
            assert!(
                apart < 2e-4 * largest,
                "chunk {chunk}, `{key}`: {apart} of {largest}"
            );
        }
        values(&loss.total)[0]
    };
    let (three, eight) = (of(3), of(8));
    assert!(
        (three - eight).abs() < 1e-6,
        "a view does not depend on its chunk"
    );
}

#[test]
fn adapter_files_in_pefts_form_come_back_as_they_were() {
    for base in [vit(KeyLayout::OpenAi), vit(KeyLayout::HuggingFace)] {
        for method in [Method::Lora, Method::Ia3, Method::Prefix] {
            let (folder, run_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let plan = plan(method);
            let (_, trained, _) = run(&base, &plan, run_folder.path(), None);
            let adaptation = plan.adaptation(&base.config).unwrap().unwrap();
            peft::save(folder.path(), &adaptation, &trained).unwrap();
            let found = peft::load(folder.path()).unwrap();
            let again = with_adapter(base.model(), found, &plan).unwrap();
            assert!(bits(&trained) == bits(&again.trained()), "{method:?}");
            let file = folder.path().join(peft::TENSORS);
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            assert!(
                peft::load(folder.path()).is_err(),
                "a file cut short is an error"
            );
        }
    }
}
