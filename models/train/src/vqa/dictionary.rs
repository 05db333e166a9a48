//! The words of the training questions.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::text::question_words;

/// What stands for a word that the dictionary lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// A word of its own, `<unk>`, the last of the list.
    OwnWord,
    /// Whatever word happens to be the last of the list, as published.
    LastWord,
}

/// The name of the word that stands for unknown ones.
const UNKNOWN: &str = "<unk>";

/// Words by number; the number after the last is padding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Dictionary {
    words: Vec<String>,
    index: HashMap<String, u32>,
    unknown: Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    unknown: Unknown,
    words: Vec<String>,
}

impl From<Stored> for Dictionary {
    fn from(stored: Stored) -> Self {
        let index = (0..)
            .zip(&stored.words)
            .map(|(i, w)| (w.clone(), i))
            .collect();
        Self {
            index,
            words: stored.words,
            unknown: stored.unknown,
        }
    }
}

impl From<Dictionary> for Stored {
    fn from(dictionary: Dictionary) -> Self {
        Self {
            unknown: dictionary.unknown,
            words: dictionary.words,
        }
    }
}

impl Dictionary {
    /// The words of questions in the order in which they first occur.
    pub fn of<'a>(questions: impl IntoIterator<Item = &'a str>, unknown: Unknown) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut index = HashMap::new();
        for question in questions {
            for word in question_words(question) {
                if !index.contains_key(&word) {
                    index.insert(word.clone(), words.len() as u32);
                    words.push(word);
                }
            }
        }
        if unknown == Unknown::OwnWord {
            index.insert(UNKNOWN.to_string(), words.len() as u32);
            words.push(UNKNOWN.to_string());
        }
        Self {
            words,
            index,
            unknown,
        }
    }

    /// The words, without padding.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The number that fills a short question up.
    pub fn padding(&self) -> u32 {
        self.words.len() as u32
    }

    /// The number of what stands for an unknown word.
    pub fn unknown(&self) -> u32 {
        self.padding().saturating_sub(1)
    }

    /// Whether unknown words have a number of their own.
    pub fn has_own_unknown(&self) -> bool {
        self.unknown == Unknown::OwnWord
    }

    /// A word's number, if it has one.
    pub fn number(&self, word: &str) -> Option<u32> {
        self.index.get(word).copied()
    }

    /// A question as numbers, not padded.
    pub fn encode(&self, question: &str) -> Vec<u32> {
        question_words(question)
            .iter()
            .map(|w| self.number(w).unwrap_or(self.unknown()))
            .collect()
    }

    /// A question as exactly `length` numbers: cut at the end, filled up with padding.
    pub fn tokens(&self, question: &str, length: usize) -> Vec<u32> {
        let mut tokens = self.encode(question);
        tokens.resize(length, self.padding());
        tokens
    }

    /// How many of a question's words the dictionary knows, of how many.
    pub fn known(&self, question: &str) -> (usize, usize) {
        let words = question_words(question);
        let known = words.iter().filter(|w| self.number(w).is_some()).count();
        (known, words.len())
    }

    /// The words that occur once in `questions`: those that training may show as unknown.
    pub fn singletons<'a>(&self, questions: impl IntoIterator<Item = &'a str>) -> Vec<bool> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for token in questions.into_iter().flat_map(|q| self.encode(q)) {
            *counts.entry(token).or_default() += 1;
        }
        (0..self.padding())
            .map(|token| counts.get(&token) == Some(&1))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_questions_are_filled_up_and_long_ones_cut() {
        let d = Dictionary::of(["is there a mass", "where is it"], Unknown::LastWord);
        assert_eq!(d.words().len(), 6);
        assert_eq!(d.tokens("Where is it?", 5), [4, 0, 5, 6, 6]);
        assert_eq!(d.tokens("is there a mass", 2), [0, 1]);
        assert_eq!(d.tokens("is foo", 2), [0, 5], "as published, the last word");
    }

    #[test]
    fn an_unknown_word_has_a_number_of_its_own_and_survives_the_file() {
        let d = Dictionary::of(["is there a mass"], Unknown::OwnWord);
        assert_eq!(d.tokens("is foo", 3), [0, 4, 5]);
        let text = serde_json::to_string(&d).unwrap();
        let again: Dictionary = serde_json::from_str(&text).unwrap();
        assert_eq!(again.tokens("is foo mass", 3), [0, 4, 3]);
        assert_eq!(again.known("is foo mass"), (2, 3));
    }
}
