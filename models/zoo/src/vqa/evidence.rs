//! What speaks for each possible answer to one question: the head, the memory, and what is known about images like this one.

use candle_core::{Device, Tensor};

use super::memory::{Memory, Recalled, sparse_dot};
use super::{Question, QuestionForm};
use crate::Result;

/// Answers that the memory and the head propose, each.
const PROPOSED: usize = 8;
/// A remembered case is about this image, or one next to it, from this likeness on.
const SAME_IMAGE: f32 = 0.5;
/// Scores below this are no evidence.
const LEAST_SCORE: f64 = 1e-3;
/// Log-probabilities below this are no evidence.
const LEAST_LOG: f64 = -12.0;

/// What is known without a gradient, by column.
const KNOWN: usize = 20;
/// Columns of [`Evidence::columns`]: five that depend on the image through the networks, the same times how near a known image is, the same
/// times how much the image is like a drawing, and what is known.
pub const EVIDENCE: usize = 3 * 5 + KNOWN;
/// The columns that hold what is known about images like this one: the last ones.
pub const FACTS: std::ops::Range<usize> = EVIDENCE - KNOWN + 6..EVIDENCE;

/// The possible answers to one question with what speaks for each; the last row stands for "none of these".
pub struct Evidence {
    /// Places in the head's list of answers.
    pub candidates: Vec<usize>,
    /// `[candidates + 1, EVIDENCE]`; the gradient reaches the image features.
    pub columns: Tensor,
}

/// What the parts of the head say about one question.
pub(super) struct Said<'a> {
    /// The head's log-probabilities, `[answers]`.
    pub head: &'a Tensor,
    /// What the memory recalls of the batch.
    pub recalled: &'a Recalled,
    /// Its row in the batch.
    pub row: usize,
}

/// Texts of the answers, ready to be compared.
pub(super) struct AnswerTexts {
    terms: Vec<Vec<(u32, f32)>>,
    yes: Option<usize>,
    no: Option<usize>,
}

impl AnswerTexts {
    pub(super) fn new(memory: &Memory, answers: &[String]) -> Self {
        let place = |word: &str| answers.iter().position(|a| a == word);
        Self {
            terms: answers.iter().map(|a| memory.terms(a)).collect(),
            yes: place("yes"),
            no: place("no"),
        }
    }
}

/// A remembered case about the same image.
struct Near {
    case: usize,
    answer: usize,
    likeness: f32,
    wording: f32,
}

/// Gathers what speaks for each possible answer.
///
/// - `named`: for every answer, whether all its words stand in the question
pub(super) fn gather(
    memory: &Memory,
    texts: &AnswerTexts,
    question: &Question,
    named: &[f32],
    said: &Said<'_>,
) -> Result<Evidence> {
    let scores = said.recalled.scores.get(said.row)?; // [answers]
    let alone = said.recalled.wording_alone.get(said.row)?; // [answers]
    let images = &said.recalled.images[said.row];
    let wordings = &said.recalled.wordings[said.row];
    let near: Vec<Near> = (0..images.len())
        .filter(|case| images[*case] >= SAME_IMAGE)
        .map(|case| Near {
            case,
            answer: memory.answer_of(case),
            likeness: images[case],
            wording: wordings[case],
        })
        .collect();
    let largest = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
    let place = Place {
        nearest: largest(images),
        familiar: largest(wordings),
        drawn: said.recalled.drawn[said.row],
    };
    let candidates = candidates(texts, question, named, &near, &scores, said.head)?;
    let facts = Facts::of(memory, texts, question, &near);

    let mut known = Vec::with_capacity((candidates.len() + 1) * KNOWN);
    for answer in &candidates {
        let about = About::of(memory, texts, &near, *answer);
        known.extend(facts.row(&about, question, named[*answer], *answer, texts, &place));
    }
    known.extend(place.nothing());
    let device = Device::Cpu;
    let rows = candidates.len() + 1;
    let known = Tensor::from_vec(known, (rows, KNOWN), &device)?;
    let places: Vec<u32> = candidates.iter().map(|c| *c as u32).collect();
    let places = Tensor::new(places, &device)?;
    let pick = |all: &Tensor, least: f64| -> Result<Tensor> {
        let own = all.index_select(&places, 0)?.maximum(least)?; // [candidates]
        let best = own.max(0)?.unsqueeze(0)?; // the last row sees the best of the others
        Ok(Tensor::cat(&[own, best], 0)?)
    };
    let head = pick(said.head, LEAST_LOG)?;
    let (scores, alone) = (pick(&scores, LEAST_SCORE)?, pick(&alone, LEAST_SCORE)?);
    let columns = [&head, &scores, &scores.log()?, &alone, &alone.log()?];
    let columns = Tensor::stack(&columns, 1)?; // [rows, 5]
    let near = (&columns * f64::from(place.nearest))?;
    let drawn = (&columns * f64::from(place.drawn))?;
    Ok(Evidence {
        candidates,
        columns: Tensor::cat(&[columns, near, drawn, known], 1)?,
    })
}

