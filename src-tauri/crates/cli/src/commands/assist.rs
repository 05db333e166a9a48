//! `lucency ask`, `findings`, `similar`, `embed`: one image, one result.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::dto::{Answer, Findings, SimilarCases};
use lucency_assistant::{
    Assistant, AssistantError, Interrupt, Options, Picture, Progress, picture,
};
use lucency_nn::Quantisation;

use super::batch;
use crate::computing::options;
use crate::output::{CommandError, Output};

/// Which model pack to use.
#[derive(Args, Clone)]
pub struct PackChoice {
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// Keep the networks' matrices in fewer bits: q8 or q4; less memory, a little less exact
    #[arg(long, value_name = "BITS")]
    quantise: Option<Quantisation>,
}

impl PackChoice {
    /// Opens the assistant with this pack.
    pub fn open(&self) -> Result<Assistant, CommandError> {
        Ok(Assistant::open(Options {
            quantise: self.quantise,
            ..options(self.pack.clone())?
        })?)
    }
}

impl From<AssistantError> for CommandError {
    fn from(error: AssistantError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// `lucency ask FILE --question Q`, `lucency ask --batch FILE.csv --out FILE.csv`
#[derive(Args)]
pub struct Ask {
    /// DICOM, PNG, JPEG, TIFF or BMP file; with --out, also a folder, whose every image is asked about
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    file: Option<PathBuf>,
    /// What to ask about the image; with --out, may be given several times
    #[arg(
        long,
        short,
        required_unless_present = "batch",
        conflicts_with = "batch"
    )]
    question: Vec<String>,
    /// Table of questions: columns image and question, and id if you like; paths start at the table's folder
    #[arg(long, value_name = "FILE.csv", requires = "out")]
    batch: Option<PathBuf>,
    /// Table of answers
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Frame within the file, counted from 1
    #[arg(long, default_value_t = 1)]
    frame: u32,
    #[command(flatten)]
    pack: PackChoice,
}

/// `lucency findings FILE`
#[derive(Args)]
pub struct FindingsOf {
    /// DICOM, PNG, JPEG, TIFF or BMP file
    file: PathBuf,
    /// Labels of your own: a TOML label set, or plain text with a word or phrase a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Frame within the file, counted from 1
    #[arg(long, default_value_t = 1)]
    frame: u32,
    #[command(flatten)]
    pack: PackChoice,
}

/// `lucency similar FILE -k N`
#[derive(Args)]
pub struct Similar {
    /// DICOM, PNG, JPEG, TIFF or BMP file
    file: PathBuf,
    /// Number of cases
    #[arg(short, default_value_t = 5)]
    k: usize,
    /// Frame within the file, counted from 1
    #[arg(long, default_value_t = 1)]
    frame: u32,
    #[command(flatten)]
    pack: PackChoice,
}

/// `lucency embed --image FILE | --text T --out X.npy`
#[derive(Args)]
#[group(id = "what", required = true, multiple = false, args = ["image", "text"])]
pub struct Embed {
    /// Image to embed
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Text to embed
    #[arg(long)]
    text: Option<String>,
    /// Where to write the unit-length embedding, float32, shape (dim,)
    #[arg(long, value_name = "X.npy")]
    out: PathBuf,
    /// Frame within the file, counted from 1
    #[arg(long, default_value_t = 1)]
    frame: u32,
    #[command(flatten)]
    pack: PackChoice,
}

impl Ask {
    /// Answers the question, or every question of a table or about a folder.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let rows = match (&self.batch, &self.file, &self.out) {
            (Some(table), _, _) => batch::rows_of_table(table)?,
            (None, Some(file), Some(_)) => batch::rows_of_folder(file, &self.question)?,
            (None, file, _) => return self.ask_once(file.as_deref(), output),
        };
        let out = self.out.clone().unwrap_or_default();
        let assistant = self.pack.open()?;
        let done = batch::run(&assistant, &rows, self.frame, &out)?;
        output.print(&done, batch::text)
    }

    fn ask_once(&self, file: Option<&Path>, output: Output) -> Result<(), CommandError> {
        let (Some(file), [question]) = (file, &self.question[..]) else {
            return Err(CommandError::new(
                "usage",
                "one image and one question, or --out FILE.csv for several",
            ));
        };
        let picture = open(file, self.frame)?;
        let assistant = self.pack.open()?;
        let answer = assistant.ask(&picture, question, jiff::Timestamp::now())?;
        output.print(&answer, answer_text)
    }
}

impl FindingsOf {
    /// Scores the labels.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let picture = open(&self.file, self.frame)?;
        let labels = self
            .labels
            .as_deref()
            .map(lucency_assistant::read_labels)
            .transpose()?;
        let assistant = self.pack.open()?;
        let findings = assistant.findings(&picture, labels.as_ref(), jiff::Timestamp::now())?;
        output.print(&findings, findings_text)
    }
}

impl Similar {
    /// Searches the library.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let picture = open(&self.file, self.frame)?;
        let assistant = self.pack.open()?;
        let cases = similar(&assistant, &picture, self.k)?;
        output.print(&cases, similar_text)
    }
}

