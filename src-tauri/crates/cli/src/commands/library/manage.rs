//! `lucency library list | show | delete | stats`

use std::fmt::Write as _;

use clap::Args;
use lucency_assistant::dto::LibraryDeleted;
use lucency_library::{
    AdapterRecord, CaseRecord, CaseSummary, Count, Facts, Filter, Ledger, Page, RunKind, RunRecord,
    SeenBy, Stats, Storage,
};
use serde::Serialize;

use super::{error, library, open_existing};
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
        let store = open_existing()?;
        let shown = Shown {
            case: store.get(&self.case).map_err(error)?,
            seen_by: store
                .seen_by(std::slice::from_ref(&self.case))
                .map_err(error)?,
        };
        output.print(&shown, |shown| {
            let seen = shown.seen_by.iter().map(seen_line);
            let lines = std::iter::once(case_text(&shown.case)).chain(seen);
            lines.collect::<Vec<_>>().join("\n")
        })
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    case: CaseRecord,
    /// Runs that saw it.
    seen_by: Vec<SeenBy>,
}

fn seen_line(run: &SeenBy) -> String {
    let what = match (run.kind, run.trained > 0) {
        (RunKind::Training, true) => "learned by",
        (RunKind::Training, false) => "judged in the training of",
        _ => "judged with",
    };
    let who = match (&run.adapter, run.adapter_there, run.finished) {
        (Some(adapter), _, false) => format!("the run {adapter}, which has not ended"),
        (Some(adapter), true, _) => format!("the adapter {adapter}"),
        (Some(adapter), false, _) => format!("the adapter {adapter}, which is no more"),
        (None, ..) => "the pack".to_owned(),
    };
    format!("{what:13} {who} ({})", run.started)
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
        drop(store);
        output.print(&library()?.delete(&cases)?, deleted_text)
    }
}

fn deleted_text(d: &LibraryDeleted) -> String {
    let mut lines = vec![format!(
        "{} deleted, with images, texts, labels and embeddings; backups that were made before still have them",
        counted(d.deleted, "case")
    )];
    if d.report_entries > 0 {
        lines.push(format!(
            "{} of them taken out of finished runs' reports",
            counted(d.report_entries, "picture")
        ));
    }
    lines.extend(d.adapters.iter().map(|adapter| {
        format!(
            "the adapter {adapter} was trained on them and its weights keep what they learned; `lucency adapters remove {adapter}` removes it"
        )
    }));
    lines.extend(d.runs.iter().map(|run| {
        format!("the run {run} had begun to learn from them; `lucency runs cancel {run}`, and begin a new one")
    }));
    lines.join("\n")
}

/// `lucency library stats`
#[derive(Args)]
pub struct StatsOf {}

impl StatsOf {
    /// Counts.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let store = open_existing()?;
        let counted = Counted {
            stats: store.stats().map_err(error)?,
            adapters: store.adapters().map_err(error)?,
            runs: store.runs(RUNS).map_err(error)?,
        };
        output.print(&counted, |counted| {
            let adapters = counted.adapters.iter().map(adapter_line);
            let runs = counted.runs.iter().map(run_line);
            let lines = std::iter::once(stats_text(&counted.stats));
            lines
                .chain(adapters)
                .chain(runs)
                .collect::<Vec<_>>()
                .join("\n")
        })
    }
}

/// Latest runs that are listed.
const RUNS: u64 = 20;

#[derive(Serialize)]
struct Counted {
    #[serde(flatten)]
    stats: Stats,
    adapters: Vec<AdapterRecord>,
    /// The latest runs on the library's cases.
    runs: Vec<RunRecord>,
}

fn adapter_line(adapter: &AdapterRecord) -> String {
    format!(
        "adapter       {} on pack {:.12}, {}",
        adapter.name, adapter.pack, adapter.created
    )
}

fn run_line(record: &RunRecord) -> String {
    let run = &record.run;
    let adapter = run.adapter.as_ref().map(|name| format!(" of {name}"));
    let ended = match (&run.finished, &run.outcome) {
        (None, _) => ", not ended".to_owned(),
        (_, Some(outcome)) => match outcome["state"].as_str() {
            Some(state) => format!(", {state}"),
            None => String::new(),
        },
        _ => String::new(),
    };
    let how = ["what", "preset"].map(|key| run.settings[key].as_str());
    let how = how.into_iter().flatten().next();
    let mut line = format!(
        "run           {}{}{}{ended}, {}",
        run.kind.word(),
        how.map(|how| format!(" ({how})")).unwrap_or_default(),
        adapter.unwrap_or_default(),
        run.started
    );
    for (n, what) in [
        (record.trained, "learned"),
        (record.judged, "judged"),
        (record.deleted, "deleted since"),
    ] {
        if n > 0 {
            let _ = write!(line, ", {} {what}", counted(n, "case"));
        }
    }
    line
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
