//! Scoring of visual question answering: answers are compared after the normalisation of the VQA evaluation.
//!
//! Source of the rules: Antol et al. 2015 (VQA) and its public evaluation: lower case, punctuation, number words, articles,
//! contractions. Lau et al. 2018 (VQA-RAD) defines the answer types.

use serde::Serialize;

use super::ece;
use crate::{Result, TrainError};

/// Whether a question has a short list of possible answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerType {
    /// Free: where, what, which.
    Open,
    /// Yes, no, or one of the options that the question names.
    Closed,
}

/// Brings an answer to the form in which answers are compared.
pub fn normalise_answer(answer: &str) -> String {
    let lower = answer.trim().to_lowercase().replace(['\n', '\t'], " ");
    let text = strip_punctuation(&lower);
    let words: Vec<String> = text
        .split_whitespace()
        .filter(|w| !matches!(*w, "a" | "an" | "the"))
        .map(|w| contraction(number_word(w)).to_string())
        .collect();
    words.join(" ").replace("x ray", "xray")
}

/// Removes punctuation next to a space or between digits and turns the rest into spaces; a decimal point stays.
fn strip_punctuation(text: &str) -> String {
    const MARKS: &str = ";/[]\"{}()=+\\_-><@`,?!:";
    let number_comma = text
        .as_bytes()
        .windows(3)
        .any(|w| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit());
    let mut out = text.to_string();
    for mark in MARKS.chars() {
        let beside_space = out.contains(&format!("{mark} ")) || out.contains(&format!(" {mark}"));
        let with = if beside_space || number_comma {
            ""
        } else {
            " "
        };
        out = out.replace(mark, with);
    }
    let chars: Vec<char> = out.chars().collect();
    chars
        .iter()
        .enumerate()
        .filter(|(i, c)| **c != '.' || chars.get(i + 1).is_some_and(char::is_ascii_digit))
        .map(|(_, c)| *c)
        .collect()
}

/// Digits for the number words up to ten.
pub(crate) fn number_word(word: &str) -> &str {
    match word {
        "none" | "zero" => "0",
        "one" => "1",
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        other => other,
    }
}

/// Apostrophes for the contractions that are not words of their own without them.
pub(crate) fn contraction(word: &str) -> &str {
    match word {
        "arent" => "aren't",
        "cant" => "can't",
        "doesnt" => "doesn't",
        "dont" => "don't",
        "hasnt" => "hasn't",
        "havent" => "haven't",
        "isnt" => "isn't",
        "shouldnt" => "shouldn't",
        "thats" => "that's",
        "wasnt" => "wasn't",
        "werent" => "weren't",
        "whats" => "what's",
        "wouldnt" => "wouldn't",
        other => other,
    }
}

/// True if two answers are equal after normalisation.
pub fn same_answer(given: &str, expected: &str) -> bool {
    normalise_answer(given) == normalise_answer(expected)
}

/// One answered question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredAnswer {
    /// Open or closed.
    pub answer_type: AnswerType,
    /// Whether the top answer is the expected one.
    pub right: bool,
    /// Calibrated confidence in 0..=1.
    pub confidence: f64,
    /// Whether the model declined to answer.
    pub abstained: bool,
}

/// Rates over a set of answered questions, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VqaScore {
    /// Questions.
    pub n: usize,
    /// Accuracy on open questions, whether abstained or not; `None` without any.
    pub open: Option<f64>,
    /// Accuracy on closed questions, whether abstained or not; `None` without any.
    pub closed: Option<f64>,
    /// Accuracy on all questions, whether abstained or not.
    pub overall: f64,
    /// Expected calibration error of the top answer, 15 bins.
    pub ece: f64,
    /// The share of questions that were answered.
    pub coverage: f64,
    /// Accuracy on the questions that were answered; `None` without any.
    pub selective_accuracy: Option<f64>,
}

/// Scores answered questions.
///
/// Errors if there are none.
pub fn score(answers: &[ScoredAnswer]) -> Result<VqaScore> {
    let rate = |chosen: &dyn Fn(&ScoredAnswer) -> bool| {
        let picked: Vec<_> = answers.iter().filter(|a| chosen(a)).collect();
        let right = picked.iter().filter(|a| a.right).count();
        (!picked.is_empty()).then(|| right as f64 / picked.len() as f64)
    };
    let overall =
        rate(&|_| true).ok_or_else(|| TrainError::Data("there is no answered question".into()))?;
    let confidences: Vec<f64> = answers.iter().map(|a| a.confidence).collect();
    let right: Vec<bool> = answers.iter().map(|a| a.right).collect();
    let answered = answers.iter().filter(|a| !a.abstained).count();
    Ok(VqaScore {
        n: answers.len(),
        open: rate(&|a| a.answer_type == AnswerType::Open),
        closed: rate(&|a| a.answer_type == AnswerType::Closed),
        overall,
        ece: ece(&confidences, &right)?,
        coverage: answered as f64 / answers.len() as f64,
        selective_accuracy: rate(&|a| !a.abstained),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_without_case_articles_and_punctuation() {
        assert_eq!(normalise_answer("The Right Lung."), "right lung");
        assert_eq!(normalise_answer("X-ray"), "xray");
        assert_eq!(normalise_answer("Two"), "2");
        assert_eq!(normalise_answer("5.6 cm"), "5.6 cm");
        assert_eq!(
            normalise_answer("right-sided, basal"),
            "rightsided basal".replace("rightsided", "right sided")
        );
        assert!(same_answer("Yes", " yes. "));
        assert!(!same_answer("left", "right"));
    }

    #[test]
    fn rates_keep_abstained_answers_in_accuracy_but_not_in_selective_accuracy() {
        let answer = |answer_type, right, abstained| ScoredAnswer {
            answer_type,
            right,
            confidence: 0.5,
            abstained,
        };
        let score = score(&[
            answer(AnswerType::Open, false, true),
            answer(AnswerType::Open, true, false),
            answer(AnswerType::Closed, true, false),
            answer(AnswerType::Closed, true, false),
        ])
        .unwrap();
        assert_eq!(score.open, Some(0.5));
        assert_eq!(score.closed, Some(1.0));
        assert_eq!(score.overall, 0.75);
        assert_eq!(score.coverage, 0.75);
        assert_eq!(score.selective_accuracy, Some(1.0));
        assert!((score.ece - 0.25).abs() < 1e-12);
    }
}
