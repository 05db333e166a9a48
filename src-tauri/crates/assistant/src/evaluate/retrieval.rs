//! Retrieval between images and reports: recall in both directions over the pool of all pairs.

use std::collections::HashMap;
use std::path::PathBuf;

use lucency_nn::{Interrupt, Progress};
use lucency_train::statistics::{Bootstrap, Ranked, Retrieval, measure_retrieval, rank_all};
use serde::Serialize;

use crate::assistant::Assistant;
use crate::error::{AssistantError, Result};
use crate::picture;

/// Reports that are embedded at a time.
const TEXTS: usize = 32;

/// An image with its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievalPair {
    /// Image file, DICOM or raster.
    pub image: PathBuf,
    /// What was written about it.
    pub report: String,
    /// Whose it is; only compared, never shown.
    pub patient: String,
}

/// What was measured, with 95 % intervals.
#[derive(Debug, Clone, Serialize)]
pub struct RetrievalReport {
    /// Pairs in the pool.
    pub n: usize,
    /// Patients among them.
    pub patients: usize,
    /// Different reports among them.
    pub reports: usize,
    /// Pairs left out because they have no report.
    pub without_report: usize,
    /// Pairs left out because their image cannot be read.
    pub unreadable: usize,
    /// Images that look for their own report.
    pub image_to_report: Retrieval,
    /// Reports that look for their own image.
    pub report_to_image: Retrieval,
    /// Images that look for any report of their patient.
    pub image_to_patients_reports: Retrieval,
    /// Reports that look for any image of their patient.
    pub report_to_patients_images: Retrieval,
    /// Draws of patients behind the intervals.
    pub resamples: usize,
    /// Hash of the pack.
    pub pack_hash: String,
    /// Of each pair, where its report and its image came.
    #[serde(skip)]
    pub ranks: Vec<PairRanks>,
}

/// Where one pair's counterparts came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairRanks {
    /// Place of the pair among those given, counted from 0.
    pub row: usize,
    /// Its report among all reports.
    pub report: Ranked,
    /// Its image among all images.
    pub image: Ranked,
}

/// Ranks every report for every image and every image for every report.
///
/// The pool is all pairs. Pairs whose reports read the same, white space aside, are right for each other: nothing could tell them
/// apart. Intervals draw patients, each with all of their pairs.
///
/// Errors if fewer than two pairs can be used, or with [`AssistantError::Stopped`] when `stop` is pressed.
/// Source: UMD, table 2.
pub fn evaluate_retrieval(
    assistant: &Assistant,
    pairs: &[RetrievalPair],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<RetrievalReport> {
    let mut rows = Vec::new();
    let mut images = Vec::new();
    let (mut without_report, mut unreadable) = (0, 0);
    for (row, pair) in pairs.iter().enumerate() {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        report(Progress::new(
            "embedding images",
            row as u64,
            pairs.len() as u64,
        ));
        if pair.report.trim().is_empty() {
            without_report += 1;
            continue;
        }
        match picture::open(&pair.image, 1) {
            Ok(picture) => {
                images.push(assistant.image_embedding(&picture)?.to_vec1::<f32>()?);
                rows.push(row);
            }
            Err(_) => unreadable += 1,
        }
    }
    if rows.len() < 2 {
        return Err(AssistantError::Data(format!(
            "{} pairs with an image and a report are too few to measure; {without_report} have no report, {unreadable} no image that can be read",
            rows.len()
        )));
    }
    let (text_of, texts) = numbered(rows.iter().map(|&row| plain(&pairs[row].report)));
    let (patient_of, patients) = numbered(rows.iter().map(|&row| pairs[row].patient.as_str()));
    let embedded = embed(assistant, &texts, stop, report)?;
    let reports: Vec<Vec<f32>> = text_of.iter().map(|&text| embedded[text].clone()).collect();

    let plan = Bootstrap::default();
    let groups: Vec<u64> = patient_of.iter().map(|p| *p as u64).collect();
    let own = |i: usize, j: usize| text_of[i] == text_of[j];
    let patients_own = |i: usize, j: usize| own(i, j) || patient_of[i] == patient_of[j];
    let rank =
        |from: &[Vec<f32>], to: &[Vec<f32>], right: &(dyn Fn(usize, usize) -> bool + Sync)| {
            let ranked = rank_all(from, to, right)?;
            let measured = measure_retrieval(&ranked, to.len(), &groups, &plan)?;
            Ok::<_, AssistantError>((ranked, measured))
        };
    let (by_image, image_to_report) = rank(&images, &reports, &own)?;
    let (by_report, report_to_image) = rank(&reports, &images, &own)?;
    let ranks = rows.iter().zip(by_image.iter().zip(&by_report));
    Ok(RetrievalReport {
        n: rows.len(),
        patients: patients.len(),
        reports: texts.len(),
        without_report,
        unreadable,
        image_to_report,
        report_to_image,
        image_to_patients_reports: rank(&images, &reports, &patients_own)?.1,
        report_to_patients_images: rank(&reports, &images, &patients_own)?.1,
        resamples: plan.draws,
        pack_hash: assistant.pack().weights_id(),
        ranks: ranks
            .map(|(&row, (&report, &image))| PairRanks { row, report, image })
            .collect(),
    })
}

fn embed(
    assistant: &Assistant,
    texts: &[String],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<f32>>> {
    let mut embedded = Vec::with_capacity(texts.len());
    for some in texts.chunks(TEXTS) {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        let done = embedded.len() as u64;
        report(Progress::new("embedding reports", done, texts.len() as u64));
        embedded.extend(assistant.embed_reports_of_pack(some)?);
    }
    Ok(embedded)
}

/// The text with single spaces.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number of each value, and the values in order of their first appearance.
fn numbered(values: impl Iterator<Item = impl Into<String>>) -> (Vec<usize>, Vec<String>) {
    let mut numbers = HashMap::new();
    let mut distinct = Vec::new();
    let of = values
        .map(|value| {
            let value = value.into();
            *numbers.entry(value.clone()).or_insert_with(|| {
                distinct.push(value);
                distinct.len() - 1
            })
        })
        .collect();
    (of, distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number() {
        let (of, distinct) = numbered(["b", "a", "b", ""].into_iter());
        assert_eq!(of, [0, 1, 0, 2]);
        assert_eq!(distinct, ["b", "a", ""]);
        assert_eq!(plain(" No\n effusion. "), "No effusion.");
    }
}
