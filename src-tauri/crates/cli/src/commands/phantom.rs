//! `lucency phantom`: synthetic studies with known truth.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lucency_phantom::export::{Content, ExportPlan, export};
use lucency_phantom::{Encoding, PhantomError, Region, Site, StudyOptions};

use crate::output::{CommandError, Output};

/// Write synthetic studies with known truth: DICOM files, labels, reports, questions
///
/// Every study lies in a folder of its own with a truth.json; manifest.jsonl and report.csv list
/// all of them. The same seed gives the same studies.
#[derive(Args)]
pub struct Phantom {
    /// The first seed; study number i has seed + i.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of studies.
    #[arg(long, default_value_t = 10)]
    count: u64,
    /// The folder to write into; it is made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Where the studies are "made": sites differ in exposure, noise and wording.
    #[arg(long, value_enum, default_value = "A", ignore_case = true)]
    site: SiteName,
    /// Which studies.
    #[arg(long, value_enum, default_value = "mixed")]
    content: ContentName,
    /// Also write 8-bit PNG files (of a head the slice that shows most, in the brain window).
    #[arg(long)]
    png: bool,
    /// Pixels of the short side of PNG files, and of radiographs if given.
    #[arg(long)]
    resolution: Option<usize>,
    /// Write no DICOM files.
    #[arg(long)]
    no_dicom: bool,
    /// Deflate the DICOM files.
    #[arg(long)]
    deflate: bool,
    /// Also write questions.json in VQA-RAD's form; its images (PNG) lie in images/.
    #[arg(long)]
    questions_json: bool,
    /// Also write PNG files of studies with at most one finding into classes/FINDING/.
    #[arg(long)]
    classes: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SiteName {
    /// A modern department, full sentences.
    #[value(name = "A")]
    A,
    /// Portable films, noise, abbreviations.
    #[value(name = "B")]
    B,
}

#[derive(Clone, Copy, ValueEnum)]
enum ContentName {
    /// Chests and heads.
    Mixed,
    /// Chest radiographs.
    Chest,
    /// CT of the head.
    Head,
    /// Chests: each finding alone in turn, then none.
    EachChest,
    /// Heads: each finding in turn, then none.
    EachHead,
}

impl Phantom {
    /// Runs `lucency phantom`.
    pub fn run(self, output: Output) -> Result<(), CommandError> {
        if self.resolution.is_some_and(|r| !(32..=4096).contains(&r)) {
            return Err(CommandError::new(
                "usage",
                "--resolution must be from 32 to 4096",
            ));
        }
        let defaults = StudyOptions::default();
        let plan = ExportPlan {
            seed: self.seed,
            count: self.count,
            site: match self.site {
                SiteName::A => Site::A,
                SiteName::B => Site::B,
            },
            content: match self.content {
                ContentName::Mixed => Content::Mixed,
                ContentName::Chest => Content::Chest,
                ContentName::Head => Content::Head,
                ContentName::EachChest => Content::Each(Region::Chest),
                ContentName::EachHead => Content::Each(Region::Head),
            },
            dicom: (!self.no_dicom).then_some(StudyOptions {
                film_side: self.resolution.unwrap_or(defaults.film_side),
                slice_side: defaults.slice_side,
                encoding: if self.deflate {
                    Encoding::Deflated
                } else {
                    Encoding::Plain
                },
            }),
            png_side: (self.png || self.questions_json || self.classes)
                .then_some(self.resolution.unwrap_or(320)),
            questions: self.questions_json,
            classes: self.classes,
        };
        let mut shown = 0;
        let summary = export(&plan, &self.out, &|| false, &mut |advance| {
            let percent = advance.done * 100 / advance.total.max(1);
            if !output.is_json() && percent >= shown + 10 {
                shown = percent;
                eprintln!("{} of {} studies", advance.done, advance.total);
            }
        })
        .map_err(error)?;
        output.print(&summary, |s| {
            let findings: Vec<String> = s
                .findings
                .iter()
                .map(|(name, n)| format!("{n} {name}"))
                .collect();
            format!(
                "{} studies, {} images, {} questions in {}\n{}",
                s.studies,
                s.images,
                s.questions,
                self.out.display(),
                findings.join(", ")
            )
        })
    }
}

fn error(error: PhantomError) -> CommandError {
    let code = match error {
        PhantomError::Write { .. } => "io",
        PhantomError::Dicom(_) => "dicom",
        PhantomError::Image(_) => "image",
        PhantomError::Json(_) => "json",
        PhantomError::Stopped => "stopped",
    };
    CommandError::new(code, error.to_string())
}
