//! `lucency train cdae` and `lucency train maml`: the image networks of MEVF from a folder of images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use lucency_assistant::evaluate::read_image;
use lucency_nn::Interrupt;
use lucency_train::run::{Ending, Outcome};
use lucency_train::vqa::pretrain::{CdaePlan, MamlPlan, train_cdae, train_maml};
use lucency_train::vqa::{Language, QuestionFormat, read};
use lucency_zoo::preprocess::{Geometry, Preprocess};
use rayon::prelude::*;
use serde::Serialize;

use crate::output::{CommandError, Output};

/// Train the denoising autoencoder of MEVF and QCR on a folder of images.
#[derive(Args)]
pub struct CdaeArgs {
    /// Folder with images, however deep.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Passes over the images.
    #[arg(long, default_value_t = 20)]
    epochs: u64,
    /// Images a step.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Side of the images, a multiple of 4.
    #[arg(long, default_value_t = 128)]
    side: usize,
    /// Standard deviation of the noise, in fractions of the grey range.
    #[arg(long, default_value_t = 0.1)]
    noise: f64,
    /// Share of the patches of 8 × 8 pixels that are hidden and to be given back; 0 denoises only.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    mask: f64,
    /// Adam's learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// Share of the images that the error is measured on.
    #[arg(long, default_value_t = 0.05)]
    validation: f64,
    /// Seed of weights, order and noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the run; an unfinished run there is taken up.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
}

/// Train the few-shot network of MEVF by first-order episodes.
#[derive(Args)]
pub struct MamlArgs {
    /// Folder with a folder of images for each class, or with --questions a folder with images.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Take organ and modality of this question file as the classes of its images.
    #[arg(long, value_name = "FILE.json")]
    questions: Option<PathBuf>,
    /// Steps.
    #[arg(long, default_value_t = 1000)]
    steps: u64,
    /// Classes of an episode.
    #[arg(long, default_value_t = 3)]
    ways: usize,
    /// Images of a class to adapt on.
    #[arg(long, default_value_t = 3)]
    shots: usize,
    /// Images of a class to judge by.
    #[arg(long, default_value_t = 3)]
    queries: usize,
    /// Episodes a step.
    #[arg(long, default_value_t = 5)]
    tasks: usize,
    /// Seed of weights and episodes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the run; an unfinished run there is taken up.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Report {
    finished: bool,
    images: usize,
    steps: u64,
    first_loss: Option<f64>,
    last_loss: Option<f64>,
    figures: BTreeMap<String, f64>,
}

impl Report {
    fn of(outcome: Outcome, images: usize) -> Self {
        Self {
            finished: outcome.ending == Ending::Finished,
            images,
            steps: outcome.steps,
            first_loss: outcome.losses.first().copied(),
            last_loss: outcome.losses.last().copied(),
            figures: outcome.figures,
        }
    }

    fn print(self, output: Output) -> Result<(), CommandError> {
        output.print(&self, |r| {
            let number = |v: Option<f64>| v.map_or("–".to_string(), |v| format!("{v:.5}"));
            let mut line = format!(
                "{} images, {} steps, loss {} to {}",
                r.images,
                r.steps,
                number(r.first_loss),
                number(r.last_loss)
            );
            for (name, value) in &r.figures {
                line.push_str(&format!(", {name} {value:.5}"));
            }
            line
        })
    }
}

impl CdaeArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let mut how = Preprocess::cdae128();
        how.geometry = Geometry::Squash { side: self.side };
        how.check().context("--side")?;
        let images = squares(&files(&self.data)?, &how)?;
        let plan = CdaePlan {
            side: self.side,
            noise: self.noise,
            mask: self.mask,
            batch: self.batch,
            epochs: self.epochs,
            rate: self.rate,
            validation: self.validation,
            seed: self.seed,
        };
        let mut report = |p| super::print_progress(&p);
        let stop = Interrupt::new();
        let outcome = train_cdae(&plan, &images, &self.out, &stop, &mut report)
            .map_err(lucency_assistant::AssistantError::from)?;
        Report::of(outcome, images.len()).print(output)
    }
}

