//! One question about one image: the answer, how sure it is, whether to abstain, and where it looked.

use std::time::Instant;

use jiff::Timestamp;
use lucency_zoo::vqa::Question;

use crate::assistant::Assistant;
use crate::dto::{Alternative, Answer, Caution};
use crate::error::{AssistantError, Result};
use crate::guard::question::checked;
use crate::kind::{QuestionKind, is_closed};
use crate::picture::{self, Picture};
use crate::provenance::provenance;

/// Answers that are shown, and how probable all but the best must be.
const ALTERNATIVES: usize = 5;
const LEAST_SHOWN: f64 = 1e-4;

/// The best answers; those that do not come into question are left out.
fn shown(ranked: Vec<Alternative>) -> Vec<Alternative> {
    let worth = |(i, a): &(usize, Alternative)| *i == 0 || a.confidence >= LEAST_SHOWN;
    let kept = ranked.into_iter().enumerate().filter(worth);
    kept.map(|(_, a)| a).take(ALTERNATIVES).collect()
}
/// What [`lucency_packs::Answers::blank_margin`] is for a network.
const BLANK_MARGIN: f64 = 0.1;

/// What was decided about one question, without the evidence.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Most probable first; never empty.
    pub ranked: Vec<Alternative>,
    /// True when the best answer is less sure than the pack's threshold, or when there are cautions.
    pub abstained: bool,
    /// Reasons to abstain whatever the confidence is.
    pub cautions: Vec<Caution>,
    /// True when a blank image gets the same answer with about the same confidence.
    pub image_made_no_difference: bool,
    /// The best answer to a blank image.
    pub blank: Alternative,
}

impl Decision {
    /// The most probable answer.
    pub fn best(&self) -> &Alternative {
        &self.ranked[0]
    }
}

impl Assistant {
    /// Answers a question about a picture, with its evidence.
    ///
    /// Errors if the question has no words, is too long or in another script, or if the pack cannot answer questions.
    pub fn ask(&self, picture: &Picture, question: &str, now: Timestamp) -> Result<Answer> {
        let begun = Instant::now();
        let question = checked(question)?;
        let decision = self.decide(picture, question)?;
        // Where an answer comes from that is not given is of no use.
        let heat_map = match decision.cautions[..] {
            [] => self.explain(picture, question, &decision.best().answer)?,
            _ => None,
        };
        let best = decision.best().clone();
        Ok(Answer {
            question: question.to_owned(),
            kind: QuestionKind::of(question),
            closed: is_closed(question),
            answer: best.answer,
            confidence: best.confidence,
            abstained: decision.abstained,
            cautions: decision.cautions,
            threshold: self.threshold(),
            alternatives: shown(decision.ranked),
            image_made_no_difference: decision.image_made_no_difference,
            blank_answer: decision.blank.answer,
            blank_confidence: decision.blank.confidence,
            heat_map,
            provenance: provenance(self.pack(), picture, begun, now),
        })
    }

    /// Decides on the answer without computing the heat map.
    ///
    /// Errors as [`Self::ask`] does.
    pub fn decide(&self, picture: &Picture, question: &str) -> Result<Decision> {
        let question = checked(question)?;
        let (ranked, mut blank) = match self.network() {
            Some(_) => (
                self.rank_by_network(picture, question)?,
                self.rank_by_network(&picture::blank(), question)?,
            ),
            None => {
                let asked = self.question(question)?;
                (
                    self.rank(picture, &asked)?,
                    self.rank(&picture::blank(), &asked)?,
                )
            }
        };
        let blank = blank.swap_remove(0);
        let best = &ranked[0];
        let margin = match (self.network(), &self.pack().manifest().answers) {
            (None, Some(answers)) => answers.blank_margin,
            _ => BLANK_MARGIN,
        };
        let image_made_no_difference =
            best.answer == blank.answer && best.confidence - blank.confidence <= margin;
        let cautions = self.cautions(picture, question, image_made_no_difference)?;
        Ok(Decision {
            abstained: best.confidence < self.threshold() || !cautions.is_empty(),
            cautions,
            image_made_no_difference,
            blank,
            ranked,
        })
    }

    fn threshold(&self) -> f64 {
        if let Some(network) = self.network() {
            return network.threshold();
        }
        self.pack()
            .manifest()
            .answers
            .as_ref()
            .map_or(0.0, |a| a.threshold)
    }

    /// Calibrated probabilities of the network's answers, best first; never empty.
    fn rank_by_network(&self, picture: &Picture, question: &str) -> Result<Vec<Alternative>> {
        let none = || AssistantError::NoAnswers(self.pack().manifest().name.clone());
        let network = self.network().ok_or_else(none)?;
        let features = self.features(picture)?.network_features.ok_or_else(none)?;
        let ranked = network.answer(&features, question)?;
        match ranked.is_empty() {
            true => Err(none()),
            false => Ok(ranked),
        }
    }

    /// Calibrated probabilities of the answers that the question allows, best first.
    fn rank(&self, picture: &Picture, question: &Question) -> Result<Vec<Alternative>> {
        let head = self.head()?;
        let features = self
            .features(picture)?
            .answer_features
            .ok_or_else(|| AssistantError::NoAnswers(self.pack().manifest().name.clone()))?;
        let temperature = self
            .pack()
            .manifest()
            .answers
            .as_ref()
            .map_or(1.0, |a| a.temperature);
        Ok(head
            .answer(&features, question, temperature)?
            .into_iter()
            .map(|ranked| Alternative {
                answer: ranked.answer,
                confidence: ranked.probability,
            })
            .collect())
    }
}
