//! Cases of the department's library as a table, so that every command takes them as it takes a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lucency_library::{
    CaseRecord, Filter, LabelScheme, LabelValue, Labelling, Page, SqliteStore, Storage,
};

use super::{parse_columns, refuse};
use crate::Options;
use crate::cases::folder;
use crate::csv;
use crate::dto::{TrainingColumns, TrainingData};
use crate::error::{AssistantError, Result};
use crate::labelling::{Settled, settle};
use crate::ledger;

/// The word that stands for every case.
const ALL: &str = "all";
/// What the columns of images, patients and reports are called.
const OWN: &str = "image=image,patient=patient,report=report";
/// Columns that every such table has, before a column for each label.
const COLUMNS: [&str; 10] = [
    ledger::CASE,
    "image",
    "patient",
    "report",
    "label",
    "view",
    "sex",
    "modality",
    "body_part",
    "split",
];
/// Cases read at a time.
const PAGE: u64 = 500;

/// Writes the library's cases that meet every condition into a table beside the library, a row an image. Deleting a case deletes
/// these tables: they hold reports.
///
/// - `conditions`: `KEY=VALUE` as `lucency library list --filter` takes them, or `all`; with `reader=NAME` that reader's labels alone
/// - `columns`: `label=COL`, `label=A+B`, `label=SET` (a set of classes that readers gave), `split=split`; images, pseudonyms and reports have theirs. `label` holds the one label of a case
///   that has one; every label has a column of its own with 1, 0, -1 or nothing; `view`, `sex`, `modality` and `body_part` may be learned too
///
/// What readers said goes before what came with a case. A case on whose wanted labels they differ is left out and counted, unless one
/// reader is chosen.
///
/// The table is named by its content, so a run that is taken up again finds what it began with.
/// Errors if there is no library, a condition cannot be read, or no case has an image.
pub fn library_data(
    options: &Options,
    conditions: &[String],
    columns: &str,
) -> Result<TrainingData> {
    let mut columns = parse_columns(&format!("{OWN},{columns}"))?;
    if columns.labels.is_empty() {
        columns.labels = vec!["label".into()];
    }
    written(options, conditions, columns)
}

/// As [`library_data`], for what needs images and reports and no label: readers may differ.
pub fn library_pairs(options: &Options, conditions: &[String]) -> Result<TrainingData> {
    written(options, conditions, parse_columns(OWN)?)
}

/// Writes the cases into a table, but for those on whose wanted labels readers differ.
fn written(
    options: &Options,
    conditions: &[String],
    columns: TrainingColumns,
) -> Result<TrainingData> {
    let wanted: Vec<String> = conditions.iter().filter(|c| *c != ALL).cloned().collect();
    let filter = Filter::parse(&wanted)?;
    let library = folder(&options.home);
    if !SqliteStore::exists(&library) {
        return Err(AssistantError::NoLibrary(library.display().to_string()));
    }
    let store = SqliteStore::open(&library)?;
    let mut records = Vec::new();
    loop {
        let page = Page {
            offset: records.len() as u64,
            limit: PAGE,
        };
        let some = store.list(&filter, page)?;
        for case in &some {
            records.push(store.get(&case.id)?);
        }
        if (some.len() as u64) < PAGE {
            break;
        }
    }
    let sets = store.label_sets()?;
    let read = records.len();
    let settled: Vec<(CaseRecord, Settled)> = records
        .into_iter()
        .map(|case| {
            let settled = settle(&case.labels, &sets, filter.reader.as_deref());
            (case, settled)
        })
        .filter(|(_, settled)| !is_open(settled, &columns.labels, &sets))
        .collect();
    let left_out = read - settled.len();
    let files: Vec<(&(CaseRecord, Settled), PathBuf)> = settled
        .iter()
        .flat_map(|both| {
            let root = Path::new(&both.0.source.root);
            let images = both.0.images.iter();
            images.map(move |i| (both, root.join(&i.path)))
        })
        .collect();
    let Some(root) = common(files.iter().map(|(_, file)| file.as_path())) else {
        if left_out > 0 {
            return Err(refuse(
                "readers_disagree",
                format!(
                    "readers differ on all {left_out} cases; settle them first, or choose one reader with reader=NAME"
                ),
            ));
        }
        return Err(refuse(
            "no_cases",
            "no case of the library with an image meets these conditions; `lucency library list` shows which there are",
        ));
    };
    let text = table(&files, &root, &sets);
    let tables = store.tables();
    let name = &lucency_packs::digest(text.as_bytes())[..24];
    let path = tables.join(format!("{name}.csv"));
    let io = |source| AssistantError::Io {
        what: "the table of cases".into(),
        source,
    };
    fs::create_dir_all(&tables).map_err(io)?;
    fs::write(&path, text).map_err(io)?;
    Ok(TrainingData {
        folder: root.to_string_lossy().into_owned(),
        table: path.to_string_lossy().into_owned(),
        columns,
        renamed: Vec::new(),
        left_out,
    })
}

