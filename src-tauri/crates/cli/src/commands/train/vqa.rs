//! `lucency train vqa`: MEVF or QCR on a question file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use lucency_assistant::evaluate::{ImageEncoder, read_image};
use lucency_nn::Interrupt;
use lucency_train::run::Ending;
use lucency_train::vqa::{
    Calibration, Conduct, ImageIndex, ImageSet, Method, Preset, Starts, Validation, VqaData,
    VqaPlan, read, train_vqa,
};
use serde::Serialize;

use super::super::table::beside;
use super::vqa_choices::{
    FormatChoice, FusionChoice, LanguageChoice, MethodChoice, PresetChoice, RnnChoice, SplitChoice,
    VisualChoice,
};
use super::vqa_starts;
use crate::output::{CommandError, Output};

/// Train a question-answering model (MEVF or QCR) on questions about images.
#[derive(Args)]
pub struct VqaArgs {
    /// Folder with the images, however deep.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Questions and answers, VQA-RAD's or SLAKE's JSON; a plain name is looked up in --data.
    #[arg(long, value_name = "FILE.json", default_value = "train.json")]
    questions: PathBuf,
    /// Layout of the question file.
    #[arg(long, value_enum, default_value_t = FormatChoice::Auto)]
    format: FormatChoice,
    /// Language of SLAKE's questions.
    #[arg(long, value_enum, default_value_t = LanguageChoice::En)]
    language: LanguageChoice,
    /// Which system.
    #[arg(long, value_enum, default_value_t = MethodChoice::Mevf)]
    method: MethodChoice,
    /// Published or tuned numbers [default: those of the method].
    #[arg(long, value_enum)]
    preset: Option<PresetChoice>,
    /// How image and question meet (MEVF).
    #[arg(long, value_enum)]
    fusion: Option<FusionChoice>,
    /// How questions are read.
    #[arg(long, value_enum)]
    rnn: Option<RnnChoice>,
    /// Image networks, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "maml,ae")]
    visual: Vec<VisualChoice>,
    /// Pack whose image tower gives the CLIP features.
    #[arg(long, value_name = "PACK")]
    encoder: Option<String>,
    /// Weights for the MAML network: safetensors, the released pickle, or a run of `train maml`.
    #[arg(long, value_name = "FILE")]
    maml: Option<PathBuf>,
    /// Weights for the autoencoder: safetensors, a PyTorch file, or a run of `train cdae`.
    #[arg(long, value_name = "FILE")]
    cdae: Option<PathBuf>,
    /// Word vectors, GloVe's text form; learned from chance without it.
    #[arg(long, value_name = "FILE")]
    glove: Option<PathBuf>,
    /// Share of the questions that is kept apart to judge by.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    validation: f64,
    /// What is kept apart: whole images, or free questions on images that are seen.
    #[arg(long, value_enum, default_value_t = SplitChoice::Images)]
    split: SplitChoice,
    /// Seed of the validation split.
    #[arg(long, default_value_t = 20)]
    split_seed: u64,
    /// Keep the image networks as they start and compute their features once.
    #[arg(long)]
    freeze_visual: bool,
    /// Repeat the published code's oddities; docs/vqa.md lists them.
    #[arg(long)]
    as_published: bool,
    /// Passes over the questions [default: the preset's].
    #[arg(long)]
    epochs: Option<u64>,
    /// Questions a step [default: the preset's].
    #[arg(long)]
    batch: Option<usize>,
    /// Base learning rate [default: the preset's].
    #[arg(long)]
    rate: Option<f64>,
    /// Width of question states and joint features [default: the preset's].
    #[arg(long)]
    hidden: Option<usize>,
    /// Glimpses of the attention [default: the preset's].
    #[arg(long)]
    glimpses: Option<usize>,
    /// Tokens of a question [default: 12].
    #[arg(long)]
    question_length: Option<usize>,
    /// Share of an answer's score spread over all answers.
    #[arg(long)]
    label_smoothing: Option<f64>,
    /// Probability that a word which occurs once is shown as unknown.
    #[arg(long)]
    word_dropout: Option<f64>,
    /// Probability of a mirrored image with left and right swapped in the words.
    #[arg(long)]
    mirror: Option<f64>,
    /// Random views of the images.
    #[arg(long)]
    augment: bool,
    /// Rule answers out by the question's form: yes or no for a yes-or-no question, neither for any other (MEVF).
    #[arg(long)]
    gate: bool,
    /// Ask about the mean of so many small views of an image, itself among them.
    #[arg(long, value_name = "N")]
    asked_views: Option<u64>,
    /// Decay of the averaged weights; 0 for none.
    #[arg(long)]
    average: Option<f64>,
    /// Attention leaves padding out.
    #[arg(long)]
    mask_padding: bool,
    /// Seed of everything but the split [default: the preset's].
    #[arg(long)]
    seed: Option<u64>,
    /// Train this many runs with seeds one apart, in seed-1, seed-2, ... below --out.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Folder of the run; an unfinished run there is taken up.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
}