impl Embed {
    /// Writes the embedding.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let assistant = self.pack.open()?;
        let embedding = match (&self.image, &self.text) {
            (Some(file), _) => assistant.image_embedding(&open(file, self.frame)?)?,
            (None, text) => {
                let text = text.clone().unwrap_or_default();
                assistant
                    .embed_texts(&[text])?
                    .squeeze(0)
                    .map_err(AssistantError::from)?
            }
        };
        let values = embedding.to_vec1::<f32>().map_err(AssistantError::from)?;
        crate::npy::write_f32(&self.out, &[values.len()], &values)?;
        let written = serde_json::json!({
            "out": self.out,
            "dim": values.len(),
            "pack_hash": assistant.pack().weights_id(),
        });
        output.print(&written, |_| format!("{} values", values.len()))
    }
}

/// Opens a frame of a file; the error names no patient, only the cause.
pub fn open(file: &Path, frame: u32) -> Result<Picture, CommandError> {
    Ok(picture::open(file, frame)?)
}

/// The nearest cases, with a line on standard error while the library is embedded.
pub fn similar(
    assistant: &Assistant,
    picture: &Picture,
    k: usize,
) -> Result<SimilarCases, CommandError> {
    let mut report = progress_line();
    let now = jiff::Timestamp::now();
    Ok(assistant.similar(picture, k, now, &Interrupt::new(), &mut report)?)
}

/// Prints progress on standard error when that is a terminal.
pub fn progress_line() -> impl FnMut(Progress) {
    use std::io::{IsTerminal, Write};
    let terminal = std::io::stderr().is_terminal();
    let mut shown = u64::MAX;
    move |progress| {
        let percent = progress.done * 100 / progress.total.max(1);
        if terminal && percent != shown {
            shown = percent;
            eprint!("\r{} {percent} %\x1b[K", progress.stage);
            if progress.done + 1 >= progress.total {
                eprint!("\r\x1b[K");
            }
            let _ = std::io::stderr().flush(); // a closed terminal is no reason to stop
        }
    }
}

/// An answer for a terminal.
pub fn answer_text(answer: &Answer) -> String {
    let percent = |v: f64| format!("{:.0} %", v * 100.0);
    let mut lines = Vec::new();
    if !answer.cautions.is_empty() {
        lines.push("No answer.".to_owned());
        lines.extend(answer.cautions.iter().map(|c| c.message.clone()));
        return lines.join("\n");
    }
    if answer.abstained {
        lines.push(format!(
            "I do not know. (best guess: {}, {}; answers are given from {})",
            answer.answer,
            percent(answer.confidence),
            percent(answer.threshold)
        ));
    } else {
        lines.push(format!(
            "{} ({})",
            answer.answer,
            percent(answer.confidence)
        ));
    }
    if answer.image_made_no_difference {
        lines.push("The image made no difference: a blank image gets the same answer.".to_owned());
    }
    let others: Vec<String> = answer
        .alternatives
        .iter()
        .skip(1)
        .map(|a| format!("{} {}", a.answer, percent(a.confidence)))
        .collect();
    if !others.is_empty() {
        lines.push(format!("else: {}", others.join(", ")));
    }
    if let Some(map) = &answer.heat_map
        && let Some(top) =
            (0..map.values.len()).max_by(|&a, &b| map.values[a].total_cmp(&map.values[b]))
    {
        let (row, column) = (top / map.columns, top % map.columns);
        lines.push(format!(
            "looked most at: row {} of {}, column {} of {}",
            row + 1,
            map.rows,
            column + 1,
            map.columns
        ));
    }
    lines.push(format!(
        "pack {} {}, {:.0} ms. Research use only, not a medical device.",
        answer.provenance.pack_name,
        &answer.provenance.pack_hash[..12.min(answer.provenance.pack_hash.len())],
        answer.provenance.elapsed_ms
    ));
    lines.join("\n")
}

/// Findings for a terminal.
pub fn findings_text(findings: &Findings) -> String {
    let mut lines = vec![findings.label_set.clone()];
    if !findings.note.is_empty() {
        lines.push(findings.note.clone());
    }
    if !findings.calibrated {
        lines.push("Scores are not calibrated.".to_owned());
    }
    for f in &findings.findings {
        let mark = if f.present { '+' } else { ' ' };
        lines.push(format!("{mark} {:5.1} %  {}", f.score * 100.0, f.label));
    }
    lines.join("\n")
}

/// Similar cases for a terminal.
pub fn similar_text(cases: &SimilarCases) -> String {
    let mut lines = vec![format!("{} ({} cases)", cases.library, cases.library_size)];
    for case in &cases.cases {
        let labels = if case.labels.is_empty() {
            "no finding".to_owned()
        } else {
            case.labels.join(", ")
        };
        let synthetic = if case.synthetic { ", synthetic" } else { "" };
        lines.push(format!(
            "{:.3}  {} ({}{synthetic})  {labels}\n       {}",
            case.score,
            case.case_id,
            case.modality,
            case.report.lines().next_back().unwrap_or_default()
        ));
    }
    lines.join("\n")
}
