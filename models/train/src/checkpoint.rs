//! A run's state on disk: weights, average, optimiser, step. A checkpoint is a folder that appears whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// The small part of the state. Batches and augmentations follow from seed and step, so these two are the generators' state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// Updates of the averaged weights.
    pub ema_steps: u64,
    /// Seconds of training so far.
    pub elapsed_s: f64,
}

/// A checkpoint read back.
pub struct Checkpoint {
    /// Its folder.
    pub dir: PathBuf,
    /// Step and seed.
    pub state: State,
}

const NAME: &str = "checkpoint";

impl Checkpoint {
    /// The newest whole checkpoint of a run's folder, if there is one.
    ///
    /// Errors if one is there but its state cannot be read.
    pub fn find(run: &Path) -> Result<Option<Self>> {
        // Between the two renames of a write only the old one stands.
        for name in [NAME.to_string(), format!("{NAME}.old")] {
            let dir = run.join(name);
            let path = dir.join("state.json");
            if !path.is_file() {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
            let state = serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
            return Ok(Some(Self { dir, state }));
        }
        Ok(None)
    }

    /// The last weights, for going on.
    pub fn weights(&self) -> PathBuf {
        self.dir.join("weights.safetensors")
    }

    /// The averaged weights, for use.
    pub fn averaged(&self) -> PathBuf {
        self.dir.join("averaged.safetensors")
    }

    /// The optimiser's moments.
    pub fn optimiser(&self) -> PathBuf {
        self.dir.join("optimiser.safetensors")
    }

    /// Reads one of the tensor files.
    pub fn read(&self, path: &Path) -> Result<HashMap<String, Tensor>> {
        candle_core::safetensors::load(path, &Device::Cpu).map_err(|e| TrainError::Checkpoint {
            path: path.to_path_buf(),
            reason: e.to_string(),
        })
    }
}

/// What a checkpoint holds.
pub struct Contents<'a> {
    /// The last weights.
    pub weights: &'a HashMap<String, Tensor>,
    /// The averaged weights.
    pub averaged: &'a HashMap<String, Tensor>,
    /// The optimiser's moments.
    pub optimiser: &'a HashMap<String, Tensor>,
    /// Step and seed.
    pub state: &'a State,
}

/// Writes a checkpoint into a run's folder in place of the one before.
pub fn write(run: &Path, contents: &Contents<'_>) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |e| TrainError::io(&path, e)
    };
    let fresh = run.join(format!("{NAME}.new"));
    let current = run.join(NAME);
    let old = run.join(format!("{NAME}.old"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(io(&fresh))?;
    }
    fs::create_dir_all(&fresh).map_err(io(&fresh))?;
    save(&fresh.join("weights.safetensors"), contents.weights)?;
    save(&fresh.join("averaged.safetensors"), contents.averaged)?;
    save(&fresh.join("optimiser.safetensors"), contents.optimiser)?;
    let path = fresh.join("state.json");
    let text =
        serde_json::to_string_pretty(contents.state).map_err(|e| TrainError::json(&path, e))?;
    let mut file = fs::File::create(&path).map_err(io(&path))?;
    file.write_all(text.as_bytes()).map_err(io(&path))?;
    file.sync_all().map_err(io(&path))?;
    if current.exists() {
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        fs::rename(&current, &old).map_err(io(&current))?;
    }
    fs::rename(&fresh, &current).map_err(io(&fresh))?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(io(&old))?;
    }
    Ok(())
}

/// Writes tensors and waits until they are on disk.
fn save(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    candle_core::safetensors::save(tensors, path)?;
    let file = fs::File::open(path).map_err(|e| TrainError::io(path, e))?;
    file.sync_all().map_err(|e| TrainError::io(path, e))
}
