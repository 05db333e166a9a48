//! Rows of numbers that take long to compute, kept in a run's folder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Weights, save_tensors};
use lucency_zoo::preprocess::Image8;

/// Where rows are kept, and which towers they come from.
pub struct Kept {
    /// The folder.
    pub folder: PathBuf,
    /// Changes with the towers.
    pub towers: u64,
}

/// Name of the one tensor of a file.
const ROWS: &str = "rows";

impl Kept {
    /// Rows that were computed before from the same towers and the same input, or what `make` gives.
    ///
    /// - `key`: changes with the input
    pub fn rows(
        &self,
        name: &str,
        key: u64,
        make: impl FnOnce() -> Result<Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<f32>>> {
        let file = format!("{name}-{:016x}.safetensors", key ^ self.towers);
        let file = self.folder.join(file);
        if file.is_file() {
            let tensors = Weights::open(&file, &Device::Cpu)?.tensors();
            if let Some(rows) = tensors.get(ROWS) {
                return Ok(rows.to_vec2()?);
            }
        }
        let rows = make()?;
        let width = rows.first().map_or(0, Vec::len);
        if width > 0 {
            let flat: Vec<f32> = rows.iter().flatten().copied().collect();
            let tensor = Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?;
            std::fs::create_dir_all(&self.folder)?;
            save_tensors(&[(ROWS.to_string(), tensor)].into(), &file, DType::F32)?;
        }
        Ok(rows)
    }
}

/// A key of images, by their pixels.
pub fn image_key<'a>(images: impl Iterator<Item = &'a Image8>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for image in images {
        (image.width, image.height, &image.data).hash(&mut hasher);
    }
    hasher.finish()
}

/// A key of anything that can be hashed.
pub fn key_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_computed_once_for_the_same_towers_and_input() {
        let dir = tempfile::tempdir().unwrap();
        let kept = |towers| Kept {
            folder: dir.path().join("kept"),
            towers,
        };
        let rows = vec![vec![1.0, 2.0], vec![3.0, 4.5]];
        let made = kept(1).rows("features", 7, || Ok(rows.clone())).unwrap();
        assert_eq!(made, rows);
        let again = kept(1).rows("features", 7, || Ok(Vec::new())).unwrap();
        assert_eq!(again, rows, "the kept rows are taken");
        for (towers, key) in [(2, 7), (1, 8)] {
            let other = kept(towers).rows("features", key, || Ok(Vec::new()));
            assert!(other.unwrap().is_empty(), "other towers or input");
        }
    }
}
