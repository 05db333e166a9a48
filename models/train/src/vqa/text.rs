//! Questions as words and answers as classes, as the published preprocessing makes them.

use serde::{Deserialize, Serialize};

use crate::metrics::vqa::{contraction, normalise_answer, number_word};

/// The words of a question: lower case, without commas, question marks and full stops; a possessive is a word of its own and every
/// Han character too.
///
/// Source: `Dictionary.tokenize` of aioz-ai/MICCAI19-MedVQA; the Han characters are ours.
pub fn question_words(question: &str) -> Vec<String> {
    let mut text = question.to_lowercase();
    for tag in ["? -yes/no", "? -open", "? - open"] {
        text = text.replace(tag, "");
    }
    for (from, to) in [
        (",", ""),
        ("?", ""),
        ("'s", " 's"),
        ("...", ""),
        ("x ray", "x-ray"),
        (".", ""),
    ] {
        text = text.replace(from, to);
    }
    let spaced: String = text
        .chars()
        .flat_map(|c| match c {
            '？' | '，' | '。' | '、' => [' ', ' ', ' '],
            '\u{4e00}'..='\u{9fff}' => [' ', c, ' '],
            _ => ['\0', c, '\0'],
        })
        .filter(|c| *c != '\0')
        .collect();
    spaced.split_whitespace().map(str::to_string).collect()
}

/// How an answer becomes the name of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// The form in which answers are compared when they are scored.
    Evaluation,
    /// MEVF's `preprocess_answer`.
    PublishedMevf,
    /// QCR's: lower case alone.
    PublishedQcr,
}

impl AnswerForm {
    /// The class name of an answer.
    pub fn apply(self, answer: &str) -> String {
        match self {
            Self::Evaluation => normalise_answer(answer),
            Self::PublishedMevf => published(answer),
            Self::PublishedQcr => answer
                .to_lowercase()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

/// Marks that MEVF's preprocessing knows; a colon is not among them.
const MARKS: &str = ";/[]\"{}()=+\\_-><@`,?!";

/// `preprocess_answer` of `tools/compute_softscore.py`: whether a mark goes or becomes a space depends on the whole answer.
fn published(answer: &str) -> String {
    let digits_around_comma = answer
        .as_bytes()
        .windows(3)
        .any(|w| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit());
    let mut text = answer.to_string();
    for mark in MARKS.chars() {
        let beside_space =
            answer.contains(&format!("{mark} ")) || answer.contains(&format!(" {mark}"));
        let with = match beside_space || digits_around_comma {
            true => "",
            false => " ",
        };
        text = text.replace(mark, with);
    }
    let chars: Vec<char> = text.chars().collect();
    let without_stops: String = chars
        .iter()
        .enumerate()
        .filter(|(i, c)| **c != '.' || chars.get(i + 1).is_some_and(char::is_ascii_digit))
        .map(|(_, c)| *c)
        .collect();
    let lower = without_stops.to_lowercase();
    let words: Vec<&str> = lower
        .split_whitespace()
        .map(number_word)
        .filter(|w| !matches!(*w, "a" | "an" | "the"))
        .map(contraction)
        .collect();
    words.join(" ").replace(',', "").replace("x ray", "xray")
}

/// The score of an answer that several people gave. Source: Antol et al. 2015, as `get_score` rounds it.
pub fn soft_score(people: usize) -> f32 {
    match people {
        0 => 0.0,
        1 => 0.3,
        2 => 0.6,
        3 => 0.9,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_cut_as_the_published_dictionary_does() {
        assert_eq!(
            question_words("Is the patient's x ray normal, or not? -yes/no").join("|"),
            "is|the|patient|'s|x-ray|normal|or|not"
        );
        assert_eq!(question_words("Where... is it?").join("|"), "where|is|it");
        assert_eq!(question_words("肺在哪里？").join("|"), "肺|在|哪|里");
    }

    #[test]
    fn answers_take_the_published_forms() {
        let mevf = |a| AnswerForm::PublishedMevf.apply(a);
        assert_eq!(mevf("X-ray"), "xray");
        assert_eq!(mevf("The Right lung."), "right lung");
        assert_eq!(mevf("two"), "2");
        assert_eq!(mevf("axial, T2-weighted"), "axial t2 weighted");
        assert_eq!(mevf("1,000"), "1000");
        assert_eq!(mevf("5.6 cm"), "5.6 cm");
        assert_eq!(
            AnswerForm::PublishedQcr.apply(" The Right  lung."),
            "the right lung."
        );
    }

    #[test]
    fn four_people_make_an_answer_certain() {
        assert_eq!(
            (0..6).map(soft_score).collect::<Vec<_>>(),
            [0.0, 0.3, 0.6, 0.9, 1.0, 1.0]
        );
    }
}
