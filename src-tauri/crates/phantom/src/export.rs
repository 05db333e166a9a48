//! Many studies at once: folders with DICOM files and truth, tables, questions and class folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::chest::{film_size, render_chest};
use crate::dicom::{Identity, StudyOptions, write_study};
use crate::error::{PhantomError, Result};
use crate::files;
use crate::head;
use crate::labels::{Labels, LesionBox};
use crate::random::{Purpose, stream};
use crate::spec::{Finding, Region, Site, Spec, View};
use crate::words::questions::{AnswerType, QaPair};
use crate::words::report::Report;

/// Which studies an export draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Chests and heads.
    Mixed,
    /// Chests alone.
    Chest,
    /// Heads alone.
    Head,
    /// One study of each kind of finding in turn, then a normal one.
    Each(Region),
}

/// What [`export`] writes.
#[derive(Clone, Debug)]
pub struct ExportPlan {
    /// The first seed; study `i` has seed `seed + i`.
    pub seed: u64,
    /// Number of studies.
    pub count: u64,
    /// Where the studies were "made".
    pub site: Site,
    /// Which studies.
    pub content: Content,
    /// DICOM files of every study; None writes no DICOM.
    pub dicom: Option<StudyOptions>,
    /// 8-bit PNG of every view (a head's key slice) with this short side.
    pub png_side: Option<usize>,
    /// A `questions.json` in the form of VQA-RAD over the PNG files.
    pub questions: bool,
    /// A folder per class under `classes`, with studies of at most one finding.
    pub classes: bool,
}

/// How far an export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Studies written.
    pub done: u64,
    /// Studies wanted.
    pub total: u64,
}

/// One image of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthImage {
    /// The view.
    pub view: View,
    /// The DICOM file (for a head: of this slice), relative to the study's folder.
    pub dicom: Option<PathBuf>,
    /// The PNG file, relative to the study's folder.
    pub png: Option<PathBuf>,
    /// Columns that the boxes refer to.
    pub width: usize,
    /// Rows that the boxes refer to.
    pub height: usize,
    /// Height of a slice in millimetres.
    pub z_mm: Option<f32>,
    /// Where the findings lie.
    pub boxes: Vec<LesionBox>,
}

/// Everything that is true of a study; `truth.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Always true: nothing here comes from a patient.
    pub synthetic: bool,
    /// The ground truth.
    pub spec: Spec,
    /// Made-up identity.
    pub identity: Identity,
    /// The findings.
    pub labels: Labels,
    /// The report.
    pub report: Report,
    /// The images with their boxes.
    pub images: Vec<TruthImage>,
    /// Questions and answers.
    pub questions: Vec<QaPair>,
}

/// A question in the form of VQA-RAD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VqaRecord {
    /// Running number from 1.
    pub qid: u64,
    /// The PNG's name.
    pub image_name: String,
    /// "CHEST" or "HEAD".
    pub image_organ: String,
    /// The answer.
    pub answer: String,
    /// "OPEN" or "CLOSED".
    pub answer_type: AnswerType,
    /// "PRES", "ABN", …
    pub question_type: String,
    /// The question.
    pub question: String,
    /// Always "freeform".
    pub phrase_type: String,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportSummary {
    /// Studies.
    pub studies: u64,
    /// DICOM and PNG files.
    pub images: u64,
    /// Questions.
    pub questions: u64,
    /// Studies with each finding, and "normal".
    pub findings: BTreeMap<String, u64>,
}

impl ExportPlan {
    /// The study number `index`.
    pub fn spec(&self, index: u64) -> Spec {
        let seed = self.seed.wrapping_add(index);
        match self.content {
            Content::Mixed => Spec::sample(seed, self.site),
            Content::Chest => Spec::chest(seed, self.site),
            Content::Head => Spec::head(seed, self.site),
            Content::Each(region) => {
                let (normal, kinds) = match region {
                    Region::Chest => (Spec::normal_chest(seed, self.site), &Finding::CHEST[..]),
                    Region::Head => (Spec::normal_head(seed, self.site), &Finding::HEAD[..]),
                };
                match kinds.get((index % (kinds.len() as u64 + 1)) as usize) {
                    Some(&finding) => normal.with(finding),
                    None => normal,
                }
            }
        }
    }
}

