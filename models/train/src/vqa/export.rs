//! A trained run without what only training needs, as a pack keeps it.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Weights, save_tensors};

use super::fit::{ANSWERS, CALIBRATION, CONFIG, DICTIONARY, NETWORK, TYPES, chosen_weights};
use super::plan::{Method, VqaPlan};
use crate::{Result, TrainError};

/// Writes a run into the folder `to`: settings, words, answers, calibration, and the weights as 16-bit floats.
///
/// Returns the paths of the files below `to`, with forward slashes. [`TrainedVqa::open`](super::TrainedVqa::open) opens the folder.
///
/// Errors if the run is not finished or a file cannot be written.
pub fn export_run(run: &Path, to: &Path) -> Result<Vec<String>> {
    let plan = VqaPlan::load(&run.join(CONFIG))?;
    let mut written = Vec::new();
    let mut files = vec![CONFIG, DICTIONARY, ANSWERS];
    if run.join(CALIBRATION).is_file() {
        files.push(CALIBRATION);
    }
    for file in files {
        copy(&run.join(file), &to.join(file))?;
        written.push(file.to_string());
    }
    written.push(export_weights(run, &plan, to, "")?);
    if plan.method == Method::Qcr {
        written.push(export_weights(
            &run.join(TYPES),
            &plan,
            &to.join(TYPES),
            TYPES,
        )?);
    }
    Ok(written)
}

fn export_weights(run: &Path, plan: &VqaPlan, to: &Path, below: &str) -> Result<String> {
    std::fs::create_dir_all(to).map_err(|e| TrainError::io(to, e))?;
    let weights = Weights::open(&chosen_weights(run, plan)?, &Device::Cpu)?;
    let tensors: BTreeMap<String, Tensor> = weights.tensors();
    save_tensors(&tensors, &to.join(NETWORK), DType::F16)?;
    Ok(match below {
        "" => NETWORK.to_string(),
        folder => format!("{folder}/{NETWORK}"),
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|e| TrainError::io(from, e))
}
