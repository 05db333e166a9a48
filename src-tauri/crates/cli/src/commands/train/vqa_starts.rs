//! Pre-trained image networks: safetensors, PyTorch files, and runs of `train maml` and `train cdae`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use lucency_train::checkpoint::Checkpoint;

/// The MAML network's tensors: `conv1.weight` to `conv4.bias`, and batch norms if the file has them.
///
/// Errors if one of them is missing.
pub fn maml(path: &Path) -> Result<HashMap<String, Tensor>> {
    let wanted: Vec<String> = (1..=4)
        .flat_map(|i| [format!("conv{i}.weight"), format!("conv{i}.bias")])
        .collect();
    part(path, &wanted)
}

/// The autoencoder's tensors: `conv1` to `conv5`, `tran_conv1`, `tran_conv2`.
///
/// Errors if one of them is missing.
pub fn cdae(path: &Path) -> Result<HashMap<String, Tensor>> {
    let layers = [
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "conv5",
        "tran_conv1",
        "tran_conv2",
    ];
    let wanted: Vec<String> = layers
        .iter()
        .flat_map(|l| [format!("{l}.weight"), format!("{l}.bias")])
        .collect();
    part(path, &wanted)
}

/// The wanted tensors of a file or a run's folder, and the batch norms that go with them.
fn part(path: &Path, wanted: &[String]) -> Result<HashMap<String, Tensor>> {
    let file = weights_file(path)?;
    let tensors = lucency_packs::read_tensors(&file)?;
    for key in wanted {
        if !tensors.contains_key(key) {
            bail!(
                "{} lacks the tensor {key}; is it another network?",
                file.display()
            );
        }
    }
    let norm = |key: &str| {
        key.split_once("_bn.")
            .is_some_and(|(layer, what)| layer.starts_with("conv") && what != "num_batches_tracked")
    };
    Ok(tensors
        .into_iter()
        .filter(|(key, _)| wanted.contains(key) || norm(key))
        .collect())
}

/// The file itself, or the averaged weights of a run's folder.
fn weights_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    Checkpoint::find(path)?
        .map(|c| c.averaged())
        .with_context(|| format!("{} holds no checkpoint", path.display()))
}
