//! `lucency bench library --reports N --images N`: filling a library, and searching its words. Measured, never asserted.

use std::path::Path;
use std::time::Instant;

use lucency_assistant::cases::{CaseLibrary, CaseQuery};
use lucency_assistant::dto::SearchBy;
use lucency_assistant::{Assistant, Interrupt};
use lucency_library::import::{Format, ImportPlan, import};
use lucency_library::search::WordQuery;
use lucency_library::{
    Batch, EmbeddingKind, Facts, Filter, NewEmbedding, NewRecord, Page, Source, Space, SqliteStore,
    Storage as _, Text, TextKind,
};
use lucency_phantom::{Site, Spec};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::bench::{Machine, machine, ms, status_mib};
use super::bench_library::{cpu_s, since};
use super::library::error;
use crate::output::{CommandError, Output};
use crate::synthetic::Cloud;

/// Reports of one transaction.
const BATCH: u64 = 1000;
/// Searches of each kind, after one that is not counted; the median counts.
const RUNS: usize = 15;
/// Short side of an imported radiograph, pixels.
const FILM: usize = 2500;
/// What is searched for, from words that most reports have to words that hardly one has.
const SEARCHES: &[(&str, &[&str])] = &[
    ("chest", &[]),
    ("pleural effusion", &[]),
    ("pleural effusion", &["sex=F"]),
    ("pleural effusion", &["age=40"]),
    ("effusion -pneumothorax nodule", &[]),
    ("\"left upper lobe\" consolidation", &[]),
    ("compared 2017-04-08", &[]),
    ("study77777", &[]),
];

/// What is measured.
pub struct Wanted<'a> {
    /// Synthetic reports.
    pub reports: u64,
    /// Radiographs that are imported.
    pub images: u64,
    /// Whether the reports get synthetic embeddings, to be searched by meaning.
    pub meaning: bool,
    /// Hits that are wanted.
    pub k: usize,
    /// Folder for the library while it is measured.
    pub scratch: &'a Path,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    reports: u64,
    /// Putting reports into the library with their words, a second.
    reports_per_s: Option<f64>,
    /// The database with the reports, MB.
    database_mb: f64,
    /// Opening the library again.
    open_ms: f64,
    searches: Vec<Search>,
    meaning: Option<Meaning>,
    /// Counting everything, as the window does.
    stats_ms: f64,
    images: u64,
    /// Radiographs of 2500 × 3050 pixels, 16 bit, read, hashed and written, a minute, without embedding.
    images_per_minute: Option<f64>,
    /// Most resident memory, MB.
    peak_mb: Option<f64>,
}

/// One search by words.
#[derive(Serialize)]
struct Search {
    text: String,
    filter: Vec<String>,
    hits: usize,
    /// True if so many texts match that only the latest were ranked.
    only_latest_ranked: bool,
    /// The one that is not counted: with a filter it also finds out which cases pass.
    first_ms: f64,
    median_ms: f64,
    slowest_ms: f64,
    /// Processor time of all threads, mean: what other programs on the machine change least.
    cpu_mean_ms: Option<f64>,
}

/// Searches by meaning through all parts: the words' embedding, the index, the cases that are shown.
#[derive(Serialize)]
struct Meaning {
    dim: usize,
    /// Making the index with its lists and writing it, as at the end of embedding.
    indexing_s: f64,
    /// The first search of a program that finds the index on the disk, with opening both.
    opening_ms: f64,
    /// A search after that, median.
    search_ms: f64,
    /// The first search with a filter that leaves one case in two, and one that leaves one in ninety.
    filtered_ms: [f64; 2],
    /// A search after one case was deleted by this program.
    after_deleting_ms: f64,
}

