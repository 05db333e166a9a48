//! The kind of question against VQA-RAD's labels. Needs the data folder.

use std::path::{Path, PathBuf};

use lucency_assistant::{QuestionKind, is_closed};

fn training_questions() -> Option<Vec<serde_json::Value>> {
    let data = std::env::var_os("LUCENCY_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(data.join("vqa-rad/train.json")) else {
        println!("SKIPPED: no VQA-RAD questions (set LUCENCY_TEST_DATA)");
        return None;
    };
    Some(serde_json::from_str(&text).expect("the questions are a JSON list"))
}

/// The kinds that the data set names, several at times, with its misspellings.
fn labels(question: &serde_json::Value) -> Vec<QuestionKind> {
    let text = question["question_type"].as_str().expect("a type");
    let kind = |word: &str| match word.trim().to_uppercase().as_str() {
        "PRES" | "PRSE" => QuestionKind::Presence,
        "POS" => QuestionKind::Position,
        "ABN" => QuestionKind::Abnormality,
        "SIZE" => QuestionKind::Size,
        "MODALITY" => QuestionKind::Modality,
        "ATTRIB" | "ATRIB" => QuestionKind::Attribute,
        "PLANE" => QuestionKind::Plane,
        "COLOR" => QuestionKind::Colour,
        "ORGAN" => QuestionKind::Organ,
        "COUNT" => QuestionKind::Count,
        _ => QuestionKind::Other,
    };
    text.split(',').map(kind).collect()
}

#[test]
fn kinds_and_openness_agree_with_the_data_sets_labels() {
    let Some(questions) = training_questions() else {
        return;
    };
    let text = |q: &serde_json::Value| q["question"].as_str().expect("a question").to_owned();
    let right = questions
        .iter()
        .filter(|q| labels(q).contains(&QuestionKind::of(&text(q))))
        .count();
    let closed = |q: &serde_json::Value| q["answer_type"].as_str().map(str::trim) == Some("CLOSED");
    let open_right = questions
        .iter()
        .filter(|q| is_closed(&text(q)) == closed(q))
        .count();
    let share = |n: usize| n as f64 / questions.len() as f64;
    println!(
        "kind {:.3}, open or closed {:.3}, of {} questions",
        share(right),
        share(open_right),
        questions.len()
    );
    assert!(share(right) > 0.85, "kinds agree: {}", share(right));
    assert!(
        share(open_right) > 0.97,
        "open and closed agree: {}",
        share(open_right)
    );
}