/// Writes studies into a folder, each in a folder of its own, with `manifest.jsonl` and
/// `report.csv` over all of them.
///
/// Errors if a file cannot be written, or with [`PhantomError::Stopped`] when `stop` says so.
pub fn export(
    plan: &ExportPlan,
    folder: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    report: &mut dyn FnMut(Advance),
) -> Result<ExportSummary> {
    let mut summary = ExportSummary::default();
    let (mut manifest, mut table) = (
        String::new(),
        String::from("study,patient_id,site,sex,age,views,findings,synthetic,report\n"),
    );
    let mut records: Vec<VqaRecord> = Vec::new();
    let batch = 2 * rayon::current_num_threads() as u64;
    let mut next = 0;
    while next < plan.count {
        if stop() {
            return Err(PhantomError::Stopped);
        }
        let end = (next + batch).min(plan.count);
        let truths: Vec<Result<Truth>> = (next..end)
            .into_par_iter()
            .map(|i| write_one(plan, i, folder, stop))
            .collect();
        for truth in truths {
            let truth = truth?;
            let name = study_folder(&truth.spec);
            summary.studies += 1;
            summary.images += truth
                .images
                .iter()
                .map(|i| u64::from(i.dicom.is_some()) + u64::from(i.png.is_some()))
                .sum::<u64>();
            summary.questions += truth.questions.len() as u64;
            let names: Vec<&str> = truth
                .labels
                .findings
                .iter()
                .map(|l| l.finding.name())
                .collect();
            for finding in if names.is_empty() {
                vec!["normal"]
            } else {
                names.clone()
            } {
                *summary.findings.entry(finding.to_string()).or_default() += 1;
            }
            let line = serde_json::json!({
                "study": name, "seed": truth.spec.seed, "site": truth.spec.site, "views": truth.spec.views,
                "findings": truth.labels.findings, "report": truth.report.text(), "images": truth.images, "synthetic": true,
            });
            manifest.push_str(&line.to_string());
            manifest.push('\n');
            table.push_str(&csv_line(&[
                &name,
                &truth.identity.patient_id,
                &format!("{:?}", truth.spec.site),
                &format!("{:?}", truth.spec.patient.sex),
                &truth.spec.patient.age.to_string(),
                &truth
                    .spec
                    .views
                    .iter()
                    .map(|v| v.code())
                    .collect::<Vec<_>>()
                    .join(" "),
                &names.join("; "),
                "true",
                &truth.report.text(),
            ]));
            if plan.questions {
                append_records(&truth, &name, &mut records);
            }
        }
        next = end;
        report(Advance {
            done: next,
            total: plan.count,
        });
    }
    files::write(&folder.join("manifest.jsonl"), manifest.as_bytes())?;
    files::write(&folder.join("report.csv"), table.as_bytes())?;
    if plan.questions {
        files::write(
            &folder.join("questions.json"),
            serde_json::to_string_pretty(&records)?.as_bytes(),
        )?;
    }
    Ok(summary)
}

/// The name of a study's folder: "A0001".
pub fn study_folder(spec: &Spec) -> String {
    format!("{:?}{:04}", spec.site, spec.seed)
}

fn write_one(
    plan: &ExportPlan,
    index: u64,
    folder: &Path,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Truth> {
    let spec = plan.spec(index);
    let name = study_folder(&spec);
    let home = folder.join(&name);
    let mut images = Vec::new();
    if let Some(options) = plan.dicom {
        for file in write_study(&spec, &home, options, &|| stop())? {
            let boxes = match file.z_mm {
                Some(z) => spec.head_boxes(z, file.width),
                None => spec.chest_boxes(file.view, file.width, file.height),
            };
            images.push(TruthImage {
                view: file.view,
                dicom: file.path.file_name().map(PathBuf::from),
                png: None,
                width: file.width,
                height: file.height,
                z_mm: file.z_mm,
                boxes,
            });
        }
    }
    if let Some(side) = plan.png_side {
        for &view in &spec.views {
            let (bytes, image) = picture(&spec, view, side)?;
            // Names are unique over studies so that the files can lie in one folder.
            let file = PathBuf::from(format!("{name}-{}.png", view.code().to_lowercase()));
            let place = if plan.questions {
                folder.join("images").join(&file)
            } else {
                home.join(&file)
            };
            files::write(&place, &bytes)?;
            if plan.classes && spec.lesions.len() <= 1 && view != View::Lateral {
                let class = spec.lesions.first().map_or("normal", |l| l.finding.name());
                files::write(&folder.join("classes").join(class).join(&file), &bytes)?;
            }
            let png = if plan.questions {
                Path::new("../images").join(&file)
            } else {
                file
            };
            images.push(TruthImage {
                png: Some(png),
                ..image
            });
        }
    }
    let rng = &mut stream(spec.seed, Purpose::Words);
    let truth = Truth {
        synthetic: true,
        identity: Identity::of(&spec),
        labels: spec.labels(),
        report: spec.report(rng),
        questions: spec.questions(rng),
        images,
        spec,
    };
    files::write(
        &home.join("truth.json"),
        serde_json::to_string_pretty(&truth)?.as_bytes(),
    )?;
    Ok(truth)
}

/// A view (or a head's key slice through the brain window) as PNG, and its boxes.
fn picture(spec: &Spec, view: View, side: usize) -> Result<(Vec<u8>, TruthImage)> {
    let (width, height, z_mm, grey, boxes) = match spec.region {
        Region::Head => {
            let z = head::key_slice(spec);
            let slice = head::render_head(spec, z, side);
            (
                side,
                side,
                Some(z),
                slice.to_display_u8(40.0, 80.0),
                spec.head_boxes(z, side),
            )
        }
        Region::Chest => {
            let (width, height) = film_size(spec, view, side);
            let film = render_chest(spec, view, width, height);
            (
                width,
                height,
                None,
                film.to_display_u8(),
                spec.chest_boxes(view, width, height),
            )
        }
    };
    let image = TruthImage {
        view,
        dicom: None,
        png: None,
        width,
        height,
        z_mm,
        boxes,
    };
    Ok((files::png(width, height, grey)?, image))
}

fn append_records(truth: &Truth, name: &str, records: &mut Vec<VqaRecord>) {
    for pair in &truth.questions {
        let kind = serde_json::to_value(pair.question_type).ok();
        records.push(VqaRecord {
            qid: records.len() as u64 + 1,
            image_name: format!("{name}-{}.png", pair.view.code().to_lowercase()),
            image_organ: pair.organ.clone(),
            answer: pair.answer.clone(),
            answer_type: pair.answer_type,
            question_type: kind
                .and_then(|v| v.as_str().map(String::from))
                .unwrap_or_default(),
            question: pair.question.clone(),
            phrase_type: "freeform".into(),
        });
    }
}

fn csv_line(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells
        .iter()
        .map(|c| {
            if c.contains([',', '"', '\n']) {
                format!("\"{}\"", c.replace('"', "\"\""))
            } else {
                (*c).to_string()
            }
        })
        .collect();
    quoted.join(",") + "\n"
}
