//! Question–answer pairs in the types of VQA-RAD (Lau et al. 2018), answerable from one view.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::spec::{Finding, Region, Spec, View};

mod findings;
mod names;
mod position;
mod size;
mod technique;

pub use names::short_name;

/// Whether an answer is a choice or free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AnswerType {
    /// Yes, no, or one of the choices that the question names.
    Closed,
    /// Free text.
    Open,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuestionType {
    /// Presence of an object or finding.
    Pres,
    /// Abnormality.
    Abn,
    /// Position.
    Pos,
    /// Size.
    Size,
    /// Imaging modality.
    Modality,
    /// Plane or projection.
    Plane,
    /// Organ or organ system.
    Organ,
    /// Another attribute.
    Attrib,
    /// Counting.
    Count,
    /// Anything else.
    Other,
}

/// A question and its true answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaPair {
    /// The question.
    pub question: String,
    /// The answer, lower case.
    pub answer: String,
    /// Closed or open.
    pub answer_type: AnswerType,
    /// What the question is about.
    pub question_type: QuestionType,
    /// "CHEST" or "HEAD".
    pub organ: String,
    /// The view that it is asked about.
    pub view: View,
    /// The finding that it is about, if one.
    pub finding: Option<Finding>,
}

/// Collects pairs of one view.
struct Pool {
    organ: &'static str,
    view: View,
    pairs: Vec<QaPair>,
}

impl Pool {
    fn push(
        &mut self,
        kind: QuestionType,
        answer_type: AnswerType,
        finding: Option<Finding>,
        question: impl Into<String>,
        answer: impl Into<String>,
    ) {
        self.pairs.push(QaPair {
            question: question.into(),
            answer: answer.into(),
            answer_type,
            question_type: kind,
            organ: self.organ.to_string(),
            view: self.view,
            finding,
        });
    }

    fn closed(
        &mut self,
        kind: QuestionType,
        finding: Option<Finding>,
        question: impl Into<String>,
        yes: bool,
    ) {
        self.push(
            kind,
            AnswerType::Closed,
            finding,
            question,
            if yes { "yes" } else { "no" },
        );
    }

    fn open(
        &mut self,
        kind: QuestionType,
        finding: Option<Finding>,
        question: impl Into<String>,
        answer: impl Into<String>,
    ) {
        self.push(kind, AnswerType::Open, finding, question, answer);
    }
}

impl Spec {
    /// Questions of every view of the study, in order of views.
    pub fn questions(&self, rng: &mut impl Rng) -> Vec<QaPair> {
        self.views
            .iter()
            .flat_map(|&view| self.questions_on(view, rng))
            .collect()
    }

    /// Questions that one view answers, as many with "yes" as with "no".
    ///
    /// For a head study they hold on [`crate::head::key_slice`] and on every slice that shows the lesion.
    pub fn questions_on(&self, view: View, rng: &mut impl Rng) -> Vec<QaPair> {
        let organ = if self.region == Region::Chest {
            "CHEST"
        } else {
            "HEAD"
        };
        let mut pool = Pool {
            organ,
            view,
            pairs: Vec::new(),
        };
        self.ask_presence(&mut pool, rng);
        self.ask_normality(&mut pool, rng);
        self.ask_technique(&mut pool, rng);
        if view != View::Lateral {
            self.ask_position(&mut pool, rng);
            self.ask_size(&mut pool, rng);
        }
        let mut pairs = pool.pairs;
        for i in (1..pairs.len()).rev() {
            pairs.swap(i, rng.random_range(0..=i));
        }
        let count = |word: &str| pairs.iter().filter(|p| p.answer == word).count();
        let keep = count("yes").min(count("no"));
        let (mut yes, mut no) = (0, 0);
        pairs.retain(|p| match p.answer.as_str() {
            "yes" => {
                yes += 1;
                yes <= keep
            }
            "no" => {
                no += 1;
                no <= keep
            }
            _ => true,
        });
        pairs
    }
}