/// Measures and prints.
pub fn run(wanted: &Wanted<'_>, output: Output) -> Result<(), CommandError> {
    let folder = wanted.scratch.join("library");
    let store = SqliteStore::open(&folder).map_err(error)?;
    let begun = Instant::now();
    fill(&store, wanted.reports)?;
    let seconds = begun.elapsed().as_secs_f64();
    drop(store);
    let begun = Instant::now();
    let store = SqliteStore::open(&folder).map_err(error)?;
    let open_ms = ms(begun);
    let searches = match wanted.reports {
        0 => Vec::new(),
        _ => SEARCHES
            .iter()
            .map(|(text, filter)| search(&store, text, filter, wanted.k))
            .collect::<Result<_, _>>()?,
    };
    let meaning = match wanted.meaning {
        true => Some(by_meaning(&store, wanted)?),
        false => None,
    };
    let begun = Instant::now();
    let stats = store.stats().map_err(error)?;
    let stats_ms = ms(begun);
    let measured = Measured {
        machine: machine(),
        reports: wanted.reports,
        reports_per_s: (wanted.reports > 0).then(|| wanted.reports as f64 / seconds),
        database_mb: stats.bytes as f64 / 1e6,
        open_ms,
        searches,
        meaning,
        stats_ms,
        images: wanted.images,
        images_per_minute: match wanted.images {
            0 => None,
            count => Some(60.0 * count as f64 / import_images(&store, wanted.scratch, count)?),
        },
        peak_mb: status_mib("VmHWM:").map(|mib| mib * 1024.0 * 1024.0 / 1e6),
    };
    output.print(&measured, text)
}

/// Puts synthetic reports into a library: a phantom's, with a date of comparison and a number of its own.
fn fill(store: &SqliteStore, reports: u64) -> Result<(), CommandError> {
    let source = Source {
        name: "bench".into(),
        format: "table".into(),
        root: "/".into(),
    };
    for first in (0..reports).step_by(BATCH as usize) {
        let last = reports.min(first + BATCH);
        let batch = Batch {
            records: (first..last).map(record).collect(),
            ..Batch::default()
        };
        store.put(&source, &batch).map_err(error)?;
    }
    Ok(())
}

fn record(number: u64) -> NewRecord {
    let site = [Site::A, Site::B][number as usize % 2];
    let report = Spec::sample(number, site).report(&mut ChaCha8Rng::seed_from_u64(number));
    let (year, month, day) = (2010 + number % 14, 1 + number % 12, 1 + number % 28);
    let compared = format!("Compared with {year}-{month:02}-{day:02}.");
    NewRecord {
        key: number.to_string(),
        patient: Some(format!("patient {}", number / 3)),
        facts: Facts {
            sex: Some(["F", "M"][number as usize % 2].into()),
            age: Some((number % 90) as u16),
            ..Facts::default()
        },
        texts: vec![Text {
            kind: TextKind::Report,
            body: format!("{} {compared} study{number}", report.text()),
        }],
        ..NewRecord::default()
    }
}

fn search(
    store: &SqliteStore,
    text: &str,
    filter: &[&str],
    k: usize,
) -> Result<Search, CommandError> {
    let query = WordQuery {
        text: text.into(),
        filter: Filter::parse(filter).map_err(error)?,
        k,
        ..WordQuery::default()
    };
    let mut times = Vec::with_capacity(RUNS);
    let begun = Instant::now();
    let mut found = store.search_words(&query).map_err(error)?;
    let first_ms = ms(begun);
    let cpu = cpu_s();
    for _ in 0..RUNS {
        let begun = Instant::now();
        found = store.search_words(&query).map_err(error)?;
        times.push(ms(begun));
    }
    let cpu_mean_ms = since(cpu).map(|s| 1000.0 * s / RUNS as f64);
    times.sort_by(f64::total_cmp);
    Ok(Search {
        text: text.into(),
        filter: filter.iter().map(|f| (*f).to_owned()).collect(),
        hits: found.hits.len(),
        only_latest_ranked: found.only_latest_ranked,
        first_ms,
        median_ms: times[times.len() / 2],
        slowest_ms: times[times.len() - 1],
        cpu_mean_ms,
    })
}