impl MamlArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let classes = match &self.questions {
            Some(file) => by_organ(&self.data, file)?,
            None => by_folder(&self.data)?,
        };
        let how = Preprocess::maml84();
        let images: Vec<Vec<Vec<f32>>> = classes
            .values()
            .map(|files| squares(files, &how))
            .collect::<Result<_>>()?;
        for (name, images) in classes.keys().zip(&images) {
            eprintln!("{name}: {} images", images.len());
        }
        let plan = MamlPlan {
            ways: self.ways,
            shots: self.shots,
            queries: self.queries,
            tasks: self.tasks,
            steps: self.steps,
            seed: self.seed,
            ..MamlPlan::default()
        };
        let mut report = |p| super::print_progress(&p);
        let stop = Interrupt::new();
        let outcome = train_maml(&plan, &images, &self.out, &stop, &mut report)
            .map_err(lucency_assistant::AssistantError::from)?;
        Report::of(outcome, images.iter().map(Vec::len).sum()).print(output)
    }
}

/// The files below a folder, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries.flatten() {
            match entry.path().is_dir() {
                true => open.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Every subfolder as a class.
fn by_folder(dir: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut classes = BTreeMap::new();
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    for entry in entries.flatten().filter(|e| e.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        classes.insert(name, files(&entry.path())?);
    }
    if classes.len() < 2 {
        bail!(
            "{} needs a folder of images for each class, at least two of them",
            dir.display()
        );
    }
    Ok(classes)
}

/// The images of a question file by organ, and by modality where a question about it is answered.
fn by_organ(dir: &Path, questions: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let records = read(questions, QuestionFormat::Auto, Language::English)?;
    let index = lucency_train::vqa::ImageIndex::open(dir)?;
    let (files, image_of) = index.files(&records, questions)?;
    let mut organ = vec![String::new(); files.len()];
    let mut modality = vec![String::new(); files.len()];
    for (record, image) in records.iter().zip(image_of) {
        organ[image] = record.organ.to_lowercase();
        if record.question_type.eq_ignore_ascii_case("modality")
            && let Some(word) = modality_word(record.answer())
        {
            modality[image] = format!(" {word}");
        }
    }
    let mut classes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for ((file, organ), modality) in files.into_iter().zip(organ).zip(modality) {
        classes
            .entry(format!("{organ}{modality}"))
            .or_default()
            .push(file);
    }
    Ok(classes)
}

/// The kind of image that an answer names.
fn modality_word(answer: &str) -> Option<&'static str> {
    let answer = answer.to_lowercase();
    let kinds = [
        ("mr", "mri"),
        ("t1", "mri"),
        ("t2", "mri"),
        ("flair", "mri"),
        ("diffusion", "mri"),
        ("ct", "ct"),
        ("tomography", "ct"),
        ("x-ray", "x-ray"),
        ("xray", "x-ray"),
        ("x ray", "x-ray"),
        ("plain film", "x-ray"),
    ];
    kinds
        .iter()
        .find(|(part, _)| answer.contains(part))
        .map(|(_, kind)| *kind)
}

/// Images as the network takes them; files that are no images are left out and counted.
fn squares(files: &[PathBuf], how: &Preprocess) -> Result<Vec<Vec<f32>>> {
    let read: Vec<Option<Vec<f32>>> = files
        .par_iter()
        .map(|file| {
            let image = read_image(file).ok()?;
            how.apply(&image).ok()
        })
        .collect();
    let unreadable = read.iter().filter(|r| r.is_none()).count();
    if unreadable > 0 {
        eprintln!(
            "{unreadable} of {} files are no images and are left out",
            files.len()
        );
    }
    Ok(read.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_name_the_kind_of_image() {
        assert_eq!(modality_word("MRI - T2 weighted"), Some("mri"));
        assert_eq!(modality_word("CT with contrast"), Some("ct"));
        assert_eq!(modality_word("Plain film x-ray"), Some("x-ray"));
        assert_eq!(modality_word("Yes"), None);
    }
}
