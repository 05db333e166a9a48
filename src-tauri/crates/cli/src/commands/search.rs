//! `lucency search`: cases of the library by words, by meaning, by image.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lucency_assistant::cases::{CaseQuery, Seen, patient_of_file};
use lucency_assistant::dto::{CaseFacts, LibraryHit, LibraryHits, RankDto, SearchBy};
use lucency_assistant::{Assistant, Interrupt};
use lucency_library::{Filter, TextKind};

use super::assist::{self, PackChoice, progress_line};
use super::library::{error, library};
use crate::output::{CommandError, Output};

/// `lucency search TEXT`, `lucency search --image FILE [TEXT]`
#[derive(Args)]
pub struct Search {
    /// Words that must all occur; "several words" in that order, -word must not occur, lung* begins a word
    #[arg(allow_hyphen_values = true, required_unless_present = "image")]
    text: Option<String>,
    /// Find cases that look like this image: DICOM, PNG, JPEG, TIFF or BMP
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Frame within the image's file, counted from 1
    #[arg(long, default_value_t = 1)]
    frame: u32,
    /// How the words are understood [default: words; with --image both]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Most cases to show
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Condition: source, modality, body_part, view, sex, age, date, label, reader, split, patient, not_patient; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Search for the words in these alone; may be repeated
    #[arg(long, value_name = "report|caption|question")]
    kind: Vec<String>,
    /// Show cases of the image's patient too, marked
    #[arg(long)]
    same_patient: bool,
    #[command(flatten)]
    pack: PackChoice,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// Texts that contain the words
    Words,
    /// Images and texts whose embeddings are near
    Meaning,
    /// Both rankings, fused
    Both,
}

impl Search {
    /// Searches and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let query = self.query()?;
        let hits = match &self.image {
            Some(image) => self.similar(image, &query)?,
            None => self.search(&query)?,
        };
        output.print(&hits, text)
    }

    fn query(&self) -> Result<CaseQuery, CommandError> {
        let by = match (self.by, &self.image) {
            (Some(By::Words), _) | (None, None) => SearchBy::Words,
            (Some(By::Meaning), _) => SearchBy::Meaning,
            (Some(By::Both), _) | (None, Some(_)) => SearchBy::Both,
        };
        Ok(CaseQuery {
            text: self.text.clone().unwrap_or_default(),
            by,
            k: self.k,
            filter: Filter::parse(&self.filter).map_err(error)?,
            kinds: self.kinds()?,
            same_patient: self.same_patient,
        })
    }

    fn kinds(&self) -> Result<Vec<TextKind>, CommandError> {
        let kinds = self.kind.iter().map(|word| match word.as_str() {
            "report" => Ok(TextKind::Report),
            "caption" => Ok(TextKind::Caption),
            "question" => Ok(TextKind::Question),
            other => Err(CommandError::new(
                "bad_request",
                format!(
                    "there are no texts of the kind {other:?}; kinds are report, caption, question"
                ),
            )),
        });
        kinds.collect()
    }

    fn search(&self, query: &CaseQuery) -> Result<LibraryHits, CommandError> {
        let assistant: Option<Assistant> = match query.by {
            SearchBy::Words => None,
            _ => Some(self.pack.open()?),
        };
        let (now, stop) = (jiff::Timestamp::now(), Interrupt::new());
        let library = library()?;
        Ok(library.search(assistant.as_ref(), query, now, &stop, &mut progress_line())?)
    }

    fn similar(&self, image: &Path, query: &CaseQuery) -> Result<LibraryHits, CommandError> {
        let picture = assist::open(image, self.frame)?;
        let patient = patient_of_file(image);
        let assistant = self.pack.open()?;
        let seen = Seen {
            picture: &picture,
            file: Some(image),
            patient: patient.as_deref(),
        };
        let (now, stop) = (jiff::Timestamp::now(), Interrupt::new());
        let library = library()?;
        Ok(library.similar(&assistant, seen, query, now, &stop, &mut progress_line())?)
    }
}

fn text(hits: &LibraryHits) -> String {
    let mut lines: Vec<String> = hits.hits.iter().map(hit_text).collect();
    if hits.hits.is_empty() {
        lines.push("no case was found".into());
    }
    lines.extend(hits.notes.iter().cloned());
    lines.join("\n")
}

fn hit_text(hit: &LibraryHit) -> String {
    let excerpt: String = hit
        .excerpt
        .iter()
        .map(|piece| match piece.matched {
            true => format!("[{}]", piece.text),
            false => piece.text.replace('\n', " "),
        })
        .collect();
    // BM25 alone is worth showing; beside other rankings it says little without its rank.
    let (score, why) = match (&hit.by_words, &hit.by_image, &hit.by_report) {
        (Some(words), None, None) => (format!("{:6.2}", words.score), String::new()),
        _ => (format!("{:6.4}", hit.score), why(hit)),
    };
    let own = if hit.same_patient {
        "  SAME PATIENT"
    } else {
        ""
    };
    let facts = facts_text(&hit.facts);
    format!(
        "{score}  {}  {facts}{why}{own}\n        {excerpt}",
        hit.case_id
    )
}

/// Where a case stands in each ranking, such as `  image 1 (0.97), words 3 (5.20)`.
fn why(hit: &LibraryHit) -> String {
    let place = |name: &str, rank: Option<RankDto>, digits: usize| {
        rank.map(|at| format!("{name} {} ({:.digits$})", at.rank, at.score))
    };
    let places = [
        place("image", hit.by_image, 3),
        place("report", hit.by_report, 3),
        place("words", hit.by_words, 2),
    ];
    let places: Vec<String> = places.into_iter().flatten().collect();
    format!("  {}", places.join(", "))
}

fn facts_text(facts: &CaseFacts) -> String {
    let age = facts.age.map(|age| format!("{age} y"));
    let words = [
        &facts.modality,
        &facts.body_part,
        &facts.view,
        &facts.sex,
        &age,
        &facts.date,
        &facts.split,
    ];
    let known: Vec<&str> = words.iter().filter_map(|word| word.as_deref()).collect();
    known.join(" ")
}