/// Embeds every report at random, and searches.
fn by_meaning(store: &SqliteStore, wanted: &Wanted<'_>) -> Result<Meaning, CommandError> {
    let assistant = Assistant::open(crate::computing::options(None)?)?;
    let one = assistant.embed_reports(&["one".to_owned()])?;
    let dim = one.first().map_or(0, Vec::len);
    let space = Space {
        pack: assistant.pack().hash().to_owned(),
        kind: EmbeddingKind::Report,
    };
    let (mut last, mut offset) = (String::new(), 0);
    for vectors in Cloud::new(dim, 2000, 1).vectors(wanted.reports) {
        let page = Page {
            offset,
            limit: vectors.len() as u64,
        };
        offset += page.limit;
        let cases = store.list(&Filter::default(), page).map_err(error)?;
        let embeddings: Vec<NewEmbedding> = cases
            .into_iter()
            .zip(vectors)
            .map(|(case, (_, vector))| NewEmbedding {
                case_id: case.id,
                image: None,
                pixels: None,
                vector: vector.into_iter().map(half::f16::from_f32).collect(),
            })
            .collect();
        store.put_embeddings(&space, &embeddings).map_err(error)?;
        last = embeddings.last().map_or(last, |e| e.case_id.clone());
    }
    let timed = |library: &CaseLibrary, filter: &[&str]| {
        let query = CaseQuery {
            text: "pleural effusion on the left".into(),
            by: SearchBy::Meaning,
            k: wanted.k,
            filter: Filter::parse(filter).map_err(error)?,
            ..CaseQuery::default()
        };
        let (now, stop) = (jiff::Timestamp::now(), Interrupt::new());
        let begun = Instant::now();
        library.search(Some(&assistant), &query, now, &stop, &mut |_| {})?;
        Ok::<f64, CommandError>(ms(begun))
    };
    let begun = Instant::now();
    CaseLibrary::at(wanted.scratch).embed(&assistant, &Interrupt::new(), &mut |_| {})?;
    let indexing_s = ms(begun) / 1000.0;
    let library = CaseLibrary::at(wanted.scratch);
    let opening_ms = timed(&library, &[])?;
    let mut times = (0..RUNS)
        .map(|_| timed(&library, &[]))
        .collect::<Result<Vec<f64>, _>>()?;
    times.sort_by(f64::total_cmp);
    let filtered_ms = [timed(&library, &["sex=F"])?, timed(&library, &["age=40"])?];
    library.delete(&[last])?;
    Ok(Meaning {
        dim,
        indexing_s,
        opening_ms,
        search_ms: times[times.len() / 2],
        filtered_ms,
        after_deleting_ms: timed(&library, &[])?,
    })
}

/// Imports copies of one large radiograph and returns the seconds.
fn import_images(store: &SqliteStore, scratch: &Path, count: u64) -> Result<f64, CommandError> {
    let io = |e: std::io::Error| CommandError::new("io", e.to_string());
    let film = crate::sample::radiograph(&scratch.join("film"), FILM)?;
    let data = scratch.join("films");
    std::fs::create_dir_all(&data).map_err(io)?;
    for i in 0..count {
        std::fs::copy(&film, data.join(format!("{i}.dcm"))).map_err(io)?;
    }
    let plan = ImportPlan::new(Format::Dicom, &data);
    let report = import(store, &plan, &|| false, &mut |_| {}).map_err(error)?;
    match report.rejected {
        0 => Ok(report.elapsed_s),
        n => Err(CommandError::new(
            "bench",
            format!("{n} films were refused"),
        )),
    }
}

fn text(m: &Measured) -> String {
    let mut lines = vec![format!(
        "{}, {} threads, {}",
        m.machine.cpu, m.machine.threads, m.machine.build
    )];
    if let Some(rate) = m.reports_per_s {
        lines.push(format!(
            "{} reports, {rate:.0} a second, {:.0} MB, opened in {:.1} ms, counted in {:.0} ms",
            m.reports, m.database_mb, m.open_ms, m.stats_ms
        ));
    }
    for search in &m.searches {
        let latest = match search.only_latest_ranked {
            true => ", only the latest ranked",
            false => "",
        };
        lines.push(format!(
            "{:8.2} ms median, {:.2} ms slowest, processors {}  {} {}: {} hits{latest}",
            search.median_ms,
            search.slowest_ms,
            search
                .cpu_mean_ms
                .map_or("–".to_owned(), |ms| format!("{ms:.1} ms")),
            search.text,
            search.filter.join(" "),
            search.hits
        ));
    }
    if let Some(by) = &m.meaning {
        lines.push(format!(
            "by meaning, {} numbers: index made in {:.1} s; {:.0} ms with opening it, then {:.1} ms; \
             filters {:.0} and {:.0} ms; {:.0} ms after deleting a case",
            by.dim,
            by.indexing_s,
            by.opening_ms,
            by.search_ms,
            by.filtered_ms[0],
            by.filtered_ms[1],
            by.after_deleting_ms
        ));
    }
    if let Some(rate) = m.images_per_minute {
        lines.push(format!("{} radiographs, {rate:.0} a minute", m.images));
    }
    lines.join("\n")
}
