//! Keeps the library's record of runs and adapters up to date with their folders, which hold what was learned. The library
//! knows nothing of models, and training nothing of the library: this joins them.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, Unit};
use lucency_library::{
    AdapterRecord, CasePart, Ledger as _, LibraryError, Run, RunKind, SqliteStore, Storage as _,
};
use lucency_train::finetune::{Adapter, is_adapter_name};
use serde_json::{Value, json};

use crate::cases::folder;
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};
use crate::finetune::{Table, forget_images};
use crate::{DEFAULT_PACK, Options};

/// The column of the library's tables that holds the case's identifier.
pub(crate) const CASE: &str = "case";

/// A run on cases of the library.
pub(crate) struct Entry {
    home: PathBuf,
    run: Run,
    table: PathBuf,
    /// Of each row of the table: its case, and its image file.
    rows: Vec<(String, PathBuf)>,
}

/// What a run is, but for the cases.
pub(crate) struct Task<'a> {
    pub kind: RunKind,
    /// Hash of the pack.
    pub pack: String,
    /// The adapter that it makes or judges.
    pub adapter: Option<&'a str>,
    /// When it was asked for, RFC 3339, UTC.
    pub started: String,
    /// What was asked for, without anything of a patient.
    pub settings: Value,
    /// Its folder below the home; none without one.
    pub path: Option<String>,
}

/// This moment, as records state it.
pub(crate) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// The library's store, if there is a library.
fn library(home: &Path) -> Result<Option<SqliteStore>> {
    let folder = folder(home);
    match SqliteStore::exists(&folder) {
        true => Ok(Some(SqliteStore::open(&folder)?)),
        false => Ok(None),
    }
}

impl Entry {
    /// A run on the cases of a table; none if they are not the library's.
    pub fn of(home: &Path, data: &TrainingData, task: Task<'_>) -> Option<Self> {
        let table = PathBuf::from(&data.table);
        if !table.starts_with(SqliteStore::tables_in(&folder(home))) {
            return None;
        }
        Some(Self {
            home: home.to_path_buf(),
            run: Run {
                kind: task.kind,
                pack: task.pack,
                adapter: task.adapter.map(str::to_owned),
                started: task.started,
                finished: None,
                settings: task.settings,
                outcome: None,
                path: task.path,
            },
            rows: rows(data).unwrap_or_default(), // whoever trains on the table says what is wrong with it
            table,
        })
    }

    /// Notes that the run has begun, or goes on.
    ///
    /// Errors if its table is gone, which a deleted case takes along, or if the library cannot be written.
    pub fn begin(&self) -> Result<()> {
        if !self.table.is_file() {
            return Err(AssistantError::Training {
                code: "cases_changed",
                message: "a case was deleted from the library since the run began, and the table of its cases with it; begin a new run"
                    .into(),
            });
        }
        self.put(None, None, |_| CasePart::Trained).map(|_| ())
    }

    /// Notes how the run ended, and what it did with each row of its table. What its adapter's report shows of a case that was
    /// deleted meanwhile goes.
    ///
    /// Errors if the library or the adapter cannot be written.
    pub fn end(&self, outcome: Value, part: impl Fn(usize) -> CasePart) -> Result<()> {
        if self.put(Some(now()), Some(outcome), part)? > 0 {
            forget_images(&self.home, &self.deleted()?)?;
        }
        Ok(())
    }

    fn put(
        &self,
        finished: Option<String>,
        outcome: Option<Value>,
        part: impl Fn(usize) -> CasePart,
    ) -> Result<u64> {
        let Some(store) = library(&self.home)? else {
            return Ok(0); // it was removed as a whole
        };
        let run = Run {
            finished,
            outcome,
            ..self.run.clone()
        };
        let mut cases: Vec<(String, CasePart)> = self
            .rows
            .iter()
            .enumerate()
            .map(|(row, (case, _))| (case.clone(), part(row)))
            .collect();
        // Of several images of a case one is enough to have learned from it: the last word counts.
        cases.sort_by_key(|(_, part)| *part == CasePart::Trained);
        Ok(store.put_run(&run, &cases)?)
    }

    /// Images of cases that the library does not have any more.
    fn deleted(&self) -> Result<Vec<PathBuf>> {
        let Some(store) = library(&self.home)? else {
            return Ok(Vec::new());
        };
        let mut gone = Vec::new();
        for (case, image) in &self.rows {
            match store.get(case) {
                Ok(_) => {}
                Err(LibraryError::NoCase { .. }) => gone.push(image.clone()),
                Err(other) => return Err(other.into()),
            }
        }
        Ok(gone)
    }
}