/// True if readers differ on a label that is to be learned.
///
/// - `wanted`: columns of labels; `label` is whichever label a case has, a set's name its one class
fn is_open(settled: &Settled, wanted: &[String], sets: &[LabelScheme]) -> bool {
    let disputed = |name: &str| settled.disputed.contains(&name.trim().to_lowercase());
    let open = |name: &String| match exclusive(sets).find(|set| set.name == *name) {
        _ if name == "label" => !settled.disputed.is_empty(),
        Some(set) => set.classes.iter().any(|class| disputed(class)),
        None => disputed(name),
    };
    wanted.iter().any(open)
}

/// Sets that have a column with the one class of each case.
fn exclusive(sets: &[LabelScheme]) -> impl Iterator<Item = &LabelScheme> {
    let own = |set: &&LabelScheme| !COLUMNS.contains(&set.name.as_str());
    sets.iter().filter(|set| set.exclusive).filter(own)
}

/// The deepest folder above all files.
fn common<'a>(mut files: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let mut root = files.next()?.parent()?.to_path_buf();
    for file in files {
        while !file.starts_with(&root) {
            root = root.parent()?.to_path_buf();
        }
    }
    Some(root)
}

fn table(files: &[(&(CaseRecord, Settled), PathBuf)], root: &Path, sets: &[LabelScheme]) -> String {
    let sets: Vec<&LabelScheme> = exclusive(sets).collect();
    let labels: BTreeSet<&str> = files
        .iter()
        .flat_map(|((_, settled), _)| settled.labels.keys().map(String::as_str))
        .filter(|name| !COLUMNS.contains(name) && !sets.iter().any(|set| set.name == *name))
        .collect();
    let names = sets.iter().map(|set| set.name.as_str());
    let columns = COLUMNS.into_iter().chain(names);
    let mut text = csv::record(columns.chain(labels.iter().copied()));
    for ((case, settled), file) in files {
        let below = file.strip_prefix(root).unwrap_or(file);
        let word = |fact: &Option<String>| fact.clone().unwrap_or_default();
        let reports = case.texts.iter().map(|t| t.body.trim());
        let facts = &case.facts;
        let mut fields = vec![
            case.id.clone(),
            below.to_string_lossy().replace('\\', "/"),
            word(&case.patient),
            reports.collect::<Vec<_>>().join("\n"),
            only_label(settled, None),
            word(&facts.view),
            word(&facts.sex),
            word(&facts.modality),
            word(&facts.body_part),
            word(&facts.split),
        ];
        fields.extend(sets.iter().map(|set| only_label(settled, Some(set))));
        fields.extend(labels.iter().map(|name| {
            let found = settled.labels.get(*name);
            found.map_or(String::new(), |value| value.number().to_string())
        }));
        text += &csv::record(fields.iter().map(String::as_str));
    }
    text
}

/// The label of a case that has one and only one, of all or of a set.
fn only_label(settled: &Settled, set: Option<&LabelScheme>) -> String {
    let of_set = |name: &str| set.is_none_or(|set| set.class(name).is_ok());
    let present =
        |(name, value): &(&String, &LabelValue)| **value == LabelValue::Positive && of_set(name);
    let mut found = settled.labels.iter().filter(present);
    match (found.next(), found.next()) {
        (Some((name, _)), None) => name.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_different_folders_share_the_folder_above() {
        let of = |files: &[&str]| common(files.iter().map(Path::new));
        assert_eq!(of(&["/a/b/1.png", "/a/b/c/2.png"]), Some("/a/b".into()));
        assert_eq!(of(&["/a/b/1.png", "/a/d/2.png"]), Some("/a".into()));
        assert_eq!(of(&[]), None);
    }
}
