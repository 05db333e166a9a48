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

fn element(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr.bytes());
    let padded = value.len().next_multiple_of(2);
    if ["OB", "OW", "SQ", "UN"].contains(&vr) {
        bytes.extend([0, 0]);
        bytes.extend((padded as u32).to_le_bytes());
    } else {
        bytes.extend((padded as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes.resize(bytes.len() + padded - value.len(), 0);
    bytes
}

/// A grey 8-bit image written byte by byte, so that it may say anything about its size; `pixels` become one fragment
/// under a compressed transfer syntax.
pub fn dicom(rows: u16, columns: u16, syntax: &str, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element((2, 0x10), "UI", syntax.as_bytes()));
    bytes.extend(element((8, 0x60), "CS", b"OT"));
    bytes.extend(element((0x28, 2), "US", &1u16.to_le_bytes()));
    bytes.extend(element((0x28, 4), "CS", b"MONOCHROME2"));
    bytes.extend(element((0x28, 0x10), "US", &rows.to_le_bytes()));
    bytes.extend(element((0x28, 0x11), "US", &columns.to_le_bytes()));
    bytes.extend(element((0x28, 0x100), "US", &8u16.to_le_bytes()));
    bytes.extend(element((0x28, 0x101), "US", &8u16.to_le_bytes()));
    bytes.extend(element((0x28, 0x102), "US", &7u16.to_le_bytes()));
    bytes.extend(element((0x28, 0x103), "US", &0u16.to_le_bytes()));
    if syntax == "1.2.840.10008.1.2.1" {
        bytes.extend(element((0x7FE0, 0x10), "OB", pixels));
        return bytes;
    }
    bytes.extend([
        0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    ]);
    bytes.extend([0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0]);
    bytes.extend([0xFE, 0xFF, 0, 0xE0]);
    bytes.extend((pixels.len() as u32).to_le_bytes());
    bytes.extend(pixels);
    bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    bytes
}

/// A JPEG 2000 main header that announces a square image and holds nothing.
pub fn empty_j2k(side: u32) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    for field in [side, side, 0, 0, side, side, 0, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend([0, 1, 7, 1, 1]);
    bytes.extend([0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, 0, 1]);
    bytes.extend([0xFF, 0x5C, 0, 4, 0x40, 0x40, 0xFF, 0xD9]);
    bytes
}