/// Cases and image files of a table that the library wrote.
fn rows(data: &TrainingData) -> Result<Vec<(String, PathBuf)>> {
    let table = Table::read(Path::new(&data.table))?;
    let images = table.column(&data.columns.image)?;
    let image = |name: String| Path::new(&data.folder).join(name);
    let cases = table.column(CASE)?.into_iter();
    Ok(cases.zip(images.into_iter().map(image)).collect())
}

/// What a table says of itself: which columns are learned, and which content it has.
pub(crate) fn table_settings(data: &TrainingData) -> Value {
    let table = Path::new(&data.table).file_stem().unwrap_or_default();
    json!({
        "labels": data.columns.labels,
        "renamed": data.renamed,
        "left_out": data.left_out,
        "table": table.to_string_lossy(),
    })
}

/// The hash of a pack: SHA-256 of its manifest.
///
/// - `pack`: name or folder; none for the default one
///
/// Errors if it is not there.
pub(crate) fn pack_hash(options: &Options, pack: Option<&str>) -> Result<String> {
    let dir = options.store().locate(pack.unwrap_or(DEFAULT_PACK))?;
    let manifest = std::fs::read(dir.join(lucency_packs::MANIFEST_FILE));
    let manifest = manifest.map_err(|source| AssistantError::Io {
        what: "the pack's manifest".into(),
        source,
    })?;
    Ok(lucency_packs::digest(&manifest))
}

/// Notes that a pack was judged on cases of the library; nothing if they are not the library's.
///
/// - `adapter`: the adapter that took part
/// - `outcome`: figures
///
/// Errors if the library cannot be written.
pub(crate) fn judged(
    home: &Path,
    data: &TrainingData,
    (pack, adapter): (&str, Option<&str>),
    (what, started): (&str, String),
    outcome: Value,
) -> Result<()> {
    let mut settings = table_settings(data);
    settings["what"] = what.into();
    let task = Task {
        kind: RunKind::Evaluation,
        pack: pack.to_owned(),
        adapter,
        started,
        settings,
        path: None,
    };
    match Entry::of(home, data, task) {
        Some(entry) => entry.end(outcome, |_| CasePart::Judged),
        None => Ok(()),
    }
}

/// Notes what was embedded.
///
/// Errors if the library cannot be written.
pub(crate) fn embedded(
    store: &SqliteStore,
    (pack, adapter): (&str, Option<&str>),
    started: String,
    outcome: Value,
) -> Result<()> {
    let run = Run {
        kind: RunKind::Embedding,
        pack: pack.to_owned(),
        adapter: adapter.map(str::to_owned),
        started,
        finished: Some(now()),
        settings: json!({}),
        outcome: Some(outcome),
        path: None,
    };
    store.put_run(&run, &[])?;
    Ok(())
}

/// Writes every adapter that is there into the library's record; nothing without a library. Those that were missed because it could
/// not be written are written with the next one.
///
/// Errors if the library cannot be written.
pub(crate) fn note_adapters(home: &Path) -> Result<()> {
    let Some(store) = library(home)? else {
        return Ok(());
    };
    for adapter in adapters(home) {
        let manifest = &adapter.manifest;
        store.put_adapter(&AdapterRecord {
            name: manifest.name.clone(),
            pack: manifest.base.hash.clone(),
            path: format!("adapters/{}", manifest.name),
            sha256: adapter.sha256()?,
            created: manifest.created.clone(),
        })?;
    }
    Ok(())
}

/// Adapters that are there; folders that are none are left out.
pub(crate) fn adapters(home: &Path) -> impl Iterator<Item = Adapter> {
    let entries = std::fs::read_dir(home.join("adapters"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter(|entry| is_adapter_name(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Adapter::read(&entry.path()).ok())
}

/// Takes an adapter out of the record; false if it was not in it.
///
/// Errors if the library cannot be written.
pub(crate) fn forget_adapter(home: &Path, name: &str) -> Result<bool> {
    match library(home)? {
        Some(store) => Ok(store.forget_adapter(name)?),
        None => Ok(false),
    }
}

/// Notes that a run's folder is no more; false if the record names no such run.
///
/// Errors if the library cannot be written.
pub(crate) fn forget_run(home: &Path, name: &str) -> Result<bool> {
    match library(home)? {
        Some(store) => Ok(store.forget_run(&run_path(name))?),
        None => Ok(false),
    }
}

/// A run's folder below the home.
pub(crate) fn run_path(name: &str) -> String {
    format!("runs/{name}")
}
