//! `lucency library list | show | delete | stats | verify | backup | restore`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use lucency_library::{
    CaseRecord, CaseSummary, Count, Facts, Filter, Page, SqliteStore, Stats, Storage, Verified,
};
use serde::Serialize;

use super::{error, folder, open_existing};
use crate::output::{CommandError, Output, counted};

/// `lucency library list`
#[derive(Args)]
pub struct List {
    /// Condition: source, modality, body_part, view, sex, age, date, label, reader, split, patient, not_patient; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Most cases to list
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// Cases to pass over
    #[arg(long, default_value_t = 0)]
    offset: u64,
}

#[derive(Serialize)]
struct Listed {
    /// Cases that the filter lets through.
    total: u64,
    cases: Vec<CaseSummary>,
}

impl List {
    /// Lists.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let filter = Filter::parse(&self.filter).map_err(error)?;
        let store = open_existing()?;
        let page = Page {
            offset: self.offset,
            limit: self.limit,
        };
        let listed = Listed {
            total: store.count(&filter).map_err(error)?,
            cases: store.list(&filter, page).map_err(error)?,
        };
        output.print(&listed, |listed| {
            let mut text = String::new();
            for case in &listed.cases {
                let _ = writeln!(
                    text,
                    "{}  {}  {}, {}, {}  {}",
                    case.id,
                    facts_text(&case.facts),
                    counted(case.images, "image"),
                    counted(case.texts, "text"),
                    counted(case.questions, "question"),
                    case.labels.join(", ")
                );
            }
            let _ = write!(
                text,
                "{} of {}",
                listed.cases.len(),
                counted(listed.total, "case")
            );
            text
        })
    }
}

/// What is known of a case, in one line.
fn facts_text(facts: &Facts) -> String {
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

/// `lucency library show CASE`
#[derive(Args)]
pub struct Show {
    /// The case's identifier
    case: String,
}

impl Show {
    /// Shows.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let case = open_existing()?.get(&self.case).map_err(error)?;
        output.print(&case, case_text)
    }
}

fn case_text(case: &CaseRecord) -> String {
    let mut text = format!(
        "{}\nsource        {} ({}), {}\npatient       {}\nfacts         {}\n",
        case.id,
        case.source.name,
        case.source.format,
        case.source.root,
        case.patient.as_deref().unwrap_or("not named"),
        facts_text(&case.facts),
    );
    for image in &case.images {
        let _ = writeln!(
            text,
            "image         {} ({} × {})",
            image.path, image.width, image.height
        );
    }
    for label in &case.labels {
        let _ = writeln!(
            text,
            "label         {} = {}",
            label.name,
            label.value.number()
        );
    }
    for region in &case.regions {
        let (x, y, w, h) = (region.x, region.y, region.width, region.height);
        let _ = writeln!(
            text,
            "box           {} at {x}, {y}, {w} × {h}",
            region.label
        );
    }
    for question in &case.questions {
        let answer = question.answer.as_deref().unwrap_or("?");
        let _ = writeln!(text, "question      {} {answer}", question.question);
    }
    for part in &case.texts {
        let _ = writeln!(text, "\n{}:\n{}", part.kind.word(), part.body);
    }
    text.trim_end().to_owned()
}

/// `lucency library delete CASE…`
#[derive(Args)]
pub struct Delete {
    /// Identifiers of cases
    #[arg(required_unless_present = "filter")]
    cases: Vec<String>,
    /// Every case that the conditions let through, such as patient=PSEUDONYM or source=NAME
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "cases")]
    filter: Vec<String>,
}

#[derive(Serialize)]
struct Deleted {
    deleted: u64,
}

