//! Question answering: accuracy by type and organ, calibration, abstention, and what the image is worth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lucency_nn::{Interrupt, Progress};
use lucency_train::metrics::vqa::{ScoredAnswer, same_answer, score};
use lucency_train::metrics::{area_under_risk, ece_bins, risk_coverage};
use lucency_train::vqa::{ImageIndex, Language, QaRecord, QuestionFormat, read};
use serde::Serialize;

use super::answerer::{Answerer, Given};
use crate::error::{AssistantError, Result};
use crate::picture::{self, Picture};

/// Bins of the reliability diagram, as in the calibration error.
const BINS: usize = 15;
/// Points of the risk–coverage curve that are kept.
const CURVE_POINTS: usize = 50;

/// Whether the answers are measured without their images too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VqaControls {
    /// Only with the right images.
    Off,
    /// Also with a blank image, and with the images shuffled among the questions.
    BlankAndShuffled,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct VqaSet {
    /// Folder with the images, however deep.
    pub data: PathBuf,
    /// Question file.
    pub questions: PathBuf,
    /// Its layout.
    pub format: QuestionFormat,
    /// Which of SLAKE's languages.
    pub language: Language,
}

/// Rates as fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct VqaReport {
    /// Questions.
    pub n: usize,
    /// Accuracy on open questions.
    pub open: Option<f64>,
    /// Accuracy on closed questions.
    pub closed: Option<f64>,
    /// Accuracy on all questions.
    pub overall: f64,
    /// Expected calibration error of the top answer, 15 bins.
    pub ece: f64,
    /// Share of the questions that were answered.
    pub coverage: f64,
    /// Accuracy on the questions that were answered.
    pub selective_accuracy: Option<f64>,
    /// Share of the questions whose answer carries "image made no difference".
    pub image_made_no_difference: f64,
    /// Questions and accuracy by question type.
    pub by_question_type: BTreeMap<String, (usize, f64)>,
    /// Questions and accuracy by organ.
    pub by_organ: BTreeMap<String, (usize, f64)>,
    /// Questions and accuracy by phrase type.
    pub by_phrase_type: BTreeMap<String, (usize, f64)>,
    /// The reliability diagram: filled bins by rising confidence.
    pub reliability: Vec<ReliabilityBin>,
    /// Coverage and error rate among the most confident answers.
    pub risk_coverage: Vec<(f64, f64)>,
    /// Area under that curve; the smaller the better.
    pub area_under_risk: f64,
    /// Accuracy with a blank image: what the question alone is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blank_image: Option<ControlReport>,
    /// Accuracy with another question's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffled_image: Option<ControlReport>,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Questions.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of right answers.
    pub accuracy: f64,
}

/// Accuracy of a control, fractions of 1.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ControlReport {
    /// On open questions.
    pub open: Option<f64>,
    /// On closed questions.
    pub closed: Option<f64>,
    /// On all questions.
    pub overall: f64,
    /// How far the accuracy on all questions falls.
    pub fall: f64,
}

