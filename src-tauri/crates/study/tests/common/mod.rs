//! What several test files need.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The DICOM collection, or `None` (and a line that says so) without it.
pub fn collection() -> Option<PathBuf> {
    let data = std::env::var_os("LUCENCY_TEST_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let folder = data.join("dicom");
    if !folder.is_dir() {
        println!("SKIPPED: no DICOM collection (set LUCENCY_TEST_DATA)");
        return None;
    }
    Some(folder)
}

/// A file under `tests/vectors`, parsed as JSON.
pub fn vectors(name: &str) -> serde_json::Value {
    let path = root().join("tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

/// A small seeded generator (SplitMix64), so that every run mutates the same bytes.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
