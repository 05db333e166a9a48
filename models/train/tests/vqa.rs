//! MEVF and QCR on a handful of squares: they learn, a run that was cut walks the same curve, and its folder answers.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::TrainError;
use lucency_train::data::Augment;
use lucency_train::metrics::vqa::AnswerType;
use lucency_train::optim::Rate;
use lucency_train::run::Ending;
use lucency_train::vqa::{
    Conduct, ImageSet, Method, Preset, QaRecord, SplitKind, Starts, TrainedVqa, Validation,
    VqaData, VqaOutcome, VqaPlan, train_vqa,
};
use lucency_zoo::preprocess::Image8;
use lucency_zoo::vqa::Fusion;

const SIDE: usize = 32;

/// A bright square on the left or on the right of a dark ground.
fn picture(index: usize) -> Image8 {
    let mut data = vec![20 + (index * 5 % 30) as u8; SIDE * SIDE];
    for y in 8..24 {
        for x in 0..10 {
            data[y * SIDE + x + if index.is_multiple_of(2) { 2 } else { 20 }] = 220;
        }
    }
    Image8::new(SIDE, SIDE, 1, data).unwrap()
}

fn records(images: usize) -> Vec<QaRecord> {
    (0..images)
        .flat_map(|i| {
            let (side, left) = match i % 2 {
                0 => ("left", "Yes"),
                _ => ("right", "No"),
            };
            [
                ("Where is the square?", side, AnswerType::Open),
                ("Is the square on the left?", left, AnswerType::Closed),
            ]
            .map(|(question, answer, answer_type)| QaRecord {
                id: format!("{i} {question}"),
                image: format!("{i}.png"),
                organ: String::new(),
                question: question.into(),
                answers: vec![answer.into()],
                answer_type,
                question_type: "POS".into(),
                phrase_type: "freeform".into(),
            })
        })
        .collect()
}

fn plan(method: Method) -> VqaPlan {
    VqaPlan {
        hidden: 24,
        word_dim: 12,
        glimpses: 2,
        question_length: 7,
        maml: false,
        ae_side: Some(16),
        epochs: 8,
        batch: 8,
        type_epochs: 400, // a step each, at the published rate
        dropout: 0.1,
        rate: Rate::Constant { rate: 0.01 },
        validation: Some(Validation {
            share: 0.2,
            kind: SplitKind::Images,
            seed: 4,
        }),
        ..VqaPlan::preset(Preset::Mevf, method)
    }
}

fn train(plan: &VqaPlan, run: &Path, stop_at: Option<u64>) -> Result<VqaOutcome, TrainError> {
    let images = ImageSet::gather(20, plan, |i| Ok::<_, TrainError>((picture(i), None)))?;
    let data = VqaData {
        records: records(20),
        images,
        image_of: (0..40).map(|i| i / 2).collect(),
    };
    let stop = Interrupt::new();
    let mut report = |p: Progress| {
        if stop_at.is_some_and(|at| p.done >= at) {
            stop.stop();
        }
    };
    train_vqa(plan, data, &Starts::default(), run, &stop, &mut report)
}

#[test]
fn mevf_learns_to_look_and_a_cut_run_walks_the_same_curve() {
    let plan = plan(Method::Mevf);
    let whole = tempfile::tempdir().unwrap();
    let full = train(&plan, whole.path(), None).unwrap();
    assert_eq!(full.outcome.ending, Ending::Finished);
    assert!(
        full.outcome.figures["overall"] > 0.9,
        "the square is easy to see: {:?}",
        full.outcome.figures
    );
    for file in [
        "config.toml",
        "log.jsonl",
        "curves.svg",
        "best.safetensors",
        "calibration.json",
    ] {
        assert!(whole.path().join(file).is_file(), "{file} is missing");
    }

    let cut = tempfile::tempdir().unwrap();
    let first = train(&plan, cut.path(), Some(13)).unwrap();
    assert_eq!(first.outcome.ending, Ending::Stopped);
    // What a kill leaves: a line of a step that the checkpoint does not hold, and half a line.
    let log = cut.path().join("log.jsonl");
    let mut text = std::fs::read_to_string(&log).unwrap();
    let torn = text
        .lines()
        .last()
        .unwrap()
        .replacen("\"step\":", "\"step\":9", 1);
    text.push_str(&torn);
    text.push_str("\n{\"step\":");
    std::fs::write(&log, text).unwrap();
    let rest = train(&plan, cut.path(), None).unwrap();
    let joined = [first.outcome.losses, rest.outcome.losses].concat();
    assert_eq!(
        joined, full.outcome.losses,
        "batches, masks and moments repeat"
    );
    assert_eq!(rest.outcome.figures, full.outcome.figures);
    let read = |dir: &Path| std::fs::read(dir.join("best.safetensors")).unwrap();
    assert!(
        read(cut.path()) == read(whole.path()),
        "the best weights are the same"
    );

    let trained = TrainedVqa::open(cut.path()).unwrap();
    let mut right = 0;
    for (i, record) in records(20).iter().enumerate() {
        let features = trained.features(&picture(i / 2), None).unwrap();
        let answer = trained.answer(&features, &record.question).unwrap();
        let sum: f64 = answer.ranked.iter().map(|r| r.1).sum();
        assert!((sum - 1.0).abs() < 1e-6, "probabilities sum to {sum}");
        right += usize::from(answer.ranked[0].0 == record.answer().to_lowercase());
    }
    assert!(right >= 36, "{right} of 40");

    let mut other = plan.clone();
    other.batch = 4;
    let error = train(&other, cut.path(), None).err().unwrap();
    assert!(error.to_string().contains("other settings"), "{error}");
}

