//! Cases of the department's library as a table, so that every command takes them as it takes a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lucency_library::{CaseRecord, Filter, Page, SqliteStore, Storage};

use super::{parse_columns, refuse};
use crate::Options;
use crate::cases::folder;
use crate::csv;
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};

/// The word that stands for every case.
const ALL: &str = "all";
/// Columns that every such table has, before a column for each label.
const COLUMNS: [&str; 9] = [
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

/// Writes the library's cases that meet every condition into a table below the user's folder, a row an image.
///
/// - `conditions`: `KEY=VALUE` as `lucency library list --filter` takes them, or `all`
/// - `columns`: `label=COL`, `label=A+B`, `split=split`; images, pseudonyms and reports have theirs. `label` holds the one label of a case
///   that has one; every label has a column of its own with 1, 0, -1 or nothing; `view`, `sex`, `modality` and `body_part` may be learned too
///
/// The table is named by its content, so a run that is taken up again finds what it began with.
/// Errors if there is no library, a condition cannot be read, or no case has an image.
pub fn library_data(
    options: &Options,
    conditions: &[String],
    columns: &str,
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
    let files: Vec<(&CaseRecord, PathBuf)> = records
        .iter()
        .flat_map(|case| {
            let root = Path::new(&case.source.root);
            case.images.iter().map(move |i| (case, root.join(&i.path)))
        })
        .collect();
    let Some(root) = common(files.iter().map(|(_, file)| file.as_path())) else {
        return Err(refuse(
            "no_cases",
            "no case of the library with an image meets these conditions; `lucency library list` shows which there are",
        ));
    };
    let text = table(&files, &root);
    let tables = options.home.join("tables");
    let name = &lucency_packs::digest(text.as_bytes())[..24];
    let path = tables.join(format!("{name}.csv"));
    let io = |source| AssistantError::Io {
        what: "the table of cases".into(),
        source,
    };
    fs::create_dir_all(&tables).map_err(io)?;
    fs::write(&path, text).map_err(io)?;
    let own = "image=image,patient=patient,report=report";
    let mut columns = parse_columns(&format!("{own},{columns}"))?;
    if columns.labels.is_empty() {
        columns.labels = vec!["label".into()];
    }
    Ok(TrainingData {
        folder: root.to_string_lossy().into_owned(),
        table: path.to_string_lossy().into_owned(),
        columns,
        renamed: Vec::new(),
    })
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

fn table(files: &[(&CaseRecord, PathBuf)], root: &Path) -> String {
    let labels: BTreeSet<&str> = files
        .iter()
        .flat_map(|(case, _)| case.labels.iter().map(|label| label.name.as_str()))
        .filter(|name| !COLUMNS.contains(name))
        .collect();
    let mut text = csv::record(COLUMNS.into_iter().chain(labels.iter().copied()));
    for (case, file) in files {
        let below = file.strip_prefix(root).unwrap_or(file);
        let word = |fact: &Option<String>| fact.clone().unwrap_or_default();
        let reports = case.texts.iter().map(|t| t.body.trim());
        let facts = &case.facts;
        let mut fields = vec![
            below.to_string_lossy().replace('\\', "/"),
            word(&case.patient),
            reports.collect::<Vec<_>>().join("\n"),
            only_label(case),
            word(&facts.view),
            word(&facts.sex),
            word(&facts.modality),
            word(&facts.body_part),
            word(&facts.split),
        ];
        fields.extend(labels.iter().map(|name| {
            let found = case.labels.iter().find(|label| label.name == *name);
            found.map_or(String::new(), |label| label.value.number().to_string())
        }));
        text += &csv::record(fields.iter().map(String::as_str));
    }
    text
}

/// The label of a case that has one and only one.
fn only_label(case: &CaseRecord) -> String {
    let present = |label: &&lucency_library::Label| label.value.number() == 1;
    let mut found = case.labels.iter().filter(present);
    match (found.next(), found.next()) {
        (Some(label), None) => label.name.clone(),
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
