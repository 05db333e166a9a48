//! The head's memory: what it was told it knows again, its image decides, strangers leave it silent, and it survives being saved.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use lucency_nn::{Weights, save_tensors};
use lucency_train::answers::{AnswerData, RememberConfig, Remembered, Row, remember};
use lucency_train::metrics::vqa::AnswerType;
use lucency_zoo::vqa::{Memory, MemoryConfig, Question, QuestionForm};

const FEATURES: usize = 64;
const ANSWERS: usize = 3;

fn features(image: usize) -> Vec<f32> {
    (0..FEATURES)
        .map(|k| (((image + 2) * (k + 1) * (k + 3)) as f32).sin() * 3.0)
        .collect()
}

fn asked(text: &str) -> Question {
    Question {
        text: text.into(),
        grams: Vec::new(),
        embedding: Vec::new(),
        form: QuestionForm::of(text),
    }
}

/// Six images, each with an answer of its own to the first question and the same answer to the second.
fn data() -> AnswerData {
    let mut data = AnswerData::default();
    for image in 0..6 {
        data.features.push(features(image));
        for (text, answer) in [
            ("Where is the lesion?", image % 2),
            ("Which modality was used?", 2),
        ] {
            data.rows.push(Row {
                image,
                question: asked(text),
                answer: Some(answer),
                answer_type: AnswerType::Open,
                weight: 1.0,
            });
        }
    }
    data
}

/// Without what a question counts whatever the image.
fn remembered() -> Remembered {
    let data = data();
    let rows: Vec<usize> = (0..data.rows.len()).collect();
    let how = RememberConfig {
        everywhere: 0.0,
        ..RememberConfig::default()
    };
    remember(&data, &rows, &[], ANSWERS, &how).unwrap()
}

fn load(config: &MemoryConfig, weights: &Weights) -> Memory {
    Memory::load(&weights.pp("memory"), config, FEATURES, ANSWERS).unwrap()
}

fn memory() -> Memory {
    let (config, tensors) = remembered();
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    load(&config, &Weights::from_tensors(tensors, "test"))
}

fn image(values: Vec<f32>) -> Tensor {
    Tensor::from_vec(values, (1, FEATURES), &Device::Cpu).unwrap()
}

fn ask(memory: &Memory, values: Vec<f32>, question: &str) -> Vec<f32> {
    let logits = memory.logits(&image(values), &[&asked(question)]).unwrap();
    logits.squeeze(0).unwrap().to_vec1().unwrap()
}

fn best(logits: &[f32]) -> usize {
    (0..logits.len())
        .max_by(|a, b| logits[*a].total_cmp(&logits[*b]))
        .unwrap()
}

#[test]
fn another_wording_of_a_remembered_question_gets_the_image_s_own_answer() {
    let memory = memory();
    for i in 0..6 {
        let where_is = ask(&memory, features(i), "Where is this lesion located?");
        assert_eq!(best(&where_is), i % 2, "image {i}: {where_is:?}");
        let modality = ask(&memory, features(i), "What modality was used?");
        assert_eq!(best(&modality), 2, "image {i}: {modality:?}");
    }
}

#[test]
fn an_image_like_none_that_is_known_gets_next_to_nothing() {
    let memory = memory();
    let known = ask(&memory, features(1), "Where is the lesion?");
    let strange = ask(&memory, features(40), "Where is the lesion?");
    let size = |logits: &[f32]| logits.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(
        size(&strange) < 0.05 * size(&known),
        "{strange:?} {known:?}"
    );
}

#[test]
fn its_gradient_reaches_the_image() {
    let memory = memory();
    let values: Vec<f32> = features(2).iter().map(|v| v + 0.3).collect();
    let score = |x: &Tensor| {
        let logits = memory.logits(x, &[&asked("Where is the lesion?")]).unwrap();
        logits.narrow(1, 0, 1).unwrap().sum_all().unwrap()
    };
    let x = Var::from_tensor(&image(values.clone())).unwrap();
    let grads = score(x.as_tensor()).backward().unwrap();
    let slope: Vec<f32> = grads
        .get(x.as_tensor())
        .unwrap()
        .squeeze(0)
        .unwrap()
        .to_vec1()
        .unwrap();
    for k in [0, 7, 63] {
        let at = |step: f32| {
            let mut moved = values.clone();
            moved[k] += step;
            score(&image(moved)).to_scalar::<f32>().unwrap()
        };
        let measured = (at(0.01) - at(-0.01)) / 0.02;
        let off = (measured - slope[k]).abs();
        assert!(
            off < 0.02 * (1.0 + measured.abs()),
            "{k}: {measured} {}",
            slope[k]
        );
    }
}

#[test]
fn it_survives_being_stored_in_16_bits() {
    let (config, tensors) = remembered();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("memory.safetensors");
    save_tensors(&tensors, &file, DType::F16).unwrap();
    let again = load(&config, &Weights::open(&file, &Device::Cpu).unwrap());
    let question = "Where is the lesion?";
    let stored = ask(&again, features(4), question);
    for (a, b) in ask(&memory(), features(4), question).iter().zip(&stored) {
        assert!((a - b).abs() < 0.2, "{a} {b}");
    }
}

#[test]
fn an_index_that_leads_nowhere_is_refused_by_name() {
    let (config, mut tensors) = remembered();
    let broken = Tensor::from_vec(vec![99u32; config.cases], config.cases, &Device::Cpu).unwrap();
    tensors.insert("memory.image_of".into(), broken);
    let weights = Weights::from_tensors(tensors.into_iter().collect(), "test");
    let refused = Memory::load(&weights.pp("memory"), &config, FEATURES, ANSWERS);
    let reason = refused.err().unwrap().to_string();
    assert!(
        reason.contains("memory.image_of") && reason.contains("99"),
        "{reason}"
    );
}

#[test]
fn nothing_to_remember_is_an_error() {
    let mut data = data();
    data.rows.iter_mut().for_each(|row| row.answer = None);
    assert!(remember(&data, &[0, 1], &[], ANSWERS, &RememberConfig::default()).is_err());
}