#[test]
fn qcr_sends_questions_to_their_branch() {
    let mut plan = plan(Method::Qcr);
    plan.epochs = 30; // means over all answers give small gradients
    let dir = tempfile::tempdir().unwrap();
    let done = train(&plan, dir.path(), None).unwrap();
    assert!(
        done.outcome.figures["overall"] >= 0.75,
        "{:?}",
        done.outcome.figures
    );
    let trained = TrainedVqa::open(dir.path()).unwrap();
    let features = trained.features(&picture(0), None).unwrap();
    let open = trained.answer(&features, "Where is the square?").unwrap();
    let closed = trained
        .answer(&features, "Is the square on the left?")
        .unwrap();
    assert_eq!((open.closed, closed.closed), (Some(false), Some(true)));
    assert!(open.ranked.iter().all(|(a, _)| a == "left" || a == "right"));
    assert!(closed.ranked.iter().all(|(a, _)| a == "yes" || a == "no"));
}

#[test]
fn stacked_attention_frozen_networks_and_the_published_conduct_train_too() {
    for (fusion, freeze, conduct) in [
        (Fusion::San, false, Conduct::Right),
        (Fusion::Ban, true, Conduct::Right),
        (Fusion::Ban, false, Conduct::AsPublished),
    ] {
        let mut plan = plan(Method::Mevf);
        (plan.fusion, plan.freeze_visual, plan.conduct) = (fusion, freeze, conduct);
        (plan.epochs, plan.rate) = (3, Rate::Constant { rate: 0.004 });
        let dir = tempfile::tempdir().unwrap();
        let done = train(&plan, dir.path(), None).unwrap();
        let losses = &done.outcome.losses;
        assert!(
            losses.last().unwrap() < &losses[0],
            "{fusion:?} {freeze} {conduct:?}: {losses:?}"
        );
        let before = lucency_nn::Weights::fresh(plan.seed, &candle_core::Device::Cpu);
        let first = lucency_zoo::vqa::Cdae::load(&before.pp("ae_v_emb"))
            .map(|_| before.tensors())
            .unwrap();
        let file = lucency_train::checkpoint::Checkpoint::find(dir.path())
            .unwrap()
            .unwrap()
            .weights();
        let after = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
        let key = "ae_v_emb.conv1.weight";
        let change = (&first[key] - &after[key])
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        let moved = change.to_scalar::<f32>().unwrap() > 0.0;
        assert_eq!(moved, !freeze, "frozen networks stay, others move");
    }
}

#[test]
fn frozen_networks_see_other_views_too_and_the_gate_leaves_yes_and_no_to_their_questions() {
    let mut plan = plan(Method::Mevf);
    (plan.freeze_visual, plan.gate, plan.mirror) = (true, true, 0.3);
    (plan.augment, plan.asked_views) = (Some(Augment::default()), 3);
    plan.epochs = 16;
    let dir = tempfile::tempdir().unwrap();
    let done = train(&plan, dir.path(), None).unwrap();
    assert!(
        done.outcome.figures["overall"] > 0.8,
        "{:?}",
        done.outcome.figures
    );
    let trained = TrainedVqa::open(dir.path()).unwrap();
    let mean = trained.features(&picture(0), None).unwrap();
    let answers = |question: &str| {
        let answer = trained.answer(&mean, question).unwrap();
        let mut names: Vec<String> = answer.ranked.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };
    assert_eq!(answers("Is the square on the left?"), ["no", "yes"]);
    assert_eq!(answers("Where is the square?"), ["left", "right"]);
    let alone = TrainedVqa::open(dir.path()).unwrap().with_asked_views(1);
    let alone = alone.features(&picture(0), None).unwrap();
    let change = (mean - alone).unwrap().sqr().unwrap().sum_all().unwrap();
    assert!(
        change.to_scalar::<f32>().unwrap() > 0.0,
        "other views move the features"
    );

    let mut impossible = plan.clone();
    impossible.clip_dim = Some(8);
    assert!(
        impossible.check().is_err(),
        "CLIP features know no mirror image"
    );
}
