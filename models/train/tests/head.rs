//! The answer head: batch equals single, every trainable tensor learns, saved equals live, and it can be taught.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use candle_core::{DType, Device};
use lucency_nn::{Interrupt, Weights, save_tensors};
use lucency_train::answers::{AnswerData, Control, FitConfig, Row, fit, fresh_head_weights, judge};
use lucency_train::metrics::vqa::AnswerType;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig, Question, QuestionForm, gram_ids};

const FEATURES: usize = 12;
const BUCKETS: usize = 256;

fn question(text: &str) -> Question {
    let ids: Vec<u32> = text.bytes().map(u32::from).collect();
    Question {
        text: text.into(),
        grams: gram_ids(&ids, BUCKETS),
        embedding: (0..8)
            .map(|k| ((text.len() + 3 * k) as f32).sin())
            .collect(),
        form: QuestionForm::of(text),
    }
}

fn config() -> AnswerHeadConfig {
    AnswerHeadConfig {
        image_features: FEATURES,
        embed_dim: 8,
        hidden: 24,
        buckets: BUCKETS,
        answers: ["ct", "left", "no", "right", "yes"]
            .map(String::from)
            .to_vec(),
        memory: None,
        ranker: None,
    }
}

/// Images whose first feature says yes or no and whose second says left or right.
fn data() -> AnswerData {
    let mut data = AnswerData::default();
    for i in 0..24usize {
        let (there, left) = (i % 2 == 0, (i / 2) % 2 == 0);
        let features = (0..FEATURES)
            .map(|k| match k {
                0 => {
                    if there {
                        1.0
                    } else {
                        -1.0
                    }
                }
                1 => {
                    if left {
                        1.0
                    } else {
                        -1.0
                    }
                }
                _ => ((i * 31 + k * 17) as f32).sin(),
            })
            .collect();
        data.features.push(features);
        for (text, answer) in [
            ("Is it there?", if there { 4 } else { 2 }),
            ("Which side?", if left { 1 } else { 3 }),
            ("What modality?", 0),
        ] {
            data.rows.push(Row {
                image: i,
                question: question(text),
                answer: Some(answer),
                answer_type: if answer == 2 || answer == 4 {
                    AnswerType::Closed
                } else {
                    AnswerType::Open
                },
                weight: 1.0,
            });
        }
    }
    data
}

fn how() -> FitConfig {
    FitConfig {
        seed: 1,
        epochs: 30,
        batch: 12,
        rate: 5e-3,
        weight_decay: 0.01,
        dropout: 0.1,
        image_dropout: 0.0,
        feature_noise: 0.1,
        label_smoothing: 0.0,
    }
}

#[test]
fn a_head_learns_what_the_image_and_the_question_say_together() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 1).unwrap();
    let rows: Vec<usize> = (0..48).collect();
    let tensors = fit(
        &weights,
        &config(),
        &data,
        &rows,
        &how(),
        &Interrupt::new(),
        &mut |_| {},
    )
    .unwrap();
    let head = AnswerHead::load(&Weights::from_tensors(tensors, "test"), &config()).unwrap();
    let unseen: Vec<usize> = (48..72).collect();
    let share = |control| {
        let judged = judge(&head, &data, &unseen, control).unwrap().at(1.0, 0.0);
        judged.iter().filter(|a| a.right).count() as f64 / judged.len() as f64
    };
    assert!(share(Control::Image) > 0.9, "{}", share(Control::Image));
    assert!(
        share(Control::NoImage) < 0.8,
        "the question alone cannot know sides"
    );
}

#[test]
fn a_batch_gives_what_single_questions_give() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 2).unwrap();
    let head = AnswerHead::load(&weights, &config()).unwrap();
    let rows = [0usize, 1, 2, 5];
    let together: Vec<Vec<f32>> = head
        .forward(&data.images_of(&rows).unwrap(), &data.questions_of(&rows))
        .unwrap()
        .to_vec2()
        .unwrap();
    for (row, together) in rows.iter().zip(together) {
        let alone: Vec<f32> = head
            .forward(
                &data.images_of(&[*row]).unwrap(),
                &data.questions_of(&[*row]),
            )
            .unwrap()
            .squeeze(0)
            .unwrap()
            .to_vec1()
            .unwrap();
        for (a, b) in alone.iter().zip(together) {
            assert!((a - b).abs() < 1e-3, "{a} alone, {b} in a batch");
        }
    }
}

#[test]
fn every_trainable_tensor_of_the_head_gets_a_gradient() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 3).unwrap();
    weights
        .train_where(|key| !key.starts_with("features."))
        .unwrap();
    let head = AnswerHead::load(&weights, &config()).unwrap();
    let rows = [1usize, 4, 7];
    let standard = head.standardise(&data.images_of(&rows).unwrap()).unwrap();
    let log_p = head
        .log_probabilities(&standard, &data.questions_of(&rows), None)
        .unwrap();
    let grads = log_p
        .narrow(1, 1, 1)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (key, var) in weights.vars() {
        let grad = grads
            .get(var.as_tensor())
            .unwrap_or_else(|| panic!("{key} has no gradient"));
        let size: f32 = grad.abs().unwrap().sum_all().unwrap().to_scalar().unwrap();
        // The named-answer path is silent for questions that name no answer.
        assert!(
            size > 0.0 || key.starts_with("overlap"),
            "{key} has a zero gradient"
        );
    }
}

#[test]
fn a_yes_or_no_question_is_answered_with_yes_or_no() {
    let data = data();
    let head =
        AnswerHead::load(&fresh_head_weights(&data.features, 4).unwrap(), &config()).unwrap();
    let ranked = head
        .answer(
            &data.images_of(&[0]).unwrap(),
            &question("Is the heart large?"),
            1.0,
        )
        .unwrap();
    assert!(
        ranked[..2]
            .iter()
            .all(|r| r.answer == "yes" || r.answer == "no")
    );
    assert_eq!(ranked.len(), 5);
}

#[test]
fn a_saved_head_answers_as_the_live_one() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 5).unwrap();
    let live = AnswerHead::load(&weights, &config()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("head.safetensors");
    save_tensors(&weights.tensors(), &file, DType::F32).unwrap();
    let again = AnswerHead::load(&Weights::open(&file, &Device::Cpu).unwrap(), &config()).unwrap();
    let rows: Vec<usize> = (0..24).collect();
    let ask = |head: &AnswerHead| -> Vec<Vec<f32>> {
        head.forward(&data.images_of(&rows).unwrap(), &data.questions_of(&rows))
            .unwrap()
            .to_vec2()
            .unwrap()
    };
    assert_eq!(ask(&live), ask(&again));
    let shares: f32 = ask(&live)[0].iter().map(|v| v.exp()).sum();
    assert!((shares - 1.0).abs() < 1e-3, "probabilities sum to {shares}");
}
