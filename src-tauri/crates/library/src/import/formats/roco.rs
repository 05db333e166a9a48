//! ROCO and ROCOv2. Sources: Pelka et al. 2018; Rückert et al. 2024.
//!
//! ```text
//! all_data/train/radiology/traindata.csv    id,name,caption        images/NAME.jpg
//!                          captions.txt     id <tab> caption       images/ID.jpg
//! train_captions.csv                        ID,Caption             train/ID.jpg      (version 2)
//! any.json                                  {"annotations": [{"image_id", "caption"}]}, {"NAME": "caption"}, or a list
//! ```

use std::path::{Path, PathBuf};

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part, Shape};
use super::{table_path, with_endings};
use crate::error::Result;
use crate::records::{Facts, Text, TextKind};

/// Folder of a split, name of its CSV, the split.
const SPLITS: [(&str, &str, &str); 4] = [
    ("train", "traindata.csv", "train"),
    ("validation", "valdata.csv", "validation"),
    ("val", "valdata.csv", "validation"),
    ("test", "testdata.csv", "test"),
];

const VERSION_2: [(&str, &str); 3] = [
    ("train_captions.csv", "train"),
    ("valid_captions.csv", "validation"),
    ("test_captions.csv", "test"),
];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there are no captions: neither train/radiology/traindata.csv or captions.txt nor train_captions.csv; \
                   name the table with --table";
    let root = plan.data.clone();
    of_tables(plan, tables(plan), missing, move |fields, part| {
        draft(&root, fields, part)
    })
}

fn captions(path: PathBuf, split: Option<&'static str>) -> Part {
    let plain = path.extension().is_some_and(|ending| ending == "txt");
    Part {
        shape: match plain {
            true => Shape::Plain {
                delimiter: b'\t',
                columns: &["id", "caption"],
            },
            false => Shape::Any,
        },
        ..Part::any(path, split, "")
    }
}

fn tables(plan: &ImportPlan) -> Vec<Part> {
    if let Some(table) = &plan.table {
        return vec![captions(table_path(plan, table), None)];
    }
    let mut parts = Vec::new();
    for root in [
        plan.data.join("all_data"),
        plan.data.join("data"),
        plan.data.clone(),
    ] {
        for (folder, csv, split) in SPLITS {
            let folder = root.join(folder).join("radiology");
            let table = [csv, "captions.txt"].map(|name| folder.join(name));
            if let Some(table) = table.into_iter().find(|table| table.is_file()) {
                parts.push(captions(table, Some(split)));
            }
        }
    }
    for (name, split) in VERSION_2 {
        let path = plan.data.join(name);
        if path.is_file() {
            parts.push(captions(path, Some(split)));
        }
    }
    parts
}

fn draft(root: &Path, fields: &Fields, part: &Part) -> Taken<Draft> {
    let first = |columns: &[&str]| columns.iter().find_map(|column| fields.get(column));
    let missing = |what: &str| Refusal::new("missing_field", format!("the row has no {what}"));
    let names: Vec<String> = ["name", "image", "file_name", "image_id", "id", "ID"]
        .iter()
        .filter_map(|column| fields.get(column))
        .collect();
    let key = names.first().ok_or_else(|| missing("name"))?.clone();
    let caption = first(&["caption", "Caption", "text"]).ok_or_else(|| missing("caption"))?;
    // Beside the table, or below the data folder.
    let beside = part.path.parent().unwrap_or(root);
    let beside = beside.strip_prefix(root).unwrap_or(Path::new(""));
    let beside = beside.to_string_lossy().replace('\\', "/");
    let folders = [
        "images",
        "",
        "train",
        "valid",
        "validation",
        "test",
        "all_data/train/radiology/images",
    ];
    let candidates = names.iter().flat_map(|name| {
        let beside = beside.clone();
        folders.into_iter().flat_map(move |folder| {
            let parts: Vec<&str> = [beside.as_str(), folder]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            let folder = parts.join("/");
            with_endings(name)
                .into_iter()
                .map(move |name| match folder.as_str() {
                    "" => name,
                    folder => format!("{folder}/{name}"),
                })
        })
    });
    Ok(Draft {
        images: vec![DraftImage::at(candidates)],
        key,
        facts: Facts {
            split: part
                .split
                .map(str::to_owned)
                .or_else(|| fields.get("split")),
            ..Facts::default()
        },
        texts: vec![Text {
            kind: TextKind::Caption,
            body: caption,
        }],
        ..Draft::default()
    })
}
