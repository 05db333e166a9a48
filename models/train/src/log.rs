//! A run's log: one JSON object a line.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// What one line of the log says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LogLine {
    /// Step counted from 1.
    pub step: u64,
    pub loss: f64,
    pub parts: BTreeMap<String, f64>,
    pub rate: f64,
    pub gradient_norm: f64,
    pub samples_per_s: f64,
    pub elapsed_s: f64,
    /// Validation figures, where this step was judged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
}

/// The log file, open at its end.
pub(crate) struct Log {
    file: fs::File,
    path: PathBuf,
}

impl Log {
    /// Opens the log and drops lines of steps after `done`, which will be walked again, and a torn last line.
    pub fn open(path: &Path, done: u64) -> Result<Self> {
        let io = |e| TrainError::io(path, e);
        let mut kept = String::new();
        if path.is_file() {
            for line in fs::read_to_string(path).map_err(io)?.lines() {
                let step = serde_json::from_str::<LogLine>(line).map(|l| l.step);
                if step.is_ok_and(|s| s <= done) {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
        }
        let mut file = fs::File::create(path).map_err(io)?;
        file.write_all(kept.as_bytes()).map_err(io)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// Adds a line.
    pub fn append(&mut self, line: &LogLine) -> Result<()> {
        let mut text = serde_json::to_string(line).map_err(|e| TrainError::json(&self.path, e))?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| TrainError::io(&self.path, e))
    }

    /// The lines of a log file.
    ///
    /// Errors if it cannot be read or a line is damaged.
    pub fn read(path: &Path) -> Result<Vec<LogLine>> {
        let text = fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(|e| TrainError::json(path, e)))
            .collect()
    }
}