/// Answers every question of a set and scores the answers.
///
/// Errors if a file is missing or a record unusable, or with [`AssistantError::Stopped`] when `stop` is pressed.
pub fn evaluate_vqa(
    answerer: &dyn Answerer,
    set: &VqaSet,
    controls: VqaControls,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<VqaReport> {
    let records = read(&set.questions, set.format, set.language)?;
    let (pictures, image_of) = pictures(&records, &set.data, &set.questions)?;
    let mut answer_all = |stage: &str, image: &dyn Fn(usize) -> Picture| -> Result<Vec<Given>> {
        let total = records.len() as u64;
        let mut given = Vec::with_capacity(records.len());
        for (i, record) in records.iter().enumerate() {
            if stop.is_stopped() {
                return Err(AssistantError::Stopped);
            }
            report(Progress::new(stage, i as u64, total));
            given.push(answerer.answer(&image(i), &record.question)?);
        }
        Ok(given)
    };
    let given = answer_all("answering", &|i| pictures[image_of[i]].clone())?;
    let mut measured = measure(&records, &given)?;
    if controls == VqaControls::BlankAndShuffled {
        let blank = answer_all("with a blank image", &|_| picture::blank())?;
        measured.blank_image = Some(control(&records, &blank, measured.overall)?);
        // Half the distinct images further on: never its own, and the same in every run.
        let shift = pictures.len().div_ceil(2);
        let other = |i: usize| pictures[(image_of[i] + shift) % pictures.len()].clone();
        let shuffled = answer_all("with shuffled images", &other)?;
        measured.shuffled_image = Some(control(&records, &shuffled, measured.overall)?);
    }
    Ok(measured)
}

/// Every image once, by name, and each record's place among them.
fn pictures(
    records: &[QaRecord],
    data: &Path,
    questions: &Path,
) -> Result<(Vec<Picture>, Vec<usize>)> {
    let (files, image_of) = ImageIndex::open(data)?.files(records, questions)?;
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by(|a, b| files[*a].cmp(&files[*b]));
    let mut place = vec![0; files.len()];
    for (new, old) in order.iter().enumerate() {
        place[*old] = new;
    }
    let pictures = order
        .iter()
        .map(|i| picture::open(&files[*i], 1))
        .collect::<Result<Vec<_>>>()?;
    Ok((pictures, image_of.into_iter().map(|i| place[i]).collect()))
}

fn scored(records: &[QaRecord], given: &[Given]) -> Vec<ScoredAnswer> {
    records
        .iter()
        .zip(given)
        .map(|(record, given)| ScoredAnswer {
            answer_type: record.answer_type,
            right: record.answers.iter().any(|a| same_answer(&given.answer, a)),
            confidence: given.confidence,
            abstained: given.abstained,
        })
        .collect()
}

/// Scores answers.
fn measure(records: &[QaRecord], given: &[Given]) -> Result<VqaReport> {
    let answers = scored(records, given);
    let rates = score(&answers)?;
    let confidences: Vec<f64> = answers.iter().map(|a| a.confidence).collect();
    let right: Vec<bool> = answers.iter().map(|a| a.right).collect();
    let curve = risk_coverage(&confidences, &right)?;
    let reliability = ece_bins(BINS, &confidences, &right)?
        .into_iter()
        .filter(|b| b.count > 0)
        .map(|b| ReliabilityBin {
            n: b.count,
            confidence: b.confidence,
            accuracy: b.accuracy,
        })
        .collect();
    let no_difference = given.iter().filter(|g| g.image_made_no_difference).count();
    let by = |name: &dyn Fn(&QaRecord) -> String| by_name(records, &right, name);
    Ok(VqaReport {
        n: rates.n,
        open: rates.open,
        closed: rates.closed,
        overall: rates.overall,
        ece: rates.ece,
        coverage: rates.coverage,
        selective_accuracy: rates.selective_accuracy,
        image_made_no_difference: no_difference as f64 / records.len() as f64,
        by_question_type: by(&|r| r.question_type.clone()),
        by_organ: by(&|r| r.organ.clone()),
        by_phrase_type: by(&|r| r.phrase_type.clone()),
        reliability,
        area_under_risk: area_under_risk(&curve),
        risk_coverage: thinned(curve),
        blank_image: None,
        shuffled_image: None,
    })
}

/// Questions and accuracy for every name; a record with several names, joined by commas, counts for each.
fn by_name(
    records: &[QaRecord],
    right: &[bool],
    name: &dyn Fn(&QaRecord) -> String,
) -> BTreeMap<String, (usize, f64)> {
    let mut counts: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for (record, right) in records.iter().zip(right) {
        let names = name(record);
        for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let entry = counts.entry(name.to_uppercase()).or_default();
            entry.0 += 1;
            entry.1 += f64::from(u8::from(*right));
        }
    }
    for (n, right) in counts.values_mut() {
        *right /= *n as f64;
    }
    counts
}

/// At most [`CURVE_POINTS`] points, the last among them.
fn thinned(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = curve.len().div_ceil(CURVE_POINTS).max(1);
    let last = curve.len().saturating_sub(1);
    curve
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (last - i).is_multiple_of(step))
        .map(|(_, point)| point)
        .collect()
}

fn control(records: &[QaRecord], given: &[Given], overall: f64) -> Result<ControlReport> {
    let rates = score(&scored(records, given))?;
    Ok(ControlReport {
        open: rates.open,
        closed: rates.closed,
        overall: rates.overall,
        fall: overall - rates.overall,
    })
}

#[cfg(test)]
mod tests {
    use lucency_train::metrics::vqa::AnswerType;

    use super::*;

    fn record(question_type: &str, organ: &str, answer: &str) -> QaRecord {
        QaRecord {
            id: String::new(),
            image: "a.png".into(),
            organ: organ.into(),
            question: "Is it?".into(),
            answers: vec![answer.into()],
            answer_type: AnswerType::Closed,
            question_type: question_type.into(),
            phrase_type: "para".into(),
        }
    }

    fn given(answer: &str, confidence: f64) -> Given {
        Given {
            answer: answer.into(),
            confidence,
            abstained: confidence < 0.5,
            image_made_no_difference: false,
        }
    }

    #[test]
    fn a_report_counts_each_type_and_organ_and_keeps_the_ends_of_the_curve() {
        let records = [
            record("PRES, POS", "HEAD", "Yes"),
            record("PRES", "CHEST", "no"),
            record("Other", "CHEST", "no"),
        ];
        let r = measure(
            &records,
            &[given("yes", 0.9), given("yes", 0.7), given("No.", 0.4)],
        )
        .unwrap();
        assert_eq!(r.by_question_type["PRES"], (2, 0.5));
        assert_eq!(r.by_question_type["POS"], (1, 1.0));
        assert_eq!(r.by_organ["CHEST"], (2, 0.5));
        assert_eq!(r.reliability.iter().map(|b| b.n).sum::<usize>(), 3);
        assert_eq!(r.risk_coverage.last(), Some(&(1.0, 1.0 / 3.0)));
        assert_eq!((r.coverage * 3.0).round() as usize, 2);
        let long: Vec<(f64, f64)> = (0..451).map(|i| (f64::from(i), 0.0)).collect();
        let short = thinned(long);
        assert!(short.len() <= CURVE_POINTS && short.last() == Some(&(450.0, 0.0)));
    }
}
