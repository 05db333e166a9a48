//! The ranker: it learns whom to trust, its probabilities can be believed, and a gradient passes through it.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use lucency_nn::Weights;
use lucency_train::answers::{
    AnswerData, Control, RankConfig, RememberConfig, Row, Weighed, fit_ranker, fresh_head_weights,
    judge, remember, weigh,
};
use lucency_train::metrics::vqa::AnswerType;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig, EVIDENCE, Question, QuestionForm};

const FEATURES: usize = 48;
const BUCKETS: usize = 64;
const IMAGES: usize = 60;

fn features(image: usize) -> Vec<f32> {
    (0..FEATURES)
        .map(|k| (((image + 2) * (k + 1) * (k + 3)) as f32).sin() * 3.0)
        .collect()
}

fn asked(text: &str) -> Question {
    Question {
        text: text.into(),
        grams: vec![(text.len() % BUCKETS) as u32],
        embedding: vec![0.5; 8],
        form: QuestionForm::of(text),
    }
}

fn row(image: usize, text: &str, answer: Option<usize>) -> Row {
    Row {
        image,
        question: asked(text),
        answer,
        answer_type: AnswerType::Open,
        weight: 1.0,
    }
}

/// Each image has its own side, told in one wording and asked in another; for every fifth the right answer is none that is known.
fn data() -> AnswerData {
    let mut data = AnswerData::default();
    for image in 0..IMAGES {
        data.features.push(features(image));
        data.rows
            .push(row(image, "Where is the lesion?", Some(1 + image % 2)));
        let answer = (image % 5 != 0).then_some(1 + image % 2);
        data.rows
            .push(row(image, "Where is this lesion located?", answer));
    }
    data
}

fn told() -> Vec<usize> {
    (0..2 * IMAGES).step_by(2).collect()
}

fn asked_rows() -> Vec<usize> {
    (1..2 * IMAGES).step_by(2).collect()
}

/// A head that was never trained beside a memory of what was told.
fn parts(data: &AnswerData) -> (HashMap<String, Tensor>, AnswerHeadConfig) {
    let mut config = AnswerHeadConfig {
        image_features: FEATURES,
        embed_dim: 8,
        hidden: 8,
        buckets: BUCKETS,
        answers: ["ct", "left", "right"].map(String::from).to_vec(),
        gated: true,
        memory: None,
        ranker: None,
    };
    let weights = fresh_head_weights(&data.features, 3).unwrap();
    AnswerHead::load(&weights, &config).unwrap();
    let mut tensors: HashMap<String, Tensor> = weights.tensors().into_iter().collect();
    let (memory, remembered) = remember(data, &told(), &[], 3, &RememberConfig::default()).unwrap();
    tensors.extend(remembered);
    config.memory = Some(memory);
    (tensors, config)
}

fn load(tensors: &HashMap<String, Tensor>, config: &AnswerHeadConfig) -> AnswerHead {
    AnswerHead::load(&Weights::from_tensors(tensors.clone(), "test"), config).unwrap()
}

fn ranked(data: &AnswerData) -> AnswerHead {
    let (mut tensors, mut config) = parts(data);
    let weighed = weigh(&load(&tensors, &config), data, &asked_rows(), 1.0).unwrap();
    let refs: Vec<&Weighed> = weighed.iter().collect();
    let (shape, ranker) = fit_ranker(&refs, &RankConfig::default()).unwrap();
    tensors.extend(ranker);
    config.ranker = Some(shape);
    load(&tensors, &config)
}

#[test]
fn it_trusts_the_memory_over_an_untrained_head_and_knows_how_often_neither_is_right() {
    let data = data();
    let rows = asked_rows();
    let (tensors, config) = parts(&data);
    let right = |head: &AnswerHead| {
        let judged = judge(head, &data, &rows, Control::Image).unwrap();
        let confidence: f64 = judged.at(1.0, 0.0).iter().map(|a| a.confidence).sum();
        let hits = judged.right.iter().filter(|r| **r).count();
        (
            hits as f64 / rows.len() as f64,
            confidence / rows.len() as f64,
        )
    };
    let (alone, _) = right(&load(&tensors, &config));
    let (accuracy, confidence) = right(&ranked(&data));
    assert!(accuracy >= alone && accuracy > 0.75, "{accuracy} {alone}");
    assert!(
        (accuracy - 0.8).abs() < 0.02,
        "a fifth has no known answer: {accuracy}"
    );
    assert!(
        (confidence - accuracy).abs() < 0.06,
        "mean confidence {confidence}, accuracy {accuracy}"
    );
}

#[test]
fn probabilities_of_all_answers_and_none_of_them_sum_to_one() {
    let data = data();
    let head = ranked(&data);
    assert!(head.is_calibrated());
    let answers = head
        .answer(&data.images_of(&[1]).unwrap(), &asked("Where is it?"), 1.0)
        .unwrap();
    let sum: f64 = answers.iter().map(|a| a.probability).sum();
    assert!(sum > 0.1 && sum < 1.0, "{sum}");
    assert!(
        answers
            .windows(2)
            .all(|w| w[0].probability >= w[1].probability)
    );
}

#[test]
fn its_gradient_reaches_the_image() {
    let data = data();
    let head = ranked(&data);
    let values: Vec<f32> = features(7).iter().map(|v| v + 0.02).collect();
    let question = asked("Where is this lesion located?");
    let score = |x: &Tensor| {
        head.forward(x, &[&question])
            .unwrap()
            .narrow(1, 1, 1) // the answer that is not given: the other's probability is 1 to all digits
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let image = |v: Vec<f32>| Tensor::from_vec(v, (1, FEATURES), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&image(values.clone())).unwrap();
    let grads = score(x.as_tensor()).backward().unwrap();
    let slope: Vec<f32> = grads
        .get(x.as_tensor())
        .unwrap()
        .squeeze(0)
        .unwrap()
        .to_vec1()
        .unwrap();
    // How near the nearest known image is counts as given, so the slope is not the whole derivative.
    let steepest = slope.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(
        steepest > 1e-4 && slope.iter().all(|v| v.is_finite()),
        "{steepest}"
    );
    let elsewhere = slope.iter().filter(|v| v.abs() > 1e-6).count();
    assert!(
        elsewhere > FEATURES / 2,
        "{elsewhere} features have a slope"
    );
}

#[test]
fn a_ranker_without_a_memory_and_a_fit_without_questions_are_refused() {
    let data = data();
    let (tensors, mut config) = parts(&data);
    config.memory = None;
    config.ranker = Some(lucency_zoo::vqa::RankerConfig { hidden: 4 });
    let refused = AnswerHead::load(&Weights::from_tensors(tensors, "test"), &config);
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("needs a memory")
    );
    assert!(fit_ranker(&[], &RankConfig::default()).is_err());
}

#[test]
fn evidence_has_a_row_for_every_candidate_and_one_for_none() {
    let data = data();
    let (tensors, config) = parts(&data);
    let weighed = weigh(&load(&tensors, &config), &data, &asked_rows(), 1.0).unwrap();
    for (i, w) in weighed.iter().enumerate() {
        assert!(w.columns.iter().all(|row| row.len() == EVIDENCE));
        assert_eq!(w.right == w.columns.len() - 1, i % 5 == 0, "question {i}");
    }
}
