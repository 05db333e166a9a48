//! The answers that a model chooses from.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::records::QaRecord;
use super::text::{AnswerForm, soft_score};
use crate::metrics::vqa::AnswerType;

/// How answers are laid out in the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One list for all questions (MEVF).
    Together,
    /// Closed answers first, then open ones; an answer of both types is in the list twice (QCR).
    ByType,
}

/// The classes of an answer model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerVocabulary {
    /// How an answer becomes a class name.
    pub form: AnswerForm,
    /// One list or two.
    pub layout: Layout,
    /// Class names in the order of the logits.
    pub answers: Vec<String>,
    /// How many of them are for closed questions; with one list all are for both.
    pub closed: usize,
}

impl AnswerVocabulary {
    /// The answers of records that at least `min_occurrence` of them have, in the order in which they first occur.
    ///
    /// MEVF and QCR keep all of them: 0.
    pub fn of(
        records: &[QaRecord],
        form: AnswerForm,
        layout: Layout,
        min_occurrence: usize,
    ) -> Self {
        let list = |chosen: &dyn Fn(AnswerType) -> bool| {
            let mut counts: HashMap<String, usize> = HashMap::new();
            let mut order = Vec::new();
            for record in records.iter().filter(|r| chosen(r.answer_type)) {
                for answer in &record.answers {
                    let answer = form.apply(answer);
                    let count = counts.entry(answer.clone()).or_default();
                    if *count == 0 {
                        order.push(answer);
                    }
                    *count += 1;
                }
            }
            order.retain(|a| counts[a] >= min_occurrence);
            order
        };
        let (answers, closed) = match layout {
            Layout::Together => {
                let all = list(&|_| true);
                let n = all.len();
                (all, n)
            }
            Layout::ByType => {
                let mut closed = list(&|t| t == AnswerType::Closed);
                let n = closed.len();
                closed.extend(list(&|t| t == AnswerType::Open));
                (closed, n)
            }
        };
        Self {
            form,
            layout,
            answers,
            closed,
        }
    }

    /// Classes.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// True without any class.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Which classes are yes and no, for a gate by the question's form; none if the list lacks one of them.
    pub fn yes_no(&self) -> Option<Vec<bool>> {
        let is = |answer: &String| matches!(answer.as_str(), "yes" | "no");
        let classes: Vec<bool> = self.answers.iter().map(is).collect();
        let has = |word: &str| self.answers.iter().any(|a| a == word);
        (has("yes") && has("no")).then_some(classes)
    }

    /// The class of an answer to a question of a type.
    pub fn class(&self, answer: &str, answer_type: AnswerType) -> Option<usize> {
        let name = self.form.apply(answer);
        let range = match (self.layout, answer_type) {
            (Layout::Together, _) => 0..self.answers.len(),
            (Layout::ByType, AnswerType::Closed) => 0..self.closed,
            (Layout::ByType, AnswerType::Open) => self.closed..self.answers.len(),
        };
        range
            .clone()
            .find(|i| self.answers[*i] == name)
            .filter(|i| range.contains(i))
    }

    /// The classes of a record with their soft scores; empty if the list lacks its answers.
    ///
    /// A single answer has score 1; of several people's answers each has [`soft_score`].
    pub fn target(&self, record: &QaRecord) -> Vec<(usize, f32)> {
        let mut people: Vec<(usize, usize)> = Vec::new();
        for answer in &record.answers {
            if let Some(class) = self.class(answer, record.answer_type) {
                match people.iter_mut().find(|(c, _)| *c == class) {
                    Some((_, n)) => *n += 1,
                    None => people.push((class, 1)),
                }
            }
        }
        let single = record.answers.len() == 1;
        people
            .into_iter()
            .map(|(class, n)| (class, if single { 1.0 } else { soft_score(n) }))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(question: &str, answer: &str, answer_type: AnswerType) -> QaRecord {
        QaRecord {
            id: question.into(),
            image: "a.png".into(),
            organ: "HEAD".into(),
            question: question.into(),
            answers: vec![answer.into()],
            answer_type,
            question_type: "PRES".into(),
            phrase_type: "freeform".into(),
        }
    }

    #[test]
    fn one_list_holds_all_answers_and_two_lists_keep_the_types_apart() {
        let records = [
            record("is it", "Yes", AnswerType::Closed),
            record("where", "Left lung.", AnswerType::Open),
            record("is that", "no", AnswerType::Closed),
            record("what of it", "no", AnswerType::Open),
        ];
        let one = AnswerVocabulary::of(&records, AnswerForm::Evaluation, Layout::Together, 0);
        assert_eq!(one.answers, ["yes", "left lung", "no"]);
        assert_eq!(one.target(&records[3]), [(2, 1.0)]);
        let two = AnswerVocabulary::of(&records, AnswerForm::Evaluation, Layout::ByType, 0);
        assert_eq!(two.answers, ["yes", "no", "left lung", "no"]);
        assert_eq!(two.closed, 2);
        assert_eq!(two.target(&records[2]), [(1, 1.0)]);
        assert_eq!(two.target(&records[3]), [(3, 1.0)]);
        let often = AnswerVocabulary::of(&records, AnswerForm::Evaluation, Layout::Together, 2);
        assert_eq!(often.answers, ["no"]);
        assert!(often.target(&records[0]).is_empty());
    }

    #[test]
    fn several_people_make_soft_scores() {
        let mut asked = record("where", "left", AnswerType::Open);
        asked.answers = vec!["left".into(), "Left".into(), "right".into()];
        let list = AnswerVocabulary::of(
            std::slice::from_ref(&asked),
            AnswerForm::Evaluation,
            Layout::Together,
            0,
        );
        assert_eq!(list.target(&asked), [(0, 0.6), (1, 0.3)]);
    }
}
