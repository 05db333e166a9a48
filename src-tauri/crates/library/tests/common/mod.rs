//! Small data sets, written as they are published.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use lucency_library::import::{Format, ImportPlan, ImportReport, import};
use lucency_library::{CaseRecord, Filter, Page, SqliteStore, Storage};
use tempfile::TempDir;

/// A library and a folder for data, both empty.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn library(&self) -> PathBuf {
        self.folder.path().join("library")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.library()).unwrap()
    }

    /// Writes a file below the data folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.data().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a picture of its own pattern below the data folder; the ending decides the format.
    pub fn picture(&self, name: &str, seed: u32) -> PathBuf {
        let path = self.data().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        pattern(seed, 64, 48).save(&path).unwrap();
        path
    }

    pub fn plan(&self, format: Format) -> ImportPlan {
        ImportPlan {
            source: Some("test".into()),
            ..ImportPlan::new(format, self.data())
        }
    }

    pub fn import(&self, format: Format) -> ImportReport {
        run(&self.open(), &self.plan(format))
    }
}

pub fn run(store: &SqliteStore, plan: &ImportPlan) -> ImportReport {
    import(store, plan, &|| false, &mut |_| {}).unwrap()
}

/// Blots whose places follow from the seed: pictures of different seeds look different.
pub fn pattern(seed: u32, width: u32, height: u32) -> image::GrayImage {
    image::GrayImage::from_fn(width, height, |x, y| {
        let (u, v) = (x * 8 / width, y * 8 / height);
        let mixed = (u * 73 + v * 151 + seed * 7919 + 1).wrapping_mul(2_654_435_761);
        let grey = (mixed >> 24) as u8;
        image::Luma([grey])
    })
}

/// Every case, in the order of their keys' hashes being unknown: in the order in which they came.
pub fn cases(store: &SqliteStore) -> Vec<CaseRecord> {
    let page = Page {
        offset: 0,
        limit: u64::MAX,
    };
    let listed = store.list(&Filter::default(), page).unwrap();
    listed
        .iter()
        .map(|case| store.get(&case.id).unwrap())
        .collect()
}

/// A PDF of one page with one line of text for each line, as a word processor would write it, uncompressed.
pub fn pdf(text: &str) -> Vec<u8> {
    let lines: Vec<String> = text.lines().map(|line| format!("({line}) Tj T*")).collect();
    let stream = format!("BT /F1 12 Tf 72 720 Td 14 TL\n{}\nET", lines.join("\n"));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{stream}\nendstream",
            stream.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", i + 1).bytes());
    }
    let xref = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    file.extend(
        format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").bytes(),
    );
    file
}

/// The folder of external data, or none with a `SKIPPED` line.
pub fn external(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let folder = std::env::var_os("LUCENCY_TEST_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no {name} (set LUCENCY_TEST_DATA)");
    None
}
