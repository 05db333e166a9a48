//! The answer head: batch equals single, every trainable tensor learns, saved equals live, and it can be taught.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Weights, save_tensors};
use lucency_train::answers::{
    AnswerData, Control, FitConfig, Lessons, Row, Variants, ensemble, fit, fresh_head_weights,
    judge,
};
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
        gated: true,
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
        augment: 0.0,
        mirror: 0.0,
        distil: 0.0,
        heat: 1.0,
    }
}

fn taught(
    weights: &Weights,
    data: &AnswerData,
    rows: &[usize],
    teacher: Option<&AnswerHead>,
    how: &FitConfig,
) -> HashMap<String, Tensor> {
    let lessons = Lessons {
        data,
        rows,
        teacher,
    };
    let stop = Interrupt::new();
    fit(weights, &config(), &lessons, how, &stop, &mut |_| {}).unwrap()
}

fn head_of(tensors: HashMap<String, Tensor>, config: &AnswerHeadConfig) -> AnswerHead {
    AnswerHead::load(&Weights::from_tensors(tensors, "test"), config).unwrap()
}

fn says(head: &AnswerHead, data: &AnswerData, rows: &[usize]) -> Vec<Vec<f32>> {
    head.forward(&data.images_of(rows).unwrap(), &data.questions_of(rows))
        .unwrap()
        .to_vec2()
        .unwrap()
}

#[test]
fn an_ensemble_is_the_normalised_mean_of_its_members_logarithms() {
    let data = data();
    let rows = [0usize, 1, 2, 5];
    let members: Vec<HashMap<String, Tensor>> = (1..=3)
        .map(|seed| {
            let weights = fresh_head_weights(&data.features, seed).unwrap();
            AnswerHead::load(&weights, &config()).unwrap(); // draws the weights
            weights.tensors().into_iter().collect()
        })
        .collect();
    let (joint, shape) = ensemble(&members, &config()).unwrap();
    assert_eq!(shape.hidden, 3 * config().hidden);
    let together = says(&head_of(joint, &shape), &data, &rows);
    let each: Vec<_> = members
        .into_iter()
        .map(|m| says(&head_of(m, &config()), &data, &rows))
        .collect();
    for (i, row) in together.iter().enumerate() {
        let mean: Vec<f32> = (0..row.len())
            .map(|a| each.iter().map(|m| m[i][a]).sum::<f32>() / 3.0)
            .collect();
        let whole = mean.iter().map(|v| v.exp()).sum::<f32>().ln();
        for (a, (joint, mean)) in row.iter().zip(&mean).enumerate() {
            let expected = mean - whole;
            let close = (joint - expected).abs() < 1e-3 || (*joint < -1e3 && expected < -1e3);
            assert!(close, "answer {a}: {joint} is not {expected}");
        }
    }
    let mut lacking = HashMap::new();
    lacking.insert(
        "grams.weight".to_string(),
        Tensor::new(&[0f32], &Device::Cpu).unwrap(),
    );
    let error = ensemble(&[lacking], &config()).unwrap_err().to_string();
    assert!(error.contains("features.mean"), "{error}");
}

#[test]
fn a_student_takes_over_what_its_teacher_says_of_wrong_answers() {
    let data = data();
    // A teacher that was told that left is right, and nothing else.
    let mut swapped = data.clone();
    for row in &mut swapped.rows {
        row.answer = row.answer.map(|a| match a {
            1 => 3,
            3 => 1,
            other => other,
        });
    }
    let rows: Vec<usize> = (0..48).collect();
    let fresh = |seed| fresh_head_weights(&data.features, seed).unwrap();
    let teacher = head_of(taught(&fresh(1), &swapped, &rows, None, &how()), &config());
    let sided: Vec<usize> = (48..72).filter(|r| r % 3 == 1).collect();
    let right = |teacher: Option<&AnswerHead>, distil: f64| {
        let how = FitConfig {
            distil,
            heat: 2.0,
            ..how()
        };
        let head = head_of(taught(&fresh(2), &data, &rows, teacher, &how), &config());
        let judged = judge(&head, &data, &sided, Control::Image).unwrap();
        judged.right.iter().filter(|r| **r).count() as f64 / sided.len() as f64
    };
    assert!(
        right(None, 0.9) > 0.8,
        "without a teacher the share means nothing"
    );
    assert!(
        right(Some(&teacher), 0.0) > 0.8,
        "a share of nothing is no teaching"
    );
    assert!(
        right(Some(&teacher), 0.99) < 0.2,
        "the student follows its teacher"
    );
}

#[test]
fn variants_are_shown_in_place_of_a_question_with_their_own_answer() {
    let mut data = data();
    let (questions, images) = (data.rows.len(), data.features.len());
    for image in 0..images {
        let mut mirrored = data.features[image].clone();
        mirrored[1] = -mirrored[1];
        data.features.push(mirrored);
    }
    // Only mirrored images are shown: with the sides swapped in their answers nothing is lost.
    for row in (1..questions).step_by(3) {
        let own = data.rows[row].clone();
        data.variants.insert(
            row,
            Variants {
                views: Vec::new(),
                mirrored: Some(data.rows.len()),
            },
        );
        data.rows.push(Row {
            image: images + own.image,
            answer: own.answer.map(|a| if a == 1 { 3 } else { 1 }),
            ..own
        });
    }
    let how = FitConfig {
        mirror: 1.0,
        ..how()
    };
    let weights = fresh_head_weights(&data.features, 1).unwrap();
    let rows: Vec<usize> = (0..48).collect();
    let head = head_of(taught(&weights, &data, &rows, None, &how), &config());
    let unseen: Vec<usize> = (48..72).filter(|r| r % 3 == 1).collect();
    let judged = judge(&head, &data, &unseen, Control::Image).unwrap();
    let right = judged.right.iter().filter(|r| **r).count();
    assert!(right >= 7, "{right} of {}", unseen.len());
}

#[test]
fn a_head_without_the_gate_may_say_anything() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 4).unwrap();
    AnswerHead::load(&weights, &config()).unwrap();
    let open = AnswerHeadConfig {
        gated: false,
        ..config()
    };
    let row = &says(&AnswerHead::load(&weights, &open).unwrap(), &data, &[0])[0];
    assert!(row.iter().all(|v| *v > -1e3), "{row:?}");
}

#[test]
fn a_head_learns_what_the_image_and_the_question_say_together() {
    let data = data();
    let weights = fresh_head_weights(&data.features, 1).unwrap();
    let rows: Vec<usize> = (0..48).collect();
    let tensors = taught(&weights, &data, &rows, None, &how());
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