/// What training gave.
#[derive(Serialize)]
struct Report {
    runs: Vec<RunReport>,
}

#[derive(Serialize)]
struct RunReport {
    folder: PathBuf,
    seed: u64,
    finished: bool,
    steps: u64,
    learned: usize,
    held_out: usize,
    figures: std::collections::BTreeMap<String, f64>,
    calibration: Option<Calibration>,
}

impl VqaArgs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let encoder = self.open_encoder()?;
        let plan = self.plan(encoder.as_ref())?;
        let starts = self.starts()?;
        let mut runs = Vec::new();
        for k in 1..=self.seeds.max(1) {
            let mut plan = plan.clone();
            let folder = match self.seeds {
                0 | 1 => self.out.clone(),
                _ => self.out.join(format!("seed-{k}")),
            };
            plan.seed += k - 1;
            runs.push(self.train(&plan, encoder.as_ref(), &starts, &folder)?);
        }
        self.leave_note()?;
        output.print(&Report { runs }, text)
    }

    fn train(
        &self,
        plan: &VqaPlan,
        encoder: Option<&ImageEncoder>,
        starts: &Starts,
        folder: &Path,
    ) -> Result<RunReport, CommandError> {
        let data = self.read_data(plan, encoder)?;
        let mut report = |p| super::print_progress(&p);
        let done = train_vqa(plan, data, starts, folder, &Interrupt::new(), &mut report)
            .map_err(lucency_assistant::AssistantError::from)?;
        Ok(RunReport {
            folder: folder.to_path_buf(),
            seed: plan.seed,
            finished: done.outcome.ending == Ending::Finished,
            steps: done.outcome.steps,
            learned: done.split.train.len(),
            held_out: done.split.held_out.len(),
            figures: done.outcome.figures,
            calibration: done.calibration,
        })
    }

    fn open_encoder(&self) -> Result<Option<ImageEncoder>, CommandError> {
        let wanted = self.visual.contains(&VisualChoice::Clip);
        match (&self.encoder, wanted) {
            (Some(pack), true) => Ok(Some(ImageEncoder::open(pack, self.conduct())?)),
            (None, true) => Err(CommandError::new(
                "bad_arguments",
                "--visual clip needs --encoder PACK, the pack whose image tower is used",
            )),
            (Some(_), false) => Err(CommandError::new(
                "bad_arguments",
                "--encoder is used only with clip in --visual",
            )),
            (None, false) => Ok(None),
        }
    }

    fn conduct(&self) -> Conduct {
        match self.as_published {
            true => Conduct::AsPublished,
            false => Conduct::Right,
        }
    }

    /// The plan of the first seed.
    fn plan(&self, encoder: Option<&ImageEncoder>) -> Result<VqaPlan, CommandError> {
        let method = self.method.into();
        let preset = match (self.preset, method) {
            (Some(preset), _) => preset.into(),
            (None, Method::Mevf) => Preset::Mevf,
            (None, Method::Qcr) => Preset::Qcr,
        };
        let mut plan = VqaPlan::preset(preset, method);
        plan.conduct = self.conduct();
        plan.maml = self.visual.contains(&VisualChoice::Maml);
        plan.ae_side = plan
            .ae_side
            .filter(|_| self.visual.contains(&VisualChoice::Ae));
        plan.clip_dim = encoder.map(ImageEncoder::dim);
        if preset == Preset::Mevf && encoder.is_some() {
            plan.rate = lucency_train::optim::Rate::mevf(0.002); // PubMedCLIP's runs with CLIP
        }
        set(&mut plan.fusion, self.fusion.map(Into::into));
        set(&mut plan.rnn, self.rnn.map(Into::into));
        set(&mut plan.epochs, self.epochs);
        set(&mut plan.batch, self.batch);
        set(&mut plan.hidden, self.hidden);
        set(&mut plan.glimpses, self.glimpses);
        set(&mut plan.question_length, self.question_length);
        set(&mut plan.label_smoothing, self.label_smoothing);
        set(&mut plan.word_dropout, self.word_dropout);
        set(&mut plan.mirror, self.mirror);
        set(&mut plan.ema_decay, self.average);
        set(&mut plan.seed, self.seed);
        if let Some(rate) = self.rate {
            plan.rate.set_base(rate);
        }
        plan.freeze_visual |= self.freeze_visual;
        plan.mask_padding |= self.mask_padding;
        plan.gate |= self.gate;
        set(&mut plan.asked_views, self.asked_views);
        if self.augment {
            plan.augment = Some(lucency_train::data::Augment::default());
        }
        if self.validation > 0.0 {
            plan.validation = Some(Validation {
                share: self.validation,
                kind: self.split.into(),
                seed: self.split_seed,
            });
        }
        plan.check()
            .map_err(|e| CommandError::new("bad_arguments", e.to_string()))?;
        Ok(plan)
    }

    fn starts(&self) -> Result<Starts> {
        Ok(Starts {
            maml: self.maml.as_deref().map(vqa_starts::maml).transpose()?,
            cdae: self.cdae.as_deref().map(vqa_starts::cdae).transpose()?,
            glove: self.glove.clone(),
        })
    }

    /// The question file: as given, or in the data folder.
    fn read_data(
        &self,
        plan: &VqaPlan,
        encoder: Option<&ImageEncoder>,
    ) -> Result<VqaData, CommandError> {
        let file = beside(&self.data, &self.questions);
        let measure = lucency_assistant::AssistantError::from;
        let records = read(&file, self.format.into(), self.language.into()).map_err(measure)?;
        let index = ImageIndex::open(&self.data).map_err(measure)?;
        let (files, image_of) = index.files(&records, &file).map_err(measure)?;
        let images = ImageSet::gather(files.len(), plan, |i| {
            let image = read_image(&files[i])?;
            let clip = encoder.map(|e| e.features(&image)).transpose()?;
            Ok::<_, lucency_assistant::AssistantError>((image, clip))
        })?;
        Ok(VqaData {
            records,
            images,
            image_of,
        })
    }

    /// Keeps the name of the encoder's pack beside the runs, for `eval vqa --run`.
    fn leave_note(&self) -> Result<()> {
        let Some(pack) = &self.encoder else {
            return Ok(());
        };
        let path = self.out.join("encoder.txt");
        std::fs::write(&path, pack).with_context(|| format!("{}", path.display()))
    }
}

fn set<T>(slot: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *slot = value;
    }
}

fn text(report: &Report) -> String {
    let lines: Vec<String> = report
        .runs
        .iter()
        .map(|r| {
            let figures: Vec<String> = r
                .figures
                .iter()
                .map(|(k, v)| format!("{k} {v:.4}"))
                .collect();
            let ending = match r.finished {
                true => "finished",
                false => "stopped",
            };
            format!(
                "{}: {ending} after {} steps, {} questions learned, {} held out {}",
                r.folder.display(),
                r.steps,
                r.learned,
                r.held_out,
                figures.join(" ")
            )
        })
        .collect();
    lines.join("\n")
}