/// Answers that come into question: yes and no, or what memory, head, this image's known answers and the question itself propose.
fn candidates(
    texts: &AnswerTexts,
    question: &Question,
    named: &[f32],
    near: &[Near],
    scores: &Tensor,
    head: &Tensor,
) -> Result<Vec<usize>> {
    let decided = |i: usize| Some(i) == texts.yes || Some(i) == texts.no;
    if question.form == QuestionForm::YesNo
        && let (Some(yes), Some(no)) = (texts.yes, texts.no)
    {
        return Ok(vec![yes, no]);
    }
    let mut list: Vec<usize> = Vec::new();
    for values in [scores, head] {
        let values: Vec<f32> = values.to_vec1()?;
        let mut order: Vec<usize> = (0..values.len()).filter(|i| !decided(*i)).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
        list.extend(order.into_iter().take(PROPOSED));
    }
    list.extend(near.iter().map(|n| n.answer).filter(|a| !decided(*a)));
    if question.form == QuestionForm::Choice {
        list.extend((0..named.len()).filter(|i| named[*i] > 0.0 && !decided(*i)));
    }
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

/// Where a question stands among those that are known.
struct Place {
    /// Likeness of the nearest remembered image.
    nearest: f32,
    /// Likeness of the nearest remembered wording.
    familiar: f32,
    /// How much the image is like a drawing.
    drawn: f32,
}

impl Place {
    /// The row of "none of these".
    fn nothing(&self) -> [f32; KNOWN] {
        let mut row = [0.0; KNOWN];
        (row[0], row[1], row[2], row[3]) = (1.0, self.nearest, self.familiar, self.drawn);
        row
    }
}

/// What is known about the image and bears on the question, whichever the answer.
struct Facts {
    affirmed: f32,
    denied: f32,
    said_yes: f32,
    answered: f32,
}

impl Facts {
    fn of(memory: &Memory, texts: &AnswerTexts, question: &Question, near: &[Near]) -> Self {
        let asked = memory.terms(&question.text);
        let mut facts = Self {
            affirmed: 0.0,
            denied: 0.0,
            said_yes: 0.0,
            answered: 0.0,
        };
        for n in near {
            let value = n.likeness * n.wording;
            let (yes, no) = (Some(n.answer) == texts.yes, Some(n.answer) == texts.no);
            let slot = if no {
                &mut facts.denied
            } else {
                &mut facts.affirmed
            };
            *slot = slot.max(value);
            if yes {
                facts.said_yes = facts.said_yes.max(value);
            }
            if !yes && !no {
                let answer = texts.terms[n.answer].iter().copied();
                let value = n.likeness * sparse_dot(&asked, answer);
                facts.answered = facts.answered.max(value);
            }
        }
        facts
    }

    fn row(
        &self,
        about: &About,
        question: &Question,
        named: f32,
        answer: usize,
        texts: &AnswerTexts,
        place: &Place,
    ) -> [f32; KNOWN] {
        let flag = |b: bool| if b { 1.0f32 } else { 0.0 };
        let (yes, no) = (
            flag(Some(answer) == texts.yes),
            flag(Some(answer) == texts.no),
        );
        let choice = flag(question.form == QuestionForm::Choice);
        [
            0.0, // none of these
            place.nearest,
            place.familiar,
            place.drawn,
            yes,
            no,
            yes * self.affirmed,
            no * self.denied,
            yes * self.denied,
            no * self.affirmed,
            yes * self.said_yes,
            no * self.said_yes,
            yes * self.answered,
            no * self.answered,
            about.stated,
            about.given,
            about.asked_about,
            named,
            named * choice,
            about.stated * about.given,
        ]
    }
}

/// What is known about the image and bears on one answer.
#[derive(Default)]
struct About {
    /// How much a known question and answer are like the question with this answer.
    stated: f32,
    /// Whether it is the answer to another question about the image.
    given: f32,
    /// How much a question that was affirmed is about it.
    asked_about: f32,
}

impl About {
    fn of(memory: &Memory, texts: &AnswerTexts, near: &[Near], answer: usize) -> Self {
        let mut about = Self::default();
        if Some(answer) == texts.yes || Some(answer) == texts.no {
            return about;
        }
        let own = &texts.terms[answer];
        for n in near.iter().filter(|n| Some(n.answer) != texts.no) {
            let same = sparse_dot(own, texts.terms[n.answer].iter().copied());
            about.stated = about.stated.max(n.likeness * n.wording * same);
            about.asked_about = about
                .asked_about
                .max(n.likeness * memory.likeness_of_case(own, n.case));
            if n.answer == answer {
                about.given = about.given.max(n.likeness);
            }
        }
        about
    }
}
