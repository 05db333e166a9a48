//! From what a row says to the record of a case: its images are looked at, its reports read and cleaned.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::draft::{Draft, Refusal, Taken};
use super::phi::{self, Identifying};
use super::plan::ImportPlan;
use super::table::Charset;
use super::{document, image, words};
use crate::error::Result;
use crate::records::{ImageReference, NewRecord, Text, TextKind};

/// What makes drafts records.
pub(super) struct Work<'a> {
    /// What the library knows of an image file below the source's folder.
    pub known: &'a (dyn Fn(&str) -> Result<Option<ImageReference>> + Sync),
    pub plan: &'a ImportPlan,
    pub root: PathBuf,
    pub charset: Charset,
}

/// A record with the number of lines that were taken out of its reports.
pub(super) type Made = (NewRecord, u64);

impl Work<'_> {
    /// Records of drafts, in their order; their images are looked at, on all threads.
    pub(super) fn records(&self, drafts: Vec<Taken<Draft>>) -> Result<Vec<Taken<Made>>> {
        let images = self.images(&drafts)?;
        Ok(drafts
            .into_par_iter()
            .map(|draft| self.record(draft?, &images))
            .collect())
    }

    /// Probes every image of a batch once.
    fn images(&self, drafts: &[Taken<Draft>]) -> Result<HashMap<String, Taken<ImageReference>>> {
        let mut paths: Vec<String> = drafts
            .par_iter()
            .filter_map(|draft| draft.as_ref().ok())
            .flat_map_iter(|draft| &draft.images)
            .filter_map(|image| image::find(&self.root, &image.candidates).ok())
            .collect();
        paths.sort_unstable();
        paths.dedup();
        let known = paths
            .into_iter()
            .map(|path| {
                let known = (self.known)(&path)?;
                Ok((path, known))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(known
            .into_par_iter()
            .map(|(path, known)| {
                let probed = image::probe(&self.root, &path, known);
                (path, probed)
            })
            .collect())
    }

    fn record(&self, draft: Draft, images: &HashMap<String, Taken<ImageReference>>) -> Taken<Made> {
        let mut record = NewRecord {
            key: draft.key,
            patient: draft.patient,
            facts: draft.facts,
            texts: draft.texts,
            labels: draft.labels,
            questions: draft.questions,
            regions: draft.regions,
            ..NewRecord::default()
        };
        for wanted in &draft.images {
            let path = image::find(&self.root, &wanted.candidates)?;
            let missing = || Refusal::new("missing_image", "the image file is not there");
            let mut reference = images.get(&path).ok_or_else(missing)?.clone()?;
            reference.view.clone_from(&wanted.view);
            if path.to_lowercase().ends_with(".dcm") {
                let origin = image::origin(&self.root.join(&path)).unwrap_or_default();
                reference.view = reference.view.take().or(origin.facts.view.clone());
                record.facts.fill_from(&origin.facts);
            }
            record.images.push(reference);
        }
        if let Some(path) = &draft.dicom_file {
            self.dicom(path, &mut record)?;
        }
        for path in &draft.report_files {
            let body = document::read(path, self.charset)?;
            record.texts.push(Text {
                kind: TextKind::Report,
                body,
            });
        }
        let redacted = self.clean(&mut record)?;
        check_regions(&record)?;
        self.defaults(&mut record);
        if record.images.is_empty()
            && record.texts.is_empty()
            && record.labels.is_empty()
            && record.questions.is_empty()
        {
            return Err(Refusal::new("empty_row", "the row says nothing of a case"));
        }
        Ok((record, redacted))
    }

    /// Takes in a DICOM file: an image, or a structured report.
    fn dicom(&self, path: &Path, record: &mut NewRecord) -> Taken<()> {
        let origin = match image::report(path)? {
            Some((origin, text)) => {
                record.texts.push(text);
                origin
            }
            None => {
                let origin = image::origin(path);
                let below = super::rows::below(&self.root, path);
                if record.images.is_empty() {
                    let known = (self.known)(&below).ok().flatten();
                    let mut reference = image::probe(&self.root, &below, known)?;
                    reference.view = origin.as_ref().and_then(|origin| origin.facts.view.clone());
                    record.images.push(reference);
                }
                origin.unwrap_or_default()
            }
        };
        record.facts.fill_from(&origin.facts);
        record.patient = record.patient.take().or(origin.patient);
        if record.key.is_empty() {
            record.key = match origin.study.is_empty() {
                true => super::rows::below(&self.root, path),
                false => origin.study,
            };
        }
        Ok(())
    }

    /// Takes identifying lines out of reports and counts them.
    fn clean(&self, record: &mut NewRecord) -> Taken<u64> {
        let mut lines = 0;
        for text in &mut record.texts {
            let cleaned = phi::clean(&text.body);
            if cleaned.lines > 0 && self.plan.identifying == Identifying::Refuse {
                return Err(Refusal::new(
                    "identifying",
                    "the report has a line that names a patient; import it with --identifying redact to take such lines out",
                ));
            }
            lines += cleaned.lines;
            text.body = without_controls(cleaned.text);
        }
        for question in &mut record.questions {
            question.question = without_controls(std::mem::take(&mut question.question));
            question.answer = question.answer.take().map(without_controls);
        }
        record.texts.retain(|text| !text.body.is_empty());
        Ok(lines)
    }

    fn defaults(&self, record: &mut NewRecord) {
        let plan = self.plan;
        let facts = &mut record.facts;
        let modality = || plan.modality.as_deref().and_then(words::modality);
        facts.modality = facts.modality.take().or_else(modality);
        let body_part = || plan.body_part.as_deref().and_then(words::body_part);
        facts.body_part = facts.body_part.take().or_else(body_part);
        facts.split = facts.split.take().or_else(|| plan.split.clone());
        let domain = plan.patient_domain.as_deref();
        let domain = domain.unwrap_or_else(|| plan.format.patient_domain());
        let patient = record.patient.take();
        record.patient = patient
            .filter(|patient| !patient.trim().is_empty())
            .map(|patient| super::patient_in(domain, &patient));
    }
}

/// Takes out control characters, which excerpts use as marks, and zero bytes.
fn without_controls(text: String) -> String {
    match text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        true => text
            .chars()
            .filter(|&c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect(),
        false => text,
    }
}

/// Rectangles must lie on their images, give or take a pixel of rounding.
fn check_regions(record: &NewRecord) -> Taken<()> {
    for region in &record.regions {
        let outside = || Refusal::new("bad_box", "a rectangle lies outside its image");
        let image = record.images.get(region.image).ok_or_else(outside)?;
        let fits = region.x >= -1.0
            && region.y >= -1.0
            && region.width > 0.0
            && region.height > 0.0
            && region.x + region.width <= f64::from(image.width) + 1.0
            && region.y + region.height <= f64::from(image.height) + 1.0;
        if !fits {
            return Err(outside());
        }
    }
    Ok(())
}