impl Delete {
    /// Deletes.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let store = open_existing()?;
        let mut cases = self.cases.clone();
        if !self.filter.is_empty() {
            let filter = Filter::parse(&self.filter).map_err(error)?;
            let page = Page {
                offset: 0,
                limit: u64::MAX,
            };
            let found = store.list(&filter, page).map_err(error)?;
            cases = found.into_iter().map(|case| case.id).collect();
        }
        let deleted = Deleted {
            deleted: store.delete(&cases).map_err(error)?,
        };
        output.print(&deleted, |d| {
            format!(
                "{} deleted, with images, texts, labels and embeddings; backups that were made before still have them",
                counted(d.deleted, "case")
            )
        })
    }
}

/// `lucency library stats`
#[derive(Args)]
pub struct StatsOf {}

impl StatsOf {
    /// Counts.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let stats = open_existing()?.stats().map_err(error)?;
        output.print(&stats, stats_text)
    }
}

fn stats_text(s: &Stats) -> String {
    let mut text = format!(
        "cases         {}\npatients      {}\nimages        {}\ntexts         {}\nquestions     {}\nboxes         {}\n\
         embeddings    {}\ndatabase      {:.1} MB\n",
        s.cases,
        s.patients,
        s.images,
        s.texts,
        s.questions,
        s.regions,
        s.embeddings,
        s.bytes as f64 / 1e6
    );
    let mut section = |title: &str, counts: &[Count]| {
        for count in counts.iter().take(20) {
            let name = if count.name.is_empty() {
                "not known"
            } else {
                &count.name
            };
            let _ = writeln!(text, "{title:13} {:8} {name}", count.cases);
        }
    };
    section("source", &s.sources);
    section("modality", &s.modalities);
    section("split", &s.splits);
    section("label", &s.labels);
    text.trim_end().to_owned()
}

/// `lucency library verify`
#[derive(Args)]
pub struct Verify {
    /// Also read every image file and compare its hash
    #[arg(long)]
    images: bool,
}

impl Verify {
    /// Verifies; an error after the list if something is wrong.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let store = open_existing()?;
        let verified = store.verify(self.images, &|| false).map_err(error)?;
        output.print(&verified, verified_text)?;
        match verified.ok {
            true => Ok(()),
            false => Err(CommandError::new(
                "library_damaged",
                format!(
                    "{}; restore a backup",
                    counted(verified.problem_count, "problem")
                ),
            )),
        }
    }
}

fn verified_text(v: &Verified) -> String {
    let mut lines = v.problems.clone();
    lines.push(match v.ok {
        true => format!("{}: the library is sound", counted(v.cases, "case")),
        false => format!(
            "{}, {}",
            counted(v.cases, "case"),
            counted(v.problem_count, "problem")
        ),
    });
    if v.images_read > 0 {
        lines.push(format!("{} read", counted(v.images_read, "image file")));
    }
    lines.join("\n")
}

/// `lucency library backup FILE`
#[derive(Args)]
pub struct Backup {
    /// The new file
    file: PathBuf,
}

#[derive(Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: u64,
}

impl Backup {
    /// Copies.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        open_existing()?.backup(&self.file).map_err(error)?;
        let done = BackedUp {
            file: self.file.clone(),
            bytes: std::fs::metadata(&self.file).map_or(0, |m| m.len()),
        };
        output.print(&done, |b| {
            format!(
                "{} written, {:.1} MB; keep patient.key of the library's folder elsewhere too: without it a backup \
                 cannot be restored",
                b.file.display(),
                b.bytes as f64 / 1e6
            )
        })
    }
}

/// `lucency library restore FILE`
#[derive(Args)]
pub struct Restore {
    /// The backup
    file: PathBuf,
}

impl Restore {
    /// Restores.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let restored = SqliteStore::restore(&folder()?, &self.file).map_err(error)?;
        output.print(&restored, |r| match &r.previous {
            Some(previous) => format!(
                "{} restored; the library before is kept as {}",
                counted(r.cases, "case"),
                previous.display()
            ),
            None => format!("{} restored", counted(r.cases, "case")),
        })
    }
}
