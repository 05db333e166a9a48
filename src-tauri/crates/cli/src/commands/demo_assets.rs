//! `lucency demo-assets`: makes the demo studies and the demo library that come with the application.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::assets;
use lucency_library::{Library, NewCase};
use lucency_phantom::export::{Content, ExportPlan, Truth, export, study_folder};
use lucency_phantom::{
    Encoding, Finding, Label, Lesion, Place, Region, Side, Site, Spec, StudyOptions, View,
    write_study,
};

use crate::output::{CommandError, Output};

/// Seeds of the demo; apart from those of training and validation (below 3 000 000) and of the library.
const CHEST_SEED: u64 = 7_000_001;
const HEAD_SEED: u64 = 7_000_002;
const LIBRARY_SEED: u64 = 8_000_000;
/// Short side of a library image, pixels.
const LIBRARY_SIDE: usize = 256;

/// `lucency demo-assets --out assets`
#[derive(Args)]
pub struct DemoAssets {
    /// Folder that gets `demo` (DICOM files) and `library`; both must not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cases of the library
    #[arg(long, default_value_t = 96)]
    cases: u64,
}

impl DemoAssets {
    /// Draws and writes.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let demo = assets::demo_study(&self.out);
        let library = assets::demo_library(&self.out);
        for folder in [&demo, &library] {
            if folder.exists() {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                let message = format!("{name} is already there; remove it first");
                return Err(CommandError::new("exists", message));
            }
        }
        for (name, spec) in [("chest", chest()), ("head", head())] {
            let options = StudyOptions {
                film_side: 1024,
                slice_side: 256,
                encoding: Encoding::Deflated,
            };
            write_study(&spec, &demo.join(name), options, &|| false).map_err(phantom)?;
        }
        let cases = cases(self.cases)?;
        let n = cases.len();
        Library::create(&library, "Demo library of phantoms", "CC0-1.0", cases)
            .map_err(|e| CommandError::new(e.code(), e.to_string()))?;
        let written = serde_json::json!({ "demo": demo, "library": library, "cases": n });
        output.print(&written, |_| format!("two studies, {n} cases"))
    }
}

/// Posteroanterior and lateral chest radiographs: an enlarged heart and a left pleural effusion.
fn chest() -> Spec {
    let effusion = Lesion {
        finding: Finding::PleuralEffusion,
        side: Some(Side::Left),
        place: Place::Whole,
        size_mm: 60.0,
        conspicuity: 0.8,
        position: (0.5, 0.5),
    };
    Spec::normal_chest(CHEST_SEED, Site::A)
        .with(Finding::Cardiomegaly)
        .with_lesion(effusion)
        .with_views(vec![View::Pa, View::Lateral])
}

/// A head CT with a haemorrhage.
fn head() -> Spec {
    Spec::normal_head(HEAD_SEED, Site::A).with(Finding::Haemorrhage)
}

/// One case a phantom, with the image that shows most.
fn cases(count: u64) -> Result<Vec<NewCase>, CommandError> {
    let folder = tempfile::tempdir().map_err(|e| CommandError::new("io", e.to_string()))?;
    let mut cases = Vec::new();
    for (site, share) in [(Site::A, count.div_ceil(2)), (Site::B, count / 2)] {
        let plan = ExportPlan {
            seed: LIBRARY_SEED,
            count: share,
            site,
            content: Content::Mixed,
            dicom: None,
            png_side: Some(LIBRARY_SIDE),
            questions: false,
            classes: false,
        };
        export(&plan, folder.path(), &|| false, &mut |_| {}).map_err(phantom)?;
        for i in 0..share {
            cases.push(case(&folder.path().join(study_folder(&plan.spec(i))))?);
        }
    }
    Ok(cases)
}

fn case(study: &Path) -> Result<NewCase, CommandError> {
    let bad =
        |e: String| CommandError::new("phantom", format!("the exported study is unusable: {e}"));
    let text = std::fs::read_to_string(study.join("truth.json")).map_err(|e| bad(e.to_string()))?;
    let truth: Truth = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let image = truth.images.first().and_then(|i| i.png.as_ref());
    let image = image.ok_or_else(|| bad("it has no image".into()))?;
    let png = std::fs::read(study.join(image)).map_err(|e| bad(e.to_string()))?;
    let (modality, body_part) = match truth.spec.region {
        Region::Chest => ("DX", "CHEST"),
        Region::Head => ("CT", "HEAD"),
    };
    Ok(NewCase {
        id: study_folder(&truth.spec),
        patient: truth.identity.patient_id.clone(),
        modality: modality.into(),
        body_part: body_part.into(),
        synthetic: true,
        labels: truth.labels.findings.iter().map(label).collect(),
        findings: truth.report.findings.clone(),
        impression: truth.report.impression.clone(),
        png,
        pixel_hashes: Vec::new(),
    })
}

fn label(label: &Label) -> String {
    match label.side {
        Some(side) => format!("{} {}", side.name(), label.finding.name()),
        None => label.finding.name().to_owned(),
    }
}

fn phantom(error: lucency_phantom::PhantomError) -> CommandError {
    CommandError::new("phantom", error.to_string())
}
