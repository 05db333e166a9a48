//! The weights of the best evaluation so far.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

const WEIGHTS: &str = "best.safetensors";
const STATE: &str = "best.json";

/// What the best evaluation was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: u64,
    figure: String,
    value: f64,
    figures: BTreeMap<String, f64>,
}

/// Keeps the weights of the evaluation whose chosen figure is largest; of equals the first.
pub struct Best {
    run: PathBuf,
    figure: String,
    value: Option<f64>,
    step: u64,
}

impl Best {
    /// Goes on from what the run's folder holds.
    ///
    /// Errors if its record cannot be read or is about another figure.
    pub(crate) fn of(run: &Path, figure: &str) -> Result<Self> {
        let path = run.join(STATE);
        let mut best = Self {
            run: run.to_path_buf(),
            figure: figure.to_string(),
            value: None,
            step: 0,
        };
        if path.is_file() {
            let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
            let state: State =
                serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
            if state.figure != figure {
                return Err(TrainError::Checkpoint {
                    path,
                    reason: format!("it was chosen by {}, not by {figure}", state.figure),
                });
            }
            best.value = Some(state.value);
            best.step = state.step;
        }
        Ok(best)
    }

    /// The best weights of a run's folder, if an evaluation chose some.
    pub fn weights(run: &Path) -> Option<PathBuf> {
        Some(run.join(WEIGHTS)).filter(|path| path.is_file())
    }

    /// Steps since the best evaluation, if there was one.
    pub(crate) fn age(&self, done: u64) -> Option<u64> {
        self.value.map(|_| done.saturating_sub(self.step))
    }

    /// Keeps `weights` if the chosen figure is larger than before; the record is written after the weights.
    pub(crate) fn offer(
        &mut self,
        step: u64,
        figures: &BTreeMap<String, f64>,
        weights: HashMap<String, Tensor>,
    ) -> Result<()> {
        let Some(value) = figures.get(&self.figure).copied() else {
            return Ok(());
        };
        if self.value.is_some_and(|best| value <= best) {
            return Ok(());
        }
        let weights: BTreeMap<String, Tensor> = weights.into_iter().collect();
        lucency_nn::save_tensors(&weights, &self.run.join(WEIGHTS), DType::F32)?;
        let state = State {
            step,
            figure: self.figure.clone(),
            value,
            figures: figures.clone(),
        };
        let path = self.run.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|e| TrainError::json(&path, e))?;
        write_whole(&path, text.as_bytes())?;
        self.value = Some(value);
        self.step = step;
        Ok(())
    }
}

/// Writes a small file beside its destination, flushes it, and renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let io = |e| TrainError::io(path, e);
    let mut file = fs::File::create(&fresh).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&fresh, path).map_err(io)
}
